//! What is trained: a map from a frozen vector to another, with its parameters in one list.

use crate::bert::gemm::{View, multiply};
use crate::random::Random;

/// A map of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    form: Form,
    /// Numbers in a row that goes in.
    input: usize,
    /// Linear: `W`. Low rank: `A`, then `B`. Row-major.
    parameters: Vec<f32>,
}

/// The map's form; `x` is a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `x · W`, `W: [input × output]`.
    Linear {
        /// Numbers in a row that comes out.
        output: usize,
    },
    /// `x + tanh(x · A) · B`, `A: [input × rank]`, `B: [rank × input]`.
    LowRank {
        /// Columns of `A`.
        rank: usize,
    },
}

impl Head {
    /// The map that changes nothing, as a full matrix.
    pub fn identity(dim: usize) -> Head {
        let parameters = (0..dim * dim).map(|at| if at / dim == at % dim { 1.0 } else { 0.0 }).collect();
        Head { form: Form::Linear { output: dim }, input: dim, parameters }
    }

    /// The map `x · W` with `weights: [input × output]`. Panics if they are not whole rows.
    pub fn linear(weights: Vec<f32>, output: usize) -> Head {
        assert!(output > 0 && weights.len().is_multiple_of(output), "whole rows of {output}");
        Head { form: Form::Linear { output }, input: weights.len() / output, parameters: weights }
    }

    /// A map of few parameters that changes nothing yet: `A` is random, `B` zero.
    pub fn low_rank(dim: usize, rank: usize, random: &mut Random) -> Head {
        let spread = 1.0 / (dim as f64).sqrt();
        let mut parameters: Vec<f32> = (0..dim * rank).map(|_| (spread * random.normal()) as f32).collect();
        parameters.resize(2 * dim * rank, 0.0);
        Head { form: Form::LowRank { rank }, input: dim, parameters }
    }

    /// A head from what [`parameters`](Self::parameters) gave; `None` if there are not as many as its form has.
    pub fn from_parameters(form: Form, input: usize, parameters: Vec<f32>) -> Option<Head> {
        let columns = match form {
            Form::Linear { output } => output,
            Form::LowRank { rank } => rank.checked_mul(2)?,
        };
        (input.checked_mul(columns)? == parameters.len()).then_some(Head { form, input, parameters })
    }

    /// The form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Numbers in a row that goes in.
    pub fn input(&self) -> usize {
        self.input
    }

    /// Numbers in a row that comes out.
    pub fn output(&self) -> usize {
        match self.form {
            Form::Linear { output } => output,
            Form::LowRank { .. } => self.input,
        }
    }

    /// All parameters.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// All parameters, to be moved.
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// Maps `rows: [n × input]` to `[n × output]`.
    pub fn forward(&self, rows: &[f32]) -> Vec<f32> {
        let weights = View::rows(&self.parameters, self.output());
        match self.form {
            Form::Linear { output } => {
                let mut mapped = vec![0.0; rows.len() / self.input * output];
                multiply(View::rows(rows, self.input), weights, &mut mapped, output, false);
                mapped
            }
            Form::LowRank { rank } => {
                let hidden = self.hidden(rows, rank);
                let mut mapped = rows.to_vec();
                let up = View::rows(&self.parameters[self.input * rank..], self.input);
                multiply(View::rows(&hidden, rank), up, &mut mapped, self.input, true);
                mapped
            }
        }
    }

    /// Adds to `gradient`, shaped as the parameters, what `slopes: [n × output]` by the mapped `rows` make of it. What the
    /// forward pass had in between is computed again.
    pub fn backward(&self, rows: &[f32], slopes: &[f32], gradient: &mut [f32]) {
        match self.form {
            Form::Linear { output } => {
                let (rows, slopes) = (View::rows(rows, self.input), View::rows(slopes, output));
                multiply(rows.transposed(), slopes, gradient, output, true);
            }
            Form::LowRank { rank } => {
                let hidden = self.hidden(rows, rank);
                let (down, up) = gradient.split_at_mut(self.input * rank);
                let slopes = View::rows(slopes, self.input);
                multiply(View::rows(&hidden, rank).transposed(), slopes, up, self.input, true);
                let mut inner = vec![0.0; hidden.len()];
                let weights = View::rows(&self.parameters[self.input * rank..], self.input);
                multiply(slopes, weights.transposed(), &mut inner, rank, false);
                inner.iter_mut().zip(&hidden).for_each(|(slope, tanh)| *slope *= 1.0 - tanh * tanh);
                multiply(View::rows(rows, self.input).transposed(), View::rows(&inner, rank), down, rank, true);
            }
        }
    }

    fn hidden(&self, rows: &[f32], rank: usize) -> Vec<f32> {
        let mut hidden = vec![0.0; rows.len() / self.input * rank];
        let down = View::rows(&self.parameters[..self.input * rank], rank);
        multiply(View::rows(rows, self.input), down, &mut hidden, rank, false);
        hidden.iter_mut().for_each(|x| *x = x.tanh());
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn new_heads_change_nothing() {
        let mut random = Random::new(81);
        let rows = check::normal(&mut random, 3 * 7);
        assert_eq!(Head::identity(7).forward(&rows), rows);
        assert_eq!(Head::low_rank(7, 2, &mut random).forward(&rows), rows);
    }

    #[test]
    fn every_parameters_gradient_matches_differences() {
        let seed = 82;
        let mut random = Random::new(seed);
        let (dim, count) = (5, 4);
        let rows = check::normal(&mut random, count * dim);
        let linear = Head::linear(check::normal(&mut random, dim * 3), 3);
        let mut low_rank = Head::low_rank(dim, 2, &mut random);
        let moved = check::normal(&mut random, low_rank.parameters().len());
        low_rank.parameters_mut().copy_from_slice(&moved);
        for head in [linear, low_rank] {
            let weights = check::normal(&mut random, count * head.output());
            let loss = |parameters: &[f32]| {
                let mut head = head.clone();
                head.parameters_mut().copy_from_slice(parameters);
                head.forward(&rows).iter().zip(&weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
            };
            let mut gradient = vec![0.0; head.parameters().len()];
            head.backward(&rows, &weights, &mut gradient);
            assert!(gradient.iter().all(|slope| *slope != 0.0), "seed {seed}: every parameter has a gradient");
            check::gradient(head.parameters(), &gradient, 1e-3, loss);
            let once = gradient.clone();
            head.backward(&rows, &weights, &mut gradient);
            assert!(gradient.iter().zip(&once).all(|(twice, once)| (twice - 2.0 * once).abs() < 1e-4), "it adds");
        }
    }
}
