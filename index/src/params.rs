//! What a caller chooses: how the graph is built, and how far a search looks.

/// How an HNSW graph is built. The names are those of Malkov & Yashunin (arXiv:1603.09320).
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode, serde::Serialize, serde::Deserialize)]
pub struct HnswParams {
    /// Links a new node makes on each level, and the longest list above level 0.
    pub m: usize,
    /// The longest list on level 0.
    pub m0: usize,
    /// Beam width while building: how many candidates a new node's links are chosen from.
    pub ef_construction: usize,
    /// Fill short lists, up to 5/4 · `m`, with the nearest hidden candidates (`keepPrunedConnections` of algorithm 4).
    pub keep_pruned: bool,
    /// Draws the levels; the same seed and rows give the same graph.
    pub seed: u64,
}

impl HnswParams {
    /// The default `m`.
    pub const DEFAULT_M: usize = 16;
    /// The default `ef_construction`.
    pub const DEFAULT_EF_CONSTRUCTION: usize = 200;
    /// The default `seed`.
    pub const DEFAULT_SEED: u64 = 0x5eed;
    /// The longest list: its length is kept in a byte.
    pub const MAX_M0: usize = 255;

    /// `m` links per node, twice as many on level 0, chosen from `ef_construction` candidates; the rest by default.
    pub fn new(m: usize, ef_construction: usize) -> Self {
        HnswParams { m, m0: m.saturating_mul(2), ef_construction, keep_pruned: true, seed: Self::DEFAULT_SEED }
    }

    /// Checks that a graph can be built so.
    pub fn validate(&self) -> Result<(), ParamsError> {
        check("m", self.m, 2, Self::MAX_M0)?;
        check("m0", self.m0, self.m, Self::MAX_M0)?;
        check("ef_construction", self.ef_construction, self.m, 1 << 20)
    }
}

impl Default for HnswParams {
    fn default() -> Self {
        Self::new(Self::DEFAULT_M, Self::DEFAULT_EF_CONSTRUCTION)
    }
}

/// Errors unless `found`, the parameter called `name`, lies within `min..=max`.
pub(crate) fn check(name: &'static str, found: usize, min: usize, max: usize) -> Result<(), ParamsError> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(ParamsError { name, found, min, max }) }
}

/// A parameter out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {found}: expected {min}..={max}")]
pub struct ParamsError {
    name: &'static str,
    found: usize,
    min: usize,
    max: usize,
}

/// How far one search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchParams {
    /// How many neighbours to return; fewer only where the index holds fewer.
    pub k: usize,
    /// Beam width (`ef_search`): more finds more of the true neighbours, at a cost about linear in it. At least `k` is used.
    pub ef: usize,
}

impl SearchParams {
    /// The default `ef`.
    pub const DEFAULT_EF: usize = 128;

    /// The `k` nearest by a beam of `ef`.
    pub fn new(k: usize, ef: usize) -> Self {
        SearchParams { k, ef }
    }
}

impl Default for SearchParams {
    fn default() -> Self {
        Self::new(10, Self::DEFAULT_EF)
    }
}

/// How far a search looks for its results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effort {
    /// By a beam of this width; see [`SearchParams::ef`].
    Beam(usize),
    /// As far as may be expected to give this recall, by what was measured when the graph was built.
    Recall(Recall),
}

/// A recall that is asked for: above 0 and below 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Recall(f32);

/// No recall that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("recall {found}: expected a number above 0 and below 1")]
pub struct RecallError {
    found: f32,
}

impl Recall {
    /// `recall`, if it lies above 0 and below 1.
    pub fn new(recall: f32) -> Result<Self, RecallError> {
        if recall > 0.0 && recall < 1.0 { Ok(Recall(recall)) } else { Err(RecallError { found: recall }) }
    }

    /// As a number.
    pub fn get(self) -> f32 {
        self.0
    }
}

impl TryFrom<f32> for Recall {
    type Error = RecallError;

    fn try_from(recall: f32) -> Result<Self, RecallError> {
        Self::new(recall)
    }
}

impl From<Recall> for f32 {
    fn from(recall: Recall) -> f32 {
        recall.get()
    }
}

/// What one search did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Distances computed.
    pub distances: u64,
    /// Nodes expanded, on all levels.
    pub hops: u64,
}

/// How a bulk build runs; nothing here changes its result.
#[derive(Clone, Copy, Default)]
pub struct BuildOptions<'a> {
    /// Threads to use; 0 means as many as rayon's global pool has.
    pub threads: usize,
    /// Called now and then with the rows done and the rows in all.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl std::fmt::Debug for BuildOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildOptions").field("threads", &self.threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_named() {
        assert_eq!(HnswParams::default().validate(), Ok(()));
        let error = HnswParams::new(1, 200).validate().unwrap_err().to_string();
        assert_eq!(error, "m is 1: expected 2..=255");
        assert!(HnswParams::new(16, 4).validate().unwrap_err().to_string().starts_with("ef_construction is 4"));
        for bad in [0.0, 1.0, -0.5, f32::NAN, f32::INFINITY] {
            let error = Recall::new(bad).unwrap_err().to_string();
            assert!(error.contains(&bad.to_string()) && error.contains("above 0 and below 1"), "{error}");
        }
        assert_eq!(Recall::new(0.9).map(Recall::get), Ok(0.9));
        assert!(HnswParams::new(200, 400).validate().unwrap_err().to_string().starts_with("m0 is 400"));
    }
}
