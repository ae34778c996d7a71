//! How evenly a memory's slots are used: what Lample et al. (arXiv:1907.05242, section 4.4) call memory usage and divergence.

use super::error::MemoryError;

/// Weights that slots were read with, added up over many lookups.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    mass: Vec<f64>,
}

impl Usage {
    /// Nothing read yet, of `slots`.
    pub fn new(slots: usize) -> Self {
        Usage { mass: vec![0.0; slots] }
    }

    /// Adds reads. Errors if weights and ids differ in number, or an id is no slot.
    pub fn add(&mut self, ids: &[u32], weights: &[f32]) -> Result<(), MemoryError> {
        if ids.len() != weights.len() {
            return Err(MemoryError::Numbers { what: "weights", expected: ids.len(), found: weights.len() });
        }
        if let Some(&found) = ids.iter().find(|&&id| id as usize >= self.mass.len()) {
            return Err(MemoryError::Id { len: self.mass.len(), found });
        }
        ids.iter().zip(weights).for_each(|(&id, &weight)| self.mass[id as usize] += f64::from(weight));
        Ok(())
    }

    /// The part of the slots that were read at all.
    pub fn used(&self) -> f64 {
        self.mass.iter().filter(|&&mass| mass > 0.0).count() as f64 / self.mass.len() as f64
    }

    /// Kullback-Leibler divergence of the use from even use, in nats: 0 if all slots are used alike, `ln slots` if one is.
    /// 0 before anything is read.
    pub fn divergence(&self) -> f64 {
        let sum: f64 = self.mass.iter().sum();
        if sum <= 0.0 {
            return 0.0;
        }
        let shares = self.mass.iter().map(|mass| mass / sum).filter(|&share| share > 0.0);
        (self.mass.len() as f64).ln() + shares.map(|share| share * share.ln()).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_use_has_no_divergence_and_a_single_slot_the_most() {
        let mut usage = Usage::new(8);
        assert_eq!((usage.used(), usage.divergence()), (0.0, 0.0));
        usage.add(&[3, 3], &[0.5, 1.5]).unwrap();
        assert!(usage.used() == 0.125 && (usage.divergence() - 8.0_f64.ln()).abs() < 1e-12);
        usage.add(&[0, 1, 2, 4, 5, 6, 7], &[2.0; 7]).unwrap();
        assert!(usage.used() == 1.0 && usage.divergence().abs() < 1e-12);
        let error = usage.add(&[8], &[1.0]).unwrap_err().to_string();
        assert_eq!(error, "expected an id below 8, found 8");
    }
}
