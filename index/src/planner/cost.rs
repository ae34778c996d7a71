//! [`Costs`]: what the ways to an answer cost on one index, and which is the cheapest.

use super::Plan;

/// Times of one index on this machine, measured on searches for a few of its own rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Nanoseconds to compare one row in a scan.
    pub row_ns: f32,
    /// Nanoseconds of one hop.
    pub hop_ns: f32,
    /// Hops of an unfiltered search for ten rows, by the index's defaults.
    pub hops: f32,
}

/// Expected nanoseconds of each way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    pub(crate) scan: f32,
    pub(crate) walk: f32,
    pub(crate) guided: f32,
}

/// A guided walk is not begun below this share of the rows: bridges lead to bridges, and slack no longer makes up for what is missed.
const LEAST_SHARE: f32 = 0.05;

impl Costs {
    /// What each way to the nearest of `matching` rows of `rows` is expected to take; `effort` is that of an unfiltered search, in such as
    /// [`hops`](Costs::hops) is of.
    ///
    /// The factors are fitted to hops and times at recall .95 and above on 60,000 images, with filters drawn at random; a walk that keeps
    /// what matches has longer hops, since more candidates wait. `bench-ann filters` shows hops and times of the ways that are chosen.
    pub(crate) fn expected(&self, rows: usize, matching: usize, effort: f32) -> Expected {
        let share = (matching as f32 / rows.max(1) as f32).max(1e-6);
        let walk = self.hops * effort * self.hop_ns;
        Expected {
            scan: matching as f32 * self.row_ns,
            walk: walk * 1.4 * (0.15 + 0.24 / share),
            guided: if share < LEAST_SHARE { f32::INFINITY } else { walk * (0.3 + 0.2 / share) },
        }
    }

    /// The cheapest way.
    pub(crate) fn plan(&self, rows: usize, matching: usize, k: usize, effort: f32) -> Plan {
        let Expected { scan, walk, guided } = self.expected(rows, matching, effort);
        if matching == 0 {
            Plan::Nothing
        } else if matching <= k || scan <= walk.min(guided) {
            Plan::Scan
        } else if walk <= guided {
            Plan::Walk
        } else {
            Plan::Guided
        }
    }

    /// Hops that cost what the scan would.
    pub(crate) fn hops_of_scan(&self, matching: usize) -> usize {
        (matching as f32 * self.row_ns / self.hop_ns.max(1.0)) as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_scanned_many_are_walked_to() {
        let costs = Costs { row_ns: 30.0, hop_ns: 1000.0, hops: 50.0 };
        let plan = |rows: usize, share: f64| costs.plan(rows, (rows as f64 * share) as usize, 10, 1.0);
        assert_eq!(plan(60_000, 0.0), Plan::Nothing);
        assert_eq!([0.0001, 0.001, 0.01, 0.03].map(|share| plan(60_000, share)), [Plan::Scan; 4]);
        assert_eq!([0.1, 0.5, 0.9, 1.0].map(|share| plan(60_000, share)), [Plan::Guided; 4]);
        assert_eq!([0.001, 0.01, 0.1].map(|share| plan(10_000_000, share)), [Plan::Scan, Plan::Walk, Plan::Guided]);
        assert_eq!(costs.plan(1 << 20, 10, 10, 1.0), Plan::Scan);
        assert_eq!(costs.hops_of_scan(30_000), 901);
    }
}
