//! The gradients of a memory layer, by hand: what a loss would gain from each weight, each value read, and each input.
//!
//! Only what the forward pass read has a gradient: `heads · k` values and as many pairs of half keys for each input. Values'
//! gradients are sums over all inputs that read a slot; they are made by sorting reads by slot and summing each slot's rows in
//! that order (the papers' "reverse indices"), so they need no atomics and do not depend on threads.

use super::error::MemoryError;
use super::layer::{Forward, LayerConfig, LayerWeights, MemoryLayer, safe_norm, silu};
use super::panels::{Panels, add_outer};
use super::values::Values;
use crate::cpu::Level;
use crate::gather::{Rows, Table};

/// Gradients of a loss.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    /// Of the layer's weights.
    pub weights: LayerWeights,
    /// Of the values that were read.
    pub values: RowGradients,
    /// Of the inputs. `[inputs × input_dim]`
    pub inputs: Vec<f32>,
}

/// Gradients of some rows of a table; those of all others are zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowGradients {
    /// Which rows, rising.
    pub ids: Vec<u32>,
    /// `[ids × dim]`
    pub rows: Vec<f32>,
}

impl MemoryLayer {
    /// The gradients, given those of the output: `output: [inputs × output_dim]`. `pass` is what [`forward`](Self::forward)
    /// made of the same `values` and `inputs`. Values of any type have gradients; only owned f32 ones can be trained.
    pub fn backward(
        &self,
        values: &Values,
        inputs: &[f32],
        pass: &Forward,
        output: &[f32],
    ) -> Result<Gradients, MemoryError> {
        let config = *self.config();
        self.check_values(values)?;
        let count = MemoryError::check_rows("inputs", config.input_dim, inputs)?;
        MemoryError::check_numbers("gradients of the output", count * config.output_dim(), output)?;
        if pass.queries.len() != count * config.heads * config.key_dim {
            return Err(MemoryError::Numbers {
                what: "queries of the forward pass",
                expected: count * config.heads * config.key_dim,
                found: pass.queries.len(),
            });
        }
        let mut gradients = Gradients {
            weights: self.weights().zeros_like(),
            values: RowGradients::default(),
            inputs: vec![0.0; inputs.len()],
        };
        let through_gate;
        let blended = if config.gated {
            through_gate = self.gate_backward(inputs, pass, output, &mut gradients);
            &through_gate
        } else {
            output
        };
        gradients.values = value_gradients(&config, pass, blended)?;
        let scores = score_gradients(&config, values, pass, blended)?;
        let asked = self.key_backward(pass, &scores, &mut gradients.weights);
        let queries = self.query_backward(pass, asked, &mut gradients.weights);

        let (level, width) = (Level::detect(), config.heads * config.key_dim);
        add_outer(level, &queries, width, inputs, config.input_dim, &mut gradients.weights.query);
        for query in queries.chunks_exact(width) {
            add_scaled(&mut gradients.weights.query_bias, 1.0, query);
        }
        add_product(level, &self.weights().query, width, &queries, &mut gradients.inputs);
        Ok(gradients)
    }

    /// Through `W₂ (y ⊙ silu(W₁ x))`: returns the gradients of y.
    fn gate_backward(&self, inputs: &[f32], pass: &Forward, output: &[f32], gradients: &mut Gradients) -> Vec<f32> {
        let LayerConfig { input_dim, value_dim, .. } = *self.config();
        let (level, weights) = (Level::detect(), self.weights());
        let gated: Vec<f32> = pass.blended.iter().zip(&pass.gate).map(|(y, &u)| y * silu(u)).collect();
        add_outer(level, output, input_dim, &gated, value_dim, &mut gradients.weights.output);
        let mut blended = vec![0.0; gated.len()]; // first of y ⊙ silu(u)
        add_product(level, &weights.output, input_dim, output, &mut blended);
        let mut gate = vec![0.0; gated.len()];
        for (((gate, both), &u), y) in gate.iter_mut().zip(&mut blended).zip(&pass.gate).zip(&pass.blended) {
            let sigmoid = 1.0 / (1.0 + (-u).exp());
            *gate = *both * y * sigmoid * (1.0 + u * (1.0 - sigmoid));
            *both *= u * sigmoid;
        }
        add_outer(level, &gate, value_dim, inputs, input_dim, &mut gradients.weights.gate);
        add_product(level, &weights.gate, value_dim, &gate, &mut gradients.inputs);
        blended
    }

    /// Through the scores to half keys; returns the gradients of the queries as they ask. Undoes the norm of the keys.
    fn key_backward(&self, pass: &Forward, scores: &[f32], weights: &mut LayerWeights) -> Vec<f32> {
        let config = self.config();
        let half = config.key_dim / 2;
        let mut asked = vec![0.0; pass.asked.len()];
        let halves = self.keys().halves();
        for (read, (&id, &gradient)) in pass.top.ids.iter().zip(scores).enumerate() {
            let query = read / config.k;
            let head = query % config.heads;
            for (side, part) in [(0, id as usize / config.sub_keys), (1, id as usize % config.sub_keys)] {
                let at = ((head * 2 + side) * config.sub_keys + part) * half;
                let from = (query * 2 + side) * half;
                add_scaled(&mut asked[from..from + half], gradient, &halves[at..at + half]);
                add_scaled(&mut weights.keys[at..at + half], gradient, &pass.asked[from..from + half]);
            }
        }
        if config.query_key_norm {
            let raw = self.weights().keys.chunks_exact(half);
            for ((gradient, raw), unit) in weights.keys.chunks_exact_mut(half).zip(raw).zip(halves.chunks_exact(half)) {
                norm_backward(gradient, unit, safe_norm(raw));
            }
        }
        asked
    }

    /// From the queries as they ask to the queries as they are, undoing norm and gain.
    fn query_backward(&self, pass: &Forward, mut asked: Vec<f32>, weights: &mut LayerWeights) -> Vec<f32> {
        let config = self.config();
        let half = config.key_dim / 2;
        if config.query_key_norm {
            for (index, (gradient, raw)) in
                asked.chunks_exact_mut(half).zip(pass.queries.chunks_exact(half)).enumerate()
            {
                let (head, length) = (index / 2 % config.heads, safe_norm(raw));
                let unit: Vec<f32> = raw.iter().map(|&x| (f64::from(x) / length) as f32).collect();
                weights.gain[head] += dot(gradient, &unit);
                let gain = self.weights().gain[head];
                gradient.iter_mut().for_each(|x| *x *= gain);
                norm_backward(gradient, &unit, length);
            }
        }
        asked
    }
}

/// `Σ weight · gradient of the output` for each slot that was read.
fn value_gradients(config: &LayerConfig, pass: &Forward, blended: &[f32]) -> Result<RowGradients, MemoryError> {
    let reads_each = config.heads * config.k;
    let mut reads: Vec<u32> = (0..pass.top.ids.len() as u32).collect();
    // By slot, then by place: a stable order of sums.
    reads.sort_unstable_by_key(|&read| (pass.top.ids[read as usize], read));
    let inputs: Vec<u32> = reads.iter().map(|&read| read / reads_each as u32).collect();
    let weights: Vec<f32> = reads.iter().map(|&read| pass.weights[read as usize]).collect();
    let (mut ids, mut ends) = (Vec::new(), Vec::new());
    for (place, &read) in reads.iter().enumerate() {
        let id = pass.top.ids[read as usize];
        if ids.last() != Some(&id) {
            ids.push(id);
            ends.push(place);
        }
        *ends.last_mut().expect("one for each slot") = place + 1;
    }
    let mut rows = vec![0.0; ids.len() * config.value_dim];
    Table::new(Rows::F32(blended), config.value_dim)?.reduce(&inputs, &weights, &ends, &mut rows)?;
    Ok(RowGradients { ids, rows })
}

/// Through the softmax of each head: `weight · (value · g − Σ weight · value · g)`. `[inputs × heads × k]`
fn score_gradients(
    config: &LayerConfig,
    values: &Values,
    pass: &Forward,
    blended: &[f32],
) -> Result<Vec<f32>, MemoryError> {
    let mut value = vec![0.0; config.value_dim];
    let mut scores = Vec::with_capacity(pass.weights.len());
    let heads = pass.top.ids.chunks_exact(config.k).zip(pass.weights.chunks_exact(config.k));
    for (index, (ids, weights)) in heads.enumerate() {
        let gradient = &blended[index / config.heads * config.value_dim..][..config.value_dim];
        let start = scores.len();
        for &id in ids {
            values.read(id, &mut value)?;
            scores.push(dot(&value, gradient));
        }
        let mean = dot(&scores[start..], weights);
        scores[start..].iter_mut().zip(weights).for_each(|(score, weight)| *score = weight * (*score - mean));
    }
    Ok(scores)
}

/// The gradient of `v` from that of `v / length`, `length = √(‖v‖² + ε)`.
fn norm_backward(gradient: &mut [f32], unit: &[f32], length: f64) {
    let along = dot(gradient, unit);
    for (gradient, unit) in gradient.iter_mut().zip(unit) {
        *gradient = (f64::from(*gradient - along * unit) / length) as f32;
    }
}

/// `out[i] += matrixᵀ · vectors[i]` with `matrix: [rows × cols]`: the gradient of a linear map's input.
fn add_product(level: Level, matrix: &[f32], rows: usize, vectors: &[f32], out: &mut [f32]) {
    let mut product = vec![0.0; out.len()];
    Panels::pack_transposed(matrix, matrix.len() / rows).multiply(level, vectors, rows, &mut product);
    add_scaled(out, 1.0, &product);
}

pub(crate) fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests;
