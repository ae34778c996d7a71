//! Searches among the rows of a mask, by all graphs and every plan, beside brute force.

use vicino_index::planner::{Explain, Plan};
use vicino_index::{
    BuildOptions, CompactGraph, CompactParams, CompactScratch, CompactSearch, Flat, Hit, Hnsw, HnswParams, Mask,
    QuantizedGraph, QuantizedParams, QuantizedScratch, QuantizedSearch, Rows, Scratch, SearchParams, Slot,
};

use crate::data::{Random, build, clustered, plain};

const DIM: usize = 24;
const ROWS: usize = 6000;

/// Three graphs over the same rows, those on codes with a sketch of them, and the rows themselves.
struct Graphs {
    points: Vec<f32>,
    hnsw: Hnsw,
    quantized: QuantizedGraph,
    compact: CompactGraph,
}

impl Graphs {
    /// Of clustered rows, every 50th of which is there twice.
    fn new(seed: u64) -> Self {
        let mut points = clustered(seed, ROWS, DIM);
        for row in (50..ROWS).step_by(50) {
            points.copy_within((row - 1) * DIM..row * DIM, row * DIM);
        }
        let rows = Rows::new(&points, DIM).unwrap();
        let options = BuildOptions::default();
        let quantized = QuantizedGraph::build(plain(DIM), QuantizedParams::default(), rows, &options).unwrap();
        let params = CompactParams { keep_vectors: true, ..CompactParams::default() };
        let compact = CompactGraph::build(plain(DIM), params, rows, &options).unwrap();
        quantized.make_sketch(&options);
        compact.make_sketch(&options);
        Graphs { hnsw: build(&points, DIM, HnswParams::default()), quantized, compact, points }
    }

    /// By each graph: what it is called, what it did and what it found.
    fn search(
        &self,
        query: &[f32],
        k: usize,
        mask: &Mask,
        plan: Option<Plan>,
    ) -> [(&'static str, Explain, Vec<Hit>); 3] {
        let (mut by_links, mut by_codes, mut by_few) = (Vec::new(), Vec::new(), Vec::new());
        let params = SearchParams::new(k, 100);
        let links = self.hnsw.search_masked(query.into(), params, mask, plan, &mut Scratch::new(), &mut by_links);
        let params = QuantizedSearch::new(k, 0.2);
        let scratch = &mut QuantizedScratch::new();
        let codes = self.quantized.search_masked(query.into(), params, mask, plan, scratch, &mut by_codes);
        let (params, scratch) = (CompactSearch::new(k, 0.2), &mut CompactScratch::new());
        let few = self.compact.search_masked(query.into(), params, mask, plan, scratch, &mut by_few);
        [("links", links.unwrap(), by_links), ("codes", codes.unwrap(), by_codes), ("compact", few.unwrap(), by_few)]
    }

    /// The distances of the `k` nearest rows of `mask`.
    fn exact(&self, query: &[f32], k: usize, mask: &Mask) -> Vec<f32> {
        let flat = Flat::build(plain(DIM), Rows::new(&self.points, DIM).unwrap()).unwrap();
        let mut all = Vec::new();
        flat.search(query.into(), ROWS, &mut Scratch::new(), &mut all).unwrap();
        all.iter().filter(|hit| mask.contains(hit.slot)).map(|hit| hit.distance).take(k).collect()
    }
}

fn mask(holds: impl Fn(u32) -> bool) -> Mask {
    let mut mask = Mask::none(ROWS);
    (0..ROWS as u32).filter(|&row| holds(row)).for_each(|row| mask.insert(Slot(row)));
    mask
}

/// Masks drawn at random, around the query and away from it.
fn masks(graphs: &Graphs, query: &[f32], random: &mut Random) -> Vec<(&'static str, f64, Mask)> {
    let distance = |row: u32| -> f32 {
        let row = &graphs.points[row as usize * DIM..][..DIM];
        row.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let mut order: Vec<u32> = (0..ROWS as u32).collect();
    order.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    let mut masks = Vec::new();
    for share in [0.5, 0.1, 0.02, 0.002] {
        let count = (ROWS as f64 * share) as usize;
        let drawn: Vec<bool> = (0..ROWS).map(|_| random.below(10_000) < (share * 10_000.0) as usize).collect();
        masks.push(("random", share, mask(|row| drawn[row as usize])));
        masks.push(("near", share, mask(|row| order[..count].contains(&row))));
        masks.push(("far", share, mask(|row| order[ROWS - count..].contains(&row))));
    }
    masks
}

/// Whatever the plan: `k` rows of the mask, in order, and nearly always the nearest; all of them where every row is compared.
#[test]
fn k_rows_that_match_come_by_every_plan() {
    let seed = 3;
    let (graphs, mut random) = (Graphs::new(seed), Random::new(seed));
    let queries = clustered(seed + 1, 10, DIM);
    let (mut found, mut wanted, mut by_sketch) = ([0; 3], 0, 0);
    for query in queries.chunks(DIM) {
        for (kind, share, mask) in masks(&graphs, query, &mut random) {
            let matching = mask.len();
            let k = 10.min(matching);
            let exact = graphs.exact(query, k, &mask);
            for plan in [None, Some(Plan::Scan), Some(Plan::Coded), Some(Plan::Walk), Some(Plan::Guided)] {
                for (by, (graph, explain, hits)) in graphs.search(query, 10, &mask, plan).into_iter().enumerate() {
                    let place = format!("seed {seed}, {kind} {share}, {graph}: {explain:?}");
                    assert!(hits.len() == k && hits.iter().all(|hit| mask.contains(hit.slot)), "{place}: {hits:?}");
                    assert!(hits.is_sorted_by(|a, b| a.distance <= b.distance), "{place}");
                    let mut slots: Vec<Slot> = hits.iter().map(|hit| hit.slot).collect();
                    slots.sort_unstable();
                    slots.dedup();
                    assert_eq!((slots.len(), explain.matching, explain.rows), (k, matching, ROWS), "{place}");
                    let good = hits.iter().filter(|hit| hit.distance <= exact[k - 1] * 1.0001).count();
                    if plan == Some(Plan::Scan) || (explain.fell_back && graph == "links") {
                        assert_eq!(good, k, "{place}");
                    }
                    if plan == Some(Plan::Coded) && graph != "links" {
                        assert!(explain.plan == Plan::Coded && explain.hops == 0, "{place}");
                        let all = ROWS.next_multiple_of(32) as u64;
                        assert!((matching as u64..=all).contains(&explain.estimates), "{place}");
                        by_sketch += good;
                    }
                    if plan.is_none() {
                        found[by] += good;
                        wanted += k * usize::from(by == 0);
                    }
                }
            }
        }
    }
    let recall = |found: usize| found as f64 / wanted as f64;
    for found in found {
        assert!(recall(found) >= 0.95, "seed {seed}: {}", recall(found));
    }
    assert!(recall(by_sketch) / 2.0 >= 0.99, "seed {seed}: {} by sketches of two graphs", recall(by_sketch) / 2.0);
}

#[test]
fn masks_of_no_row_and_of_few_are_answered() {
    let graphs = Graphs::new(5);
    let query = &graphs.points[..DIM];
    for plan in [None, Some(Plan::Scan), Some(Plan::Coded), Some(Plan::Walk), Some(Plan::Guided)] {
        for (_, _, hits) in graphs.search(query, 10, &Mask::none(ROWS), plan) {
            assert!(hits.is_empty(), "{plan:?}");
        }
        // Row 50 is a copy of row 49, and matches alone.
        for (graph, explain, hits) in graphs.search(query, 10, &mask(|row| row == 50 || row == 4000), plan) {
            let mut slots: Vec<u32> = hits.iter().map(|hit| hit.slot.0).collect();
            slots.sort_unstable();
            assert_eq!(slots, [50, 4000], "{graph} {explain:?}");
        }
    }
    let none = graphs.hnsw.search_masked(
        query.into(),
        SearchParams::new(0, 10),
        &Mask::all(ROWS),
        None,
        &mut Scratch::new(),
        &mut Vec::new(),
    );
    assert!(none.unwrap_err().to_string().contains("k is 0"));
}
