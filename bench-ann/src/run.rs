//! One run: a worker per index, builds one after another, then timed searches interleaved over all of them.
//!
//! Repeat r of every setting of every engine comes before repeat r + 1 of any, so that a slow minute of the machine falls on all
//! engines alike; medians do the rest. Only one worker computes at a time. Before its settings are timed a worker answers one
//! batch untimed, which brings its index back into the caches.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use crate::data::Data;
use crate::engines::Source;
use crate::kept::{Keep, Place};
use crate::machine::available_memory;
use crate::params::Params;
use crate::process::{Worker, WorkerError};
use crate::protocol::{Reply, Request};
use crate::recall::Thresholds;
use crate::results::{Build, Earlier, EngineVersion, Failure, Latency, Results, ResultsError, Run, median};
use crate::rivals::Rivals;
use crate::sweep::{Config, Sweep};

/// Single queries timed per setting.
const LATENCY_QUERIES: usize = 2_000;
/// What building an index may take, as multiples of the raw f32 rows: rows as loaded, a copy, links or codes.
const BYTES_PER_ROW_BYTE: u64 = 3;

/// How to run.
pub struct Options {
    /// Threads to build with.
    pub build_threads: usize,
    /// Longest time one request to a worker may take.
    pub patience: Duration,
    /// This binary, for our own engines' workers.
    pub own: PathBuf,
    /// The rivals' environment.
    pub rivals: Rivals,
    /// Memory that must stay free when the next index is built; where it would not, those so far are measured first, as a group.
    pub spare_memory: Option<u64>,
    /// Where rivals' indexes are kept between runs, if they are.
    pub keep: Option<Keep>,
}

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The exchange folder failed.
    #[error("temporary files: {0}")]
    Io(#[from] io::Error),
    /// The results could not be saved.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// Where a run reports to.
pub trait Listener {
    /// What is being done now.
    fn doing(&mut self, what: &str);
    /// The results so far; called after every build and every worker's repeat.
    fn save(&mut self, results: &Results) -> Result<(), ResultsError>;
    /// The neighbours of the newest of the runs, i32 `[queries × k]`.
    fn neighbors(&mut self, found: Vec<i32>);
}

/// A worker with its index built.
struct Live<'a> {
    config: &'a Config,
    worker: Worker,
    build: Build,
    /// Position in the results' runs, per search setting; `None` for one that failed.
    runs: Vec<Option<usize>>,
}

/// What one timed batch said.
struct Batch {
    qps: f64,
    cpu_per_elapsed: Option<f64>,
    distances_per_query: Option<f64>,
    hops_per_query: Option<f64>,
}

struct Session<'a> {
    data: &'a Data,
    options: &'a Options,
    thresholds: Thresholds,
    folder: PathBuf,
    listener: &'a mut dyn Listener,
    results: Results,
}

/// Measures `sweep` on `data`. `results` comes with its heading filled in and goes out with the measurements; it is whole only if
/// `complete` is set, which Ctrl-C prevents.
pub fn run(
    data: &Data,
    sweep: &Sweep,
    options: &Options,
    results: Results,
    listener: &mut dyn Listener,
) -> Result<Results, RunError> {
    // A place that cannot be written to is found out before anything is built.
    listener.save(&results)?;
    let folder = tempfile::Builder::new().prefix("bench-ann-").tempdir()?;
    Rivals::write_scripts(folder.path())?;
    let (truth, truth_k) = data.truth();
    let thresholds = Thresholds::new(&data.vectors(), truth, truth_k, results.k);
    let mut session = Session { data, options, thresholds, folder: folder.path().to_owned(), listener, results };
    data.write(&session.file("train.f32"), &session.file("queries.f32"))?;
    let interrupted = session.measure(sweep)?.is_none();
    session.results.complete = !interrupted;
    session.listener.save(&session.results)?;
    Ok(session.results)
}

impl Session<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Everything; `None` when interrupted.
    fn measure(&mut self, sweep: &Sweep) -> Result<Option<()>, RunError> {
        let raw = size_of_val(self.data.vectors().train) as u64;
        let mut waiting = sweep.configs.iter().peekable();
        while waiting.peek().is_some() {
            let mut live = Vec::new();
            while let Some(config) =
                waiting.next_if(|_| live.is_empty() || has_room(raw, available_memory(), self.options.spare_memory))
            {
                match self.build(config) {
                    Ok(ready) => live.push(ready),
                    Err(WorkerError::Interrupted) => return Ok(None),
                    Err(error) => self.fail(config, None, &error),
                }
                self.listener.save(&self.results)?;
            }
            for repeat in 0..sweep.repeats {
                for ready in &mut live {
                    self.listener.doing(&format!(
                        "repeat {}/{}: {} {}",
                        repeat + 1,
                        sweep.repeats,
                        ready.config.engine.name,
                        ready.config.build
                    ));
                    if self.repeat(ready, repeat)?.is_none() {
                        return Ok(None);
                    }
                    self.listener.save(&self.results)?;
                }
            }
        }
        Ok(Some(()))
    }

    fn fail(&mut self, config: &Config, search: Option<&Params>, error: &WorkerError) {
        let name = config.engine.name;
        self.listener.doing(&format!("{name} {} failed: {error}", config.build));
        self.results.failures.push(Failure {
            engine: name.to_owned(),
            build_params: config.build.clone(),
            search_params: search.cloned(),
            message: error.to_string(),
        });
    }

    fn build<'c>(&mut self, config: &'c Config) -> Result<Live<'c>, WorkerError> {
        self.listener.doing(&format!("building {} {}", config.engine.name, config.build));
        let threads = self.options.build_threads;
        let mut worker = Worker::start(self.command(config)?, &self.file("worker.log"), self.options.patience)?;
        let loaded = worker.ask(&Request::Load {
            train: self.file("train.f32"),
            queries: self.file("queries.f32"),
            dim: self.data.info.dim,
            metric: self.data.info.metric.clone(),
        })?;
        let Reply::Loaded { version } = loaded else { return Err(unexpected(&loaded)) };
        let version = EngineVersion { engine: config.engine.name.to_owned(), version };
        if !self.results.engines.contains(&version) {
            self.results.engines.push(version.clone());
        }
        let keep = self.options.keep.as_ref().filter(|_| config.engine.source != Source::Own);
        let place = keep.map(|keep| {
            keep.place(&self.data.info, config.engine.name, &version.version, &config.build.to_string(), threads)
        });
        let kept = place.as_ref().map(Place::read).transpose().map_err(refused)?.flatten();
        let build = if let (Some(place), Some(build)) = (&place, kept) {
            let restored = worker.ask(&Request::Restore { params: config.build.clone(), path: place.index() })?;
            let Reply::Restored = restored else { return Err(unexpected(&restored)) };
            build
        } else {
            let path = place.as_ref().map(Place::begin).transpose().map_err(refused)?;
            let build = self.build_anew(config, &mut worker, threads, path)?;
            if let Some(place) = place {
                let earlier = Earlier { at: self.results.started.clone(), cpu: self.results.machine.cpu.clone() };
                place.finish(&Build { built_earlier: Some(earlier), ..build.clone() }).map_err(refused)?;
            }
            build
        };
        Ok(Live { config, worker, build, runs: vec![None; config.searches.len()] })
    }

    /// Has the worker build, and save the index to `keep`.
    fn build_anew(
        &self,
        config: &Config,
        worker: &mut Worker,
        threads: usize,
        keep: Option<PathBuf>,
    ) -> Result<Build, WorkerError> {
        let scratch = self.folder.clone();
        let built = worker.ask(&Request::Build { params: config.build.clone(), threads, scratch, keep })?;
        let Reply::Built { seconds, cpu_seconds, index_bytes, rss_before_bytes, peak_rss_bytes, resident_bytes } =
            built
        else {
            return Err(unexpected(&built));
        };
        Ok(Build {
            build_params: config.build.clone(),
            build_threads: threads,
            build_s: seconds,
            build_cpu_s: cpu_seconds,
            index_bytes,
            peak_rss_bytes: peak_rss_bytes.zip(rss_before_bytes).map(|(peak, before)| peak.saturating_sub(before)),
            resident_bytes,
            process_peak_rss_bytes: peak_rss_bytes,
            built_earlier: None,
        })
    }

    fn command(&self, config: &Config) -> Result<Command, WorkerError> {
        let mut command = match config.engine.source {
            Source::Own => {
                let mut own = Command::new(&self.options.own);
                own.args(["worker", "--engine", config.engine.name]);
                own
            }
            Source::Python(package) => {
                self.options.rivals.command(config.engine, package, &self.folder).map_err(WorkerError::Failed)?
            }
        };
        // Builds may use their threads; each search call is told its own number, and the linear algebra beneath gets one.
        let most = self.options.build_threads.max(self.results.search_threads);
        command.env("OMP_NUM_THREADS", most.to_string()).env("OMP_WAIT_POLICY", "passive");
        // What an engine keeps on disk goes with the run's own folder.
        command.env("TMPDIR", &self.folder);
        for library in ["OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"] {
            command.env(library, "1");
        }
        Ok(command)
    }

    /// One worker's settings, once each; `None` when interrupted.
    fn repeat(&mut self, live: &mut Live<'_>, repeat: usize) -> Result<Option<()>, RunError> {
        let settings: Vec<usize> = (0..live.runs.len()).filter(|&i| repeat == 0 || live.runs[i].is_some()).collect();
        if let Some(&first) = settings.first() {
            // Untimed; an error shows again, and is kept, when the setting is timed.
            let _ = self.search(live, first);
        }
        for setting in settings {
            let outcome = match self.search(live, setting) {
                Ok(batch) if repeat == 0 => self.first(live, setting, &batch),
                Ok(batch) => {
                    let run = &mut self.results.runs[live.runs[setting].expect("filtered above")];
                    run.qps_repeats.push(batch.qps);
                    run.qps = median(&run.qps_repeats);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => {}
                Err(WorkerError::Interrupted) => return Ok(None),
                Err(error) => {
                    self.fail(live.config, Some(&live.config.searches[setting]), &error);
                    if !matches!(error, WorkerError::Failed(_)) {
                        // The worker is gone, and every later setting with it: one record says so.
                        live.runs.clear();
                        return Ok(Some(()));
                    }
                    live.runs[setting] = None;
                }
            }
        }
        Ok(Some(()))
    }

    /// One timed batch.
    fn search(&mut self, live: &mut Live<'_>, setting: usize) -> Result<Batch, WorkerError> {
        let reply = live.worker.ask(&Request::Search {
            params: live.config.searches[setting].clone(),
            k: self.results.k,
            threads: self.results.search_threads,
            neighbors: self.file("neighbors.i32"),
        })?;
        let Reply::Searched { seconds, cpu_seconds, distances, hops } = reply else { return Err(unexpected(&reply)) };
        let queries = self.data.info.queries as f64;
        Ok(Batch {
            qps: queries / seconds,
            cpu_per_elapsed: cpu_seconds.map(|cpu| cpu / seconds),
            distances_per_query: distances.map(|count| count as f64 / queries),
            hops_per_query: hops.map(|count| count as f64 / queries),
        })
    }

    /// What is taken once per setting, beside the first repeat's time: recall, counters, latency.
    fn first(&mut self, live: &mut Live<'_>, setting: usize, batch: &Batch) -> Result<(), WorkerError> {
        let (k, queries) = (self.results.k, self.data.info.queries);
        let found: Vec<i32> = read_words(&self.file("neighbors.i32"), queries * k)?;
        let recall = self.thresholds.recall(&self.data.vectors(), &found);
        let latency = self.latency(live, setting)?;
        live.runs[setting] = Some(self.results.runs.len());
        self.results.runs.push(Run {
            engine: live.config.engine.name.to_owned(),
            build: live.build.clone(),
            search_params: live.config.searches[setting].clone(),
            recall: recall.ties,
            recall_ann_benchmarks: recall.ann_benchmarks,
            qps: batch.qps,
            qps_repeats: vec![batch.qps],
            cpu_per_elapsed: batch.cpu_per_elapsed,
            latency,
            distances_per_query: batch.distances_per_query,
            hops_per_query: batch.hops_per_query,
        });
        self.listener.neighbors(found);
        Ok(())
    }

    fn latency(&mut self, live: &mut Live<'_>, setting: usize) -> Result<Option<Latency>, WorkerError> {
        let (path, queries) = (self.file("micros.f32"), self.data.info.queries.min(LATENCY_QUERIES));
        let reply = live.worker.ask(&Request::Latency {
            params: live.config.searches[setting].clone(),
            k: self.results.k,
            queries,
            micros: path.clone(),
        })?;
        let Reply::Timed = reply else { return Err(unexpected(&reply)) };
        Ok(Latency::of(&read_words::<f32>(&path, queries)?))
    }
}

fn refused(error: impl std::fmt::Display) -> WorkerError {
    WorkerError::Failed(error.to_string())
}

fn unexpected(reply: &Reply) -> WorkerError {
    WorkerError::Protocol(format!("unexpected reply {reply:?}"))
}

fn read_words<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(
    path: &Path,
    expected: usize,
) -> Result<Vec<T>, WorkerError> {
    let bytes = fs::read(path).map_err(|error| WorkerError::Protocol(format!("{}: {error}", path.display())))?;
    if bytes.len() != expected * size_of::<T>() {
        let found = bytes.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Err(WorkerError::Protocol(format!(
            "{name} holds {found} bytes; expected {}",
            expected * size_of::<T>()
        )));
    }
    Ok(bytemuck::pod_collect_to_vec(&bytes))
}

/// Whether one more index of these rows can be built beside those in memory.
fn has_room(raw_bytes: u64, available: Option<u64>, spare: Option<u64>) -> bool {
    let needed = raw_bytes * BYTES_PER_ROW_BYTE;
    available.zip(spare).is_none_or(|(available, spare)| available >= spare.saturating_add(needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_while_enough_stays_free() {
        assert!(has_room(100, Some(400), Some(100)));
        assert!(!has_room(100, Some(399), Some(100)));
        assert!(has_room(100, None, Some(100)) && has_room(100, Some(0), None), "unknown is no reason to stop");
    }
}
