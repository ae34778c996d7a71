//! What only the inside shows: the bytes of a row, and walks that find too little.

use std::collections::HashSet;

use super::*;
use crate::bytes::Array;
use crate::mask::Mask;
use crate::metric::{ElementType, Metric};
use crate::params::{BuildOptions, SearchParams};
use crate::planner::{Costs, Plan};
use crate::query::Hit;
use crate::rows::{Rows, VectorRef};

/// The rows' bytes and the walk's estimates are those that the vectors themselves give.
#[test]
fn a_row_holds_its_vector_and_its_neighbours() {
    let mut state = 4_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    for (dim, element) in
        [(50, ElementType::F32), (60, ElementType::F16), (64, ElementType::F32), (130, ElementType::F16)]
    {
        let data: Vec<f32> = (0..400 * dim).map(|_| draw()).collect();
        let spec = VectorSpec::new(dim, Metric::L2, element).unwrap();
        let rows = Rows::new(&data, dim).unwrap();
        let index = QuantizedGraph::build(spec, QuantizedParams::default(), rows, &BuildOptions::default()).unwrap();
        let (mut kept, mut bytes) = (Vec::new(), Vec::new());
        for slot in 0..400 {
            index.vector(Slot(slot), &mut kept);
            let row = index.row(slot);
            index.scale.decode(row.vector(), row.terms(), dim, &mut bytes);
            for ((given, kept), byte) in data[slot as usize * dim..].iter().zip(&kept).zip(&bytes) {
                assert!(
                    (given - kept).abs() < 1e-3 && (kept - byte).abs() <= 0.51 * row.terms().step,
                    "{dim} row {slot}"
                );
            }
        }
    }
}

#[test]
fn an_empty_index_finds_nothing_and_a_single_row_is_found() {
    let spec = VectorSpec::new(3, Metric::Cosine, ElementType::F32).unwrap();
    for (data, expected) in [(&[][..], 0), (&[1.0, 2.0, 3.0][..], 1)] {
        let rows = Rows::new(data, 3).unwrap();
        let index = QuantizedGraph::build(spec, QuantizedParams::default(), rows, &BuildOptions::default()).unwrap();
        let (mut scratch, mut hits) = (QuantizedScratch::new(), Vec::new());
        index.search((&[1.0, 0.0, 0.0]).into(), QuantizedSearch::default(), &mut scratch, &mut hits).unwrap();
        assert_eq!(hits.len(), expected);
        assert_eq!(index.check().unwrap().nodes, expected);
    }
}

/// A walk that may expand a single node finds too little, and compares all rows instead.
#[test]
fn k_rows_come_whatever_the_walk_finds() {
    let data: Vec<f32> = (0..600).map(|i| (i * i % 251) as f32).collect();
    let spec = VectorSpec::new(2, Metric::L2, ElementType::U8).unwrap();
    let index =
        QuantizedGraph::build(spec, QuantizedParams::default(), Rows::new(&data, 2).unwrap(), &BuildOptions::default());
    let index = index.unwrap();
    assert!(index.is_lossless());
    let (mut scratch, mut hits) = (QuantizedScratch::new(), Vec::new());
    let params = QuantizedSearch { k: 300, slack: 0.0, max_hops: 1 };
    let stats = index.search((&[9.0, 9.0]).into(), params, &mut scratch, &mut hits).unwrap();
    assert!(hits.len() == 300 && stats.distances >= 300);
    let mut expected: Vec<f32> = data.chunks(2).map(|x| (x[0] - 9.0).powi(2) + (x[1] - 9.0).powi(2)).collect();
    expected.sort_by(f32::total_cmp);
    assert_eq!(hits.iter().map(|hit| hit.distance).collect::<Vec<_>>(), expected);
    let mut unlinked = index.clone();
    unlinked.entries = Entries { slots: Array::default(), blocks: Array::default() };
    unlinked.search((&[9.0, 9.0]).into(), QuantizedSearch::new(5, 0.1), &mut scratch, &mut hits).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.distance).collect::<Vec<_>>(), expected[..5]);
}

/// Dimensions of heaps.
const DIM: usize = 32;

/// Two heaps of rows, the even and the odd, and a query of the even; then the graph, and the odd rows.
fn heaps() -> (Vec<f32>, Vec<f32>, QuantizedGraph, Mask) {
    let mut state = 8_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let heap = |row: usize| if row.is_multiple_of(2) { 0.0 } else { 1.0 };
    let data: Vec<f32> = (0..4000 * DIM).map(|at| draw() + heap(at / DIM)).collect();
    let spec = VectorSpec::new(DIM, Metric::L2, ElementType::F32).unwrap();
    let rows = Rows::new(&data, DIM).unwrap();
    let built = QuantizedGraph::build(spec, QuantizedParams::default(), rows, &BuildOptions::default()).unwrap();
    let mut odd = Mask::none(4000);
    (1..4000).step_by(2).for_each(|row| odd.insert(Slot(row)));
    let query = (0..DIM).map(|_| draw()).collect();
    (data, query, built, odd)
}

/// One heap matches: asked for from it, a walk is as short as if there were no filter; from the other, it is not begun. The entries show it.
#[test]
fn what_lies_around_is_walked_to_and_what_lies_elsewhere_is_compared() {
    let (data, query, index, odd) = heaps();
    let (mut scratch, mut hits) = (QuantizedScratch::new(), Vec::new());
    let mut near = |query: &[f32], mask: &Mask| index.near(query.into(), mask, &mut scratch).unwrap();
    // The last is repeated to fill up a block, but counts once.
    let last = *index.entries.slots.as_slice().last().unwrap();
    let mut alone = Mask::none(4000);
    alone.insert(Slot(last));
    let found = near(&data[last as usize * DIM..][..DIM], &alone);
    let distinct: std::collections::BTreeSet<u32> = index.entries.slots.as_slice().iter().copied().collect();
    assert!(distinct.len() < index.entries.slots.len(), "this is to show what becomes of repetitions");
    assert_eq!((index.entries.len(), found.matching, found.of), (distinct.len(), 1, 32));
    let row = &data[7 * DIM..][..DIM];
    assert_eq!([&query[..], row].map(|query| near(query, &odd).matching), [0, 32]);

    // A scan of the half would take longer than a walk if all rows matched, but not as long as if half of them did.
    index.costs.set(Costs { row_ns: 10.0, hop_ns: 100.0, hops: 400.0, coded: None }).unwrap();
    let mut search = |query: &[f32]| {
        let params = QuantizedSearch::default();
        let explain = index.search_masked(query.into(), params, &odd, None, &mut scratch, &mut hits).unwrap();
        (explain.plan, explain.fell_back, hits.len())
    };
    assert_eq!(search(row), (Plan::Walk, false, 10));
    assert_eq!(search(&query), (Plan::Scan, false, 10));
    assert_eq!(hits[0].slot.0 % 2, 1);
}

/// One heap matches and is asked for from the other: the entries show it before a step is made. Where all that match are soon compared
/// they are; where that would take long, the walk stays among them.
#[test]
fn what_lies_elsewhere_is_not_walked_to_through_all_that_is_nearer() {
    let (data, query, built, odd) = heaps();
    let mut expected: Vec<(f32, u32)> = (odd.iter())
        .map(|slot| {
            let row = &data[slot.index() * DIM..][..DIM];
            (row.iter().zip(&query).map(|(x, y)| (x - y) * (x - y)).sum(), slot.0)
        })
        .collect();
    expected.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut scratch, mut hits) = (QuantizedScratch::new(), Vec::new());
    let mut search = |index: &QuantizedGraph, plan, query: &[f32]| {
        let params = QuantizedSearch::default();
        let explain = index.search_masked(query.into(), params, &odd, Some(plan), &mut scratch, &mut hits).unwrap();
        (explain, hits.iter().map(|hit| hit.slot.0).collect::<Vec<_>>())
    };
    for (hop_ns, fell_back) in [(100.0, true), (1.0, false)] {
        let index = built.clone();
        index.costs.set(Costs { row_ns: 10.0, hop_ns, hops: 100.0, coded: None }).unwrap();
        for plan in [Plan::Walk, Plan::Guided] {
            let (explain, found) = search(&index, plan, &query);
            assert_eq!((explain.fell_back, explain.hops == 0), (fell_back, fell_back), "{plan:?} {explain:?}");
            let hit = found.iter().filter(|&&slot| expected[..10].iter().any(|near| near.1 == slot)).count();
            assert!(found.len() == 10 && hit >= if fell_back { 10 } else { 8 }, "{plan:?}: {hit} of 10");
            // From among them there is nothing to give up.
            let (explain, found) = search(&index, plan, &data[7 * DIM..8 * DIM]);
            assert!(!explain.fell_back && explain.hops > 0 && found[0] == 7, "{plan:?} {explain:?}");
        }
    }
}

/// Graphs that share a beam find together what each would alone, by fewer hops; and nothing stays for the next search.
#[test]
fn graphs_share_a_beam() {
    const K: usize = 10;
    let (sizes, seed) = ([6000, 2000, 1000], 12);
    let mut state = seed;
    let mut draw = || {
        state = u64::wrapping_add(u64::wrapping_mul(state, 6_364_136_223_846_793_005), 1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let axes: Vec<f32> = (0..6 * DIM).map(|_| draw()).collect();
    let mut vector = || -> Vec<f32> {
        let place: [f32; 6] = std::array::from_fn(|_| draw());
        (0..DIM).map(|i| (0..6).map(|axis| place[axis] * axes[axis * DIM + i]).sum()).collect()
    };
    for metric in [Metric::L2, Metric::Cosine] {
        let spec = VectorSpec::new(DIM, metric, ElementType::F32).unwrap();
        let graphs = sizes.map(|size| {
            let data: Vec<f32> = (0..size).flat_map(|_| vector()).collect();
            let rows = Rows::new(&data, DIM).unwrap();
            QuantizedGraph::build(spec, QuantizedParams::default(), rows, &BuildOptions::default()).unwrap()
        });
        let (mut scratch, mut hits) = (QuantizedScratch::new(), Vec::new());
        let (mut good, mut hops, queries) = ([0, 0], [0, 0], 50);
        for _ in 0..queries {
            let query = vector();
            let query = VectorRef::from(query.as_slice());
            // By their names: a walk's kernel may round the same distance otherwise.
            let named = |graph: usize| move |hit: &Hit| (hit.distance, graph, hit.slot);
            let nearest = |mut found: Vec<(f32, usize, Slot)>| {
                found.sort_by(|a, b| a.0.total_cmp(&b.0));
                found.truncate(K);
                found
            };
            let mut exact = Vec::new();
            for (number, graph) in graphs.iter().enumerate() {
                graph.kept().exact(query, K, &|_| true, &mut Default::default(), &mut hits).unwrap();
                exact.extend(hits.iter().map(named(number)));
            }
            let exact: HashSet<_> = nearest(exact).into_iter().map(|(_, graph, slot)| (graph, slot)).collect();
            let mut again = Vec::new();
            for (joined, way) in [true, false, true].into_iter().zip([0, 1, 2]) {
                scratch.begin();
                let mut found = Vec::new();
                for (number, graph) in graphs.iter().enumerate() {
                    if !joined {
                        scratch.begin();
                    }
                    let stats =
                        graph.search_beam(query, SearchParams::new(K, 40), &|_| true, &mut scratch, &mut hits).unwrap();
                    assert_eq!(stats.scans, 0);
                    found.extend(hits.iter().map(named(number)));
                    if way < 2 {
                        hops[way] += stats.hops;
                    }
                }
                let found = nearest(found);
                if way < 2 {
                    good[way] += found.iter().filter(|&&(_, graph, slot)| exact.contains(&(graph, slot))).count();
                }
                if joined {
                    again.push(found);
                }
            }
            assert_eq!(again[0], again[1], "seed {seed}");
        }
        let recall = good.map(|good| good as f64 / (K * queries) as f64);
        assert!(recall[0] >= 0.98 && recall[0] >= recall[1] - 0.01, "seed {seed}, {metric}: {recall:?}");
        assert!(3 * hops[0] < 2 * hops[1], "seed {seed}, {metric}: {hops:?}");
    }
}
