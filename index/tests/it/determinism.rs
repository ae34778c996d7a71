//! The same rows, parameters and seed make the same file, byte for byte, whatever ran on however many threads.

use vicino_index::{BuildOptions, ElementType, Hnsw, HnswParams, Metric, Rows, VectorSpec};

use crate::data::{clustered, plain, saved};

const DIM: usize = 12;

/// Clustered points of which the last 200 are copies: threads must agree about twins, too.
fn points() -> Vec<f32> {
    let mut points = clustered(1, 1800, DIM);
    points.extend_from_within(..200 * DIM);
    points
}

fn built(spec: VectorSpec, params: HnswParams, points: &[f32], threads: usize) -> Vec<u8> {
    let options = BuildOptions { threads, progress: None };
    saved(&Hnsw::build(spec, params, Rows::new(points, DIM).unwrap(), &options).unwrap())
}

#[test]
fn threads_leave_no_trace() {
    let (points, params) = (points(), HnswParams::new(6, 40));
    for metric in [Metric::L2, Metric::Dot, Metric::Cosine, Metric::L1] {
        let spec = VectorSpec::new(DIM, metric, ElementType::F32).unwrap();
        let one = built(spec, params, &points, 1);
        for threads in [1, 2, 3, 0] {
            assert!(
                built(spec, params, &points, threads) == one,
                "{metric}: {threads} threads make another file than 1"
            );
        }
    }
}

#[test]
fn the_seed_draws_the_graph() {
    let (points, params) = (points(), HnswParams::new(6, 40));
    let other = HnswParams { seed: params.seed + 1, ..params };
    let files = [params, other].map(|params| built(plain(DIM), params, &points, 0));
    assert_ne!(files[0].len(), 0);
    // The seed itself is in the file; the levels must differ as well, and with them the lists of the upper levels.
    assert!(files[0].len() != files[1].len() || differing(&files[0], &files[1]) > 100, "another seed, the same graph");
}

fn differing(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[test]
fn a_build_is_one_extension_of_nothing() {
    let (points, params) = (points(), HnswParams::new(6, 40));
    let mut index = Hnsw::new(plain(DIM), params).unwrap();
    let slots = index.extend(Rows::new(&points, DIM).unwrap(), &BuildOptions::default()).unwrap();
    assert_eq!(slots, 0..2000);
    assert!(saved(&index) == built(plain(DIM), params, &points, 0));
}

#[test]
fn growth_in_the_same_steps_is_the_same_growth() {
    let (points, params) = (points(), HnswParams::new(6, 40));
    let grown = |threads: usize| {
        let mut index = Hnsw::new(plain(DIM), params).unwrap();
        for chunk in points.chunks(337 * DIM) {
            index.extend(Rows::new(chunk, DIM).unwrap(), &BuildOptions { threads, progress: None }).unwrap();
        }
        saved(&index)
    };
    let one = grown(1);
    assert!(grown(2) == one && grown(3) == one);
}
