//! Which layout an index should have, from what is known of its rows and asked of it; and why, in words.
//!
//! Time is bought with memory: the rows of a [`QuantizedGraph`] are the fastest and the largest, a [`CompactGraph`] takes a fraction of
//! them, and few rows need no graph at all. Collections choose so for every segment; elsewhere the choice is a proposal, and every layout can
//! be built by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compact::CompactGraph;
use crate::qgraph::QuantizedGraph;
use crate::spec::VectorSpec;

/// Which layout the graphs of a collection get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LayoutPolicy {
    /// The fastest there is for such vectors, or the fastest that takes no more than so much.
    Auto {
        /// Bytes for each vector: its own, codes and links. Where no graph takes so little, it is the smallest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes_per_vector: Option<usize>,
    },
    /// [`Layout::Hnsw`].
    Hnsw,
    /// [`Layout::Rows`], for vectors of which there are codes, and else [`Layout::Hnsw`].
    Quantized,
    /// [`Layout::Compact`], for vectors of which there are codes, and else [`Layout::Hnsw`].
    Compact,
}

impl LayoutPolicy {
    /// The layout that is asked for by name.
    pub(crate) fn asked(self) -> Option<Layout> {
        match self {
            LayoutPolicy::Auto { .. } => None,
            LayoutPolicy::Hnsw => Some(Layout::Hnsw),
            LayoutPolicy::Quantized => Some(Layout::Rows),
            LayoutPolicy::Compact => Some(Layout::Compact { keep_vectors: true }),
        }
    }

    /// Bytes that `rows` vectors may take, if that is bounded.
    pub(crate) fn memory(self, rows: usize) -> Option<usize> {
        match self {
            LayoutPolicy::Auto { bytes_per_vector } => bytes_per_vector.map(|bytes| bytes.saturating_mul(rows)),
            _ => None,
        }
    }
}

impl Default for LayoutPolicy {
    /// The fastest, whatever it takes.
    fn default() -> Self {
        LayoutPolicy::Auto { bytes_per_vector: None }
    }
}

/// What is known of an index before it is built.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// What its rows are.
    pub spec: VectorSpec,
    /// How many there will be.
    pub rows: usize,
    /// Up to so many rows all are scanned, without a graph; see [`SCANNED_ROWS`](Wanted::SCANNED_ROWS).
    pub scanned_rows: usize,
    /// Whether every coordinate is a whole number in 0..=255.
    pub whole_numbers: bool,
    /// Whether rows are given back as they came, and not as their codes have them.
    pub as_stored: bool,
    /// A layout that is asked for by name: it is taken where there can be one, whatever its size.
    pub asked: Option<Layout>,
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
#[error("{rows} rows in {allowed} bytes: the smallest layout takes {}", smallest.bytes)]
pub struct TooLarge {
    rows: usize,
    allowed: usize,
    smallest: Choice,
}

impl TooLarge {
    /// The smallest layout.
    pub fn smallest(self) -> Choice {
        self.smallest
    }
}

impl Choice {
    /// Why it was chosen, and others were not.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl Layout {
    /// Bytes of an index of this layout, but for entries, upper levels and copies.
    pub fn bytes(self, spec: VectorSpec, rows: usize, whole_numbers: bool) -> usize {
        let padded = spec.row_bytes().next_multiple_of(64);
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
    /// Up to this many rows a scan takes no longer than a walk, which compares some 1,300 of them for recall .99.
    pub const SCANNED_ROWS: usize = 2000;
    /// Bytes rank near neighbours as their vectors do, but for this recall and above.
    pub const BYTES_RECALL: f32 = 0.99;

    /// The layout that is asked for, or the fastest that fits. Errors if none does.
    pub fn choose(&self) -> Result<Choice, TooLarge> {
        let choice = |layout, reasons| Choice { layout, bytes: self.bytes(layout), reasons };
        if self.rows <= self.scanned_rows {
            let why = format!(
                "{} rows: up to {} there is no graph, and all are compared, of many by codes first",
                self.rows, self.scanned_rows
            );
            return self.fitting(vec![choice(Layout::Flat, vec![why])]);
        }
        let (spec, coded) = (self.spec, QuantizedGraph::supports(self.spec));
        let uncoded = || format!("{} by {}: no codes are kept of such vectors", spec.element(), spec.metric());
        match self.asked {
            Some(Layout::Flat) => Ok(choice(Layout::Flat, vec!["asked for by name".into()])),
            Some(asked) if coded || asked == Layout::Hnsw => {
                let layout = match asked {
                    Layout::Compact { keep_vectors } => {
                        Layout::Compact { keep_vectors: !self.whole_numbers && (keep_vectors || self.as_stored) }
                    }
                    other => other,
                };
                Ok(choice(layout, vec!["asked for by name".into()]))
            }
            Some(asked) => Ok(choice(Layout::Hnsw, vec![format!("{asked} is asked for"), uncoded()])),
            None if !coded => self.fitting(vec![choice(Layout::Hnsw, vec![uncoded()])]),
            None => {
                let (keep_vectors, why) = self.keeps_vectors();
                self.fitting(vec![
                    choice(Layout::Rows, Vec::new()),
                    choice(Layout::Compact { keep_vectors }, vec![why]),
                    choice(Layout::Hnsw, Vec::new()),
                ])
            }
        }
    }

    fn bytes(&self, layout: Layout) -> usize {
        layout.bytes(self.spec, self.rows, self.whole_numbers)
    }

    /// The first of `choices`, the fastest first, that fits.
    fn fitting(&self, choices: Vec<Choice>) -> Result<Choice, TooLarge> {
        let Some(allowed) = self.memory else {
            let among_others = choices.len() > 1;
            let mut first = choices.into_iter().next().expect("there is one at least");
            if among_others {
                first.reasons.push(format!("memory is not bounded, and {} is the fastest", first.layout));
            }
            return Ok(first);
        };
        let mut reasons = Vec::new();
        let mut smallest: Option<Choice> = None;
        for mut choice in choices {
            let Choice { layout, bytes, .. } = choice;
            if bytes <= allowed {
                reasons.append(&mut choice.reasons);
                reasons.push(format!("{layout} takes {bytes} bytes of {allowed}"));
                return Ok(Choice { reasons, ..choice });
            }
            reasons.push(format!("{layout} would take {bytes} bytes of {allowed}"));
            smallest = smallest.filter(|smallest| smallest.bytes <= bytes).or(Some(choice));
        }
        let mut smallest = smallest.expect("there is one at least");
        smallest.reasons.append(&mut reasons);
        smallest.reasons.push(format!("{} is the smallest", smallest.layout));
        Err(TooLarge { rows: self.rows, allowed, smallest })
    }

    /// Whether a compact graph keeps vectors beside their codes, and why.
    fn keeps_vectors(&self) -> (bool, String) {
        let kept = Layout::Compact { keep_vectors: true };
        let fits = self.memory.is_none_or(|memory| self.bytes(kept) <= memory);
        if self.whole_numbers {
            (false, "whole numbers are exact in their bytes".into())
        } else if self.as_stored {
            (true, "vectors are kept as they came".into())
        } else if self.recall <= Self::BYTES_RECALL {
            (false, format!("for recall {} a byte per coordinate is enough", self.recall))
        } else if fits {
            (true, format!("recall {} asks for vectors beside their codes", self.recall))
        } else {
            let bytes = self.bytes(kept);
            (false, format!("recall {} would ask for vectors beside their codes, {bytes} bytes", self.recall))
        }
    }
}

impl fmt::Display for LayoutPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.asked()) {
            (LayoutPolicy::Auto { bytes_per_vector: Some(bytes) }, _) => {
                write!(f, "the fastest of at most {bytes} bytes for each vector")
            }
            (_, Some(layout)) => layout.fmt(f),
            (_, None) => f.write_str("the fastest"),
        }
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
    use crate::metric::{ElementType, Metric};
    use crate::params::BuildOptions;
    use crate::qgraph::QuantizedParams;
    use crate::rows::Rows;

    fn wanted(rows: usize, memory: Option<usize>, recall: f32) -> Wanted {
        let spec = VectorSpec::new(384, Metric::Cosine, ElementType::F16).unwrap();
        Wanted {
            spec,
            rows,
            scanned_rows: Wanted::SCANNED_ROWS,
            whole_numbers: false,
            as_stored: false,
            asked: None,
            memory,
            recall,
        }
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
        assert_eq!(choice.reasons().len(), 3, "{choice}");
        assert_eq!(layout(wanted(100_000, Some(rows - 1), 0.999)), Layout::Compact { keep_vectors: true });
        let least = choice.bytes;
        assert_eq!(layout(wanted(100_000, Some(least), 0.999)), Layout::Compact { keep_vectors: false });
        let error = wanted(100_000, Some(least - 1), 0.9).choose().unwrap_err().to_string();
        assert!(error.contains(&least.to_string()), "{error}");
        let spec = VectorSpec::new(64, Metric::L1, ElementType::F32).unwrap();
        assert_eq!(layout(Wanted { spec, ..wanted(100_000, None, 0.9) }), Layout::Hnsw);
    }

    /// What comes as it was stored needs its vector, and then a graph over it alone is the smallest.
    #[test]
    fn vectors_that_must_be_kept_are_kept() {
        let kept = |memory| Wanted { as_stored: true, ..wanted(100_000, memory, 0.9) };
        let bytes = |layout: Layout| layout.bytes(kept(None).spec, 100_000, false);
        let compact = Layout::Compact { keep_vectors: true };
        assert_eq!(kept(Some(bytes(compact))).choose().unwrap().layout, compact);
        assert_eq!(kept(Some(bytes(compact) - 1)).choose().unwrap().layout, Layout::Hnsw);
        let smallest = kept(Some(bytes(Layout::Hnsw) - 1)).choose().unwrap_err().smallest();
        assert_eq!((smallest.layout, smallest.bytes), (Layout::Hnsw, bytes(Layout::Hnsw)));
        assert_eq!(smallest.reasons().len(), 4, "{smallest}");
        let whole = Wanted { whole_numbers: true, ..kept(Some(bytes(compact) / 2)) };
        assert_eq!(whole.choose().unwrap().layout, Layout::Compact { keep_vectors: false });
    }

    /// A name goes before size, and not before what there can be.
    #[test]
    fn a_layout_is_taken_by_name() {
        let asked = |layout| Wanted { asked: Some(layout), as_stored: true, ..wanted(100_000, Some(1), 0.9) };
        for layout in [Layout::Flat, Layout::Hnsw, Layout::Rows, Layout::Compact { keep_vectors: true }] {
            assert_eq!(asked(layout).choose().unwrap().layout, layout);
        }
        let whole = Wanted { whole_numbers: true, ..asked(Layout::Compact { keep_vectors: true }) };
        assert_eq!(whole.choose().unwrap().layout, Layout::Compact { keep_vectors: false });
        let spec = VectorSpec::new(64, Metric::Dot, ElementType::F32).unwrap();
        let choice = Wanted { spec, ..asked(Layout::Rows) }.choose().unwrap();
        assert_eq!(choice.layout, Layout::Hnsw);
        assert!(choice.to_string().contains("quantized is asked for; f32 by dot"), "{choice}");
        assert_eq!(Wanted { rows: 9, ..asked(Layout::Rows) }.choose().unwrap_err().smallest().layout, Layout::Flat);
    }

    #[test]
    fn a_policy_says_what_it_asks_for() {
        let bounded = LayoutPolicy::Auto { bytes_per_vector: Some(900) };
        assert_eq!((bounded.asked(), bounded.memory(10)), (None, Some(9000)));
        assert_eq!((LayoutPolicy::default().asked(), LayoutPolicy::default().memory(10)), (None, None));
        assert_eq!((LayoutPolicy::Hnsw.asked(), LayoutPolicy::Hnsw.memory(10)), (Some(Layout::Hnsw), None));
        let policies = [bounded, LayoutPolicy::default(), LayoutPolicy::Quantized, LayoutPolicy::Compact];
        for (at, policy) in policies.into_iter().enumerate() {
            let text = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<LayoutPolicy>(&text).unwrap(), policy, "{text}");
            assert!(policy.to_string().contains(["900 bytes", "the fastest", "quantized", "compact"][at]), "{policy}");
        }
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
