//! The graph against exact search: recall, and the answers that must be exact.

use vicino_index::{
    BuildOptions, ElementType, Flat, Hit, Hnsw, HnswParams, Metric, Rows, Scratch, SearchError, SearchParams,
    VectorRef, VectorSpec,
};

use crate::data::{bits, build, clustered, gaussian, plain, search};

const DIM: usize = 16;
const QUERIES: usize = 50;

fn exact(flat: &Flat, query: &[f32], k: usize) -> Vec<Hit> {
    let mut hits = Vec::new();
    flat.search(query.into(), k, &mut Scratch::new(), &mut hits).unwrap();
    hits
}

/// Recall@10 of `index` over `queries`, ties by distance.
fn recall(index: &Hnsw, flat: &Flat, queries: &[f32], ef: usize) -> f64 {
    let mut found = 0;
    for query in queries.chunks(DIM) {
        let farthest = exact(flat, query, 10)[9].distance;
        found += search(index, query.into(), 10, ef).0.iter().filter(|hit| hit.distance <= farthest).count();
    }
    found as f64 / (queries.len() / DIM * 10) as f64
}

/// A beam of 100 over 3,000 rows of few dimensions misses next to nothing under a metric; inner products are none, so a neighbour
/// may be hidden by one that is no way to it.
#[test]
fn every_metric_and_element_type_finds_its_neighbours() {
    let seed = 11;
    let (points, queries) = (clustered(seed, 3000, DIM), clustered(seed + 1, QUERIES, DIM));
    for metric in [Metric::L2, Metric::Cosine, Metric::L1, Metric::Dot] {
        for element in [ElementType::F32, ElementType::F16, ElementType::U8, ElementType::I8] {
            let whole = |points: &[f32]| -> Vec<f32> {
                match element {
                    ElementType::U8 => points.iter().map(|x| (x * 8.0 + 128.0).round().clamp(0.0, 255.0)).collect(),
                    ElementType::I8 => points.iter().map(|x| (x * 8.0).round().clamp(-128.0, 127.0)).collect(),
                    _ => points.to_vec(),
                }
            };
            let (points, queries) = (whole(&points), whole(&queries));
            let spec = VectorSpec::new(DIM, metric, element).unwrap();
            let rows = Rows::new(&points, DIM).unwrap();
            let index = Hnsw::build(spec, HnswParams::new(8, 60), rows, &BuildOptions::default()).unwrap();
            index.check().unwrap();
            let recall = recall(&index, &Flat::build(spec, rows).unwrap(), &queries, 100);
            let bound = if metric == Metric::Dot { 0.85 } else { 0.97 };
            assert!(recall >= bound, "{metric} {element}, seed {seed}: {recall}");
        }
    }
}

#[test]
fn bits_find_their_neighbours() {
    let seed = 13;
    let bytes = |seed, rows| -> Vec<u8> { gaussian(seed, rows, 16).iter().map(|x| (x * 60.0) as i32 as u8).collect() };
    let (points, queries) = (bytes(seed, 2000), bytes(seed + 1, 40));
    let spec = VectorSpec::new(128, Metric::Hamming, ElementType::Bits).unwrap();
    let rows = Rows::new(VectorRef::Bits(&points), 128).unwrap();
    let index = Hnsw::build(spec, HnswParams::new(16, 100), rows, &BuildOptions::default()).unwrap();
    let (flat, mut found) = (Flat::build(spec, rows).unwrap(), 0);
    for query in queries.chunks(16) {
        let mut truth = Vec::new();
        flat.search(VectorRef::Bits(query), 10, &mut Scratch::new(), &mut truth).unwrap();
        let hits = search(&index, VectorRef::Bits(query), 10, 200).0;
        found += hits.iter().filter(|hit| hit.distance <= truth[9].distance).count();
    }
    // 128 independent bits are as hard as data get; the beam is a tenth of the rows.
    assert!(found >= 360, "seed {seed}: {found} of 400");
}

/// Counts are of work done: more than the rows returned, far fewer than there are.
#[test]
fn a_search_computes_few_distances() {
    let points = clustered(17, 5000, DIM);
    let stats = search(&build(&points, DIM, HnswParams::default()), points[..DIM].into(), 10, 20).1;
    assert!((20..1500).contains(&stats.distances) && stats.hops >= 20, "seed 17: {stats:?}");
}

#[test]
fn a_beam_as_wide_as_the_index_is_exact() {
    let points = gaussian(19, 500, DIM);
    let (index, flat) = (
        build(&points, DIM, HnswParams::new(8, 50)),
        Flat::build(plain(DIM), Rows::new(&points, DIM).unwrap()).unwrap(),
    );
    for query in gaussian(20, 20, DIM).chunks(DIM) {
        for (k, ef) in [(1, 500), (10, 500), (500, 1), (1_000_000_000, 10)] {
            assert_eq!(bits(&search(&index, query.into(), k, ef).0), bits(&exact(&flat, query, k)), "k {k} ef {ef}");
        }
    }
}

#[test]
fn k_of_zero_is_refused_and_an_empty_index_answers_nothing() {
    let (index, mut hits) = (Hnsw::new(plain(DIM), HnswParams::default()).unwrap(), Vec::new());
    let query = [0.5; DIM];
    let refused = index.search((&query).into(), SearchParams::new(0, 10), &mut Scratch::new(), &mut hits);
    assert_eq!(refused, Err(SearchError::ZeroK));
    assert_eq!(refused.unwrap_err().to_string(), "k is 0: expected at least 1");
    assert!(search(&index, (&query).into(), 10, 10).0.is_empty());
    assert!(index.neighbors((&query).into(), 10).unwrap().next().is_none());
    assert_eq!(search(&build(&query, DIM, HnswParams::default()), (&query).into(), 10, 1).0.len(), 1);
}

/// One by one the graph is as good as in batches, and no more than the rows since the last repair are out of reach.
#[test]
fn single_inserts_grow_a_sound_graph() {
    let (points, queries) = (clustered(23, 1500, DIM), clustered(24, QUERIES, DIM));
    let mut index = Hnsw::new(plain(DIM), HnswParams::new(8, 60)).unwrap();
    for (slot, row) in points.chunks(DIM).enumerate() {
        assert_eq!(index.insert(row.into()).unwrap().index(), slot);
        if slot % 250 == 3 {
            index.check().unwrap();
        }
    }
    let report = index.check().unwrap();
    assert!(report.unreachable <= 1500 / 16, "{report:?}");
    let recall = recall(&index, &Flat::build(plain(DIM), Rows::new(&points, DIM).unwrap()).unwrap(), &queries, 60);
    assert!(recall >= 0.97, "seed 23: {recall}");
    assert_eq!(search(&index, (&points[..DIM]).into(), 1500, 10).0.len(), 1500, "every row is returned when asked for");
}

/// 5,000 copies of one vector neither hide the other rows nor each other.
#[test]
fn copies_do_not_poison_the_graph() {
    let mut points = clustered(29, 2000, DIM);
    for copy in 0..5000 {
        let at = (copy * 7 % 2000) * DIM;
        points.splice(at..at, [0.25; DIM]);
    }
    let index = build(&points, DIM, HnswParams::new(8, 60));
    let report = index.check().unwrap();
    assert_eq!((report.nodes, report.twins), (2001, 4999), "{report:?}");
    let hits = search(&index, (&[0.25; DIM]).into(), 100, 10).0;
    assert!(hits.len() == 100 && hits.iter().all(|hit| hit.distance == 0.0));
    let flat = Flat::build(plain(DIM), Rows::new(&points, DIM).unwrap()).unwrap();
    let recall = recall(&index, &flat, &clustered(30, QUERIES, DIM), 60);
    assert!(recall >= 0.97, "seed 29: {recall}");
    assert_eq!(build(&vec![1.0; 300 * DIM], DIM, HnswParams::default()).check().unwrap().twins, 299);
}

#[test]
fn a_filter_returns_as_many_as_it_accepts() {
    let points = clustered(31, 2000, DIM);
    let index = build(&points, DIM, HnswParams::new(8, 60));
    let (mut scratch, mut hits, mut truth) = (Scratch::new(), Vec::new(), Vec::new());
    for every in [1, 2, 10, 100, 1000, 5000] {
        let accept = |slot: vicino_index::Slot| slot.0 % every == every / 2;
        let accepted = (0..2000).filter(|&slot| accept(vicino_index::Slot(slot))).count();
        let mut found = 0;
        for query in clustered(32, 20, DIM).chunks(DIM) {
            index.search_filtered(query.into(), SearchParams::new(10, 100), &accept, &mut scratch, &mut hits).unwrap();
            index.exact(query.into(), 10, &accept, &mut scratch, &mut truth).unwrap();
            assert_eq!(hits.len(), accepted.min(10), "one in {every}");
            assert!(hits.iter().all(|hit| accept(hit.slot)) && hits.is_sorted_by(|a, b| a.distance <= b.distance));
            found += truth.iter().filter(|hit| hits.contains(hit)).count();
        }
        // Where the walk passes fewer accepted rows than its beam is wide, all rows are compared.
        assert!(found as f64 >= 0.97 * (20 * accepted.min(10)) as f64, "one in {every}: {found}");
    }
}

#[test]
fn ever_farther_neighbours_come_once_each() {
    let points = clustered(37, 1000, DIM);
    let (index, flat) = (
        build(&points, DIM, HnswParams::new(8, 60)),
        Flat::build(plain(DIM), Rows::new(&points, DIM).unwrap()).unwrap(),
    );
    for query in clustered(38, 5, DIM).chunks(DIM) {
        let hits: Vec<Hit> = index.neighbors(query.into(), 50).unwrap().collect();
        let mut slots: Vec<u32> = hits.iter().map(|hit| hit.slot.0).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..1000).collect::<Vec<_>>());
        let inversions = hits.windows(2).filter(|pair| pair[0].distance > pair[1].distance).count();
        assert!(inversions <= 50, "seed 37: {inversions} of 1000 rows come late");
        assert_eq!(bits(&hits[..10]), bits(&search(&index, query.into(), 10, 60).0));

        let radius = exact(&flat, query, 30)[29].distance;
        let (mut near, mut truth) = (Vec::new(), Vec::new());
        index.range(query.into(), radius, 100, &mut near).unwrap();
        flat.range(query.into(), radius, &mut Scratch::new(), &mut truth).unwrap();
        assert_eq!(truth.len(), 30);
        assert!(near.len() >= 29 && near.iter().all(|hit| truth.contains(hit)), "{} of 30", near.len());
    }
    assert!(matches!(
        index.range((&[0.0; DIM]).into(), f32::NAN, 10, &mut Vec::new()),
        Err(SearchError::Radius { .. })
    ));
}
