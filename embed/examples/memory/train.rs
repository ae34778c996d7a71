//! Random associations: points of a normal distribution, each with a class drawn at random, to be known by heart.
//!
//! Nothing about a point says its class, so what is learnt is stored. A memory layer, whose output are the classes' logits, is
//! trained beside a network of two linear layers and a ReLU between them that does as many multiply-adds for a point.

use anyhow::{Result, ensure};
use clap::Args;
use std::time::Instant;
use vicino_embed::memory::{Adam, LayerConfig, MemoryLayer, TrainParams, Trainer, Usage, ValueType, Values};
use vicino_embed::random::Random;

use crate::chart::{Axis, Line, Scale, chart};
use crate::report::Report;

#[derive(Args)]
pub(crate) struct Options {
    /// Points to be learnt.
    #[arg(long, default_value_t = 30_000)]
    facts: usize,
    /// Dimension of a point.
    #[arg(long, default_value_t = 64)]
    dim: usize,
    /// Classes.
    #[arg(long, default_value_t = 64)]
    classes: usize,
    /// Half keys on each side.
    #[arg(long, default_value_t = 128)]
    sub_keys: usize,
    /// Dimension of a key.
    #[arg(long, default_value_t = 64)]
    key_dim: usize,
    /// Queries per point.
    #[arg(long, default_value_t = 4)]
    heads: usize,
    /// Slots read by each head.
    #[arg(long, default_value_t = 32)]
    k: usize,
    /// Halves of queries and keys at unit length.
    #[arg(long)]
    query_key_norm: bool,
    /// Passes over all points, at most.
    #[arg(long, default_value_t = 40)]
    epochs: usize,
    /// Points in a step.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Adam's rate.
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
    /// Adam's rate of the values.
    #[arg(long, default_value_t = 1e-2)]
    value_rate: f64,
}

/// Points and their classes.
struct Facts {
    points: Vec<f32>,
    classes: Vec<usize>,
    dim: usize,
}

/// One pass over all points.
struct Epoch {
    loss: f64,
    accuracy: f64,
}

pub(crate) fn run(options: &Options, seed: u64) -> Result<Report> {
    let mut report = Report::new("train", "Random associations", seed);
    let mut random = Random::new(seed);
    let facts = Facts {
        points: (0..options.facts * options.dim).map(|_| random.normal() as f32).collect(),
        classes: (0..options.facts).map(|_| random.below(options.classes)).collect(),
        dim: options.dim,
    };
    let config = LayerConfig {
        input_dim: options.dim,
        value_dim: options.classes,
        heads: options.heads,
        sub_keys: options.sub_keys,
        key_dim: options.key_dim,
        k: options.k,
        gated: false,
        query_key_norm: options.query_key_norm,
    };
    let work = options.heads * (options.key_dim * (options.dim + options.sub_keys) + options.k * options.classes);
    let hidden = work / (options.dim + options.classes);
    report.line(&format!(
        "{} points of dimension {}, {} classes. Memory: {} slots, {} heads, k {}, key dimension {}{}, {work} multiply-adds a point. Two layers: {hidden} hidden units, as many \
         multiply-adds. Adam, rate {}, of values {}, batches of {}.\n",
        options.facts,
        options.dim,
        options.classes,
        config.slots(),
        options.heads,
        options.k,
        options.key_dim,
        if options.query_key_norm { ", query-key norm" } else { "" },
        options.rate,
        options.value_rate,
        options.batch,
    ));

    let values = Values::zeros(ValueType::F32, config.slots(), config.value_dim)?;
    let params = TrainParams { rate: options.rate, value_rate: options.value_rate, ..TrainParams::default() };
    let mut trainer = Trainer::new(MemoryLayer::random(config, seed)?, values, params)?;
    report.line("| pass | memory: loss | accuracy | slots used | divergence from even use, nats | two layers: loss | accuracy |");
    report.line("|---|---|---|---|---|---|---|");
    let mut layers = TwoLayers::new(options.dim, hidden, options.classes, seed);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_time, mut their_time) = (0.0, 0.0);
    for pass in 1..=options.epochs {
        let start = Instant::now();
        let mut usage = Usage::new(config.slots());
        let memory = facts.pass(options.batch, &mut random, |points, classes| {
            let (result, _) = trainer.step(points, |logits| cross_entropy(logits, classes, options.classes))?;
            usage.add(&trainer.last_pass().top.ids, &trainer.last_pass().weights)?;
            Ok(result)
        })?;
        our_time += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let plain = facts.pass(options.batch, &mut random, |points, classes| {
            Ok(layers.step(&params, points, |logits| cross_entropy(logits, classes, options.classes)))
        })?;
        their_time += start.elapsed().as_secs_f64();
        let last = pass == options.epochs || memory.accuracy >= 0.9995;
        if pass <= 3 || pass % 5 == 0 || last {
            report.line(&format!(
                "| {pass} | {:.4} | {:.2} % | {:.1} % | {:.3} | {:.4} | {:.2} % |",
                memory.loss,
                100.0 * memory.accuracy,
                100.0 * usage.used(),
                usage.divergence(),
                plain.loss,
                100.0 * plain.accuracy,
            ));
        }
        ours.push((pass as f64, 100.0 * memory.accuracy));
        theirs.push((pass as f64, 100.0 * plain.accuracy));
        if last {
            break;
        }
    }
    let passes = ours.len();
    let best = ours.last().map_or(0.0, |point| point.1);
    report.line(&format!(
        "\nAccuracy of a pass is that of each batch before it is learnt from. {passes} passes took {our_time:.0} s with the memory, {their_time:.0} s with two layers, one thread."
    ));
    let line = |name: &str, points, colour| Line { name: name.to_owned(), points, colour, dashed: false };
    let lines = [line("memory layer", ours, 0), line("two layers", theirs, 1)];
    let (x, y) = (
        Axis { label: "pass over all facts", scale: Scale::Linear },
        Axis { label: "accuracy, %", scale: Scale::Linear },
    );
    let title = format!("{} random associations, equal multiply-adds", options.facts);
    report.plot("accuracy", "Accuracy by pass", chart(&title, &x, &y, &lines));
    ensure!(best >= 99.0, "expected an accuracy of at least 99 %, found {best:.2} %");
    Ok(report)
}

impl Facts {
    /// Shows all points once, in random order; `step` learns from a batch and returns its loss and how many it knew.
    fn pass(
        &self,
        batch: usize,
        random: &mut Random,
        mut step: impl FnMut(&[f32], &[usize]) -> Result<(f64, usize)>,
    ) -> Result<Epoch> {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        random.shuffle(&mut order);
        let (mut loss, mut known) = (0.0, 0);
        for batch in order.chunks(batch) {
            let points: Vec<f32> =
                batch.iter().flat_map(|&fact| &self.points[fact * self.dim..][..self.dim]).copied().collect();
            let classes: Vec<usize> = batch.iter().map(|&fact| self.classes[fact]).collect();
            let (batch_loss, batch_known) = step(&points, &classes)?;
            loss += batch_loss * batch.len() as f64;
            known += batch_known;
        }
        let count = order.len() as f64;
        Ok(Epoch { loss: loss / count, accuracy: known as f64 / count })
    }
}

/// Mean cross-entropy and how many are right, and the gradients of the logits.
fn cross_entropy(logits: &[f32], classes: &[usize], width: usize) -> ((f64, usize), Vec<f32>) {
    let count = classes.len() as f32;
    let (mut loss, mut known) = (0.0, 0);
    let mut gradients = Vec::with_capacity(logits.len());
    for (logits, &class) in logits.chunks_exact(width).zip(classes) {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
        loss += f64::from(sum.ln() + most - logits[class]);
        known += usize::from(logits.iter().enumerate().all(|(other, &logit)| other == class || logit < logits[class]));
        let start = gradients.len();
        gradients.extend(logits.iter().map(|logit| (logit - most).exp() / sum / count));
        gradients[start + class] -= 1.0 / count;
    }
    ((loss / classes.len() as f64, known), gradients)
}

/// The network to compare with: `V relu(U x + b)`. Rows of `u` and `v` belong to hidden units.
struct TwoLayers {
    dim: usize,
    classes: usize,
    /// U and b and V: `[hidden × (dim + 1 + classes)]`
    weights: Vec<f32>,
    adam: Adam,
}

impl TwoLayers {
    fn new(dim: usize, hidden: usize, classes: usize, seed: u64) -> TwoLayers {
        let mut random = Random::new(seed + 1);
        let (into, out) = ((2.0 / dim as f64).sqrt(), (1.0 / hidden as f64).sqrt());
        let mut weights = Vec::new();
        for _ in 0..hidden {
            weights.extend((0..dim).map(|_| (into * random.normal()) as f32));
            weights.push(0.0);
            weights.extend((0..classes).map(|_| (out * random.normal()) as f32));
        }
        TwoLayers { dim, classes, adam: Adam::new(weights.len()), weights }
    }

    fn step<T>(&mut self, params: &TrainParams, points: &[f32], loss: impl FnOnce(&[f32]) -> (T, Vec<f32>)) -> T {
        let (dim, row) = (self.dim, self.dim + 1 + self.classes);
        let (count, hidden) = (points.len() / dim, self.weights.len() / row);
        let mut active = vec![0.0; count * hidden];
        let mut logits = vec![0.0; count * self.classes];
        for (index, point) in points.chunks_exact(dim).enumerate() {
            let logits = &mut logits[index * self.classes..][..self.classes];
            for (unit, weights) in self.weights.chunks_exact(row).enumerate() {
                let sum = weights[dim] + dot(&weights[..dim], point);
                if sum > 0.0 {
                    active[index * hidden + unit] = sum;
                    add_scaled(logits, sum, &weights[dim + 1..]);
                }
            }
        }
        let (result, gradients) = loss(&logits);
        let mut changes = vec![0.0; self.weights.len()];
        for (index, point) in points.chunks_exact(dim).enumerate() {
            let gradients = &gradients[index * self.classes..][..self.classes];
            for (unit, (weights, changes)) in
                self.weights.chunks_exact(row).zip(changes.chunks_exact_mut(row)).enumerate()
            {
                let active = active[index * hidden + unit];
                if active > 0.0 {
                    let back = dot(&weights[dim + 1..], gradients);
                    add_scaled(&mut changes[dim + 1..], active, gradients);
                    add_scaled(&mut changes[..dim], back, point);
                    changes[dim] += back;
                }
            }
        }
        self.adam.step(params, params.rate, &mut self.weights, &changes);
        result
    }
}

/// In eight sums, which the compiler keeps in vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.0.iter().zip(b.0) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f32>()
}

fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}
