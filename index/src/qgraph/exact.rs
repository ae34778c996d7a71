//! Exact search over the rows of a quantized graph: on the vectors kept beside it, or on the bytes where they are the vectors.

use super::QuantizedGraph;
use crate::bytes::Array;
use crate::distance::{Kernels, RowsView};
use crate::exact;
use crate::ids::Slot;
use crate::metric::ElementType;
use crate::pool::Candidate;
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
            None => self.exact_on_bytes(query, k, accept, scratch)?,
        }
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }

    fn exact_on_bytes(
        &self,
        query: VectorRef<'_>,
        k: usize,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut Scratch,
    ) -> Result<(), SearchError> {
        let spec = VectorSpec::new(self.spec.dim(), self.spec.metric(), ElementType::F32).expect("as the index's");
        let stride = Dense::<f32>::stride_of(&spec);
        let mut block = Array::<f32>::default();
        block.resize(stride * BLOCK.min(self.len()));
        let query = Dense::<f32>::new(spec).encode(query, &mut scratch.query)?;
        let (kernels, mut vector) = (Kernels::new(spec.metric()), Vec::new());
        scratch.accepted.reset(k.min(self.len()).max(1));
        for first in (0..self.len()).step_by(BLOCK) {
            let rows = BLOCK.min(self.len() - first);
            for (row, out) in block.as_mut_slice().chunks_exact_mut(stride).take(rows).enumerate() {
                self.vector(Slot((first + row) as u32), &mut vector);
                out[..vector.len()].copy_from_slice(&vector);
            }
            let view = DenseView { rows: RowsView::new(&block.as_slice()[..rows * stride], stride, rows), kernels };
            exact::each(view, query, |candidate| {
                let slot = first as u32 + candidate.slot();
                if candidate.distance() <= scratch.accepted.bound() && accept(Slot(slot)) {
                    scratch.accepted.insert(Candidate::new(candidate.distance(), slot));
                }
            });
        }
        Ok(())
    }
}
