//! What a walk takes the nearest entry to be at.

use super::super::gate::{Correlation, Doubt, Guided};
use super::*;
use crate::distance::simd::{Task, dispatch, isa};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::metric::ElementType;
use crate::params::BuildOptions;
use crate::qgraph::{QuantizedGraph, QuantizedParams, QuantizedSearch};
use crate::rows::Rows;
use crate::spec::VectorSpec;

/// Begins a guided walk among all rows.
struct Begin<'a> {
    field: Field<'a>,
    limits: Limits,
    query: &'a [f32],
}

impl Task for Begin<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let Begin { field, limits, query } = self;
        let all = Mask::all(field.nodes);
        let correlation = Correlation::new((1, 1), 1.0, 1, Doubt::GiveUp);
        let gate = Guided { nodes: &all, seeds: &[], wanted: 1, matching: 1.0, correlation };
        let mut walk = Walk { query: query.to_vec(), ..Walk::default() };
        walk.start(simd, field, limits, &gate, (false, None));
        walk.entries.as_flattened().iter().copied().fold(f32::INFINITY, f32::min)
    }
}

/// It is the distance to the nearest row that is an entry, but for the error of one bit a coordinate, of which the least is taken: however
/// far the query is from the mean, which is about half of all distances here.
#[test]
fn the_nearest_entry_is_at_its_distance() {
    const DIM: usize = 256;
    let mut state = 6_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.3
    };
    let data: Vec<f32> = (0..500 * DIM).map(|_| draw()).collect();
    for metric in [Metric::L2, Metric::Cosine] {
        let spec = VectorSpec::new(DIM, metric, ElementType::F32).unwrap();
        let rows = Rows::new(&data, DIM).unwrap();
        let index = QuantizedGraph::build(spec, QuantizedParams::default(), rows, &BuildOptions::default()).unwrap();
        let (mut vector, mut query) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            query.clear();
            query.extend((0..DIM).map(|_| draw()));
            if metric == Metric::Cosine {
                let length = query.iter().map(|x| x * x).sum::<f32>().sqrt();
                query.iter_mut().for_each(|x| *x /= length);
            }
            let mut distance = |slot: u32| {
                index.vector(Slot(slot), &mut vector);
                let square: f32 = vector.iter().zip(&query).map(|(a, b)| (a - b) * (a - b)).sum();
                if metric == Metric::L2 { square } else { 0.5 * square }
            };
            let expected =
                index.entries.slots.as_slice().iter().map(|&slot| distance(slot)).fold(f32::INFINITY, f32::min);
            let limits = index.limits(QuantizedSearch::new(10, 0.0));
            let found = dispatch(isa(), Begin { field: index.field(), limits, query: &query });
            assert!((found / expected - 1.0).abs() < 0.25, "{metric}: {found}, expected {expected}");
        }
    }
}
