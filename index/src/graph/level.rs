//! Which levels a node stands on: exponentially fewer per level, drawn from the seed and the node's number alone.
//!
//! Algorithm 1 of Malkov & Yashunin (arXiv:1603.09320), line 4: l = ⌊−ln(unif(0..1)) · mL⌋ with mL = 1/ln M. Because the draw depends
//! on nothing else, rows added one by one, in batches or by any number of threads stand on the same levels.

/// Above this no list is kept: reached once in m^24 nodes.
const MAX_LEVEL: u8 = 24;

/// The highest level of node `slot` in a graph of `m` links per node.
pub(crate) fn level(seed: u64, slot: u32, m: usize) -> u8 {
    let uniform = ((mix(seed ^ mix(u64::from(slot))) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let level = (-uniform.ln() / (m as f64).ln()) as u8;
    level.min(MAX_LEVEL)
}

/// SplitMix64's output function (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_holds_an_mth_of_the_one_below() {
        for (m, seed) in [(16, 1), (5, 42)] {
            let mut above = [0_usize; 4];
            for slot in 0..200_000 {
                for count in &mut above[..=usize::from(level(seed, slot, m)).min(3)] {
                    *count += 1;
                }
            }
            for pair in above.windows(2).filter(|pair| pair[1] > 300) {
                let ratio = pair[0] as f64 / pair[1] as f64;
                assert!((ratio / m as f64 - 1.0).abs() < 0.2, "m {m} seed {seed}: {above:?}");
            }
        }
    }
}
