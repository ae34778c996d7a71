//! Weighted sums of rows of a table: `out = Σ weights[i] · table[ids[i]]`, for many bags of rows in one call.
//!
//! One operation stands behind static token embeddings (the rows are tokens), memory layers (the rows are values) and pooling:
//! an embedding bag. It does two operations per number read, so memory is what it costs; the loop is written to keep many
//! cache lines under way. Rows are taken four at a time, which reads and writes the sum once for four rows, and while four are
//! added the lines of those some places ahead are asked for, across the ends of bags, and their scales, which lie as far apart.
//!
//! Rows are f32, bf16, or int8 with a scale for each row; sums are always f32, in the order of `ids`, so that a bag's sum does
//! not depend on its batch, and levels with fused multiply-add agree bit for bit.
//!
//! ```
//! use vicino_embed::gather::{Rows, Table};
//!
//! let rows = [1.0, 2.0, 10.0, 20.0, 100.0, 200.0]; // [3 × 2]
//! let table = Table::new(Rows::F32(&rows), 2)?;
//! let mut out = [0.0; 4];
//! table.reduce(&[0, 2, 1], &[1.0, 0.5, 3.0], &[2, 3], &mut out)?; // two bags: rows 0 and 2, then row 1
//! assert_eq!(out, [51.0, 102.0, 30.0, 60.0]);
//! # Ok::<(), vicino_embed::gather::GatherError>(())
//! ```

mod kernel;

use half::bf16;

use crate::cpu::Level;
use kernel::Bags;

/// The numbers of a table. `[rows × dim]`, row-major.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// As they are.
    F32(&'a [f32]),
    /// The upper halves of f32.
    Bf16(&'a [bf16]),
    /// Row `i` stands for `scales[i] · codes`.
    Int8 {
        /// The codes. `[rows × dim]`, row-major.
        codes: &'a [i8],
        /// One for each row.
        scales: &'a [f32],
    },
}

/// Rows that can be summed: whole rows of one dimension.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    rows: Rows<'a>,
    dim: usize,
    len: usize,
}

/// Why rows cannot be summed. The output is not touched then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// Not whole rows.
    #[error("expected rows of dimension {dim}, which is at least 1, found {found} numbers")]
    Shape {
        /// The dimension asked for.
        dim: usize,
        /// Numbers there are.
        found: usize,
    },
    /// An int8 table needs a scale for each row.
    #[error("expected {rows} scales, one for each row, found {found}")]
    Scales {
        /// Rows there are.
        rows: usize,
        /// Scales there are.
        found: usize,
    },
    /// More rows than ids can name.
    #[error("expected at most 4294967296 rows, found {found}")]
    Rows {
        /// Rows there are.
        found: usize,
    },
    /// No such row.
    #[error("expected ids below {rows}, the number of rows, found {found} at place {place}")]
    Id {
        /// Rows there are.
        rows: usize,
        /// The id.
        found: u32,
        /// Where in the list of ids.
        place: usize,
    },
    /// Ids and weights go together.
    #[error("expected {ids} weights, one for each id, found {found}")]
    Weights {
        /// Ids given.
        ids: usize,
        /// Weights given.
        found: usize,
    },
    /// Bags must end in order, the last where the ids end.
    #[error("expected ends of bags that rise to {ids}, the number of ids, found {found} for bag {bag}")]
    Ends {
        /// Ids given.
        ids: usize,
        /// Which bag.
        bag: usize,
        /// Its end.
        found: usize,
    },
    /// One row of output for each bag.
    #[error("expected room for {expected} numbers, bags × dimension, found {found}")]
    Output {
        /// Bags times dimension.
        expected: usize,
        /// Numbers there is room for.
        found: usize,
    },
}

impl Rows<'_> {
    fn numbers(&self) -> usize {
        match self {
            Rows::F32(rows) => rows.len(),
            Rows::Bf16(rows) => rows.len(),
            Rows::Int8 { codes, .. } => codes.len(),
        }
    }

    /// Bytes of one number.
    pub fn number_bytes(&self) -> usize {
        match self {
            Rows::F32(_) => 4,
            Rows::Bf16(_) => 2,
            Rows::Int8 { .. } => 1,
        }
    }
}

impl<'a> Table<'a> {
    /// Takes whole rows of `dim` numbers. Errors if they are not, or are more than ids can name.
    pub fn new(rows: Rows<'a>, dim: usize) -> Result<Self, GatherError> {
        let found = rows.numbers();
        if dim == 0 || !found.is_multiple_of(dim) {
            return Err(GatherError::Shape { dim, found });
        }
        let len = found / dim;
        match rows {
            Rows::Int8 { scales, .. } if scales.len() != len => {
                Err(GatherError::Scales { rows: len, found: scales.len() })
            }
            _ if len as u64 > 1 << 32 => Err(GatherError::Rows { found: len }),
            _ => Ok(Table { rows, dim, len }),
        }
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The numbers.
    pub fn rows(&self) -> Rows<'a> {
        self.rows
    }

    /// Sums bags of rows: bag `b` holds the ids `ends[b - 1]..ends[b]` (from 0 for the first), and its weighted sum goes to
    /// `out[b · dim..]`. An empty bag gives zeros. Errors on ids that are no rows, and on lists that do not fit together.
    /// `out: [bags × dim]`, row-major. Costs one read of each row.
    pub fn reduce(&self, ids: &[u32], weights: &[f32], ends: &[usize], out: &mut [f32]) -> Result<(), GatherError> {
        self.reduce_at(Level::detect(), ids, weights, ends, out)
    }

    /// As [`reduce`](Self::reduce), with the loop compiled for `level`. Panics if this CPU cannot run that.
    pub fn reduce_at(
        &self,
        level: Level,
        ids: &[u32],
        weights: &[f32],
        ends: &[usize],
        out: &mut [f32],
    ) -> Result<(), GatherError> {
        self.check(ids, weights, ends, out)?;
        let dim = self.dim;
        match self.rows {
            Rows::F32(rows) => kernel::run(level, &Bags { rows, scales: None, dim, ids, weights, ends }, out),
            Rows::Bf16(rows) => kernel::run(level, &Bags { rows, scales: None, dim, ids, weights, ends }, out),
            Rows::Int8 { codes: rows, scales } => {
                kernel::run(level, &Bags { rows, scales: Some(scales), dim, ids, weights, ends }, out);
            }
        }
        Ok(())
    }

    fn check(&self, ids: &[u32], weights: &[f32], ends: &[usize], out: &[f32]) -> Result<(), GatherError> {
        if weights.len() != ids.len() {
            return Err(GatherError::Weights { ids: ids.len(), found: weights.len() });
        }
        let most = ids.iter().copied().max().unwrap_or(0);
        if !ids.is_empty() && most as usize >= self.len {
            let place = ids.iter().position(|&id| id as usize >= self.len).expect("the largest is one");
            return Err(GatherError::Id { rows: self.len, found: ids[place], place });
        }
        let mut start = 0;
        for (bag, &end) in ends.iter().enumerate() {
            let last = bag + 1 == ends.len();
            if end < start || end > ids.len() || (last && end != ids.len()) {
                return Err(GatherError::Ends { ids: ids.len(), bag, found: end });
            }
            start = end;
        }
        if ends.is_empty() && !ids.is_empty() {
            return Err(GatherError::Ends { ids: ids.len(), bag: 0, found: 0 });
        }
        match ends.len() * self.dim {
            expected if expected != out.len() => Err(GatherError::Output { expected, found: out.len() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
