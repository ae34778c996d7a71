//! Exact search over the rows of a quantized graph: on the vectors kept beside it, or on the bytes where they are the vectors.

use super::QuantizedGraph;
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
use crate::vectors::dense::{Dense, DenseView};

/// Rows that are turned into floats at a time.
const BLOCK: usize = 256;

impl QuantizedGraph {
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
        match &self.full {
            Some(full) => full.exact(query, k, |slot| accept(Slot(slot)), scratch)?,
            None => {
                scratch.slots.clear();
                scratch.slots.extend((0..self.len() as u32).filter(|&slot| accept(Slot(slot))));
                self.exact_on_bytes(query, k, scratch)?;
            }
        }
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }

    /// As [`exact`](QuantizedGraph::exact) among the rows of `mask`. Cost: one distance for each of them.
    pub(crate) fn exact_among(
        &self,
        query: VectorRef<'_>,
        k: usize,
        mask: &Mask,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        hits.clear();
        match &self.full {
            Some(full) => full.exact_among(query, k, mask, scratch)?,
            None => {
                scratch.slots.clear();
                scratch.slots.extend(mask.iter().map(|slot| slot.0));
                self.exact_on_bytes(query, k, scratch)?;
            }
        }
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }

    /// Compares the rows `scratch.slots`, turned into floats.
    fn exact_on_bytes(&self, query: VectorRef<'_>, k: usize, scratch: &mut Scratch) -> Result<(), SearchError> {
        let spec = VectorSpec::new(self.spec.dim(), self.spec.metric(), ElementType::F32).expect("as the index's");
        let stride = Dense::<f32>::stride_of(&spec);
        let mut block = Array::<f32>::default();
        block.resize(stride * BLOCK.min(scratch.slots.len()));
        let query = Dense::<f32>::new(spec).encode(query, &mut scratch.query)?;
        let (kernels, mut vector) = (Kernels::new(spec.metric()), Vec::new());
        scratch.accepted.reset(k.min(self.len()).max(1));
        for slots in scratch.slots.chunks(BLOCK) {
            for (&slot, out) in slots.iter().zip(block.as_mut_slice().chunks_exact_mut(stride)) {
                self.vector(Slot(slot), &mut vector);
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
