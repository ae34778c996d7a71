//! Hopfield retrieval: energies by step, errors beside the paper's bounds, and what the best k patterns leave out.
//!
//! Patterns are random unit vectors, and, where there is such a file, rows of a matrix of real embeddings.

use anyhow::{Context, Result, ensure};
use clap::Args;
use half::f16;
use std::fs;
use std::path::{Path, PathBuf};
use vicino_embed::hopfield::{Hopfield, Recall, Retrieval};
use vicino_embed::memory::FlatKeys;
use vicino_embed::random::Random;

use crate::chart::{Axis, Line, Scale, chart};
use crate::report::Report;

#[derive(Args)]
pub(crate) struct Options {
    /// Random patterns.
    #[arg(long, default_value_t = 1000)]
    patterns: usize,
    /// Their dimension.
    #[arg(long, default_value_t = 64)]
    dim: usize,
    /// States to start from, for each β.
    #[arg(long, default_value_t = 50)]
    states: usize,
    /// Matrix of embeddings, .npy of f16 or f32; by default WordNet's in the folder of data sets, if it is there.
    #[arg(long)]
    embeddings: Option<PathBuf>,
    /// Rows of it to take.
    #[arg(long, default_value_t = 5000)]
    rows: usize,
}

/// Unit vectors, and a name for them.
struct Patterns {
    name: String,
    rows: Vec<f32>,
    dim: usize,
}

pub(crate) fn run(options: &Options, seed: u64) -> Result<Report> {
    let mut report = Report::new("hopfield", "Hopfield retrieval", seed);
    let mut random = Random::new(seed);
    let drawn = Patterns {
        name: format!("{} random unit vectors of dimension {}", options.patterns, options.dim),
        rows: unit_rows(&mut random, options.patterns, options.dim),
        dim: options.dim,
    };
    energies(&drawn, options, &mut random, &mut report)?;
    errors(&drawn, "random", options, &mut random, &mut report)?;
    let default = std::env::var_os("VICINO_DATA")
        .map(|folder| Path::new(&folder).join("wordnet-minilm-384-angular/train.npy"))
        .filter(|path| path.exists());
    match options.embeddings.clone().or(default) {
        Some(path) => {
            let real = embeddings(&path, options.rows)?;
            errors(&real, "real", options, &mut random, &mut report)?;
            dropped(&real, options, &mut random, &mut report)?;
        }
        None => report.line("\nSkipped: no embeddings (--embeddings, or the WordNet set in VICINO_DATA)."),
    }
    Ok(report)
}

/// Energy by step, over all patterns and over the best 32.
fn energies(patterns: &Patterns, options: &Options, random: &mut Random, report: &mut Report) -> Result<()> {
    report.line(&format!("## Energy by step: {}\n", patterns.name));
    report.line("States are random unit vectors; until the state moves by less than 10⁻⁷. The energy must fall at every step, up to rounding (10⁻⁷).\n");
    report.line("| β | k | states | steps, mean (most) | rises | energy at the start → end, mean | entropy at the end, nats | most at rest on one pattern |");
    report.line("|---|---|---|---|---|---|---|---|");
    let states = unit_rows(random, options.states, patterns.dim);
    let mut lines = Vec::new();
    for (colour, beta) in [4.0, 8.0, 12.0, 16.0, 24.0].into_iter().enumerate() {
        let network = Hopfield::new(FlatKeys::from_rows(&patterns.rows, patterns.dim)?, beta)?;
        for k in [options.patterns, 32] {
            let recall = Recall { k, max_steps: 400, tolerance: 1e-7 };
            let runs: Vec<Retrieval> = states
                .chunks_exact(patterns.dim)
                .map(|state| network.recall(state, &recall))
                .collect::<Result<_, _>>()?;
            let energies: Vec<Vec<f64>> =
                runs.iter().map(|run| run.steps.iter().map(|step| step.energy).chain([run.energy]).collect()).collect();
            let rises: usize =
                energies.iter().map(|run| run.windows(2).filter(|pair| pair[1] > pair[0] + 1e-7).count()).sum();
            let mean = |of: &dyn Fn(usize) -> f64| (0..runs.len()).map(of).sum::<f64>() / runs.len() as f64;
            let single = runs.iter().filter(|run| run.weights[0] > 0.9).count();
            report.line(&format!(
                "| {beta} | {k} | {} | {:.1} ({}) | {rises} | {:.4} → {:.4} | {:.3} | {:.0} % |",
                runs.len(),
                mean(&|run| runs[run].steps.len() as f64),
                runs.iter().map(|run| run.steps.len()).max().unwrap_or(0),
                mean(&|run| energies[run][0]),
                mean(&|run| runs[run].energy),
                mean(&|run| runs[run].steps.last().map_or(0.0, |step| step.entropy)),
                100.0 * single as f64 / runs.len() as f64,
            ));
            ensure!(rises == 0, "beta {beta}, k {k}: the energy rose {rises} times");
            if k != 32 {
                let at = |step: usize| mean(&|run| energies[run][step.min(energies[run].len() - 1)]);
                let points = (0..=16).map(|step| (step as f64, at(step))).collect();
                lines.push(Line { name: format!("β = {beta}"), points, colour, dashed: false });
            }
        }
    }
    let (x, y) = (Axis { label: "step", scale: Scale::Linear }, Axis { label: "energy, mean", scale: Scale::Linear });
    report.plot("energy", "Energy by step", chart(&format!("Energy by step, {}", patterns.name), &x, &y, &lines));
    Ok(())
}

/// Distance to a pattern after one step from near it and at rest, beside the bounds.
fn errors(patterns: &Patterns, plot: &str, options: &Options, random: &mut Random, report: &mut Report) -> Result<()> {
    const NOISE: f64 = 0.05;
    report.line(&format!("\n## Error beside the paper's bounds: {}\n", patterns.name));
    report.line(&format!(
        "From a state at distance {NOISE} of a pattern. One step: bound 2(N−1)M·exp(−β(Δ − 2M·distance)). At rest: 2e(N−1)M·exp(−βΔ), for patterns whose bound is below 1/(2βM), \
         as the theorem asks.\n"
    ));
    report.line("| β | patterns | separation Δ, median | error after one step, median | bound, median | over the bound | at rest: patterns | error, median | bound, median | over the bound |");
    report.line("|---|---|---|---|---|---|---|---|---|---|");
    let count = patterns.rows.len() / patterns.dim;
    let chosen: Vec<usize> = (0..options.states).map(|_| random.below(count)).collect();
    let mut lines: [Vec<(f64, f64)>; 4] = Default::default();
    for beta in [10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0] {
        let network = Hopfield::new(FlatKeys::from_rows(&patterns.rows, patterns.dim)?, beta)?;
        let (mut separations, mut one, mut bounds, mut over) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let (mut rest, mut rest_bounds, mut rest_over) = (Vec::new(), Vec::new(), 0);
        for &id in &chosen {
            let pattern = &patterns.rows[id * patterns.dim..][..patterns.dim];
            let noise = unit_rows(random, 1, patterns.dim);
            let state: Vec<f32> = pattern.iter().zip(&noise).map(|(x, noise)| x + NOISE as f32 * noise).collect();
            let separation = network.separation(id as u32)?;
            let step = network.recall(&state, &Recall { k: count, max_steps: 1, tolerance: 0.0 })?;
            let (error, bound) =
                (distance(&step.state, pattern), network.step_error_bound(separation, distance(&state, pattern)));
            // States are f32: what is below their rounding says nothing.
            over += usize::from(error > bound + 1e-6);
            separations.push(separation);
            one.push(error);
            bounds.push(bound);
            let bound = network.rest_error_bound(separation);
            if bound < 1.0 / (2.0 * beta * network.longest()) {
                let found = network.recall(pattern, &Recall { k: count, max_steps: 50, tolerance: 1e-9 })?;
                let error = distance(&found.state, pattern);
                rest_over += usize::from(error > bound + 1e-6);
                rest.push(error);
                rest_bounds.push(bound);
            }
        }
        let resting = rest.len();
        let medians = [median(one), median(bounds), median(rest), median(rest_bounds)];
        report.line(&format!(
            "| {beta} | {} | {:.3} | {:.2e} | {:.2e} | {over} | {resting} | {} | {} | {rest_over} |",
            chosen.len(),
            median(separations),
            medians[0],
            medians[1],
            if resting > 0 { format!("{:.2e}", medians[2]) } else { "–".to_owned() },
            if resting > 0 { format!("{:.2e}", medians[3]) } else { "–".to_owned() },
        ));
        ensure!(over + rest_over == 0, "beta {beta}: {} errors over their bounds", over + rest_over);
        lines.iter_mut().zip(medians).for_each(|(line, median)| line.push((beta, median)));
    }
    let names = ["one step", "bound of one step", "at rest", "bound at rest"];
    let lines: Vec<Line> = names
        .into_iter()
        .zip(lines)
        .enumerate()
        .map(|(index, (name, points))| Line {
            name: name.to_owned(),
            points: points.into_iter().filter(|&(_, error)| error > 1e-8).collect(),
            colour: index / 2,
            dashed: index % 2 == 1,
        })
        .collect();
    let (x, y) = (
        Axis { label: "β", scale: Scale::Linear },
        Axis { label: "distance to the pattern, median", scale: Scale::Log },
    );
    report.plot(
        &format!("error-{plot}"),
        "Error beside its bound",
        chart(&format!("Error and bound, {}", patterns.name), &x, &y, &lines),
    );
    Ok(())
}

/// What a softmax over the best k patterns leaves out of one over all.
fn dropped(patterns: &Patterns, options: &Options, random: &mut Random, report: &mut Report) -> Result<()> {
    report.line(&format!("\n## What the best k leave out: {}\n", patterns.name));
    report.line("States are patterns moved by noise of length 0.5. Mass: the part of the full softmax on patterns beyond the best k, and the bound that a lookup returns. Distance: between the step over the best k and the step over all, and its bound of 2M times the bound on the mass. Means.\n");
    report.line("| β | k | mass dropped | bound | distance | bound |");
    report.line("|---|---|---|---|---|---|");
    let count = patterns.rows.len() / patterns.dim;
    let states: Vec<f32> = (0..options.states)
        .flat_map(|_| {
            let id = random.below(count);
            let noise = unit_rows(random, 1, patterns.dim);
            let row = &patterns.rows[id * patterns.dim..][..patterns.dim];
            row.iter().zip(noise).map(|(x, noise)| x + 0.5 * noise).collect::<Vec<f32>>()
        })
        .collect();
    let mut lines = Vec::new();
    for (colour, beta) in [10.0, 20.0, 50.0, 100.0].into_iter().enumerate() {
        let network = Hopfield::new(FlatKeys::from_rows(&patterns.rows, patterns.dim)?, beta)?;
        let step = |state: &[f32], k| network.recall(state, &Recall { k, max_steps: 1, tolerance: 0.0 });
        let full: Vec<Retrieval> =
            states.chunks_exact(patterns.dim).map(|state| step(state, count)).collect::<Result<_, _>>()?;
        let (mut measured, mut bounded) = (Vec::new(), Vec::new());
        for k in [1, 8, 32, 128, 512] {
            let mut sums = [0.0; 4];
            for (state, full) in states.chunks_exact(patterns.dim).zip(&full) {
                let best = step(state, k)?;
                let mass = 1.0 - (best.steps[0].log_sum_exp - full.steps[0].log_sum_exp).exp();
                let moved = distance(&best.state, &full.state);
                let bound = best.steps[0].dropped;
                ensure!(mass <= bound + 1e-6, "mass {mass} over its bound {bound}");
                ensure!(moved <= 2.0 * bound * network.longest() + 1e-6, "distance {moved} over its bound");
                let numbers = [mass.max(0.0), bound, moved, 2.0 * bound * network.longest()];
                sums.iter_mut()
                    .zip(numbers)
                    .for_each(|(sum, number)| *sum += number / full_count(&states, patterns.dim));
            }
            let [mass, bound, moved, moved_bound] = sums;
            report.line(&format!("| {beta} | {k} | {mass:.2e} | {bound:.2e} | {moved:.2e} | {moved_bound:.2e} |"));
            measured.push((k as f64, mass));
            bounded.push((k as f64, bound));
        }
        lines.push(Line { name: format!("β = {beta}"), points: measured, colour, dashed: false });
        lines.push(Line { name: format!("bound, β = {beta}"), points: bounded, colour, dashed: true });
    }
    let (x, y) =
        (Axis { label: "k", scale: Scale::Log }, Axis { label: "mass beyond the best k, mean", scale: Scale::Log });
    report.plot(
        "dropped",
        "Mass beyond the best k",
        chart(&format!("Softmax beyond the best k, {}", patterns.name), &x, &y, &lines),
    );
    Ok(())
}

fn full_count(states: &[f32], dim: usize) -> f64 {
    (states.len() / dim) as f64
}

/// The first rows of a matrix of f16 or f32 in NumPy's format, at unit length.
fn embeddings(path: &Path, rows: usize) -> Result<Patterns> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let refuse = || format!("{}: expected a .npy matrix of f16 or f32, row-major", path.display());
    ensure!(bytes.starts_with(b"\x93NUMPY\x01\x00") && bytes.len() > 10, refuse());
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(bytes.get(10..start).with_context(refuse)?)?;
    ensure!(header.contains("'fortran_order': False"), refuse());
    let shape = header.split_once('(').and_then(|(_, rest)| rest.split_once(')')).with_context(refuse)?.0;
    let shape: Vec<usize> = shape.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    let &[_, dim] = shape.as_slice() else { anyhow::bail!(refuse()) };
    let numbers: Vec<f32> = if header.contains("'<f2'") {
        bytes[start..].as_chunks().0.iter().take(rows * dim).map(|&two| f16::from_le_bytes(two).to_f32()).collect()
    } else {
        ensure!(header.contains("'<f4'"), refuse());
        bytes[start..].as_chunks().0.iter().take(rows * dim).map(|&four| f32::from_le_bytes(four)).collect()
    };
    let mut patterns = Patterns { name: String::new(), rows: numbers, dim };
    patterns.rows.chunks_exact_mut(dim).for_each(normalize);
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    patterns.name = format!("{} rows of {folder}", patterns.rows.len() / dim);
    Ok(patterns)
}

fn unit_rows(random: &mut Random, count: usize, dim: usize) -> Vec<f32> {
    let mut rows: Vec<f32> = (0..count * dim).map(|_| random.normal() as f32).collect();
    rows.chunks_exact_mut(dim).for_each(normalize);
    rows
}

fn normalize(row: &mut [f32]) {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter_mut().for_each(|x| *x /= length);
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
