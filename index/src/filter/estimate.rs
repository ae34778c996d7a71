//! [`Estimate`]: how many rows match, before any is looked at.
//!
//! Bounds are sure; what is expected takes conditions as independent of each other.

/// A number of rows.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// No fewer match.
    pub min: usize,
    /// About as many match.
    pub expected: f64,
    /// No more match.
    pub max: usize,
}

impl Estimate {
    /// Just so many.
    pub fn exact(count: usize) -> Self {
        Estimate { min: count, expected: count as f64, max: count }
    }

    /// Between `min` and `max`, about half way unless more is known.
    pub fn between(min: usize, max: usize) -> Self {
        Estimate { min, expected: (min + max) as f64 / 2.0, max }
    }

    /// `also` more rows may match.
    pub(super) fn and_maybe(self, also: usize, total: usize) -> Self {
        let max = (self.max + also).min(total);
        Estimate { max, expected: (self.expected + also as f64 / 2.0).min(max as f64), ..self }
    }

    /// What does not match, of `total` rows.
    pub fn not(self, total: usize) -> Self {
        Estimate {
            min: total.saturating_sub(self.max),
            expected: total as f64 - self.expected,
            max: total.saturating_sub(self.min),
        }
    }

    /// What matches all of `conditions`.
    pub fn all(conditions: &[Estimate], total: usize) -> Self {
        let missed: usize = conditions.iter().map(|one| total.saturating_sub(one.min)).sum();
        let part = |one: &Estimate| one.expected / total.max(1) as f64;
        Estimate {
            min: total.saturating_sub(missed),
            expected: total as f64 * conditions.iter().map(part).product::<f64>(),
            max: conditions.iter().map(|one| one.max).min().unwrap_or(total).min(total),
        }
        .settled()
    }

    /// What matches at least `least` of `conditions`.
    pub fn at_least(least: usize, conditions: &[Estimate], total: usize) -> Self {
        if least == 0 {
            return Self::exact(total);
        }
        if least > conditions.len() {
            return Self::exact(0);
        }
        // A row that matches counts `least` times at least and as often as there are conditions at most.
        let (found, most): (usize, usize) = conditions.iter().fold((0, 0), |(a, b), one| (a + one.min, b + one.max));
        let fewest = found.saturating_sub((least - 1) * total).div_ceil(conditions.len() - least + 1);
        let largest = if least == 1 { conditions.iter().map(|one| one.min).max().unwrap_or(0) } else { 0 };
        // `chances[n]` of n conditions met so far, the last of `least` and more.
        let mut chances = vec![0.0; least + 1];
        chances[0] = 1.0;
        for one in conditions {
            let part = one.expected / total.max(1) as f64;
            for met in (1..=least).rev() {
                let stays = if met == least { chances[met] } else { chances[met] * (1.0 - part) };
                chances[met] = stays + chances[met - 1] * part;
            }
            chances[0] *= 1.0 - part;
        }
        Estimate { min: fewest.max(largest), expected: total as f64 * chances[least], max: total.min(most / least) }
            .settled()
    }

    /// Of rows of which `dead` are no more and `live` are left.
    pub(super) fn living(self, live: usize, dead: usize) -> Self {
        let expected = self.expected * live as f64 / (live + dead).max(1) as f64;
        Estimate { min: self.min.saturating_sub(dead).min(live), expected, max: self.max.min(live) }.settled()
    }

    fn settled(mut self) -> Self {
        self.expected = self.expected.clamp(self.min as f64, self.max.max(self.min) as f64);
        self
    }
}
