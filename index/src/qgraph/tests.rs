//! What only the inside shows: the bytes of a row, and walks that find too little.

use super::*;
use crate::bytes::Array;
use crate::metric::{ElementType, Metric};
use crate::params::BuildOptions;

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
