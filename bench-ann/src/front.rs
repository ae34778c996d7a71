//! The Pareto front of recall and speed, and what it says at a recall target.
//!
//! Settings are compared at equal recall, and no two engines hit the same recall: between two measured points the logarithm of
//! the value is taken as linear in recall. Nothing is said beyond the last point. Where even the cheapest setting exceeds the
//! target, that setting's own value stands as a bound: it was measured, and it meets the target.

/// What a front says at a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The value, interpolated or measured.
    pub value: f64,
    /// Whether the target lies below the front, so that `value` is that of the cheapest setting measured.
    pub bound: bool,
    /// The points read: positions in the slice given, lower recall first; the same twice for a bound or an exact hit.
    pub between: (usize, usize),
}

/// Positions of the points `(recall, qps)` that no other beats in both, by rising recall and so by falling speed.
pub fn pareto(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| points[b].0.total_cmp(&points[a].0).then(points[b].1.total_cmp(&points[a].1)));
    let mut best = f64::NEG_INFINITY;
    order.retain(|&i| {
        let kept = points[i].1 > best;
        best = best.max(points[i].1);
        kept
    });
    order.reverse();
    order
}

/// The value at recall `target` along `points` of `(recall, value)`, which rise strictly in recall; values must be positive.
/// `None` when no point reaches the target.
pub fn at_recall(points: &[(f64, f64)], target: f64) -> Option<Reading> {
    let upper = points.iter().position(|&(recall, _)| recall >= target)?;
    let (recall, value) = points[upper];
    if upper == 0 || recall == target {
        return Some(Reading { value, bound: recall > target, between: (upper, upper) });
    }
    let (recall_below, value_below) = points[upper - 1];
    let share = (target - recall_below) / (recall - recall_below);
    let log = value_below.ln() + share * (value.ln() - value_below.ln());
    Some(Reading { value: log.exp(), bound: false, between: (upper - 1, upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_keeps_what_nothing_beats() {
        let points = [(0.9, 100.0), (0.8, 90.0), (0.95, 50.0), (0.95, 60.0), (0.99, 10.0), (0.97, 10.0)];
        assert_eq!(pareto(&points), [0, 3, 4]);
        assert!(pareto(&[]).is_empty());
    }

    #[test]
    fn values_are_read_on_a_log_scale_between_points() {
        let reading = at_recall(&[(0.90, 1000.0), (0.98, 10.0)], 0.94).unwrap();
        assert!((reading.value - 100.0).abs() < 1e-9, "{reading:?}");
        assert_eq!((reading.bound, reading.between), (false, (0, 1)));
    }

    #[test]
    fn nothing_is_extrapolated() {
        let points = [(0.90, 1000.0), (0.98, 10.0)];
        assert_eq!(at_recall(&points, 0.99), None);
        assert_eq!(at_recall(&points, 0.80), Some(Reading { value: 1000.0, bound: true, between: (0, 0) }));
        assert_eq!(at_recall(&points, 0.98), Some(Reading { value: 10.0, bound: false, between: (1, 1) }));
        assert_eq!(at_recall(&[], 0.5), None);
    }
}
