//! Which segments are to be written anew: merged with others, freed of dead rows, or given a graph.
//!
//! Segments are sorted into tiers by their number of live rows, each of them [`FANOUT`] times the one before; as many in one tier become
//! one of the next (size-tiered compaction, as in Bigtable and Lucene). So a point is written, and its graph built, about
//! log₄(points / 50,000) times, and a collection has at most three segments per tier.

/// Segments of one tier that are merged, and how many times larger the next tier is.
pub(super) const FANOUT: usize = 4;

/// However sizes fall, with more segments than this the smallest are merged.
pub(super) const MAX_SEGMENTS: usize = 10;

/// A segment with more dead rows than this, of a hundred, is written anew without them.
pub(super) const MAX_DEAD_PERCENT: usize = 20;

/// One segment, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) live: usize,
    pub(super) dead: usize,
    /// Whether it lacks a graph that it is large enough for.
    pub(super) lacks_graph: bool,
}

/// What the plan depends on besides segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Rows of the first tier's segments.
    pub(super) seal_rows: usize,
    /// Rows a merged segment may have.
    pub(super) merge_rows: usize,
}

/// The segments to be written next, as one; none if all are as they should be.
pub(super) fn due(sizes: &[Size], limits: Limits) -> Option<Vec<usize>> {
    let mut by_size: Vec<usize> = (0..sizes.len()).collect();
    by_size.sort_by_key(|&number| sizes[number].live);
    if let Some(&empty) = by_size.iter().find(|&&number| sizes[number].live == 0) {
        return Some(vec![empty]);
    }
    tier_to_merge(sizes, &by_size, limits)
        .or_else(|| (sizes.len() > MAX_SEGMENTS).then(|| fitting(sizes, &by_size, limits)).flatten())
        .or_else(|| {
            let has_many_dead = |size: &Size| size.dead * 100 > (size.live + size.dead) * MAX_DEAD_PERCENT;
            let wanted = |&&number: &&usize| has_many_dead(&sizes[number]) || sizes[number].lacks_graph;
            by_size.iter().rev().find(wanted).map(|&number| vec![number])
        })
}

/// The segments to be written next, as one, where all that can be had back is wanted at once: whatever fits one segment, then those
/// with any dead row, or without a graph they should have. None if there is nothing to gain.
pub(super) fn compactable(sizes: &[Size], limits: Limits) -> Option<Vec<usize>> {
    let mut by_size: Vec<usize> = (0..sizes.len()).collect();
    by_size.sort_by_key(|&number| sizes[number].live);
    fitting(sizes, &by_size, limits).or_else(|| {
        let gains = |size: &Size| size.dead > 0 || size.lacks_graph;
        by_size.iter().find(|&&number| gains(&sizes[number])).map(|&number| vec![number])
    })
}

/// All segments up to the first tier that is full.
fn tier_to_merge(sizes: &[Size], by_size: &[usize], limits: Limits) -> Option<Vec<usize>> {
    let tier = |number: usize| {
        let above = sizes[number].live / limits.seal_rows.max(1);
        above.checked_ilog(FANOUT).map_or(0, |log| log + 1)
    };
    let same =
        |end: usize| by_size[..end].iter().rev().take_while(|&&number| tier(number) == tier(by_size[end - 1])).count();
    let full = (FANOUT..=by_size.len()).find(|&end| same(end) >= FANOUT)?;
    let last = tier(by_size[full - 1]);
    let end = by_size.iter().rposition(|&number| tier(number) == last)? + 1;
    fitting(sizes, &by_size[..end], limits)
}

/// Of the segments `by_size`, the smallest as far as one merged segment may hold them, if these are two or more.
fn fitting(sizes: &[Size], by_size: &[usize], limits: Limits) -> Option<Vec<usize>> {
    let mut rows = 0;
    let fits = |&&number: &&usize| {
        rows += sizes[number].live;
        rows <= limits.merge_rows
    };
    let chosen: Vec<usize> = by_size.iter().take_while(fits).copied().collect();
    (chosen.len() > 1).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { seal_rows: 100, merge_rows: 40_000 };

    /// Does all that is due; how many rows were written.
    fn settle(sizes: &mut Vec<Size>) -> usize {
        let mut written = 0;
        for _ in 0..100 {
            let Some(mut chosen) = due(sizes, LIMITS) else { return written };
            chosen.sort_unstable();
            let live = chosen.iter().map(|&number| sizes[number].live).sum();
            sizes.retain({
                let mut at = 0;
                let chosen = &chosen;
                move |_| {
                    at += 1;
                    !chosen.contains(&(at - 1))
                }
            });
            if live > 0 {
                sizes.push(Size { live, dead: 0, lacks_graph: false });
            }
            written += live;
        }
        panic!("never settles: {sizes:?}");
    }

    #[test]
    fn segments_stay_few_and_rows_are_seldom_written() {
        let (mut sizes, mut written, mut rows, mut most) = (Vec::new(), 0, 0, 0);
        for round in 0..400 {
            let live = if round % 7 == 0 { 3 } else { 100 };
            rows += live;
            sizes.push(Size { live, dead: 0, lacks_graph: live > 20 });
            written += settle(&mut sizes);
            most = most.max(sizes.len());
            assert_eq!(sizes.iter().map(|size| size.live).sum::<usize>(), rows);
            assert!(sizes.iter().all(|size| size.live <= LIMITS.merge_rows));
        }
        // Each row with its own graph first, and then once per tier.
        assert!(most <= MAX_SEGMENTS, "{most} segments");
        assert!(written <= 6 * rows, "{written} rows written of {rows}");
    }

    #[test]
    fn compaction_ends_with_no_dead_row_and_as_few_segments_as_fit() {
        let size = |live, dead, lacks_graph| Size { live, dead, lacks_graph };
        assert_eq!(compactable(&[], LIMITS), None);
        assert_eq!(compactable(&[size(20, 0, false)], LIMITS), None, "small and whole");
        assert_eq!(compactable(&[size(500, 0, false)], LIMITS), None);
        assert_eq!(compactable(&[size(21, 0, true)], LIMITS), Some(vec![0]), "without its graph");
        assert_eq!(compactable(&[size(500, 1, false)], LIMITS), Some(vec![0]));
        assert_eq!(compactable(&[size(0, 7, false)], LIMITS), Some(vec![0]));
        assert_eq!(compactable(&[size(9, 0, false), size(500, 0, false)], LIMITS), Some(vec![0, 1]));
        assert_eq!(compactable(&[size(30_000, 0, false), size(20_000, 3, false)], LIMITS), Some(vec![1]), "none fits");
        assert_eq!(compactable(&[size(30_000, 0, false), size(20_000, 0, false)], LIMITS), None);
    }

    #[test]
    fn dead_rows_and_missing_graphs_are_seen_to() {
        let size = |live, dead, graph: bool| Size { live, dead, lacks_graph: !graph };
        assert_eq!(due(&[size(100, 24, true)], LIMITS), None);
        assert_eq!(due(&[size(100, 26, true)], LIMITS), Some(vec![0]));
        assert_eq!(due(&[size(500, 0, true), size(0, 9, true)], LIMITS), Some(vec![1]));
        assert_eq!(due(&[size(20, 0, true)], LIMITS), None);
        assert_eq!(due(&[size(20, 0, true), size(21, 0, false)], LIMITS), Some(vec![1]));
        assert_eq!(due(&[size(90, 0, true); 3], LIMITS), None);
        assert_eq!(due(&[size(90, 0, true); 4], LIMITS).map(|chosen| chosen.len()), Some(4));
        assert_eq!(due(&[size(20_000, 0, true); 4], LIMITS).map(|chosen| chosen.len()), Some(2), "as many as fit");
        assert_eq!(due(&[size(30_000, 0, true); 9], LIMITS), None, "none fits another");
    }
}
