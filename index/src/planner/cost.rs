//! [`Costs`]: what the ways to an answer cost on one index, and which is the cheapest.

use std::time::{Duration, Instant};

use super::{Explain, Plan};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::sketch::Sketch;

/// Rows that costs are measured with as queries.
const PROBES: usize = 8;

/// How often each searches.
const ROUNDS: usize = 2;

/// Rows that each probe compares.
const PROBE_ROWS: usize = 256;

/// Results that each asks for, as searches do by their defaults.
const PROBE_RESULTS: usize = 10;

/// Rows that match where a coded scan takes little more than its fixed part.
const FEW_ROWS: usize = 32;

/// The part of the rows, one of so many, that match where a coded scan finds some in nearly every block.
const ONE_OF: usize = 8;

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
    /// Nanoseconds of a scan that estimates hardly a block: to make the query ready, and to find out which cells and blocks to look at.
    pub fixed_ns: f32,
    /// Nanoseconds that each block of 32 rows of which some match adds in the mean, whether it is estimated or lies too far.
    pub block_ns: f32,
    /// Of rows that were estimated, the part that was compared.
    pub compared: f32,
}

/// What is searched for, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) rows: usize,
    pub(crate) matching: usize,
    /// Blocks of 32 rows of which one matches at least; none where there is no sketch.
    pub(crate) blocks: usize,
    pub(crate) k: usize,
    /// That of an unfiltered search, in such as [`Costs::hops`] is of.
    pub(crate) effort: f32,
    /// Whether the index has guided walks.
    pub(crate) guides: bool,
    /// Rows drawn at random by which the index can tell what lies near the query; none where it has no such.
    pub(crate) entries: usize,
    /// What they show, once they were [looked at](Costs::asks_what_is_near).
    pub(crate) near: Option<Near>,
}

/// Of some rows of a sample, those nearest to a query, how many match.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Near {
    pub(crate) matching: u32,
    pub(crate) of: u32,
}

impl Near {
    /// Rows of the sample that are taken to be near, if it has as many: more would lie too far, and of fewer too many would match by chance.
    pub(crate) const OF: u32 = 32;
}

impl Asked {
    /// The part of the rows that match.
    fn share(&self) -> f32 {
        (self.matching as f32 / self.rows.max(1) as f32).max(1e-6)
    }

    /// The part of those near the query: the same, unless a sample shows another than chance would.
    fn share_near(&self) -> f32 {
        let share = self.share();
        let Some(Near { matching, of }) = self.near else { return share };
        // Numbers that are about Poisson's differ by chance as normal ones of variance ¼ do, once their roots are taken (Anscombe).
        let root = |count: f32| (count + 0.375).sqrt();
        if (root(matching as f32) - root(share * of as f32)).abs() < 0.5 * BY_CHANCE {
            return share;
        }
        // As if one more were seen, which matches as what is elsewhere.
        (matching as f32 + share) / (of + 1) as f32
    }
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
    /// The part of the rows near the query that match, as far as it is known.
    pub(crate) share_near: f32,
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

/// Standard deviations by which what is near a query must match more or less than what is elsewhere, not to be taken for chance.
const BY_CHANCE: f32 = 2.0;

impl Costs {
    /// The costs of an index of `rows` rows; `probe` searches for a row of it, and compares it with those of a sample, if that can be done.
    pub(crate) fn measure(rows: usize, mut probe: impl FnMut(Slot, &Mask) -> Option<Probe>) -> Self {
        // The least of several: what disturbs a measurement only adds to it.
        let (mut row_ns, mut hop_ns, mut hops) = (1e6_f32, 1e6_f32, 0);
        // Twice, for the first time the pages of a mapped file may have to be found.
        for (number, row) in (0..ROUNDS).flat_map(|_| spread(PROBES, rows).enumerate()) {
            // Other rows each time: those of the last are still in the nearest cache.
            let mut sample = Mask::none(rows);
            let next = number * rows / (PROBES * PROBE_ROWS);
            spread(PROBE_ROWS, rows).for_each(|row| sample.insert(Slot((row.0 + next as u32).min(rows as u32 - 1))));
            let Some(Probe { walk, hops: made, scan }) = probe(row, &sample) else { continue };
            hop_ns = hop_ns.min(walk.as_nanos() as f32 / made.max(1) as f32);
            row_ns = row_ns.min(scan.as_nanos() as f32 / sample.len() as f32);
            hops += made;
        }
        let probes = ROUNDS * PROBES.min(rows);
        Costs { row_ns, hop_ns, hops: (hops as f32 / probes.max(1) as f32).max(1.0), coded: None }
    }

    /// Whether what is near the query tells which way to go, `plan` if it is given: not where a scan costs less than any walk, however
    /// many of the rows that match are near.
    fn asks_what_is_near(&self, asked: Asked, plan: Option<Plan>) -> bool {
        let may_walk = || {
            // Of the entries so many match, hardly ever more.
            let mean = asked.entries as f32 * asked.share();
            let matching = ((mean + 2.0 * mean.sqrt()) as u32).min(Near::OF);
            let Expected { scan, coded, walk, guided } =
                self.expected(Asked { near: Some(Near { matching, of: Near::OF }), ..asked });
            asked.matching > asked.k && walk.min(guided) < scan.min(coded)
        };
        asked.entries > 0 && plan.map_or_else(may_walk, |plan| matches!(plan, Plan::Walk | Plan::Guided))
    }

    /// As [`course`](Costs::course), once `near` has looked at what lies near the query, where that tells; and whether it has.
    pub(crate) fn course_looking<E>(
        &self,
        asked: Asked,
        plan: Option<Plan>,
        near: impl FnOnce() -> Result<Near, E>,
    ) -> Result<(Course, bool), E> {
        let looked = self.asks_what_is_near(asked, plan);
        let near = if looked { Some(near()?) } else { None };
        Ok((self.course(Asked { near, ..asked }, plan), looked))
    }

    /// The cheapest way to what is asked for, or the way `plan` if there is such.
    pub(crate) fn course(&self, asked: Asked, plan: Option<Plan>) -> Course {
        let expected = self.expected(asked);
        let plan = plan.filter(|&plan| plan != Plan::Coded || self.coded.is_some());
        let plan = plan.unwrap_or_else(|| expected.plan(asked.matching, asked.k));
        let by_codes = plan == Plan::Coded || (plan != Plan::Scan && expected.coded < expected.scan);
        let hop_ns = self.hop_ns.max(1.0);
        let budget = (expected.scan.min(expected.coded) / hop_ns) as usize + 1;
        // Patience is for the longer of what is expected: more that matches near the query does not make a walk worse than it was.
        let expected_hops = self.walk(asked.effort, asked.share().min(asked.share_near())) / hop_ns;
        let (matching, rows, share_near) = (asked.matching, asked.rows, asked.share_near());
        Course { plan, matching, rows, share_near, by_codes, budget, expected_hops, expected }
    }

    /// What each way is expected to take.
    ///
    /// The factors are fitted to hops and times at recall .95 and above on 60,000 images, with filters drawn at random; a walk that keeps
    /// what matches has longer hops, since more candidates wait. A walk meets the rows near the query alone, so it takes what it would if
    /// as many matched everywhere as do there. `bench-ann filters` shows hops and times of the ways that are chosen.
    fn expected(&self, asked: Asked) -> Expected {
        let (Asked { matching, blocks, k, effort, guides, .. }, share) = (asked, asked.share_near());
        let coded = self.coded.map_or(f32::INFINITY, |CodedCosts { fixed_ns, block_ns, compared }| {
            let distances = (2 * k) as f32 + matching as f32 * compared;
            fixed_ns + blocks as f32 * block_ns + distances * self.row_ns
        });
        Expected {
            scan: matching as f32 * self.row_ns,
            coded,
            walk: self.walk(effort, share),
            guided: if guides && share >= LEAST_SHARE {
                self.hops * effort * self.hop_ns * (0.5 + 0.18 / share)
            } else {
                f32::INFINITY
            },
        }
    }

    /// Of a walk through all rows, where such a share matches.
    fn walk(&self, effort: f32, share: f32) -> f32 {
        self.hops * effort * self.hop_ns * (0.05 + 0.28 / share)
    }
}

impl CodedCosts {
    /// The costs of `sketch`; `probe` searches for the ten nearest to a row of it among those of a sample, and says how long it took and
    /// how many were compared, at `row_ns` each.
    ///
    /// Two samples tell the fixed part from what blocks add: of so few rows that hardly a block is estimated, and of so many that rows match
    /// in nearly every block, of which the scan estimates those that do not lie far, as it does for any such filter.
    pub(crate) fn measure(
        sketch: &Sketch,
        row_ns: f32,
        mut probe: impl FnMut(Slot, &Mask) -> Option<(Duration, u64)>,
    ) -> Self {
        let rows = sketch.len();
        // Nanoseconds but for comparisons, and comparisons.
        let mut of = |sample: &Mask| {
            let probes = spread(PROBES, rows).filter_map(|row| probe(row, sample));
            // However long comparisons were measured to take, half of a scan at the least is something else.
            let rest = |time: f32, distances: f32| (time - distances * row_ns).max(0.5 * time);
            let (mut times, compared): (Vec<f32>, Vec<f32>) = probes
                .map(|(time, distances)| (rest(time.as_nanos() as f32, distances as f32), distances as f32))
                .unzip();
            // Scans differ by what lies near, so the least would be too little; the middle one is hardly ever disturbed.
            times.sort_unstable_by(f32::total_cmp);
            let middle = times.get(times.len() / 2).copied().unwrap_or(0.0);
            (middle, compared.iter().sum::<f32>() / compared.len().max(1) as f32)
        };
        let (mut few, mut many) = (Mask::none(rows), Mask::none(rows));
        spread(FEW_ROWS, rows).for_each(|row| few.insert(row));
        spread(rows.div_ceil(ONE_OF), rows).for_each(|row| many.insert(row));
        let ((fixed, _), (scan, compared)) = (of(&few), of(&many));
        let fixed_ns = fixed.min(scan);
        CodedCosts {
            fixed_ns,
            block_ns: (scan - fixed_ns) / sketch.blocks_of(&many).max(1) as f32,
            compared: (compared - (2 * PROBE_RESULTS) as f32).max(0.0) / many.len().max(1) as f32,
        }
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
    use crate::metric::{ElementType, Metric};
    use crate::params::BuildOptions;
    use crate::spec::VectorSpec;

    /// Ten of `matching` rows, of an index with a sample and guided walks.
    fn asked(rows: usize, matching: usize, blocks: usize) -> Asked {
        Asked { rows, matching, blocks, k: 10, effort: 1.0, guides: true, entries: 256, near: None }
    }

    #[test]
    fn few_are_scanned_many_are_walked_to() {
        let costs = Costs { row_ns: 30.0, hop_ns: 1000.0, hops: 50.0, coded: None };
        let course = |rows, matching, guides| costs.course(Asked { guides, ..asked(rows, matching, 0) }, None);
        let plan = |rows: usize, share: f64| course(rows, (rows as f64 * share) as usize, true).plan;
        assert_eq!(plan(60_000, 0.0), Plan::Nothing);
        assert_eq!([0.0001, 0.001, 0.01, 0.03].map(|share| plan(60_000, share)), [Plan::Scan; 4]);
        assert_eq!([0.05, 0.1, 0.2].map(|share| plan(60_000, share)), [Plan::Scan, Plan::Guided, Plan::Guided]);
        assert_eq!([0.25, 0.5, 0.9, 1.0].map(|share| plan(60_000, share)), [Plan::Walk; 4]);
        assert_eq!([0.001, 0.01, 0.1].map(|share| plan(10_000_000, share)), [Plan::Scan, Plan::Walk, Plan::Guided]);
        assert_eq!(course(1 << 20, 10, true).plan, Plan::Scan);
        assert_eq!(course(10_000_000, 1_000_000, false).plan, Plan::Walk);
        assert_eq!(course(60_000, 30_000, true).budget, 901);
    }

    #[test]
    fn a_sketch_stands_between_a_scan_and_a_walk() {
        let with = |fixed_ns| {
            let coded = Some(CodedCosts { fixed_ns, block_ns: 30.0, compared: 0.01 });
            Costs { row_ns: 30.0, hop_ns: 1000.0, hops: 50.0, coded }
        };
        let costs = with(20_000.0);
        // Filters drawn at random leave hardly a block out, unless few rows match.
        let course =
            |rows: usize, matching: usize, plan| costs.course(asked(rows, matching, matching.min(rows / 32)), plan);
        let plan = |rows: usize, matching: usize| course(rows, matching, None).plan;
        assert_eq!([0, 10, 1000].map(|matching| plan(60_000, matching)), [Plan::Nothing, Plan::Scan, Plan::Scan]);
        assert_eq!([6000, 30_000].map(|matching| plan(60_000, matching)), [Plan::Coded, Plan::Walk]);
        assert_eq!(plan(10_000_000, 10_000), Plan::Scan);
        // A walk that is given up ends in the scan that is asked for, or else the cheaper one.
        let given_up = course(60_000, 30_000, Some(Plan::Walk));
        assert!(given_up.by_codes && given_up.budget == 86, "{given_up:?}");
        assert!(!course(60_000, 30_000, Some(Plan::Scan)).by_codes);
        // Rows that lie together are in few blocks: then it is the fixed part that counts.
        let together = |fixed_ns| with(fixed_ns).course(asked(60_000, 3000, 100), None).plan;
        assert_eq!([20_000.0, 100_000.0].map(together), [Plan::Coded, Plan::Scan]);
    }

    #[test]
    fn what_is_near_tells_how_far_a_walk_goes() {
        let coded = Some(CodedCosts { fixed_ns: 60_000.0, block_ns: 20.0, compared: 0.01 });
        let costs = Costs { row_ns: 60.0, hop_ns: 1000.0, hops: 50.0, coded };
        let course = |matching: usize, near: Option<u32>| {
            let near = near.map(|matching| Near { matching, of: Near::OF });
            costs.course(Asked { near, ..asked(60_000, matching, matching.min(1875)) }, None)
        };
        assert_eq!(course(6000, None).plan, Plan::Coded);
        assert_eq!([12, 20, 32].map(|near| course(6000, Some(near)).plan), [Plan::Walk; 3]);
        // About a tenth of 32 match near the query: by chance.
        assert_eq!([1, 3, 6].map(|near| course(6000, Some(near)).share_near), [0.1; 3]);
        let plans = [None, Some(16), Some(0)].map(|near| course(30_000, near).plan);
        assert_eq!(plans, [Plan::Walk, Plan::Walk, Plan::Coded]);
        // However short a walk should be, it is not given up sooner than it would have been.
        assert_eq!(course(30_000, Some(32)).patience(), course(30_000, None).patience());
        let asks = |matching, plan| costs.asks_what_is_near(asked(60_000, matching, matching.min(1875)), plan);
        assert_eq!([5, 60, 600].map(|matching| asks(matching, None)), [false; 3]);
        assert_eq!([6000, 30_000, 60_000].map(|matching| asks(matching, None)), [true; 3]);
        assert!(asks(60, Some(Plan::Walk)) && !asks(6000, Some(Plan::Scan)));
        assert!(!costs.asks_what_is_near(Asked { entries: 0, ..asked(60_000, 6000, 1875) }, None));
    }

    /// Scans that take so long as they would by some costs: these are found out.
    #[test]
    fn the_fixed_part_of_a_coded_scan_is_told_from_what_blocks_add() {
        const DIM: usize = 64;
        const ROWS: usize = 4000;
        let data: Vec<f32> = (0..ROWS * DIM).map(|at| (at * at % 251) as f32).collect();
        let spec = VectorSpec::new(DIM, Metric::L2, ElementType::F32).unwrap();
        let sketch = Sketch::new(spec, ROWS, &BuildOptions::default(), |slot, out| {
            out.clear();
            out.extend_from_slice(&data[slot as usize * DIM..][..DIM]);
        });
        let (row_ns, fixed, block) = (50.0, 40_000, 300);
        let mut probed = 0;
        let costs = CodedCosts::measure(&sketch, row_ns, |_, mask| {
            let distances = 20 + mask.len() as u64 / 10;
            let time = fixed + block * sketch.blocks_of(mask) as u64 + distances * row_ns as u64;
            probed += 1;
            // Now and then something else runs.
            Some((Duration::from_nanos(if probed % 3 == 0 { 10 * time } else { time }), distances))
        });
        let of_few = (block * FEW_ROWS as u64) as f32;
        assert!((fixed as f32..=fixed as f32 + of_few).contains(&costs.fixed_ns), "{costs:?}");
        assert!((costs.block_ns / block as f32 - 1.0).abs() < 0.3, "{costs:?}");
        assert!((costs.compared / 0.1 - 1.0).abs() < 0.05, "{costs:?}");
    }
}
