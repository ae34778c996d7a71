//! A linear layer of a transformer, and the product that fits the number of rows.
//!
//! Weights are held twice, 6 bytes each: as files have them for many rows, in 16 bits for few. The layers of all-MiniLM-L6-v2 take 64 MB.

use super::few_rows::{self, Panels};
use super::gemm::{self, View};
use super::ops;
use crate::model::ModelError;
use crate::model::weights::Tensors;
use pulp::Arch;

/// `y = x · weightᵀ + bias`.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// `[outputs × inputs]`
    weight: Vec<f32>,
    /// The same, rounded.
    panels: Panels,
    pub(crate) bias: Vec<f32>,
}

/// The tensors of a linear layer. `weight: [outputs × inputs]`, `bias: [outputs]`.
pub(super) fn read(tensors: &Tensors<'_>, name: &str, shape: [usize; 2]) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
    let weight = tensors.get(&format!("{name}.weight"), &shape)?;
    Ok((weight, tensors.get(&format!("{name}.bias"), &shape[..1])?))
}

impl Linear {
    pub(crate) fn open(tensors: &Tensors<'_>, name: &str, shape: [usize; 2]) -> Result<Self, ModelError> {
        let (weight, bias) = read(tensors, name, shape)?;
        Ok(Linear::new(weight, bias))
    }

    /// A layer of weights that are there already. `weight: [bias.len() × inputs]`.
    pub(crate) fn new(weight: Vec<f32>, bias: Vec<f32>) -> Self {
        let inputs = weight.len() / bias.len();
        assert_eq!(weight.len(), bias.len() * inputs, "a matrix of {} × {inputs}", bias.len());
        Linear { panels: Panels::new(&weight, inputs), weight, bias }
    }

    /// The product without the bias. `x: [rows × inputs]`, `out: [rows × outputs]`.
    pub(crate) fn product(&self, arch: Arch, x: &[f32], out: &mut [f32]) {
        self.multiply(arch, x, out, false);
    }

    /// Product and bias.
    pub(crate) fn apply(&self, arch: Arch, x: &[f32], out: &mut [f32]) {
        ops::fill(arch, out, &self.bias);
        self.multiply(arch, x, out, true);
    }

    fn multiply(&self, arch: Arch, x: &[f32], out: &mut [f32], add: bool) {
        let inputs = self.weight.len() / self.bias.len();
        if x.len() <= few_rows::MOST_ROWS * inputs {
            few_rows::multiply(arch, x, &self.panels, out, add);
        } else {
            let columns = View::rows(&self.weight, inputs).transposed();
            gemm::multiply(View::rows(x, inputs), columns, out, self.bias.len(), add);
        }
    }
}
