//! [`Copies`]: which rows hang behind which nodes, for filters: a node stands for all its copies.

use super::links::NONE;
use crate::ids::Slot;
use crate::mask::Mask;

/// Every row that hangs behind a node, and the node, in order of the rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copies(Box<[(u32, u32)]>);

impl Copies {
    /// From the next copy of each row; empty where there is none.
    pub(crate) fn of(twins: &[u32]) -> Self {
        let mut is_copy = vec![false; twins.len()];
        twins.iter().filter(|&&twin| twin != NONE).for_each(|&twin| is_copy[twin as usize] = true);
        let mut copies = Vec::new();
        for node in (0..twins.len() as u32).filter(|&slot| !is_copy[slot as usize]) {
            let next = |&slot: &u32| Some(twins[slot as usize]).filter(|&twin| twin != NONE);
            copies.extend(std::iter::successors(next(&node), next).map(|copy| (copy, node)));
        }
        copies.sort_unstable();
        Copies(copies.into())
    }

    /// The nodes that stand for rows of `mask`, and the rows of it that stand for themselves; `buffer` holds them if they are not `mask`.
    pub(crate) fn nodes<'a>(&self, mask: &'a Mask, buffer: &'a mut Mask) -> &'a Mask {
        if self.0.is_empty() {
            return mask;
        }
        buffer.clone_from(mask);
        for &(copy, node) in &self.0 {
            if mask.contains(Slot(copy)) {
                buffer.insert(Slot(node));
                buffer.remove(Slot(copy));
            }
        }
        buffer
    }
}

/// Fills `seeds` with up to `count` rows of `mask`, spread over it.
pub(crate) fn spread(mask: &Mask, count: usize, seeds: &mut Vec<u32>) {
    seeds.clear();
    let (words, matching) = (mask.words(), mask.len());
    // The row at the middle of each of `count` parts.
    let rank = |part: usize| (2 * part + 1) * matching / (2 * count);
    let (mut before, mut part) = (0, 0);
    for (at, &word) in words.iter().enumerate() {
        let after = before + word.count_ones() as usize;
        while part < count && rank(part) < after {
            let left = (before..rank(part)).fold(word, |left, _| left & (left - 1));
            seeds.push((at * 64) as u32 + left.trailing_zeros());
            part += 1;
        }
        before = after;
    }
    seeds.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_for_their_copies() {
        // 0 → 4 → 2, 1 → 5; 3 alone.
        let copies = Copies::of(&[4, 5, NONE, NONE, 2, NONE]);
        let mask = |rows: &[u32]| {
            let mut mask = Mask::none(6);
            rows.iter().for_each(|&row| mask.insert(Slot(row)));
            mask
        };
        for (rows, nodes) in [(vec![2], vec![0]), (vec![0, 4, 5], vec![0, 1]), (vec![3], vec![3]), (vec![], vec![])] {
            let mut buffer = Mask::default();
            assert_eq!(*copies.nodes(&mask(&rows), &mut buffer), mask(&nodes), "{rows:?}");
        }
    }

    #[test]
    fn seeds_are_spread_over_what_matches() {
        for (rows, step) in [(1000, 7), (1000, 1), (64, 64), (100, 30)] {
            let mut mask = Mask::none(rows);
            (0..rows as u32).step_by(step).for_each(|row| mask.insert(Slot(row)));
            for count in [1, 5, 12] {
                let mut seeds = Vec::new();
                spread(&mask, count, &mut seeds);
                assert_eq!(seeds.len(), count.min(mask.len()), "{rows} {step} {count}");
                assert!(seeds.iter().all(|&seed| mask.contains(Slot(seed))) && seeds.is_sorted());
            }
        }
        let mut seeds = vec![1];
        spread(&Mask::none(100), 3, &mut seeds);
        assert!(seeds.is_empty());
    }
}
