//! Queries as walks have them.

use crate::metric::{ElementType, Metric};
use crate::quant::frame::square_of;
use crate::query::SearchError;
use crate::rows::{Rows, VectorRef};
use crate::spec::{VectorError, VectorSpec};

use super::QuantizedStats;

/// Loads the queries of a batch. In the place of one that is at fault zeros are searched for, and the first such is kept.
pub(crate) struct Loader<'a> {
    pub(crate) spec: VectorSpec,
    pub(crate) queries: Rows<'a>,
    pub(crate) error: Option<(usize, VectorError)>,
}

impl Loader<'_> {
    /// Writes query `index` into `out`; names no node to pass over.
    #[inline(always)]
    pub(crate) fn load(&mut self, index: usize, out: &mut Vec<f32>) -> Option<u32> {
        if let Err(fault) = load(&self.spec, self.queries.row(index), out) {
            self.error.get_or_insert((index, fault));
            out.clear();
            out.resize(self.spec.dim(), 0.0);
        }
        None
    }

    /// `stats`, if no query was at fault.
    pub(crate) fn outcome(self, stats: QuantizedStats) -> Result<QuantizedStats, (usize, SearchError)> {
        match self.error {
            Some((index, error)) => Err((index, error.into())),
            None => Ok(stats),
        }
    }
}

/// A query as a walk has it: checked, and scaled to length one under cosine.
#[inline(always)]
pub(crate) fn load(spec: &VectorSpec, query: VectorRef<'_>, out: &mut Vec<f32>) -> Result<(), VectorError> {
    if let VectorRef::F32(data) = query
        && data.len() == spec.dim()
    {
        let square = square_of(data);
        // Neither NaN nor infinite nor near an overflow or underflow: then no coordinate is.
        if (f32::MIN_POSITIVE..1e37).contains(&square) {
            out.clear();
            let factor = if spec.metric() == Metric::Cosine { 1.0 / square.sqrt() } else { 1.0 };
            out.extend(data.iter().map(|x| x * factor));
            return Ok(());
        }
    }
    let floats = VectorSpec::new(spec.dim(), spec.metric(), ElementType::F32).expect("as the index's");
    out.clear();
    out.resize(spec.dim(), 0.0);
    floats.encode(query, out)
}
