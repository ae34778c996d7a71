//! [`Flat`]: exact search as an index of its own.

use rayon::prelude::*;

use crate::exact;
use crate::ids::Slot;
use crate::query::{ExtendError, Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::scratch::Scratch;
use crate::spec::VectorSpec;
use crate::threads;
use crate::vectors::dense::{Vectors, with_rows};

/// Rows compared one by one: exact, O(rows · dim) per query, ready without a build.
///
/// ```
/// use vicino_index::{ElementType, Flat, Metric, Rows, Scratch, VectorSpec};
/// let spec = VectorSpec::new(2, Metric::L2, ElementType::F32)?;
/// let flat = Flat::build(spec, Rows::new(&[0.0, 0.0, 3.0, 4.0, 1.0, 1.0], 2)?)?;
/// let mut hits = Vec::new();
/// flat.search((&[3.0, 3.0]).into(), 2, &mut Scratch::new(), &mut hits)?;
/// assert_eq!((hits[0].slot.0, hits[0].distance), (1, 1.0));
/// assert_eq!((hits[1].slot.0, hits[1].distance), (2, 8.0)); // L2 is squared inside; Metric::score takes the root
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Flat {
    vectors: Vectors,
}

/// Queries one task answers at a time in [`Flat::search_many`].
const TASK_QUERIES: usize = 8;

impl Flat {
    /// An index without rows.
    pub fn new(spec: VectorSpec) -> Self {
        Flat { vectors: Vectors::new(spec) }
    }

    /// An index of `rows`.
    pub fn build(spec: VectorSpec, rows: Rows<'_>) -> Result<Self, ExtendError> {
        let mut flat = Self::new(spec);
        flat.extend(rows)?;
        Ok(flat)
    }

    /// Appends `rows`; on an error none of them.
    pub fn extend(&mut self, rows: Rows<'_>) -> Result<std::ops::Range<u32>, ExtendError> {
        self.vectors.extend(rows)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the rows are.
    pub fn spec(&self) -> VectorSpec {
        self.vectors.spec()
    }

    /// Bytes of the rows, padding included.
    pub fn index_bytes(&self) -> usize {
        self.vectors.bytes()
    }

    /// Puts the `k` nearest rows into `hits`, nearest first, ties by lower slot; all rows if there are fewer than `k`.
    pub fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        hits.clear();
        self.vectors.exact(query, k, |_| true, scratch)?;
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }

    /// Answers many queries in parallel, on `threads` threads (0: as many as rayon's pool has). `progress` is called with the
    /// queries answered and the queries in all.
    pub fn search_many(
        &self,
        queries: Rows<'_>,
        k: usize,
        threads: usize,
        progress: Option<&(dyn Fn(usize, usize) + Sync)>,
    ) -> Result<Vec<Vec<Hit>>, SearchError> {
        let done = std::sync::atomic::AtomicUsize::new(0);
        let answer = |first: usize| {
            let (mut scratch, last) = (Scratch::new(), queries.len().min(first + TASK_QUERIES));
            let answers = (first..last).map(|index| {
                let mut hits = Vec::new();
                self.search(queries.row(index), k, &mut scratch, &mut hits).map(|()| hits)
            });
            let answers = answers.collect::<Result<Vec<_>, _>>();
            let done = done.fetch_add(last - first, std::sync::atomic::Ordering::Relaxed) + last - first;
            if let Some(progress) = progress {
                progress(done, queries.len());
            }
            answers
        };
        let tasks = (0..queries.len().div_ceil(TASK_QUERIES)).into_par_iter();
        let answers: Result<Vec<_>, _> =
            threads::run(threads, || tasks.map(|task| answer(task * TASK_QUERIES)).collect());
        Ok(answers?.into_iter().flatten().collect())
    }

    /// Puts every row within `radius` (an engine distance, inclusive) into `hits`, nearest first.
    pub fn range(
        &self,
        query: VectorRef<'_>,
        radius: f32,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        hits.clear();
        if radius.is_nan() {
            return Err(SearchError::Radius { found: radius });
        }
        with_rows!(&self.vectors, rows => {
            let query = rows.encode(query, &mut scratch.query)?;
            exact::each(rows.view(), query, |candidate| {
                if candidate.distance() <= radius {
                    hits.push(candidate.into());
                }
            });
        });
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
        Ok(())
    }

    /// Row `slot` as stored, as numbers. Panics if it is not below [`len`](Flat::len).
    pub fn vector(&self, slot: Slot, out: &mut Vec<f32>) {
        self.vectors.decode(slot, out);
    }
}
