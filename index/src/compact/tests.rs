//! What only the inside shows: walks that find too little, and an index without entries.

use super::*;
use crate::bytes::Array;
use crate::metric::ElementType;
use crate::params::BuildOptions;

#[test]
fn an_empty_index_finds_nothing_and_a_single_row_is_found() {
    let spec = VectorSpec::new(3, Metric::Cosine, ElementType::F32).unwrap();
    for (data, expected) in [(&[][..], 0), (&[1.0, 2.0, 3.0][..], 1)] {
        let rows = Rows::new(data, 3).unwrap();
        let index = CompactGraph::build(spec, CompactParams::default(), rows, &BuildOptions::default()).unwrap();
        let (mut scratch, mut hits) = (CompactScratch::new(), Vec::new());
        index.search((&[1.0, 0.0, 0.0]).into(), CompactSearch::default(), &mut scratch, &mut hits).unwrap();
        assert_eq!(hits.len(), expected);
        assert_eq!(index.check().unwrap().nodes, expected);
    }
}

/// A walk that may expand a single node finds too little, and compares all rows instead.
#[test]
fn k_rows_come_whatever_the_walk_finds() {
    let data: Vec<f32> = (0..600).map(|i| (i * i % 251) as f32).collect();
    let spec = VectorSpec::new(2, Metric::L2, ElementType::U8).unwrap();
    let rows = Rows::new(&data, 2).unwrap();
    let index = CompactGraph::build(spec, CompactParams::default(), rows, &BuildOptions::default()).unwrap();
    assert!(index.is_lossless());
    let (mut scratch, mut hits) = (CompactScratch::new(), Vec::new());
    let params = CompactSearch { max_hops: 1, ..CompactSearch::new(300, 0.0) };
    let stats = index.search((&[9.0, 9.0]).into(), params, &mut scratch, &mut hits).unwrap();
    assert!(hits.len() == 300 && stats.distances >= 300);
    let mut expected: Vec<f32> = data.chunks(2).map(|x| (x[0] - 9.0).powi(2) + (x[1] - 9.0).powi(2)).collect();
    expected.sort_by(f32::total_cmp);
    assert_eq!(hits.iter().map(|hit| hit.distance).collect::<Vec<_>>(), expected);
    let mut unlinked = index.clone();
    unlinked.entries = Entries { slots: Array::default(), blocks: Array::default() };
    unlinked.search((&[9.0, 9.0]).into(), CompactSearch::new(5, 0.1), &mut scratch, &mut hits).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.distance).collect::<Vec<_>>(), expected[..5]);
}
