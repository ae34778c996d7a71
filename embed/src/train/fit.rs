//! Training a head over frozen vectors: batches with hard negatives, steps, and an early stop on queries held out.
//!
//! What is learnt from a collection's judgments is mostly where its judged documents lie: a gain on queries whose relevant
//! documents were trained on says little about others. Measure both.

use super::contrastive::{Batch, Contrastive};
use super::distill::{kl, margin_mse, scores, scores_backward};
use super::head::Head;
use super::negatives::Masked;
use super::optimizer::{Adam, AdamParams};
use super::prefix::{Prefixes, over_prefixes};
use super::tiled::DEFAULT_TILE;
use super::unit::Unit;
use super::{Gradients, cached};
use crate::dense::DenseBatch;
use crate::hybrid::best;
use crate::random::Random;
use serde::Serialize;

/// What a step makes smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// Relevant documents before all others of the batch.
    Contrastive(Contrastive),
    /// The distribution of the whole frozen vectors' scores over the batch's documents, at this temperature.
    Kl(f32),
    /// The frozen vectors' margins between a relevant document and its hard negatives.
    MarginMse,
}

/// Frozen vectors of length 1, and which documents answer which query.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The queries' vectors.
    pub queries: &'a DenseBatch,
    /// The documents'.
    pub documents: &'a DenseBatch,
    /// For each query the numbers of its relevant documents, at least one.
    pub relevant: &'a [Vec<u32>],
}

/// How a head is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct FitParams {
    /// What is made smaller.
    pub objective: Objective,
    /// Over which prefixes.
    pub prefixes: Prefixes,
    /// Whether documents go through the head too; else it adapts queries alone, and stored documents stay right.
    pub both_sides: bool,
    /// Queries in a batch.
    pub batch: usize,
    /// Hard negatives for each query: the nearest documents by the frozen vectors that do not answer it.
    pub hard: usize,
    /// Batches.
    pub steps: usize,
    /// Steps between two looks at the queries held out.
    pub look_every: usize,
    /// Looks without a better one until training ends.
    pub patience: usize,
    /// How parameters move.
    pub adam: AdamParams,
    /// Of batches and negatives.
    pub seed: u64,
}

/// A trained head and how it came about.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// As it was at the best look.
    pub head: Head,
    /// Each look, the first before any step.
    pub looks: Vec<Look>,
}

/// A look at the queries held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Look {
    /// Steps done.
    pub step: usize,
    /// Mean loss of the steps since the last look.
    pub loss: f64,
    /// nDCG@10 over the queries held out, the mean over fixed prefixes.
    pub ndcg_at_10: f64,
}

/// Documents that hard negatives are drawn from, nearest first.
const POOL: usize = 50;

/// Trains `head` on `train` until `held_out` gets no better. `progress` hears every look.
pub fn fit(head: Head, train: Task<'_>, held_out: Task<'_>, params: &FitParams, progress: &dyn Fn(Look)) -> Fitted {
    assert!(params.batch > 0 && params.look_every > 0, "batches have queries, and looks happen");
    assert_eq!(train.relevant.len(), train.queries.len(), "answers for each query");
    let mut random = Random::new(params.seed);
    let pools = if params.hard > 0 { hard_pools(train) } else { Vec::new() };
    let mut adam = Adam::new(params.adam, head.parameters().len());
    let mut order: Vec<usize> = Vec::new();
    let mut head = head;
    let first = Look { step: 0, loss: 0.0, ndcg_at_10: look(&head, held_out, params) };
    progress(first);
    let mut fitted = Fitted { head: head.clone(), looks: vec![first] };
    let (mut best_look, mut since_best, mut loss) = (first.ndcg_at_10, 0, 0.0);
    for step in 1..=params.steps {
        let mut asked = Vec::with_capacity(params.batch);
        while asked.len() < params.batch.min(train.queries.len()) {
            if order.is_empty() {
                order = (0..train.queries.len()).collect();
                random.shuffle(&mut order);
            }
            asked.extend(order.pop());
        }
        let gradient = step_gradient(&head, train, &asked, &pools, params, &mut random);
        loss += gradient.0;
        adam.step(head.parameters_mut(), &gradient.1);
        if step % params.look_every == 0 {
            let found = look(&head, held_out, params);
            let seen = Look { step, loss: loss / params.look_every as f64, ndcg_at_10: found };
            progress(seen);
            fitted.looks.push(seen);
            (loss, since_best) = (0.0, since_best + 1);
            if found > best_look {
                (best_look, since_best) = (found, 0);
                fitted.head = head.clone();
            }
            if since_best >= params.patience {
                break;
            }
        }
    }
    fitted
}

/// One batch's loss and its gradient.
fn step_gradient(
    head: &Head,
    train: Task<'_>,
    asked: &[usize],
    pools: &[Vec<u32>],
    params: &FitParams,
    random: &mut Random,
) -> (f64, Vec<f32>) {
    let mut documents: Vec<u32> =
        asked.iter().map(|&query| train.relevant[query][random.below(train.relevant[query].len())]).collect();
    for &query in asked {
        if let Some(pool) = pools.get(query).filter(|pool| !pool.is_empty()) {
            documents.extend((0..params.hard).map(|_| pool[random.below(pool.len())]));
        }
    }
    let gather = |batch: &DenseBatch, places: &mut dyn Iterator<Item = usize>| {
        places.flat_map(|place| batch.row(place)).copied().collect::<Vec<f32>>()
    };
    let left = gather(train.queries, &mut asked.iter().copied());
    let right = gather(train.documents, &mut documents.iter().map(|&document| document as usize));
    let masked = Masked::new(asked.len(), documents.len(), |i, j| train.relevant[asked[i]].contains(&documents[j]));
    let teacher = match params.objective {
        Objective::Contrastive(_) => Vec::new(),
        Objective::Kl(_) | Objective::MarginMse => scores(&left, &right, train.queries.dim()),
    };
    let lengths = params.prefixes.lengths(head.output(), random);
    let loss = |queries: &[f32], documents: &[f32]| {
        over_prefixes(queries, documents, head.output(), &lengths, |queries, documents, dim| match params.objective {
            Objective::Contrastive(loss) => {
                loss.tiled(Batch { queries, documents, dim, masked: &masked }, DEFAULT_TILE)
            }
            Objective::Kl(temperature) => {
                let student = scores(queries, documents, dim);
                let (loss, slopes) = kl(&student, &teacher, documents.len() / dim, temperature);
                scores_backward(loss, &slopes, queries, documents, dim)
            }
            Objective::MarginMse => margins(queries, documents, dim, &teacher),
        })
    };
    let document_head = params.both_sides.then_some(head);
    let (loss, mut gradient, by_documents) =
        cached::gradient((head, document_head), (&left, &right), cached::DEFAULT_CHUNK, loss);
    for slopes in by_documents.iter() {
        gradient.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope);
    }
    (loss, gradient)
}

/// Margin-MSE between each query's positive and every other document of the batch.
fn margins(queries: &[f32], documents: &[f32], dim: usize, teacher: &[f32]) -> Gradients {
    let (rows, columns) = (queries.len() / dim, documents.len() / dim);
    let student = scores(queries, documents, dim);
    let pairs = || (0..rows).flat_map(|i| (0..columns).filter(move |&j| j != i).map(move |j| (i, j)));
    let positives: Vec<f32> = pairs().map(|(i, _)| student[i * columns + i]).collect();
    let negatives: Vec<f32> = pairs().map(|(i, j)| student[i * columns + j]).collect();
    let expected: Vec<f32> = pairs().map(|(i, j)| teacher[i * columns + i] - teacher[i * columns + j]).collect();
    let (loss, slopes) = margin_mse(&positives, &negatives, &expected);
    let mut matrix = vec![0.0; student.len()];
    for ((i, j), slope) in pairs().zip(slopes) {
        matrix[i * columns + i] += slope;
        matrix[i * columns + j] -= slope;
    }
    scores_backward(loss, &matrix, queries, documents, dim)
}

/// For each query the [`POOL`] nearest documents that do not answer it.
fn hard_pools(train: Task<'_>) -> Vec<Vec<u32>> {
    let dim = train.queries.dim();
    let queries = train.queries.as_slice().chunks_exact(dim).zip(train.relevant);
    let pool = |(query, relevant): (&[f32], &Vec<u32>)| {
        let products = scores(query, train.documents.as_slice(), dim);
        let nearest = best(&products, POOL + relevant.len()).into_iter().map(|hit| hit.vector);
        nearest.filter(|document| !relevant.contains(document)).take(POOL).collect()
    };
    queries.map(pool).collect()
}

/// nDCG@10 of `held_out` through the head: the mean over fixed prefixes, or of whole vectors.
fn look(head: &Head, held_out: Task<'_>, params: &FitParams) -> f64 {
    let lengths = match &params.prefixes {
        Prefixes::Fixed(lengths) => lengths.clone(),
        Prefixes::Drawn { .. } => vec![head.output()],
    };
    let reached = lengths.iter().map(|&length| {
        let length = length.clamp(1, head.output());
        let side = |rows: &DenseBatch, mapped: bool| prefixes(head, rows, mapped, length);
        let (queries, documents) = (side(held_out.queries, true), side(held_out.documents, params.both_sides));
        let rows = queries.chunks_exact(length).zip(held_out.relevant);
        let sum: f64 = rows.map(|(query, relevant)| ndcg_at_10(&scores(query, &documents, length), relevant)).sum();
        sum / held_out.relevant.len().max(1) as f64
    });
    reached.sum::<f64>() / lengths.len() as f64
}

/// The first `length` numbers of each row, through the head if `mapped`, scaled to length 1. `[rows × length]`.
pub fn prefixes(head: &Head, rows: &DenseBatch, mapped: bool, length: usize) -> Vec<f32> {
    let whole = if mapped { head.forward(rows.as_slice()) } else { rows.as_slice().to_vec() };
    let dim = if mapped { head.output() } else { rows.dim() };
    Unit::new(whole.chunks_exact(dim).flat_map(|row| &row[..length]).copied().collect(), length).rows
}

/// Of a ranking by `scores`, where every relevant document counts alike.
fn ndcg_at_10(scores: &[f32], relevant: &[u32]) -> f64 {
    let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let hits = best(scores, 10).into_iter().enumerate();
    let gain: f64 = hits.filter(|(_, hit)| relevant.contains(&hit.vector)).map(|(rank, _)| discount(rank)).sum();
    gain / (0..relevant.len().min(10)).map(discount).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::super::check::normal;
    use super::*;

    const ADAM: AdamParams = AdamParams { rate: 3e-3, warm_up: 5, decay: 0.0, clip: 1.0 };

    fn params(objective: Objective, prefixes: Prefixes) -> FitParams {
        let (batch, hard, steps, look_every, patience) = (16, 2, 150, 25, 6);
        FitParams {
            objective,
            prefixes,
            both_sides: false,
            batch,
            hard,
            steps,
            look_every,
            patience,
            adam: ADAM,
            seed: 3,
        }
    }

    /// Queries that are their documents turned by a fixed rotation: a linear head can undo it, for new queries as well.
    #[test]
    fn learns_a_rotation_that_holds_for_new_queries() {
        let seed = 101;
        let mut random = Random::new(seed);
        let (dim, count) = (8, 300);
        let documents = Unit::new(normal(&mut random, count * dim), dim).rows;
        let turned: Vec<f32> = documents
            .chunks(dim)
            .flat_map(|row| (0..dim).map(|i| row[(i + 1) % dim] * if i % 3 == 0 { -1.0 } else { 1.0 }))
            .collect();
        let documents = DenseBatch::new(documents, dim).unwrap();
        let all: Vec<Vec<u32>> = (0..count as u32).map(|document| vec![document]).collect();
        let (seen, new) = turned.split_at(200 * dim);
        let (seen, new) = (DenseBatch::new(seen.to_vec(), dim).unwrap(), DenseBatch::new(new.to_vec(), dim).unwrap());
        let train = Task { queries: &seen, documents: &documents, relevant: &all[..200] };
        let held_out = Task { queries: &new, documents: &documents, relevant: &all[200..] };
        let loss = Objective::Contrastive(Contrastive::DEFAULT);
        for head in [Head::identity(dim), Head::low_rank(dim, dim, &mut random)] {
            let params =
                FitParams { adam: AdamParams { rate: 3e-2, ..ADAM }, ..params(loss, Prefixes::Fixed(vec![dim])) };
            let fitted = fit(head, train, held_out, &params, &|_| {});
            let (first, last) = (fitted.looks[0], *fitted.looks.last().unwrap());
            let best = fitted.looks.iter().map(|look| look.ndcg_at_10).fold(0.0, f64::max);
            assert!(first.ndcg_at_10 < 0.3 && best > 0.9, "seed {seed}: {first:?} {best}");
            assert!(last.loss < fitted.looks[1].loss, "seed {seed}: {:?}", fitted.looks);
            assert_eq!(look(&fitted.head, held_out, &params), best, "the best head is the one returned");
        }
    }

    /// Vectors whose last numbers matter: a head distilled without labels moves them into the prefix.
    #[test]
    fn distillation_moves_meaning_into_the_prefix() {
        let seed = 102;
        let mut random = Random::new(seed);
        let (dim, count) = (8, 300);
        let weighted = |mut rows: Vec<f32>| {
            rows.chunks_mut(dim).for_each(|row| row[..4].iter_mut().for_each(|x| *x *= 0.1));
            Unit::new(rows, dim).rows
        };
        let documents = weighted(normal(&mut random, count * dim));
        let noise = normal(&mut random, count * dim);
        let queries = weighted(documents.iter().zip(&noise).map(|(x, noise)| x + 0.1 * noise).collect());
        let (documents, queries) = (DenseBatch::new(documents, dim).unwrap(), DenseBatch::new(queries, dim).unwrap());
        let relevant: Vec<Vec<u32>> = (0..count as u32).map(|document| vec![document]).collect();
        let task = Task { queries: &queries, documents: &documents, relevant: &relevant };
        for objective in [Objective::Kl(0.1), Objective::MarginMse] {
            let adam = AdamParams { rate: 2e-2, ..ADAM };
            let params = FitParams { both_sides: true, adam, ..params(objective, Prefixes::Fixed(vec![4])) };
            let fitted = fit(Head::identity(dim), task, task, &params, &|_| {});
            let (before, after) = (fitted.looks[0].ndcg_at_10, look(&fitted.head, task, &params));
            assert!(before < 0.2 && after > 0.8, "seed {seed}, {objective:?}: {before} {after}");
        }
    }

    #[test]
    fn gains_are_discounted() {
        let scores: Vec<f32> = (0..20).map(|i| -(i as f32)).collect();
        assert_eq!(ndcg_at_10(&scores, &[0]), 1.0);
        assert!((ndcg_at_10(&scores, &[1, 19]) - (1.0 / 3_f64.log2()) / (1.0 + 1.0 / 3_f64.log2())).abs() < 1e-12);
    }
}
