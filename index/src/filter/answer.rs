//! [`Answer`]: which rows match a condition, as far as indexes know.
//!
//! A condition without an index, or one that its index answers only in part, leaves rows to be asked by their payloads. Both sides are
//! carried through the clauses of a filter, so that what one condition excludes is never asked about another.

use crate::ids::Slot;
use crate::mask::Mask;

/// Rows that match for sure, and rows that may match.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    sure: Mask,
    /// `sure` and those that may; none where there are no others.
    possible: Option<Mask>,
}

impl Answer {
    /// Just these rows match.
    pub fn exact(sure: Mask) -> Self {
        Answer { sure, possible: None }
    }

    /// Of these rows any may match.
    pub fn unknown(possible: Mask) -> Self {
        Answer { sure: Mask::none(possible.rows()), possible: Some(possible) }
    }

    /// Rows of `sure` match, and any of `more` may.
    pub(super) fn of(sure: Mask, mut more: Mask) -> Self {
        more.and_not(&sure);
        if more.is_empty() {
            return Self::exact(sure);
        }
        more.or(&sure);
        Answer { sure, possible: Some(more) }
    }

    /// The rows that match for sure.
    pub fn sure(&self) -> &Mask {
        &self.sure
    }

    /// The rows that must be asked; none if the answer is exact.
    pub fn open(&self) -> Option<Mask> {
        let mut open = self.possible.clone()?;
        open.and_not(&self.sure);
        (!open.is_empty()).then_some(open)
    }

    /// The rows that match, those left open by `ask`.
    pub fn settle(self, ask: impl Fn(Slot) -> bool) -> Mask {
        let open = self.open();
        let mut sure = self.sure;
        for slot in open.iter().flat_map(Mask::iter).filter(|&slot| ask(slot)) {
            sure.insert(slot);
        }
        sure
    }

    /// Those and the rows that must be asked.
    pub fn possible(&self) -> &Mask {
        self.possible.as_ref().unwrap_or(&self.sure)
    }

    /// What matches both.
    pub fn and(mut self, other: &Answer) -> Self {
        self.join(other, Mask::and);
        self
    }

    /// What matches one of both.
    pub fn or(mut self, other: &Answer) -> Self {
        self.join(other, Mask::or);
        self
    }

    fn join(&mut self, other: &Answer, join: impl Fn(&mut Mask, &Mask)) {
        if self.possible.is_some() || other.possible.is_some() {
            let mut possible = self.possible().clone();
            join(&mut possible, other.possible());
            self.possible = Some(possible);
        }
        join(&mut self.sure, &other.sure);
    }

    /// What does not match.
    pub fn inverted(self) -> Self {
        match self.possible {
            None => Self::exact(self.sure.inverted()),
            Some(possible) => Answer { sure: possible.inverted(), possible: Some(self.sure.inverted()) },
        }
    }

    /// What at least `least` of `answers` match, of `rows` rows. Cost: the rows that match each.
    pub(super) fn at_least(least: usize, answers: &[Answer], rows: usize) -> Self {
        let enough = |side: &dyn Fn(&Answer) -> Mask| {
            let mut counts = vec![0_usize; rows];
            for answer in answers {
                side(answer).iter().for_each(|slot| counts[slot.index()] += 1);
            }
            let mut mask = Mask::none(rows);
            counts.iter().zip(0..).filter(|&(&count, _)| count >= least).for_each(|(_, row)| mask.insert(Slot(row)));
            mask
        };
        let sure = enough(&|answer| answer.sure.clone());
        if answers.iter().all(|answer| answer.possible.is_none()) {
            return Self::exact(sure);
        }
        Self::of(sure, enough(&|answer| answer.possible().clone()))
    }
}
