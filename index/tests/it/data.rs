//! Seeded points, and the few steps every test takes: make an index, ask it, write it.

use vicino_index::{
    BuildOptions, ElementType, Hit, Hnsw, HnswParams, Metric, Rows, Scratch, SearchParams, SearchStats, VectorRef,
    VectorSpec,
};

/// SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// About normal, mean 0 and variance 1: the sum of twelve uniform numbers, less its mean. No root or logarithm, whose last
    /// digits differ between platforms.
    fn normal(&mut self) -> f32 {
        let sum: f32 = (0..12).map(|_| (self.bits() >> 40) as f32 / (1 << 24) as f32).sum();
        sum - 6.0
    }
}

/// `[rows × dim]` independent normal coordinates: no structure, the hardest case for a graph.
pub(crate) fn gaussian(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..rows * dim).map(|_| random.normal()).collect()
}

/// `[rows × dim]` points around 20 far centres, as embeddings of few topics lie. `seed` draws the points, the centres are fixed:
/// rows and queries of different seeds lie around the same ones.
pub(crate) fn clustered(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
    const CENTRES: usize = 20;
    let centres = gaussian(20, CENTRES, dim);
    let mut random = Random::new(seed);
    let mut points = Vec::with_capacity(rows * dim);
    for _ in 0..rows {
        let centre = random.below(CENTRES);
        points.extend(centres[centre * dim..][..dim].iter().map(|&x| 3.0 * x + random.normal()));
    }
    points
}

/// Euclidean, f32: what a test uses that is not about metrics.
pub(crate) fn plain(dim: usize) -> VectorSpec {
    VectorSpec::new(dim, Metric::L2, ElementType::F32).unwrap()
}

/// A graph of `points` on as many threads as there are.
pub(crate) fn build(points: &[f32], dim: usize, params: HnswParams) -> Hnsw {
    Hnsw::build(plain(dim), params, Rows::new(points, dim).unwrap(), &BuildOptions::default()).unwrap()
}

/// One search with buffers of its own.
pub(crate) fn search(index: &Hnsw, query: VectorRef<'_>, k: usize, ef: usize) -> (Vec<Hit>, SearchStats) {
    let mut hits = Vec::new();
    let stats = index.search(query, SearchParams::new(k, ef), &mut Scratch::new(), &mut hits).unwrap();
    (hits, stats)
}

/// Hits as comparable words: slots, and distances bit for bit.
pub(crate) fn bits(hits: &[Hit]) -> Vec<(u32, u32)> {
    hits.iter().map(|hit| (hit.slot.0, hit.distance.to_bits())).collect()
}

/// The file that `index` makes: two graphs are the same if these are.
pub(crate) fn saved(index: &Hnsw) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    index.save(&path).unwrap();
    std::fs::read(path).unwrap()
}
