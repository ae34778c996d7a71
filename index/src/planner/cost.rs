//! [`Costs`]: what the ways to an answer cost on one index, and which is the cheapest.

use std::time::{Duration, Instant};

use super::{Explain, Plan};
use crate::ids::Slot;
use crate::mask::Mask;

/// Rows that costs are measured with as queries.
const PROBES: usize = 8;

/// Rows that each probe compares.
const PROBE_ROWS: usize = 256;

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

/// What two searches for one row took: a walk without a filter, and a scan of a sample.
pub(crate) struct Probe {
    pub(crate) walk: Duration,
    pub(crate) hops: u64,
    pub(crate) scan: Duration,
}

/// What `work` gives, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

/// Expected nanoseconds of each way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Expected {
    scan: f32,
    walk: f32,
    guided: f32,
}

/// How a search among the rows that match goes about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) plan: Plan,
    pub(crate) matching: usize,
    rows: usize,
    /// Hops that cost what the scan would: more are not worth it.
    pub(crate) budget: usize,
    expected: Expected,
}

impl Course {
    /// `count`, as far as rows match.
    pub(crate) fn few(&self, count: usize) -> usize {
        count.min(self.matching).max(1)
    }

    /// The part of the rows that match.
    pub(crate) fn share(&self) -> f32 {
        self.matching as f32 / self.rows as f32
    }

    /// What came of it.
    pub(crate) fn explain(&self, distances: u64, hops: u64, fell_back: bool) -> Explain {
        let Expected { scan, walk, guided } = self.expected;
        Explain {
            plan: self.plan,
            matching: self.matching,
            rows: self.rows,
            scan_us: scan / 1e3,
            walk_us: walk / 1e3,
            guided_us: guided / 1e3,
            distances,
            hops,
            fell_back,
        }
    }
}

/// A guided walk is not begun below this share of the rows: bridges lead to bridges, and slack no longer makes up for what is missed.
const LEAST_SHARE: f32 = 0.05;

impl Costs {
    /// The costs of an index of `rows` rows; `probe` searches for a row of it, and compares it with those of a sample, if that can be done.
    pub(crate) fn measure(rows: usize, mut probe: impl FnMut(Slot, &Mask) -> Option<Probe>) -> Self {
        let spread = |count: usize| (0..count.min(rows)).map(move |at| Slot((at * rows / count.min(rows)) as u32));
        let mut sample = Mask::none(rows);
        spread(PROBE_ROWS).for_each(|row| sample.insert(row));
        // The least of several: what disturbs a measurement only adds to it.
        let (mut row_ns, mut hop_ns, mut hops) = (1e6_f32, 1e6_f32, 0);
        for Probe { walk, hops: made, scan } in spread(PROBES).filter_map(|row| probe(row, &sample)) {
            hop_ns = hop_ns.min(walk.as_nanos() as f32 / made.max(1) as f32);
            row_ns = row_ns.min(scan.as_nanos() as f32 / sample.len() as f32);
            hops += made;
        }
        Costs { row_ns, hop_ns, hops: (hops as f32 / PROBES.min(rows).max(1) as f32).max(1.0) }
    }

    /// The cheapest way to the `k` nearest of `matching` rows of `rows`, or the way `plan` if that is asked for. `effort` is that of an
    /// unfiltered search, in such as [`hops`](Costs::hops) is of; `guides` says whether the index has guided walks.
    pub(crate) fn course(
        &self,
        (rows, matching): (usize, usize),
        k: usize,
        effort: f32,
        plan: Option<Plan>,
        guides: bool,
    ) -> Course {
        let expected = self.expected(rows, matching, effort, guides);
        let plan = plan.unwrap_or_else(|| expected.plan(matching, k));
        Course { plan, matching, rows, budget: self.hops_of_scan(matching), expected }
    }

    /// What each way is expected to take.
    ///
    /// The factors are fitted to hops and times at recall .95 and above on 60,000 images, with filters drawn at random; a walk that keeps
    /// what matches has longer hops, since more candidates wait. `bench-ann filters` shows hops and times of the ways that are chosen.
    fn expected(&self, rows: usize, matching: usize, effort: f32, guides: bool) -> Expected {
        let share = (matching as f32 / rows.max(1) as f32).max(1e-6);
        let walk = self.hops * effort * self.hop_ns;
        Expected {
            scan: matching as f32 * self.row_ns,
            walk: walk * 1.4 * (0.15 + 0.24 / share),
            guided: if guides && share >= LEAST_SHARE { walk * (0.3 + 0.2 / share) } else { f32::INFINITY },
        }
    }

    fn hops_of_scan(&self, matching: usize) -> usize {
        (matching as f32 * self.row_ns / self.hop_ns.max(1.0)) as usize + 1
    }
}

impl Expected {
    /// The cheapest way to the `k` nearest of `matching` rows.
    fn plan(self, matching: usize, k: usize) -> Plan {
        let Expected { scan, walk, guided } = self;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_scanned_many_are_walked_to() {
        let costs = Costs { row_ns: 30.0, hop_ns: 1000.0, hops: 50.0 };
        let course = |rows: usize, matching: usize, guides| costs.course((rows, matching), 10, 1.0, None, guides);
        let plan = |rows: usize, share: f64| course(rows, (rows as f64 * share) as usize, true).plan;
        assert_eq!(plan(60_000, 0.0), Plan::Nothing);
        assert_eq!([0.0001, 0.001, 0.01, 0.03].map(|share| plan(60_000, share)), [Plan::Scan; 4]);
        assert_eq!([0.1, 0.5, 0.9, 1.0].map(|share| plan(60_000, share)), [Plan::Guided; 4]);
        assert_eq!([0.001, 0.01, 0.1].map(|share| plan(10_000_000, share)), [Plan::Scan, Plan::Walk, Plan::Guided]);
        assert_eq!(course(1 << 20, 10, true).plan, Plan::Scan);
        assert_eq!(course(10_000_000, 1_000_000, false).plan, Plan::Walk);
        assert_eq!(course(60_000, 30_000, true).budget, 901);
    }
}
