//! Every gradient is compared with the change of the loss when one number moves, for each combination of options.

use super::*;
use crate::memory::{LayerConfig, ValueType};
use crate::random::Random;

fn config(gated: bool, query_key_norm: bool) -> LayerConfig {
    LayerConfig { input_dim: 5, value_dim: 6, heads: 2, sub_keys: 4, key_dim: 8, k: 3, gated, query_key_norm }
}

/// A loss whose gradient with respect to the output is `target`: their inner product.
struct Case {
    weights: LayerWeights,
    config: LayerConfig,
    values: Vec<f32>,
    inputs: Vec<f32>,
    target: Vec<f32>,
}

impl Case {
    fn new(config: LayerConfig, seed: u64) -> Case {
        let mut random = Random::new(seed);
        let mut normals = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<_>>();
        let mut weights = LayerWeights::random(&config, seed + 1);
        weights.query_bias = normals(weights.query_bias.len());
        weights.keys = normals(weights.keys.len());
        Case {
            weights,
            values: normals(config.slots() * config.value_dim),
            inputs: normals(3 * config.input_dim),
            target: normals(3 * config.output_dim()),
            config,
        }
    }

    fn run(&self) -> (MemoryLayer, Values, Forward) {
        let layer = MemoryLayer::new(self.config, self.weights.clone()).unwrap();
        let values = Values::from_rows(ValueType::F32, &self.values, self.config.value_dim).unwrap();
        let mut pass = Forward::default();
        layer.forward(&values, &self.inputs, &mut pass).unwrap();
        (layer, values, pass)
    }

    fn loss(&self) -> f64 {
        let (.., pass) = self.run();
        pass.output.iter().zip(&self.target).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    /// The slope of the loss at one number, from both sides. Slots read must stay the same, so the step is small.
    fn slope(&mut self, number: impl Fn(&mut Case) -> &mut f32) -> f64 {
        const STEP: f32 = 1.0 / 256.0;
        let start = *number(self);
        *number(self) = start + STEP;
        let above = self.loss();
        *number(self) = start - STEP;
        let below = self.loss();
        *number(self) = start;
        (above - below) / f64::from((start + STEP) - (start - STEP))
    }
}

fn assert_close(what: &str, at: usize, found: f32, slope: f64) {
    let error = (f64::from(found) - slope).abs();
    assert!(error < 2e-3 * (1.0 + slope.abs()), "{what}[{at}]: gradient {found}, slope {slope}");
}

#[test]
fn every_gradient_is_a_slope() {
    for (gated, query_key_norm) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut case = Case::new(config(gated, query_key_norm), 71);
        let (layer, values, pass) = case.run();
        let gradients = layer.backward(&values, &case.inputs, &pass, &case.target).unwrap();

        let mut moved = 0;
        for part in 0..6 {
            for at in 0..case.weights.parts()[part].len() {
                let slope = case.slope(|case| &mut case.weights.parts_mut()[part][at]);
                let found = gradients.weights.parts()[part][at];
                assert_close(case.config.parts()[part].0, at, found, slope);
                moved += usize::from(found != 0.0);
            }
        }
        let all: usize = case.weights.parts().iter().map(|part| part.len()).sum();
        assert!(moved * 2 > all, "most weights have a gradient: {moved} of {all}");
        for at in 0..case.inputs.len() {
            let slope = case.slope(|case| &mut case.inputs[at]);
            assert_close("inputs", at, gradients.inputs[at], slope);
        }
        let dim = case.config.value_dim;
        assert!(gradients.values.ids.is_sorted_by(|a, b| a < b));
        for at in 0..case.values.len() {
            let slope = case.slope(|case| &mut case.values[at]);
            let found = match gradients.values.ids.binary_search(&((at / dim) as u32)) {
                Ok(row) => gradients.values.rows[row * dim + at % dim],
                Err(_) => 0.0,
            };
            assert_close("values", at, found, slope);
        }
    }
}

#[test]
fn refuses_what_does_not_belong_together() {
    let case = Case::new(config(false, false), 72);
    let (layer, values, pass) = case.run();
    let error = layer.backward(&values, &case.inputs, &pass, &case.target[1..]).unwrap_err().to_string();
    assert_eq!(error, "gradients of the output: expected 18 numbers, found 17");
    let error = layer.backward(&values, &case.inputs[..5], &pass, &case.target[..6]).unwrap_err().to_string();
    assert_eq!(error, "queries of the forward pass: expected 16 numbers, found 48");
}
