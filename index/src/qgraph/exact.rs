//! Exact search over the rows of a graph on codes: on the vectors kept beside it, or on the codes where they are the vectors.

use crate::bytes::Array;
use crate::distance::{Kernels, RowsView};
use crate::exact;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::metric::ElementType;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::scratch::Scratch;
use crate::spec::VectorSpec;
use crate::vectors::dense::{Dense, DenseView, Vectors};

/// Rows that are turned into floats at a time.
const BLOCK: usize = 256;

/// Rows as a graph on codes keeps them.
pub(crate) struct Kept<'a, D> {
    pub(crate) spec: VectorSpec,
    pub(crate) rows: usize,
    /// The vectors themselves; none where codes are exact, or are all that is kept.
    pub(crate) full: Option<&'a Vectors>,
    /// Writes a row as numbers.
    pub(crate) decode: D,
}

impl<D: Fn(Slot, &mut Vec<f32>)> Kept<'_, D> {
    /// Puts the `k` nearest rows for which `accept` holds into `hits`, nearest first, ties by lower slot. Cost: one distance per row.
    pub(crate) fn exact(
        &self,
        query: VectorRef<'_>,
        k: usize,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        hits.clear();
        match self.full {
            Some(full) => full.exact(query, k, |slot| accept(Slot(slot)), scratch)?,
            None => {
                scratch.slots.clear();
                scratch.slots.extend((0..self.rows as u32).filter(|&slot| accept(Slot(slot))));
                self.on_codes(query, k, scratch)?;
            }
        }
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }

    /// As [`exact`](Kept::exact) among the rows of `mask`. Cost: one distance for each of them.
    pub(crate) fn exact_among(
        &self,
        query: VectorRef<'_>,
        k: usize,
        mask: &Mask,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        hits.clear();
        match self.full {
            Some(full) => full.exact_among(query, k, mask, scratch)?,
            None => {
                scratch.slots.clear();
                scratch.slots.extend(mask.iter().map(|slot| slot.0));
                self.on_codes(query, k, scratch)?;
            }
        }
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }

    /// Compares the rows `scratch.slots`, turned into floats.
    fn on_codes(&self, query: VectorRef<'_>, k: usize, scratch: &mut Scratch) -> Result<(), SearchError> {
        let spec = VectorSpec::new(self.spec.dim(), self.spec.metric(), ElementType::F32).expect("as the index's");
        let stride = Dense::<f32>::stride_of(&spec);
        let mut block = Array::<f32>::default();
        block.resize(stride * BLOCK.min(scratch.slots.len()));
        let query = Dense::<f32>::new(spec).encode(query, &mut scratch.query)?;
        let (kernels, mut vector) = (Kernels::new(spec.metric()), Vec::new());
        scratch.accepted.reset(k.min(self.rows).max(1));
        for slots in scratch.slots.chunks(BLOCK) {
            for (&slot, out) in slots.iter().zip(block.as_mut_slice().chunks_exact_mut(stride)) {
                (self.decode)(Slot(slot), &mut vector);
                out[..vector.len()].copy_from_slice(&vector);
            }
            let rows = RowsView::new(&block.as_slice()[..slots.len() * stride], stride, slots.len());
            exact::each(DenseView { rows, kernels }, query, |candidate| {
                if candidate.distance() <= scratch.accepted.bound() {
                    scratch.accepted.insert(candidate.at(slots[candidate.slot() as usize]));
                }
            });
        }
        Ok(())
    }
}
