//! How parameters move: Adam with decoupled weight decay, a warm-up, and gradients cut to a length.
//!
//! Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (arXiv:1711.05101). The learning rate rises evenly over the
//! warm-up and stays; gradients longer than `clip`, all parameters together, are scaled to it.

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct AdamParams {
    /// Learning rate after the warm-up.
    pub rate: f32,
    /// Steps until then.
    pub warm_up: u32,
    /// Part of each parameter taken away per step, times the rate.
    pub decay: f32,
    /// Longest gradient; infinite for no limit.
    pub clip: f32,
}

/// The running means of one list of parameters.
#[derive(Debug, Clone)]
pub struct Adam {
    params: AdamParams,
    steps: i32,
    means: Vec<f32>,
    squares: Vec<f32>,
}

const MEAN_DECAY: f32 = 0.9;
const SQUARE_DECAY: f32 = 0.999;
const FLOOR: f32 = 1e-8;

impl Adam {
    /// For `count` parameters.
    pub fn new(params: AdamParams, count: usize) -> Adam {
        Adam { params, steps: 0, means: vec![0.0; count], squares: vec![0.0; count] }
    }

    /// Moves `parameters` against `gradient`. Panics if they are not as many as before.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32]) {
        assert!(parameters.len() == self.means.len() && gradient.len() == self.means.len(), "the same parameters");
        self.steps += 1;
        let AdamParams { rate, warm_up, decay, clip } = self.params;
        let length = gradient.iter().map(|&slope| f64::from(slope).powi(2)).sum::<f64>().sqrt() as f32;
        let shrink = if length > clip { clip / length } else { 1.0 };
        let rate = rate * (self.steps as f32 / (warm_up + 1) as f32).min(1.0);
        let (whole_mean, whole_square) = (1.0 - MEAN_DECAY.powi(self.steps), 1.0 - SQUARE_DECAY.powi(self.steps));
        let state = self.means.iter_mut().zip(&mut self.squares);
        for ((parameter, slope), (mean, square)) in parameters.iter_mut().zip(gradient).zip(state) {
            let slope = slope * shrink;
            *mean = MEAN_DECAY * *mean + (1.0 - MEAN_DECAY) * slope;
            *square = SQUARE_DECAY * *square + (1.0 - SQUARE_DECAY) * slope * slope;
            let move_by = *mean / whole_mean / ((*square / whole_square).sqrt() + FLOOR);
            *parameter -= rate * (move_by + decay * *parameter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: AdamParams = AdamParams { rate: 0.1, warm_up: 0, decay: 0.0, clip: f32::INFINITY };

    #[test]
    fn steps_are_those_of_the_paper() {
        // Worked by hand: gradients 1 then 0.5; the first step is the rate whatever the gradient's size.
        let mut adam = Adam::new(PLAIN, 1);
        let mut at = [1.0];
        adam.step(&mut at, &[1.0]);
        assert!((at[0] - 0.9).abs() < 1e-6);
        adam.step(&mut at, &[0.5]);
        let mean = (0.9 * 0.1 + 0.1 * 0.5) / (1.0 - 0.81);
        let square: f64 = (0.999 * 0.001 + 0.001 * 0.25) / (1.0 - 0.998_001);
        assert!((f64::from(at[0]) - (0.9 - 0.1 * mean / square.sqrt())).abs() < 1e-5);

        let mut decayed = Adam::new(AdamParams { decay: 0.5, warm_up: 1, ..PLAIN }, 1);
        let mut at = [2.0];
        decayed.step(&mut at, &[0.0]);
        assert!((at[0] - (2.0 - 0.05 * 0.5 * 2.0)).abs() < 1e-6, "half the rate at the first of the warm-up's steps");
    }

    #[test]
    fn finds_a_minimum_and_clips() {
        let slope = |at: &[f32]| vec![2.0 * (at[0] - 3.0), 20.0 * (at[1] + 1.0)];
        let mut at = [0.0, 0.0];
        let mut adam = Adam::new(PLAIN, 2);
        for _ in 0..500 {
            let gradient = slope(&at);
            adam.step(&mut at, &gradient);
        }
        assert!((at[0] - 3.0).abs() < 1e-2 && (at[1] + 1.0).abs() < 1e-2, "{at:?}");

        let mut clipped = Adam::new(AdamParams { clip: 1.0, ..PLAIN }, 2);
        clipped.step(&mut [0.0, 0.0], &[3.0, 4.0]);
        assert!((clipped.means[0] - 0.06).abs() < 1e-6 && (clipped.means[1] - 0.08).abs() < 1e-6);
    }
}
