//! Vectors that are small grey images, drawn with letters.

/// From dark to light.
const SHADES: &[u8] = b" .:-=+*#%@";

/// The largest side that fits several to a line.
const MAX_SIDE: usize = 28;

/// `vectors` as images beside one another; `None` unless each is a small square one.
pub(super) fn row(vectors: &[Vec<f32>]) -> Option<String> {
    let side = (2..=MAX_SIDE).find(|side| vectors.iter().all(|vector| vector.len() == side * side))?;
    let highest = vectors.iter().flatten().copied().fold(f32::MIN_POSITIVE, f32::max);
    let shade = |value: f32| {
        let step = (value / highest * SHADES.len() as f32) as usize;
        SHADES[step.min(SHADES.len() - 1)] as char
    };
    // A letter is about twice as high as wide.
    let lines = (0..side).step_by(if side > 14 { 2 } else { 1 }).map(|y| {
        let images = vectors.iter().map(|vector| {
            let pixels = vector[y * side..(y + 1) * side].iter().map(|&value| shade(value));
            if side > 14 { pixels.collect::<String>() } else { pixels.flat_map(|letter| [letter, letter]).collect() }
        });
        images.collect::<Vec<String>>().join(" | ")
    });
    Some(lines.collect::<Vec<String>>().join("\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn squares_are_drawn_and_others_are_not() {
        assert_eq!(super::row(&[vec![0.0, 1.0, 0.5, 0.0], vec![1.0; 4]]).unwrap(), "  @@ | @@@@\n++   | @@@@");
        assert_eq!(super::row(&[vec![1.0; 3]]), None);
        assert_eq!(super::row(&[vec![1.0; 4], vec![1.0; 9]]), None);
    }
}
