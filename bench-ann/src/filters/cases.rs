//! What is filtered by: fields of the rows, and for every query a filter of a given selectivity and correlation with what it asks for.
//!
//! Three fields. `random` is drawn, so that it says nothing about a vector. `place` is a row's rank in an order in which near rows stand
//! near each other (rows halved again and again, each time across the line between two that lie far apart): a window of it around the
//! query matches what the query looks for, and the window farthest from it matches what it does not. `label` is the class of the row,
//! where the data have classes; the query's own, or those nearest to it, against the farthest.

use std::borrow::Cow;

/// By what a case filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Drawn at random.
    Random,
    /// Rank in an order that keeps neighbours together.
    Place,
    /// The class, and below a tenth `random` too.
    Label,
}

/// How what matches lies to the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correlation {
    /// Anywhere.
    None,
    /// Around it.
    Positive,
    /// Far from it.
    Negative,
}

/// Filters of one kind, one for each query.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Case {
    /// By what.
    pub field: Field,
    /// How it lies to the query.
    pub correlation: Correlation,
    /// Share of the rows that match.
    pub selectivity: f64,
}

/// One condition; a filter is some that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A number from `gte` to below `lt`.
    Range {
        /// The payload's key.
        key: Cow<'static, str>,
        /// At least.
        gte: u32,
        /// Less than.
        lt: u32,
    },
    /// One of these whole numbers.
    Any {
        /// The payload's key.
        key: Cow<'static, str>,
        /// The numbers.
        values: Vec<u32>,
    },
}

/// The payload's keys.
pub const RANDOM: &str = "random";
/// Ranks.
pub const PLACE: &str = "place";
/// Classes.
pub const LABEL: &str = "label";

/// Values of `random` lie below it.
const RANDOM_BOUND: u32 = 10_000;

/// Blocks of the order, among which the farthest is looked for.
const BLOCKS: usize = 64;

/// Rows that are not divided any further.
const LEAF: usize = 16;

/// Shares of the rows that match.
pub const SELECTIVITIES: [f64; 4] = [0.5, 0.1, 0.01, 0.001];

/// The fields of rows and queries.
pub struct Fields {
    /// `[rows]`, below `RANDOM_BOUND`.
    pub random: Vec<u32>,
    /// `[rows]`, a permutation.
    pub place: Vec<u32>,
    /// `[rows]`, where known.
    pub label: Option<Vec<u32>>,
    /// `[queries]`: where a query would stand in the order.
    query_place: Vec<u32>,
    /// `[queries × BLOCKS]`: squared distances to the means of the blocks of the order.
    block_distances: Vec<f32>,
    /// `[queries]`: classes, the nearest first.
    query_labels: Vec<Vec<u32>>,
}

/// Vectors, `[rows × dim]`.
#[derive(Clone, Copy)]
pub struct Vectors<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// Numbers of each.
    pub dim: usize,
}

impl<'a> Vectors<'a> {
    fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    fn row(&self, at: usize) -> &'a [f32] {
        &self.data[at * self.dim..][..self.dim]
    }
}

fn square(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn mean(vectors: Vectors<'_>, rows: impl Iterator<Item = usize>) -> Vec<f32> {
    let (mut sums, mut count) = (vec![0.0_f64; vectors.dim], 0_usize);
    for row in rows {
        sums.iter_mut().zip(vectors.row(row)).for_each(|(sum, &x)| *sum += f64::from(x));
        count += 1;
    }
    sums.into_iter().map(|sum| (sum / count.max(1) as f64) as f32).collect()
}

impl Fields {
    /// The fields of `train` and `queries`; `label` has a class for each of both.
    pub fn new(train: Vectors<'_>, queries: Vectors<'_>, label: Option<(Vec<u32>, Vec<u32>)>) -> Fields {
        let mut state = 1_u64;
        let mut draw = |bound: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % u64::from(bound)) as u32
        };
        let random = (0..train.len()).map(|_| draw(RANDOM_BOUND)).collect();
        let mut order: Vec<u32> = (0..train.len() as u32).collect();
        let mut query_place = vec![0; queries.len()];
        let all: Vec<usize> = (0..queries.len()).collect();
        divide(train, queries, &mut order, 0, &all, &mut query_place);
        let mut place = vec![0; train.len()];
        order.iter().zip(0..).for_each(|(&row, rank)| place[row as usize] = rank);
        let block = train.len().div_ceil(BLOCKS);
        let means: Vec<Vec<f32>> =
            order.chunks(block).map(|rows| mean(train, rows.iter().map(|&row| row as usize))).collect();
        let distances = |query| means.iter().map(move |mean| square(queries.row(query), mean));
        let mut block_distances = Vec::with_capacity(queries.len() * BLOCKS);
        for query in 0..queries.len() {
            block_distances.extend(distances(query).chain(std::iter::repeat(f32::NEG_INFINITY)).take(BLOCKS));
        }
        let (label, query_labels) = match label {
            None => (None, Vec::new()),
            Some((label, own)) => {
                let classes = label.iter().max().map_or(0, |&last| last + 1);
                let of = |class: u32| label.iter().enumerate().filter(move |&(_, &known)| known == class);
                let means: Vec<Vec<f32>> =
                    (0..classes).map(|class| mean(train, of(class).map(|(row, _)| row))).collect();
                let nearest_first = |query: usize| {
                    let mut classes: Vec<u32> = (0..classes).collect();
                    let distance = |&class: &u32| {
                        let other = f32::from(class != own[query]);
                        (other, square(queries.row(query), &means[class as usize]))
                    };
                    classes.sort_by(|a, b| distance(a).partial_cmp(&distance(b)).expect("no NaN"));
                    classes
                };
                let query_labels = (0..queries.len()).map(nearest_first).collect();
                (Some(label), query_labels)
            }
        };
        Fields { random, place, label, query_place, block_distances, query_labels }
    }

    /// The cases there are: of `label` only where it is known.
    pub fn cases(&self) -> Vec<Case> {
        let mut kinds = vec![
            (Field::Random, Correlation::None),
            (Field::Place, Correlation::Positive),
            (Field::Place, Correlation::Negative),
        ];
        if self.label.is_some() {
            kinds.extend([(Field::Label, Correlation::Positive), (Field::Label, Correlation::Negative)]);
        }
        let of = |(field, correlation)| SELECTIVITIES.map(|selectivity| Case { field, correlation, selectivity });
        kinds.into_iter().flat_map(of).collect()
    }

    /// The filter of `query` in a case.
    pub fn filter(&self, case: Case, query: usize) -> Vec<Condition> {
        let below = |share: f64| Condition::Range {
            key: RANDOM.into(),
            gte: 0,
            lt: (share * f64::from(RANDOM_BOUND)).round() as u32,
        };
        let rows = self.place.len();
        let width = ((rows as f64 * case.selectivity).round() as usize).clamp(1, rows);
        match (case.field, case.correlation) {
            (Field::Random, _) => vec![below(case.selectivity)],
            (Field::Place, correlation) => {
                let from = match correlation {
                    Correlation::Negative => self.farthest(query, width),
                    _ => (self.query_place[query] as usize).saturating_sub(width / 2).min(rows - width),
                };
                vec![Condition::Range { key: PLACE.into(), gte: from as u32, lt: (from + width) as u32 }]
            }
            (Field::Label, correlation) => {
                let labels = &self.query_labels[query];
                let count = ((labels.len() as f64 * case.selectivity).round() as usize).clamp(1, labels.len());
                let chosen = match correlation {
                    Correlation::Negative => &labels[labels.len() - count..],
                    _ => &labels[..count],
                };
                let share = count as f64 / labels.len() as f64;
                let mut filter = vec![Condition::Any { key: LABEL.into(), values: chosen.to_vec() }];
                if case.selectivity < share {
                    filter.push(below(case.selectivity / share));
                }
                filter
            }
        }
    }

    /// Where the window of `width` rows begins that lies farthest from `query`, by blocks.
    fn farthest(&self, query: usize, width: usize) -> usize {
        let rows = self.place.len();
        let block = rows.div_ceil(BLOCKS);
        let distances = &self.block_distances[query * BLOCKS..][..BLOCKS];
        let blocks = width.div_ceil(block);
        let starts = 0..=BLOCKS - blocks;
        let far = |start: &usize| distances[*start..*start + blocks].iter().sum::<f32>();
        let start = starts.max_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0);
        (start * block).min(rows - width)
    }

    /// Whether `row` matches.
    pub fn holds(&self, filter: &[Condition], row: usize) -> bool {
        let value = |key: &str| match key {
            RANDOM => self.random[row],
            PLACE => self.place[row],
            _ => self.label.as_ref().map_or(0, |label| label[row]),
        };
        filter.iter().all(|condition| match condition {
            Condition::Range { key, gte, lt } => (*gte..*lt).contains(&value(key)),
            Condition::Any { key, values } => values.contains(&value(key)),
        })
    }
}

/// Puts near rows of `order`, which begins at rank `first`, near each other, and gives `asked` queries the rank of the leaf they fall into.
fn divide(
    train: Vectors<'_>,
    queries: Vectors<'_>,
    order: &mut [u32],
    first: usize,
    asked: &[usize],
    query_place: &mut [u32],
) {
    if order.len() <= LEAF {
        asked.iter().for_each(|&query| query_place[query] = (first + order.len() / 2) as u32);
        return;
    }
    let farthest = |from: &[f32]| {
        // A sample is as good: any two that lie far apart.
        let sample = order.iter().step_by(order.len().div_ceil(512));
        let far = sample
            .max_by(|&&a, &&b| square(train.row(a as usize), from).total_cmp(&square(train.row(b as usize), from)));
        train.row(*far.expect("not empty") as usize)
    };
    let one = farthest(train.row(order[0] as usize));
    let other = farthest(one);
    let line: Vec<f32> = one.iter().zip(other).map(|(a, b)| a - b).collect();
    let along = |vector: &[f32]| vector.iter().zip(&line).map(|(x, l)| x * l).sum::<f32>();
    let mut keyed: Vec<(f32, u32)> = order.iter().map(|&row| (along(train.row(row as usize)), row)).collect();
    keyed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order.iter_mut().zip(&keyed).for_each(|(row, key)| *row = key.1);
    let middle = order.len() / 2;
    let border = keyed[middle].0;
    let (low_asked, high_asked): (Vec<usize>, Vec<usize>) =
        asked.iter().partition(|&&query| along(queries.row(query)) < border);
    let (low, high) = order.split_at_mut(middle);
    divide(train, queries, low, first, &low_asked, query_place);
    divide(train, queries, high, first + middle, &high_asked, query_place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_many_rows_as_they_say_and_lie_where_they_say() {
        let data: Vec<f32> = (0..2000).flat_map(|i| [(i % 50) as f32, (i / 50) as f32]).collect();
        let (train, queries) = (Vectors { data: &data, dim: 2 }, Vectors { data: &[1.0, 1.0, 48.0, 38.0], dim: 2 });
        let label = |vector: &[f32]| (vector[0] / 5.0) as u32;
        let labels = (data.chunks(2).map(label).collect(), vec![0, 9]);
        let fields = Fields::new(train, queries, Some(labels));
        assert_eq!(fields.cases().len(), 20);
        for case in fields.cases() {
            for query in 0..2 {
                let filter = fields.filter(case, query);
                let matching: Vec<usize> = (0..train.len()).filter(|&row| fields.holds(&filter, row)).collect();
                let expected = case.selectivity * train.len() as f64;
                let (least, most) = (expected * 0.6 - 3.0, expected * 1.4 + 3.0);
                assert!((least..=most).contains(&(matching.len() as f64)), "{case:?}: {}", matching.len());
                let far = |rows: &[usize]| {
                    let sum: f32 = rows.iter().map(|&row| square(train.row(row), queries.row(query)).sqrt()).sum();
                    sum / rows.len().max(1) as f32
                };
                let all: Vec<usize> = (0..train.len()).collect();
                match case.correlation {
                    Correlation::Positive if !matching.is_empty() => assert!(far(&matching) < far(&all), "{case:?}"),
                    Correlation::Negative if !matching.is_empty() => assert!(far(&matching) > far(&all), "{case:?}"),
                    _ => {}
                }
            }
        }
    }
}
