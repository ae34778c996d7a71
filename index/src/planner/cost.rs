//! [`Costs`]: what the ways to an answer cost on one index, and which is the cheapest.

use std::time::{Duration, Instant};

use super::{Explain, Plan};
use crate::distance::fastscan::LANES;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::sketch::Sketch;

/// Rows that costs are measured with as queries.
const PROBES: usize = 8;

/// Rows that each probe compares.
const PROBE_ROWS: usize = 256;

/// Blocks that each probe of a sketch estimates: so many, one after the other as a scan reads them, in each of so many places.
const PROBE_BLOCKS: usize = 64;
const PROBE_PLACES: usize = 8;

/// Times of one index on this machine, measured on searches for a few of its own rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Nanoseconds to compare one row in a scan.
    pub row_ns: f32,
    /// Nanoseconds of one hop.
    pub hop_ns: f32,
    /// Hops of an unfiltered search for ten rows, by the index's defaults.
    pub hops: f32,
    /// Of a coded scan, if the index has a sketch.
    pub coded: Option<CodedCosts>,
}

/// Of a coded scan on one index, measured likewise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodedCosts {
    /// Nanoseconds to estimate a block of 32 rows.
    pub block_ns: f32,
    /// Of rows that were estimated, the part that was compared.
    pub compared: f32,
}

/// What is searched for, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) rows: usize,
    pub(crate) matching: usize,
    /// Blocks of [`LANES`] rows of which one matches at least; none where there is no sketch.
    pub(crate) blocks: usize,
    pub(crate) k: usize,
    /// That of an unfiltered search, in such as [`Costs::hops`] is of.
    pub(crate) effort: f32,
    /// Whether the index has guided walks.
    pub(crate) guides: bool,
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
    coded: f32,
    walk: f32,
    guided: f32,
}

/// How a search among the rows that match goes about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) plan: Plan,
    pub(crate) matching: usize,
    rows: usize,
    /// Whether rows that are compared one by one are so by a coded scan.
    pub(crate) by_codes: bool,
    /// Hops that cost what the cheaper scan would: more are not worth it.
    pub(crate) budget: usize,
    /// Of a walk through all rows.
    expected_hops: f32,
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

    /// Hops after which a walk through all rows is not what it was expected to be.
    pub(crate) fn patience(&self) -> usize {
        self.budget.min((PATIENCE * self.expected_hops) as usize + 1)
    }

    /// What came of it.
    pub(crate) fn explain(&self, (estimates, distances): (u64, u64), hops: u64, fell_back: bool) -> Explain {
        let Expected { scan, coded, walk, guided } = self.expected;
        Explain {
            plan: self.plan,
            matching: self.matching,
            rows: self.rows,
            scan_us: scan / 1e3,
            coded_us: coded / 1e3,
            walk_us: walk / 1e3,
            guided_us: guided / 1e3,
            estimates,
            distances,
            hops,
            fell_back,
        }
    }
}

/// A walk through all rows that takes so many times the hops it should finds what matches too far away.
const PATIENCE: f32 = 4.0;

/// A guided walk is not begun below this share of the rows: bridges lead to bridges, and slack no longer makes up for what is missed.
const LEAST_SHARE: f32 = 0.05;

impl Costs {
    /// The costs of an index of `rows` rows; `probe` searches for a row of it, and compares it with those of a sample, if that can be done.
    pub(crate) fn measure(rows: usize, mut probe: impl FnMut(Slot, &Mask) -> Option<Probe>) -> Self {
        let mut sample = Mask::none(rows);
        spread(PROBE_ROWS, rows).for_each(|row| sample.insert(row));
        // The least of several: what disturbs a measurement only adds to it.
        let (mut row_ns, mut hop_ns, mut hops) = (1e6_f32, 1e6_f32, 0);
        for Probe { walk, hops: made, scan } in spread(PROBES, rows).filter_map(|row| probe(row, &sample)) {
            hop_ns = hop_ns.min(walk.as_nanos() as f32 / made.max(1) as f32);
            row_ns = row_ns.min(scan.as_nanos() as f32 / sample.len() as f32);
            hops += made;
        }
        Costs { row_ns, hop_ns, hops: (hops as f32 / PROBES.min(rows).max(1) as f32).max(1.0), coded: None }
    }

    /// The cheapest way to what is asked for, or the way `plan` if there is such.
    pub(crate) fn course(&self, asked: Asked, plan: Option<Plan>) -> Course {
        let expected = self.expected(asked);
        let plan = plan.filter(|&plan| plan != Plan::Coded || self.coded.is_some());
        let plan = plan.unwrap_or_else(|| expected.plan(asked.matching, asked.k));
        let by_codes = plan == Plan::Coded || (plan != Plan::Scan && expected.coded < expected.scan);
        let hop_ns = self.hop_ns.max(1.0);
        let budget = (expected.scan.min(expected.coded) / hop_ns) as usize + 1;
        let expected_hops = expected.walk / hop_ns;
        Course { plan, matching: asked.matching, rows: asked.rows, by_codes, budget, expected_hops, expected }
    }

    /// What each way is expected to take.
    ///
    /// The factors are fitted to hops and times at recall .95 and above on 60,000 images, with filters drawn at random; a walk that keeps
    /// what matches has longer hops, since more candidates wait. `bench-ann filters` shows hops and times of the ways that are chosen.
    fn expected(&self, Asked { rows, matching, blocks, k, effort, guides }: Asked) -> Expected {
        let share = (matching as f32 / rows.max(1) as f32).max(1e-6);
        let walk = self.hops * effort * self.hop_ns;
        let coded = self.coded.map_or(f32::INFINITY, |CodedCosts { block_ns, compared }| {
            blocks as f32 * block_ns + ((2 * k) as f32 + matching as f32 * compared) * self.row_ns
        });
        Expected {
            scan: matching as f32 * self.row_ns,
            coded,
            walk: walk * (0.05 + 0.28 / share),
            guided: if guides && share >= LEAST_SHARE { walk * (0.6 + 0.18 / share) } else { f32::INFINITY },
        }
    }
}

impl CodedCosts {
    /// The costs of `sketch`; `probe` searches for a row of it among those of a sample, whole blocks of them, and says how long
    /// it took and how many were compared, at `row_ns` each.
    pub(crate) fn measure(
        sketch: &Sketch,
        row_ns: f32,
        mut probe: impl FnMut(Slot, &Mask) -> Option<(Duration, u64)>,
    ) -> Self {
        let rows = sketch.len();
        let blocks = sketch.blocks();
        let mut sample = Mask::none(rows);
        for place in 0..PROBE_PLACES {
            let (first, end) = (place * blocks / PROBE_PLACES, (place + 1) * blocks / PROBE_PLACES);
            let end = end.min(first + PROBE_BLOCKS);
            sketch.rows_of(first..end).for_each(|row| sample.insert(row));
        }
        let sampled = sample.len().max(1) as f32;
        let (mut block_ns, mut compared, mut probes) = (1e6_f32, 0, 0);
        for (time, distances) in spread(PROBES, rows).filter_map(|row| probe(row, &sample)) {
            let estimating = (time.as_nanos() as f32 - distances as f32 * row_ns).max(0.2 * time.as_nanos() as f32);
            block_ns = block_ns.min(estimating * LANES as f32 / sampled);
            compared += distances;
            probes += 1;
        }
        CodedCosts { block_ns, compared: compared as f32 / (probes.max(1) as f32 * sampled) }
    }
}

impl Expected {
    /// The cheapest way to the `k` nearest of `matching` rows.
    fn plan(self, matching: usize, k: usize) -> Plan {
        let Expected { scan, coded, walk, guided } = self;
        if matching == 0 {
            Plan::Nothing
        } else if matching <= k || scan <= walk.min(guided).min(coded) {
            Plan::Scan
        } else if coded <= walk.min(guided) {
            Plan::Coded
        } else if walk <= guided {
            Plan::Walk
        } else {
            Plan::Guided
        }
    }
}

/// So many of `rows` rows, as far apart as they go.
fn spread(count: usize, rows: usize) -> impl Iterator<Item = Slot> {
    let count = count.min(rows);
    (0..count).map(move |at| Slot((at * rows / count) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_scanned_many_are_walked_to() {
        let costs = Costs { row_ns: 30.0, hop_ns: 1000.0, hops: 50.0, coded: None };
        let course = |rows: usize, matching: usize, guides| {
            costs.course(Asked { rows, matching, blocks: 0, k: 10, effort: 1.0, guides }, None)
        };
        let plan = |rows: usize, share: f64| course(rows, (rows as f64 * share) as usize, true).plan;
        assert_eq!(plan(60_000, 0.0), Plan::Nothing);
        assert_eq!([0.0001, 0.001, 0.01, 0.03].map(|share| plan(60_000, share)), [Plan::Scan; 4]);
        assert_eq!([0.05, 0.1, 0.15].map(|share| plan(60_000, share)), [Plan::Scan, Plan::Guided, Plan::Guided]);
        assert_eq!([0.2, 0.5, 0.9, 1.0].map(|share| plan(60_000, share)), [Plan::Walk; 4]);
        assert_eq!([0.001, 0.01, 0.1].map(|share| plan(10_000_000, share)), [Plan::Scan, Plan::Walk, Plan::Guided]);
        assert_eq!(course(1 << 20, 10, true).plan, Plan::Scan);
        assert_eq!(course(10_000_000, 1_000_000, false).plan, Plan::Walk);
        assert_eq!(course(60_000, 30_000, true).budget, 901);
    }

    #[test]
    fn a_sketch_stands_between_a_scan_and_a_walk() {
        let coded = Some(CodedCosts { block_ns: 30.0, compared: 0.01 });
        let costs = Costs { row_ns: 30.0, hop_ns: 1000.0, hops: 50.0, coded };
        // Filters drawn at random leave hardly a block out, unless few rows match.
        let course = |rows: usize, matching: usize, plan| {
            let asked = Asked { rows, matching, blocks: matching.min(rows / 32), k: 10, effort: 1.0, guides: true };
            costs.course(asked, plan)
        };
        let plan = |rows: usize, matching: usize| course(rows, matching, None).plan;
        assert_eq!([0, 10, 1000].map(|matching| plan(60_000, matching)), [Plan::Nothing, Plan::Scan, Plan::Scan]);
        assert_eq!([6000, 30_000].map(|matching| plan(60_000, matching)), [Plan::Coded, Plan::Walk]);
        assert_eq!(plan(10_000_000, 10_000), Plan::Scan);
        // A walk that is given up ends in the scan that is asked for, or else the cheaper one.
        let given_up = course(60_000, 30_000, Some(Plan::Walk));
        assert!(given_up.by_codes && given_up.budget == 66, "{given_up:?}");
        assert!(!course(60_000, 30_000, Some(Plan::Scan)).by_codes);
    }
}
