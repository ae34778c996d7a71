//! Rows under the words of their texts; where phrases are asked for, the order of the words is kept too.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;

use super::TextOptions;
use super::rows::{Rows, mask_of};
use crate::filter::Answer;
use crate::filter::estimate::Estimate;
use crate::filter::text::{TextMode, TextQuery, TokenizerKind};
use crate::mask::Mask;

/// Texts by their words.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    options: TextOptions,
    /// A word's number and its rows.
    words: BTreeMap<String, (u32, Rows)>,
    next: u32,
    /// Rows that have one text; of others it is not known which text a word is from.
    single: RoaringBitmap,
    several: RoaringBitmap,
    /// The numbers of a text's words in order, for rows that have one text.
    order: HashMap<u32, Box<[u32]>>,
}

impl Texts {
    pub(super) fn new(options: TextOptions) -> Self {
        let (single, several) = (RoaringBitmap::new(), RoaringBitmap::new());
        Texts { options, words: BTreeMap::new(), next: 0, single, several, order: HashMap::new() }
    }

    pub(super) fn insert(&mut self, row: u32, texts: &[&str]) {
        let [_, rest @ ..] = texts else { return };
        let mut numbers = Vec::new();
        for text in texts {
            self.options.tokenizer.words(text, &mut |word| {
                let next = &mut self.next;
                let entry = self.words.entry(word).and_modify(|(_, rows)| rows.insert(row));
                let (number, _) = entry.or_insert_with(|| {
                    *next += 1;
                    (*next - 1, Rows::One(row))
                });
                numbers.push(*number);
            });
        }
        if rest.is_empty() {
            self.single.insert(row);
            if self.options.phrases {
                self.order.insert(row, numbers.into());
            }
        } else {
            self.several.insert(row);
        }
    }

    pub(super) fn remove(&mut self, row: u32, texts: &[&str]) {
        for text in texts {
            self.options.tokenizer.words(text, &mut |word| {
                if self.words.get_mut(&word).is_some_and(|(_, rows)| rows.remove(row)) {
                    self.words.remove(&word);
                }
            });
        }
        self.single.remove(row);
        self.several.remove(row);
        self.order.remove(&row);
    }

    /// Makes frequent words quick to ask for until they change.
    pub(super) fn seal(&mut self) {
        self.words.values_mut().for_each(|(_, rows)| rows.seal());
    }

    /// Words that answer to `asked`.
    fn answering<'a>(&'a self, asked: &'a str) -> impl Iterator<Item = &'a (u32, Rows)> {
        let prefix = self.options.tokenizer.kind == TokenizerKind::Prefix;
        let range = self.words.range::<str, _>((std::ops::Bound::Included(asked), std::ops::Bound::Unbounded));
        range
            .take_while(move |(word, _)| if prefix { word.starts_with(asked) } else { *word == asked })
            .map(|(_, entry)| entry)
    }

    fn having(&self, asked: &str, rows: usize) -> Mask {
        let mut mask = Mask::none(rows);
        self.answering(asked).for_each(|(_, found)| found.add_to(&mut mask));
        mask
    }

    /// Which of `rows` rows match `query`, made by this index's tokenizer.
    pub(super) fn answer(&self, query: &TextQuery, rows: usize) -> Answer {
        let masks = query.words().iter().map(|word| self.having(word, rows));
        let found = match query.mode() {
            TextMode::Any => masks.fold(Mask::none(rows), |mut any, mask| {
                any.or(&mask);
                any
            }),
            TextMode::All | TextMode::Phrase => masks
                .reduce(|mut all, mask| {
                    all.and(&mask);
                    all
                })
                .unwrap_or_else(|| Mask::none(rows)),
        };
        let (mut sure, several) = (found.clone(), mask_of(&self.several, rows));
        match query.mode() {
            // Any text of the row has the word.
            TextMode::Any => return Answer::exact(found),
            TextMode::All => sure.and_not(&several),
            TextMode::Phrase if self.options.phrases => {
                let mut open = found.clone();
                open.and(&several);
                sure.and_not(&several);
                let numbers: Vec<Vec<u32>> = query
                    .words()
                    .iter()
                    .map(|word| self.answering(word).map(|(number, _)| *number).collect())
                    .collect();
                let mut kept = Mask::none(rows);
                for slot in sure.iter().filter(|slot| self.in_order(slot.0, &numbers)) {
                    kept.insert(slot);
                }
                return Answer::of(kept, open);
            }
            TextMode::Phrase => return Answer::unknown(found),
        }
        Answer::of(sure, found)
    }

    fn in_order(&self, row: u32, numbers: &[Vec<u32>]) -> bool {
        self.order.get(&row).is_some_and(|order| {
            let follows = |window: &[u32]| window.iter().zip(numbers).all(|(word, asked)| asked.contains(word));
            order.windows(numbers.len()).any(follows)
        })
    }

    pub(super) fn estimate(&self, query: &TextQuery, rows: usize) -> Estimate {
        let word = |word: &String| {
            let (least, most) = self
                .answering(word)
                .fold((0, 0), |(least, most), (_, found): &(u32, Rows)| (found.len().max(least), most + found.len()));
            Estimate::between(least, most.min(rows))
        };
        let words: Vec<Estimate> = query.words().iter().map(word).collect();
        match query.mode() {
            _ if words.is_empty() => Estimate::exact(0),
            TextMode::Any => Estimate::at_least(1, &words, rows),
            TextMode::All | TextMode::Phrase => Estimate { min: 0, ..Estimate::all(&words, rows) },
        }
    }
}
