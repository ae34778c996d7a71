//! [`Elsewhere`]: what was found outside a graph for the same query, so that several graphs, and rows without one, share one beam.
//!
//! The stop rule of a walk asks for its k-th result. Where a collection is several graphs, the nearest of all are wanted, and those that are
//! found already, by other walks or by a scan, count: each walk goes only as far as the k-th of both. But first it must have come near:
//! until some results of its own are nearer than what is left, what was found elsewhere says nothing about the way.

/// The distances of the nearest nodes found, in order.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    distances: Vec<f32>,
    /// For merging.
    merged: Vec<f32>,
}

impl Elsewhere {
    pub(super) fn clear(&mut self) {
        self.distances.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.distances.len()
    }

    /// Adds the distances of what was found, nearest first, and keeps the `most` nearest of all.
    pub(super) fn add(&mut self, found: impl Iterator<Item = f32>, most: usize) {
        let Elsewhere { distances, merged } = self;
        merged.clear();
        let (mut own, mut others) = (found.peekable(), distances.iter().copied().peekable());
        while merged.len() < most {
            let own_first = match (own.peek(), others.peek()) {
                (None, None) => break,
                (Some(own), Some(other)) => own < other,
                (own, _) => own.is_some(),
            };
            merged.extend(if own_first { own.next() } else { others.next() });
        }
        std::mem::swap(distances, merged);
    }

    /// The `k`-th distance of `found` and these together; infinite where there are fewer.
    #[inline(always)]
    pub(super) fn kth_with(&self, found: &[(f32, u32)], k: usize) -> f32 {
        let others = &self.distances[..];
        if found.len() + others.len() < k {
            return f32::INFINITY;
        }
        // How many of `found` are among the k nearest.
        let (mut least, mut most) = (k.saturating_sub(others.len()), found.len().min(k));
        while least < most {
            let middle = usize::midpoint(least, most);
            if found[middle].0 < others[k - 1 - middle] {
                least = middle + 1;
            } else {
                most = middle;
            }
        }
        let own = if least > 0 { found[least - 1].0 } else { f32::NEG_INFINITY };
        let other = if k > least { others[k - least - 1] } else { f32::NEG_INFINITY };
        own.max(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kth_of_both_is_that_of_one_sorted_list() {
        let mut state = 5_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..300 {
            let (mut elsewhere, mut model) = (Elsewhere::default(), Vec::new());
            for _ in 0..draw(4) {
                let mut found: Vec<(f32, u32)> = (0..draw(20)).map(|slot| (draw(30) as f32, slot as u32)).collect();
                found.sort_by(|a, b| a.0.total_cmp(&b.0));
                for k in 1..30 {
                    let mut both: Vec<f32> = model.iter().copied().chain(found.iter().map(|found| found.0)).collect();
                    both.sort_by(f32::total_cmp);
                    let expected = both.get(k - 1).copied().unwrap_or(f32::INFINITY);
                    assert_eq!(elsewhere.kth_with(&found, k), expected, "round {round}, {k} of {both:?}");
                }
                elsewhere.add(found.iter().map(|found| found.0), 25);
                model.extend(found.iter().map(|found| found.0));
                model.sort_by(f32::total_cmp);
                model.truncate(25);
                assert_eq!((&elsewhere.distances, elsewhere.len()), (&model, model.len()), "round {round}");
            }
        }
    }
}
