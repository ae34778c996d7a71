//! Training a memory layer: Adam, with the values in a group of their own and only rows that were read brought up to date.
//!
//! As in "Memory Layers at Scale", values learn with a rate of their own, ten times that of the other weights. A value that is
//! not read in a step keeps its moments (lazy Adam): a step costs what it reads, not the pool.

use super::backward::{Gradients, RowGradients};
use super::error::MemoryError;
use super::layer::{Forward, MemoryLayer};
use super::values::Values;

/// Rates and decays of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainParams {
    /// Rate of all weights but the values.
    pub rate: f64,
    /// Rate of the values.
    pub value_rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
}

/// A layer and its values under training.
#[derive(Debug)]
pub struct Trainer {
    layer: MemoryLayer,
    values: Values,
    params: TrainParams,
    weights: Vec<Adam>,
    value_moments: Adam,
    pass: Forward,
}

/// The moments of one array of numbers.
#[derive(Debug, Clone, Default)]
pub struct Adam {
    steps: u32,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Default for TrainParams {
    /// The paper's rates: 10⁻⁴, 10⁻³ for values; Adam's usual decays.
    fn default() -> Self {
        TrainParams { rate: 1e-4, value_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl Adam {
    /// Moments of `len` numbers.
    pub fn new(len: usize) -> Self {
        Adam { steps: 0, mean: vec![0.0; len], square: vec![0.0; len] }
    }

    /// One step: moves `numbers` against `gradients`, of the same length, with rate `rate`.
    pub fn step(&mut self, params: &TrainParams, rate: f64, numbers: &mut [f32], gradients: &[f32]) {
        assert_eq!((numbers.len(), gradients.len()), (self.mean.len(), self.mean.len()), "one moment for each number");
        self.steps += 1;
        self.advance(params, rate, 0, numbers, gradients);
    }

    /// One step of some rows of `numbers: [.. × dim]`.
    pub fn step_rows(&mut self, params: &TrainParams, rate: f64, numbers: &mut [f32], rows: &RowGradients, dim: usize) {
        self.steps += 1;
        for (&id, gradients) in rows.ids.iter().zip(rows.rows.chunks_exact(dim)) {
            let start = id as usize * dim;
            self.advance(params, rate, start, &mut numbers[start..start + dim], gradients);
        }
    }

    fn advance(&mut self, params: &TrainParams, rate: f64, start: usize, numbers: &mut [f32], gradients: &[f32]) {
        let (beta1, beta2) = (params.beta1 as f32, params.beta2 as f32);
        let steps = self.steps as i32;
        let root = (1.0 - params.beta2.powi(steps)).sqrt();
        let rate = (rate * root / (1.0 - params.beta1.powi(steps))) as f32;
        let epsilon = (params.epsilon * root) as f32;
        let moments = self.mean[start..].iter_mut().zip(&mut self.square[start..]);
        for ((number, &gradient), (mean, square)) in numbers.iter_mut().zip(gradients).zip(moments) {
            *mean = beta1 * *mean + (1.0 - beta1) * gradient;
            *square = beta2 * *square + (1.0 - beta2) * gradient * gradient;
            *number -= rate * *mean / (square.sqrt() + epsilon);
        }
    }
}

impl Trainer {
    /// Takes a layer and its values, which must be owned and f32.
    pub fn new(layer: MemoryLayer, mut values: Values, params: TrainParams) -> Result<Self, MemoryError> {
        layer.check_values(&values)?;
        let value_moments = Adam::new(values.trainable()?.len());
        let settings = [
            ("rate", params.rate),
            ("value_rate", params.value_rate),
            ("epsilon", params.epsilon),
            ("1 - beta1", 1.0 - params.beta1),
            ("1 - beta2", 1.0 - params.beta2),
        ];
        settings.into_iter().try_for_each(|(what, number)| MemoryError::check_positive(what, number))?;
        let weights = layer.weights().parts().map(|part| Adam::new(part.len())).into();
        Ok(Trainer { layer, values, params, weights, value_moments, pass: Forward::default() })
    }

    /// The layer as it is now.
    pub fn layer(&self) -> &MemoryLayer {
        &self.layer
    }

    /// The values as they are now.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The layer and its values, trained.
    pub fn into_parts(self) -> (MemoryLayer, Values) {
        (self.layer, self.values)
    }

    /// One step: runs `inputs: [count × input_dim]`, asks `loss` for the gradients of the output it gave, and moves all weights
    /// and the values that were read. Returns what `loss` returned beside, and the gradients of the inputs.
    pub fn step<T>(
        &mut self,
        inputs: &[f32],
        loss: impl FnOnce(&[f32]) -> (T, Vec<f32>),
    ) -> Result<(T, Vec<f32>), MemoryError> {
        self.layer.forward(&self.values, inputs, &mut self.pass)?;
        let (result, output) = loss(&self.pass.output);
        let gradients = self.layer.backward(&self.values, inputs, &self.pass, &output)?;
        let Gradients { weights, values, inputs } = gradients;
        let (params, moments) = (&self.params, &mut self.weights);
        self.layer.update(|numbers| {
            for ((numbers, gradients), adam) in numbers.parts_mut().into_iter().zip(weights.parts()).zip(moments) {
                adam.step(params, params.rate, numbers, gradients);
            }
        })?;
        let dim = self.values.dim();
        self.value_moments.step_rows(params, params.value_rate, self.values.trainable()?, &values, dim);
        Ok((result, inputs))
    }

    /// The pass of the last step: which slots were read.
    pub fn last_pass(&self) -> &Forward {
        &self.pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{LayerConfig, ValueType};
    use crate::random::Random;

    #[test]
    fn steps_of_adam_are_those_of_the_paper() {
        // Kingma & Ba's algorithm 1 in f64, with its bias corrections apart.
        let params = TrainParams::default();
        let gradients = [0.3, -2.0, 0.0, 0.5];
        let (mut adam, mut number) = (Adam::new(1), [1.0]);
        let (mut mean, mut square, mut expected) = (0.0, 0.0, 1.0);
        for (step, gradient) in gradients.into_iter().enumerate() {
            adam.step(&params, 0.1, &mut number, &[gradient as f32]);
            mean = 0.9 * mean + 0.1 * gradient;
            square = 0.999 * square + 0.001 * gradient * gradient;
            let t = step as i32 + 1;
            let corrected: (f64, f64) = (mean / (1.0 - 0.9_f64.powi(t)), square / (1.0 - 0.999_f64.powi(t)));
            expected -= 0.1 * corrected.0 / (corrected.1.sqrt() + 1e-8);
            assert!((f64::from(number[0]) - expected).abs() < 1e-6, "{number:?} {expected}");
        }
    }

    #[test]
    fn a_layer_learns_what_it_is_shown() {
        let seed = 81;
        let mut random = Random::new(seed);
        let mut normals = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<_>>();
        let (inputs, targets) = (normals(40 * 8), normals(40 * 8));
        for (gated, query_key_norm) in [(false, false), (true, true)] {
            let config = LayerConfig {
                input_dim: 8,
                value_dim: 8,
                heads: 2,
                sub_keys: 16,
                key_dim: 8,
                k: 4,
                gated,
                query_key_norm,
            };
            let layer = MemoryLayer::random(config, seed).unwrap();
            let values = Values::from_rows(ValueType::F32, &vec![0.1; 256 * 8], 8).unwrap();
            let params = TrainParams { rate: 3e-3, value_rate: 3e-2, ..TrainParams::default() };
            let mut trainer = Trainer::new(layer, values, params).unwrap();
            let squares = |output: &[f32]| {
                let errors: Vec<f32> = output.iter().zip(&targets).map(|(a, b)| a - b).collect();
                (errors.iter().map(|e| e * e).sum::<f32>() / 320.0, errors)
            };
            let losses: Vec<f32> = (0..300).map(|_| trainer.step(&inputs, squares).unwrap().0).collect();
            assert!(
                losses[299] < 0.05 && losses[299] < losses[0] / 10.0,
                "seed {seed}: {} → {}",
                losses[0],
                losses[299]
            );
        }
    }

    #[test]
    fn refuses_values_that_cannot_be_trained() {
        let config = LayerConfig::memory_plus(8, 8);
        let layer = MemoryLayer::random(config, 1).unwrap();
        let values = Values::zeros(ValueType::Bf16, 64, 8).unwrap();
        let error = Trainer::new(layer.clone(), values, TrainParams::default()).unwrap_err().to_string();
        assert_eq!(error, "expected owned values of f32, found bf16");
        let values = Values::zeros(ValueType::F32, 64, 8).unwrap();
        let params = TrainParams { rate: f64::NAN, ..TrainParams::default() };
        let error = Trainer::new(layer, values, params).unwrap_err().to_string();
        assert_eq!(error, "rate: expected a positive finite number, found NaN");
    }
}
