//! Rows compared with a query one by one, and the nearest of them kept: the truth of every scan over codes.

use crate::distance::prefetch::prefetch;
use crate::distance::simd::Simd;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

/// What rows are compared by, one by one.
pub(crate) trait Compare {
    /// Whether results are scored again, so that those are kept that errors may have put behind the nearest.
    fn errs(&self) -> bool;

    /// The distance to a row.
    fn distance<S: Simd>(&self, simd: S, slot: u32) -> f32;

    /// By how much two such distances may be in the wrong order, of which that of `slot` is one.
    fn margin(&self, slot: u32) -> f32;

    /// Asks for what a row's distance reads.
    fn fetch(&self, slot: u32);
}

/// Vectors as they are stored.
pub(crate) struct Whole<'a, T: Component> {
    pub(crate) space: DenseView<'a, T>,
    pub(crate) query: &'a [T],
}

impl<T: Component> Compare for Whole<'_, T> {
    #[inline(always)]
    fn errs(&self) -> bool {
        false
    }

    #[inline(always)]
    fn distance<S: Simd>(&self, _: S, slot: u32) -> f32 {
        self.space.kernels.distance(self.query, self.space.row(slot))
    }

    #[inline(always)]
    fn margin(&self, _: u32) -> f32 {
        0.0
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        bytemuck::cast_slice::<T, u8>(self.space.row(slot)).chunks(64).for_each(|line| prefetch(line.as_ptr()));
    }
}

/// The nearest of the rows compared so far.
#[derive(Debug, Default)]
pub(crate) struct Nearest {
    k: usize,
    /// Nearest first, of equal ones the lowest slot.
    found: Vec<(f32, u32)>,
    /// What was not ruled out when it came.
    near: Vec<(f32, u32)>,
    /// Rows farther than this are none of the nearest, whatever errors there are.
    pub(crate) reach: f32,
}

impl Nearest {
    /// Empties it, for the `k` nearest that are no farther than `reach`.
    pub(crate) fn reset(&mut self, k: usize, reach: f32) {
        assert!(k > 0, "the nearest 0 rows");
        self.k = k;
        self.found.clear();
        self.near.clear();
        self.reach = reach;
    }

    /// Takes row `slot`, which was not before, with its distance as `by` has it. Whether it is one of the nearest so far.
    #[inline(always)]
    pub(crate) fn take(&mut self, by: &impl Compare, slot: u32, distance: f32) -> bool {
        if distance > self.reach {
            return false;
        }
        if by.errs() {
            self.near.push((distance, slot));
        }
        let (found, k) = (&mut self.found, self.k);
        let is_near = found.len() < k || (distance, slot) < found[k - 1];
        if is_near {
            found.truncate(k - 1);
            let place = found.partition_point(|kept| *kept < (distance, slot));
            found.insert(place, (distance, slot));
            if let Some(&(farthest, slot)) = found.get(k - 1) {
                self.reach = self.reach.min(farthest + if by.errs() { by.margin(slot) } else { 0.0 });
            }
        }
        is_near
    }

    /// The `k` nearest, nearest first; where comparisons err, in no order and with those that may be among the nearest in truth.
    pub(crate) fn rows(&mut self) -> &[(f32, u32)] {
        if self.near.is_empty() {
            return &self.found;
        }
        let reach = self.reach;
        self.near.retain(|row| row.0 <= reach);
        &self.near
    }
}
