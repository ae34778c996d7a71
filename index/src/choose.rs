//! Which layout an index should have, from what is known of its rows and asked of it; and why, in words.
//!
//! Time is bought with memory: the rows of a [`QuantizedGraph`] are the fastest and the largest, a [`CompactGraph`] takes a fraction of
//! them, and few rows need no graph at all. The choice is a proposal: every layout can be built by name.

use std::fmt;

use crate::compact::CompactGraph;
use crate::metric::{ElementType, Metric};
use crate::qgraph::QuantizedGraph;
use crate::spec::VectorSpec;

/// What is known of an index before it is built.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// What its rows are.
    pub spec: VectorSpec,
    /// How many there will be.
    pub rows: usize,
    /// Whether every coordinate is a whole number in 0..=255.
    pub whole_numbers: bool,
    /// Bytes that it may take, if that is bounded.
    pub memory: Option<usize>,
    /// The recall that searches shall reach.
    pub recall: f32,
}

/// How an index is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// [`Flat`](crate::Flat): every row is compared.
    Flat,
    /// [`Hnsw`](crate::Hnsw): a graph over rows as they are, of any type and metric.
    Hnsw,
    /// [`QuantizedGraph`]: neighbours' codes beside the links.
    Rows,
    /// [`CompactGraph`]: codes apart from the links.
    Compact {
        /// Whether vectors are kept beside their codes.
        keep_vectors: bool,
    },
}

/// A layout and the reasons for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The layout.
    pub layout: Layout,
    /// Bytes of such an index, but for entries and copies.
    pub bytes: usize,
    reasons: Vec<String>,
}

/// No layout fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rows} rows in {allowed} bytes: the smallest layout takes {least}")]
pub struct TooLarge {
    rows: usize,
    allowed: usize,
    least: usize,
}

impl Layout {
    /// Bytes of an index of this layout, but for entries, upper levels and copies.
    pub fn bytes(self, spec: VectorSpec, rows: usize, whole_numbers: bool) -> usize {
        let vector = spec.words() * spec.element().word_bytes();
        let padded = vector.next_multiple_of(64);
        match self {
            Layout::Flat => rows * padded,
            // 32 links of four bytes, and what says how many there are and where those of upper levels lie.
            Layout::Hnsw => rows * (padded + 4 * 32 + 6),
            Layout::Rows => rows * (QuantizedGraph::row_bytes(spec) + if whole_numbers { 0 } else { padded }),
            Layout::Compact { keep_vectors } => {
                rows * (CompactGraph::row_bytes(spec, whole_numbers) + if keep_vectors { padded } else { 0 })
            }
        }
    }
}

impl Wanted {
    /// Below this many rows a scan takes no longer than a walk, which compares some 1,300 of them for recall .99.
    pub const SCANNED_ROWS: usize = 2000;
    /// Bytes rank near neighbours as their vectors do, but for this recall and above.
    pub const BYTES_RECALL: f32 = 0.99;

    /// The fastest layout that fits. Errors if none does.
    pub fn choose(&self) -> Result<Choice, TooLarge> {
        let (spec, rows) = (self.spec, self.rows);
        let bytes = |layout: Layout| layout.bytes(spec, rows, self.whole_numbers);
        let fits = |layout: Layout| self.memory.is_none_or(|memory| bytes(layout) <= memory);
        let allowed = self.memory.unwrap_or(usize::MAX);
        let mut reasons = Vec::new();
        let coded = match spec.metric() {
            Metric::L2 => matches!(spec.element(), ElementType::F32 | ElementType::F16 | ElementType::U8),
            Metric::Cosine => matches!(spec.element(), ElementType::F32 | ElementType::F16),
            _ => false,
        };
        let exact_enough = self.whole_numbers || self.recall <= Self::BYTES_RECALL;
        let layout = if rows <= Self::SCANNED_ROWS {
            reasons.push(format!("{rows} rows: up to {} a scan is as fast as a walk, and exact", Self::SCANNED_ROWS));
            Layout::Flat
        } else if !coded {
            reasons.push(format!("{} by {}: no codes are kept of such rows", spec.element(), spec.metric()));
            Layout::Hnsw
        } else if fits(Layout::Rows) {
            reasons.push(match self.memory {
                None => "memory is not bounded: codes beside the links are the fastest".to_owned(),
                Some(_) => format!("codes beside the links take {} bytes, and fit", bytes(Layout::Rows)),
            });
            Layout::Rows
        } else {
            reasons.push(format!("codes beside the links would take {} bytes of {allowed}", bytes(Layout::Rows)));
            let kept = Layout::Compact { keep_vectors: true };
            let keep_vectors = !exact_enough && fits(kept);
            reasons.push(match (self.whole_numbers, exact_enough, keep_vectors) {
                (true, ..) => "whole numbers are exact in their bytes".to_owned(),
                (_, true, _) => format!("for recall {} a byte per coordinate is enough", self.recall),
                (.., true) => format!("recall {} asks for vectors beside their codes", self.recall),
                _ => format!("recall {} would ask for vectors beside their codes, {} bytes", self.recall, bytes(kept)),
            });
            Layout::Compact { keep_vectors }
        };
        if !fits(layout) {
            return Err(TooLarge { rows, allowed, least: bytes(layout) });
        }
        Ok(Choice { layout, bytes: bytes(layout), reasons })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Flat => "flat",
            Layout::Hnsw => "hnsw",
            Layout::Rows => "quantized",
            Layout::Compact { keep_vectors: false } => "compact",
            Layout::Compact { keep_vectors: true } => "compact with vectors",
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes: {}", self.layout, self.bytes, self.reasons.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::BuildOptions;
    use crate::qgraph::QuantizedParams;
    use crate::rows::Rows;

    fn wanted(rows: usize, memory: Option<usize>, recall: f32) -> Wanted {
        let spec = VectorSpec::new(384, Metric::Cosine, ElementType::F16).unwrap();
        Wanted { spec, rows, whole_numbers: false, memory, recall }
    }

    #[test]
    fn memory_decides_and_the_reasons_say_so() {
        let layout = |wanted: Wanted| wanted.choose().unwrap().layout;
        assert_eq!(layout(wanted(500, None, 0.99)), Layout::Flat);
        assert_eq!(layout(wanted(100_000, None, 0.99)), Layout::Rows);
        let rows = Layout::Rows.bytes(wanted(0, None, 0.9).spec, 100_000, false);
        assert_eq!(layout(wanted(100_000, Some(rows), 0.99)), Layout::Rows);
        let choice = wanted(100_000, Some(rows - 1), 0.95).choose().unwrap();
        assert_eq!(choice.layout, Layout::Compact { keep_vectors: false });
        assert!(choice.to_string().contains(&format!("{rows} bytes of {}", rows - 1)), "{choice}");
        assert_eq!(layout(wanted(100_000, Some(rows - 1), 0.999)), Layout::Compact { keep_vectors: true });
        let least = choice.bytes;
        assert_eq!(layout(wanted(100_000, Some(least), 0.999)), Layout::Compact { keep_vectors: false });
        let error = wanted(100_000, Some(least - 1), 0.9).choose().unwrap_err().to_string();
        assert!(error.contains(&least.to_string()), "{error}");
        let spec = VectorSpec::new(64, Metric::L1, ElementType::F32).unwrap();
        assert_eq!(layout(Wanted { spec, ..wanted(100_000, None, 0.9) }), Layout::Hnsw);
    }

    /// What is foretold is what is built, but for the few hundred entries.
    #[test]
    fn bytes_are_as_foretold() {
        for (dim, element, whole) in
            [(20, ElementType::F32, false), (150, ElementType::F16, false), (20, ElementType::U8, true)]
        {
            let (spec, rows) = (VectorSpec::new(dim, Metric::L2, element).unwrap(), 400);
            let data: Vec<f32> = (0..rows * dim)
                .map(|i| {
                    let x = (i as u32).wrapping_mul(2_654_435_761) >> 20;
                    if whole { (x % 256) as f32 } else { x as f32 / 1000.0 }
                })
                .collect();
            let built = QuantizedGraph::build(
                spec,
                QuantizedParams { entries: 1, ..QuantizedParams::default() },
                Rows::new(&data, dim).unwrap(),
                &BuildOptions::default(),
            );
            let built = built.unwrap();
            let near = |found: usize, layout: Layout| {
                let foretold = layout.bytes(spec, rows, whole);
                assert!((foretold..foretold + 20_000).contains(&found), "{layout}: {found} bytes, foretold {foretold}");
            };
            near(built.index_bytes(), Layout::Rows);
            for keep_vectors in [false, true].into_iter().take(if whole { 1 } else { 2 }) {
                near(CompactGraph::of(built.clone(), keep_vectors).index_bytes(), Layout::Compact { keep_vectors });
            }
        }
    }
}
