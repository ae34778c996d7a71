//! A memory layer: vectors in, a weighted sum of a few of very many values out.
//!
//! Berges et al., "Memory Layers at Scale" (arXiv:2412.09764). For each head `q = W x + b` asks its product keys for the best
//! k slots, and `y = Σ_heads Σ_k softmax(scores)_k · value[slot_k]`; heads share the values, and so may layers. With a gate
//! (Memory+) the output is `W₂ (y ⊙ silu(W₁ x))`. With query-key norm halves of queries and keys have unit length and each head
//! a learnt factor, so that scores cannot grow without bound.

use super::error::MemoryError;
use super::keys::{KeyScratch, KeyShape, ProductKeys, TopK, norm};
use super::panels::Panels;
use super::softmax::Softmax;
use super::values::Values;
use crate::cpu::Level;
use crate::random::Random;

/// Added to squared lengths before they divide.
pub(crate) const NORM_EPSILON: f64 = 1e-12;

/// Sizes and options of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerConfig {
    /// Dimension of the input, and of the output with a gate.
    pub input_dim: usize,
    /// Dimension of a value, and of the output without a gate.
    pub value_dim: usize,
    /// Queries per input, each with keys of its own.
    pub heads: usize,
    /// Half keys on each side; the values are its square.
    pub sub_keys: usize,
    /// Dimension of a whole key, even.
    pub key_dim: usize,
    /// Slots that each head reads.
    pub k: usize,
    /// `W₂ (y ⊙ silu(W₁ x))` instead of `y`.
    pub gated: bool,
    /// Halves of queries and keys brought to unit length, with a learnt factor for each head.
    pub query_key_norm: bool,
}

/// The learnt numbers of a layer, but for the values. All matrices row-major, `[outputs × inputs]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerWeights {
    /// `[heads · key_dim × input_dim]`
    pub query: Vec<f32>,
    /// `[heads · key_dim]`
    pub query_bias: Vec<f32>,
    /// Half keys. `[heads × 2 × sub_keys × key_dim / 2]`
    pub keys: Vec<f32>,
    /// The factor of each head with query-key norm, else empty. `[heads]`
    pub gain: Vec<f32>,
    /// W₁ with a gate, else empty. `[value_dim × input_dim]`
    pub gate: Vec<f32>,
    /// W₂ with a gate, else empty. `[input_dim × value_dim]`
    pub output: Vec<f32>,
}

/// A memory layer; its values are given to each call, so that layers can share them.
#[derive(Debug, Clone)]
pub struct MemoryLayer {
    config: LayerConfig,
    weights: LayerWeights,
    packed: Packed,
}

/// The weights in the form in which they multiply.
#[derive(Debug, Clone)]
struct Packed {
    query: Panels,
    /// With query-key norm, of unit length.
    keys: ProductKeys,
    gate: Option<(Panels, Panels)>,
}

/// One forward pass: what it gives, and what the backward pass needs of it. Buffers are used again by the next pass.
#[derive(Debug, Default, Clone)]
pub struct Forward {
    /// `[inputs × output_dim]`
    pub output: Vec<f32>,
    /// Slots read, best first. Scores are those of the softmax. `[inputs × heads × k]`
    pub top: TopK,
    /// Weight of each slot read; they add up to 1 for each head. `[inputs × heads × k]`
    pub weights: Vec<f32>,
    /// `[inputs × heads · key_dim]`, before the norm.
    pub(crate) queries: Vec<f32>,
    /// As they ask the keys: with query-key norm of length `gain`, else as before. `[inputs × heads · key_dim]`
    pub(crate) asked: Vec<f32>,
    /// Sum of the values. `[inputs × value_dim]`; without a gate it is the output, and this is empty.
    pub(crate) blended: Vec<f32>,
    /// `W₁ x`. `[inputs × value_dim]`
    pub(crate) gate: Vec<f32>,
    scratch: KeyScratch,
    ends: Vec<usize>,
}

impl LayerConfig {
    /// The paper's choice for a layer within a transformer of width `width`: 4 heads, 32 slots each, keys half as wide as values,
    /// a gate, no norm.
    pub fn memory_plus(width: usize, sub_keys: usize) -> Self {
        LayerConfig {
            input_dim: width,
            value_dim: width,
            heads: 4,
            sub_keys,
            key_dim: (width / 2).next_multiple_of(2),
            k: 32,
            gated: true,
            query_key_norm: false,
        }
    }

    /// Sizes of the keys.
    pub fn key_shape(&self) -> KeyShape {
        KeyShape { heads: self.heads, sub_keys: self.sub_keys, key_dim: self.key_dim }
    }

    /// Values that the layer addresses.
    pub fn slots(&self) -> usize {
        self.sub_keys * self.sub_keys
    }

    /// Dimension of the output.
    pub fn output_dim(&self) -> usize {
        if self.gated { self.input_dim } else { self.value_dim }
    }

    /// Errors if a size is out of its range.
    pub fn check(&self) -> Result<(), MemoryError> {
        self.key_shape().check()?;
        for (what, found) in [("input_dim", self.input_dim), ("value_dim", self.value_dim)] {
            if !(1..=1 << 20).contains(&found) {
                return Err(MemoryError::Size { what, expected: "1 to 1048576", found });
            }
        }
        match self.k {
            k if k == 0 || k > self.slots() => Err(MemoryError::K { most: self.slots(), found: k }),
            _ => Ok(()),
        }
    }

    /// How many numbers each of [`LayerWeights`]' parts has, by the names they have in files.
    pub(crate) fn parts(&self) -> [(&'static str, Vec<usize>); 6] {
        let queries = self.heads * self.key_dim;
        let none = vec![0];
        [
            ("query.weight", vec![queries, self.input_dim]),
            ("query.bias", vec![queries]),
            ("keys", vec![self.heads, 2, self.sub_keys, self.key_dim / 2]),
            ("gain", if self.query_key_norm { vec![self.heads] } else { none.clone() }),
            ("gate.weight", if self.gated { vec![self.value_dim, self.input_dim] } else { none.clone() }),
            ("output.weight", if self.gated { vec![self.input_dim, self.value_dim] } else { none }),
        ]
    }
}

impl LayerWeights {
    /// Random weights as the papers draw them: keys from ±1/√key_dim, linear maps from ±√(6 / (inputs + outputs)).
    pub fn random(config: &LayerConfig, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut uniform = |count: usize, bound: f64| -> Vec<f32> {
            (0..count).map(|_| ((2.0 * random.unit() - 1.0) * bound) as f32).collect()
        };
        let mut linear = |rows: usize, cols: usize| uniform(rows * cols, (6.0 / (rows + cols) as f64).sqrt());
        let gate = if config.gated { config.value_dim } else { 0 };
        let query = linear(config.heads * config.key_dim, config.input_dim);
        let (gate, output) = (linear(gate, config.input_dim), linear(config.input_dim, gate));
        LayerWeights {
            query,
            query_bias: vec![0.0; config.heads * config.key_dim],
            keys: uniform(config.key_shape().numbers(), (config.key_dim as f64).sqrt().recip()),
            // With unit halves this is where scores have the spread of those without a norm.
            gain: vec![(config.key_dim as f32).sqrt(); if config.query_key_norm { config.heads } else { 0 }],
            gate,
            output,
        }
    }

    /// The parts in the order of [`LayerConfig::parts`].
    pub(crate) fn parts(&self) -> [&Vec<f32>; 6] {
        [&self.query, &self.query_bias, &self.keys, &self.gain, &self.gate, &self.output]
    }

    pub(crate) fn parts_mut(&mut self) -> [&mut Vec<f32>; 6] {
        let LayerWeights { query, query_bias, keys, gain, gate, output } = self;
        [query, query_bias, keys, gain, gate, output]
    }

    /// Zeros of the same sizes.
    pub(crate) fn zeros_like(&self) -> Self {
        let mut zeros = self.clone();
        zeros.parts_mut().into_iter().for_each(|part| part.fill(0.0));
        zeros
    }

    fn check(&self, config: &LayerConfig) -> Result<(), MemoryError> {
        for ((name, shape), numbers) in config.parts().into_iter().zip(self.parts()) {
            MemoryError::check_numbers(name, shape.iter().product(), numbers)?;
        }
        Ok(())
    }
}

impl MemoryLayer {
    /// Errors if a size is out of range, or weights are not of the config's sizes or not finite.
    pub fn new(config: LayerConfig, weights: LayerWeights) -> Result<Self, MemoryError> {
        config.check()?;
        weights.check(&config)?;
        let packed = Packed::new(&config, &weights)?;
        Ok(MemoryLayer { config, weights, packed })
    }

    /// A layer to be trained: [`LayerWeights::random`].
    pub fn random(config: LayerConfig, seed: u64) -> Result<Self, MemoryError> {
        config.check()?;
        Self::new(config, LayerWeights::random(&config, seed))
    }

    /// Sizes and options.
    pub fn config(&self) -> &LayerConfig {
        &self.config
    }

    /// The learnt numbers.
    pub fn weights(&self) -> &LayerWeights {
        &self.weights
    }

    /// The keys as they are asked: with query-key norm, halves of unit length.
    pub fn keys(&self) -> &ProductKeys {
        &self.packed.keys
    }

    /// Changes the weights, then makes ready for the next pass. Errors if they are not finite any more, and keeps the old ones.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut LayerWeights)) -> Result<(), MemoryError> {
        let mut weights = self.weights.clone();
        change(&mut weights);
        weights.check(&self.config)?;
        self.packed = Packed::new(&self.config, &weights)?;
        self.weights = weights;
        Ok(())
    }

    /// The layer's output for `inputs: [count × input_dim]`, finite, and the slots it read, into `pass`.
    /// For each input: `input_dim · heads · key_dim` multiply-adds for queries, `heads · sub_keys · key_dim` for scores, and
    /// `heads · k` rows of `values` read.
    pub fn forward(&self, values: &Values, inputs: &[f32], pass: &mut Forward) -> Result<(), MemoryError> {
        let config = &self.config;
        let (level, inputs_dim) = (Level::detect(), config.input_dim);
        self.check_values(values)?;
        let count = MemoryError::check_rows("inputs", inputs_dim, inputs)?;
        pass.queries.resize(count * config.heads * config.key_dim, 0.0);
        self.packed.query.multiply(level, inputs, inputs_dim, &mut pass.queries);
        self.ask(pass);
        self.packed.keys.top_k_into(&pass.asked, config.k, &mut pass.scratch, &mut pass.top)?;
        pass.weights.clear();
        for scores in pass.top.scores.chunks_exact(config.k) {
            pass.weights.extend(Softmax::of_best(scores, 1.0, config.k).weights);
        }

        let reads = config.heads * config.k;
        pass.ends.clear();
        pass.ends.extend((1..=count).map(|input| input * reads));
        let Forward { output, blended, gate, .. } = pass;
        let sums = if config.gated { &mut *blended } else { &mut *output };
        sums.resize(count * config.value_dim, 0.0);
        values.table().reduce(&pass.top.ids, &pass.weights, &pass.ends, sums)?;
        if let Some((into, out)) = &self.packed.gate {
            gate.resize(count * config.value_dim, 0.0);
            into.multiply(level, inputs, inputs_dim, gate);
            let gated: Vec<f32> = blended.iter().zip(&*gate).map(|(y, &u)| y * silu(u)).collect();
            output.resize(count * inputs_dim, 0.0);
            out.multiply(level, &gated, config.value_dim, output);
        }
        Ok(())
    }

    pub(crate) fn check_values(&self, values: &Values) -> Result<(), MemoryError> {
        let config = &self.config;
        if values.len() != config.slots() {
            return Err(MemoryError::Numbers { what: "values", expected: config.slots(), found: values.len() });
        }
        if values.dim() != config.value_dim {
            return Err(MemoryError::Numbers { what: "value", expected: config.value_dim, found: values.dim() });
        }
        Ok(())
    }

    /// Fills `pass.asked` from `pass.queries`.
    fn ask(&self, pass: &mut Forward) {
        pass.asked.clear();
        pass.asked.extend_from_slice(&pass.queries);
        if self.config.query_key_norm {
            let half = self.config.key_dim / 2;
            for (index, query) in pass.asked.chunks_exact_mut(half).enumerate() {
                let gain = f64::from(self.weights.gain[index / 2 % self.config.heads]);
                let factor = gain / safe_norm(query);
                query.iter_mut().for_each(|number| *number = (f64::from(*number) * factor) as f32);
            }
        }
    }
}

impl Packed {
    fn new(config: &LayerConfig, weights: &LayerWeights) -> Result<Self, MemoryError> {
        let mut keys = weights.keys.clone();
        if config.query_key_norm {
            for half in keys.chunks_exact_mut(config.key_dim / 2) {
                let length = safe_norm(half);
                half.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
            }
        }
        let gate = || {
            let into = Panels::pack(&weights.gate, config.input_dim);
            (into, Panels::pack(&weights.output, config.value_dim))
        };
        Ok(Packed {
            query: Panels::pack(&weights.query, config.input_dim).with_bias(&weights.query_bias),
            keys: ProductKeys::new(config.key_shape(), keys)?,
            gate: config.gated.then(gate),
        })
    }
}

/// √(‖v‖² + ε): a length to divide by.
pub(crate) fn safe_norm(vector: &[f32]) -> f64 {
    (norm(vector).powi(2) + NORM_EPSILON).sqrt()
}

/// `x · sigmoid(x)`
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}
