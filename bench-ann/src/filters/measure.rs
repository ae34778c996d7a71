//! The run: every engine in a process of its own with all rows and payloads; every setting tried once in every case; then, of those that
//! reach the recall, each engine's fastest and the exact ones timed again and again, all engines of a case one after the other.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io, thread};

use serde_json::{Map, Value, json};

use super::cases::{Case, Condition, Fields, LABEL, PLACE, RANDOM, Vectors};
use super::{Filtered, Run};
use crate::data::Data;
use crate::engines::{self, Engine, Source};
use crate::params::Params;
use crate::process::{Worker, WorkerError};
use crate::protocol::{Reply, Request};
use crate::recall::Thresholds;
use crate::results::{EngineVersion, Failure, ResultsError};
use crate::rivals::Rivals;

/// How to run.
pub struct Options<'a> {
    /// Threads to build with.
    pub build_threads: usize,
    /// Longest time one request to a worker may take.
    pub patience: Duration,
    /// This binary, for our own engine's worker.
    pub own: PathBuf,
    /// The rivals' environment.
    pub rivals: Rivals,
    /// Hears what is being done.
    pub say: &'a dyn Fn(&str),
}

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The exchange folder failed.
    #[error("temporary files: {0}")]
    Io(#[from] io::Error),
    /// A worker failed that nothing can be measured without, or the user pressed Ctrl-C.
    #[error("{engine}: {error}")]
    Worker {
        /// Which.
        engine: &'static str,
        /// How.
        error: WorkerError,
    },
    /// The results could not be saved.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// The quantized graph with payload indexes; it answers filtered searches only.
const OURS: Engine = Engine {
    name: super::OURS,
    source: Source::Own,
    about: "the quantized graph of this project with payload indexes",
};

/// An index to measure and how to search it.
struct Contender {
    engine: &'static Engine,
    build: Params,
    searches: Vec<(Params, bool)>, // whether exact
}

fn params(value: Value) -> Params {
    match value {
        Value::Object(map) => Params(map),
        other => unreachable!("{other} is no object"),
    }
}

/// Ours, and the rival with vectors as floats and, for whole numbers in a byte's range, as bytes.
fn contenders(bytes: bool) -> Vec<Contender> {
    let find = |name| engines::find(name).expect("in the table of engines");
    let slacks = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4].map(|slack| (params(json!({ "slack": slack })), false));
    let scan = (params(json!({"slack": 0.0, "plan": "scan"})), true);
    let mut all = vec![Contender {
        engine: &OURS,
        build: params(json!({})),
        searches: slacks.into_iter().chain([scan]).collect(),
    }];
    for datatype in if bytes { &["uint8", "float32"][..] } else { &["float32"] } {
        let beams = [false, true]
            .into_iter()
            .flat_map(|acorn| [16, 32, 64, 128, 256].map(|ef| (params(json!({"ef": ef, "acorn": acorn})), false)));
        all.push(Contender {
            engine: find("qdrant-edge"),
            build: params(json!({"m": 16, "ef_construction": 200, "datatype": datatype})),
            searches: beams.chain([(params(json!({"exact": true})), true)]).collect(),
        });
    }
    all
}

/// A case, with what is known of it.
struct Known {
    case: Case,
    filters: Vec<Vec<Condition>>,
    file: PathBuf,
    thresholds: Thresholds,
    /// `[queries]`: rows that match.
    matching: Vec<usize>,
}

struct Session<'a> {
    data: &'a Data,
    fields: &'a Fields,
    folder: &'a Path,
    results: Filtered,
}

/// Measures filtered searches of `data`, with `labels` of its rows and queries where there are any. `results` comes with its heading
/// filled in. A rival that fails is listed.
pub fn measure(
    data: &Data,
    labels: Option<(Vec<u32>, Vec<u32>)>,
    options: &Options<'_>,
    results: Filtered,
    save: &dyn Fn(&Filtered) -> Result<(), ResultsError>,
) -> Result<Filtered, MeasureError> {
    save(&results)?;
    let folder = tempfile::Builder::new().prefix("bench-ann-filters-").tempdir()?;
    Rivals::write_scripts(folder.path())?;
    let vectors = data.vectors();
    (options.say)("fields and filters");
    let (train, queries) =
        (Vectors { data: vectors.train, dim: vectors.dim }, Vectors { data: vectors.queries, dim: vectors.dim });
    let fields = Fields::new(train, queries, labels);
    data.write(&folder.path().join("train.f32"), &folder.path().join("queries.f32"))?;
    write_payload(&fields, &folder.path().join("payload.json"))?;
    let mut session = Session { data, fields: &fields, folder: folder.path(), results };
    let mut known = Vec::new();
    for (at, case) in fields.cases().into_iter().enumerate() {
        (options.say)(&format!("exact neighbours: {case:?}"));
        known.push(session.know(case, at)?);
    }
    let bytes = vectors.train.iter().all(|&x| f32::from(x as u8) == x);
    let contenders = contenders(bytes);
    let mut workers = Vec::new();
    for contender in &contenders {
        (options.say)(&format!("building {} {}", contender.engine.name, contender.build));
        match session.build(contender, options) {
            Ok(worker) => workers.push((contender, worker)),
            Err(WorkerError::Interrupted) => return Err(interrupted(contender)),
            Err(error) => session.fail(contender, None, &error),
        }
    }
    for known in &known {
        (options.say)(&format!("{:?}", known.case));
        let first = session.results.runs.len();
        for (contender, worker) in &mut workers {
            for (search, exact) in &contender.searches {
                match session.try_out(contender, worker, (search, *exact), known) {
                    Ok(run) => session.results.runs.push(run),
                    Err(WorkerError::Interrupted) => return Err(interrupted(contender)),
                    Err(error) => session.fail(contender, Some(search), &error),
                }
            }
        }
        let chosen = chosen(&session.results.runs[first..], session.results.target);
        for _ in 0..session.results.repeats {
            for &at in &chosen {
                let run = session.results.runs[first + at].clone();
                let of = |(contender, _): &&mut (&Contender, Worker)| {
                    contender.engine.name == run.engine && contender.build == run.build_params
                };
                let Some((contender, worker)) = workers.iter_mut().find(of) else { continue };
                match session.search(worker, &run.search_params, known) {
                    Ok((seconds, ..)) => {
                        let qps = session.data.info.queries as f64 / seconds;
                        session.results.runs[first + at].qps_repeats.push(qps);
                    }
                    Err(WorkerError::Interrupted) => return Err(interrupted(contender)),
                    Err(error) => session.fail(contender, Some(&run.search_params), &error),
                }
            }
        }
        save(&session.results)?;
    }
    Ok(session.results)
}

fn interrupted(contender: &Contender) -> MeasureError {
    MeasureError::Worker { engine: contender.engine.name, error: WorkerError::Interrupted }
}

/// Of each index the fastest setting that reaches `target`, or the one of the best recall, and the exact one.
fn chosen(runs: &[Run], target: f64) -> Vec<usize> {
    let mut chosen = Vec::new();
    let index = |run: &Run| (run.engine.clone(), run.build_params.to_string(), run.exact);
    let mut seen = Vec::new();
    for run in runs {
        if seen.contains(&index(run)) {
            continue;
        }
        seen.push(index(run));
        let same = || runs.iter().enumerate().filter(|(_, other)| index(other) == index(run));
        let good = same().filter(|(_, run)| run.recall >= target);
        let fastest = good.max_by(|a, b| a.1.tried_qps.total_cmp(&b.1.tried_qps));
        chosen.extend(fastest.or_else(|| same().max_by(|a, b| a.1.recall.total_cmp(&b.1.recall))).map(|(at, _)| at));
    }
    chosen
}

fn write_payload(fields: &Fields, path: &Path) -> io::Result<()> {
    let mut columns = Map::new();
    columns.insert(RANDOM.into(), json!(fields.random));
    columns.insert(PLACE.into(), json!(fields.place));
    columns.extend(fields.label.as_ref().map(|label| (LABEL.to_owned(), json!(label))));
    fs::write(path, serde_json::to_vec(&columns)?)
}

impl Session<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn fail(&mut self, contender: &Contender, search: Option<&Params>, error: &WorkerError) {
        self.results.failures.push(Failure {
            engine: contender.engine.name.to_owned(),
            build_params: contender.build.clone(),
            search_params: search.cloned(),
            message: error.to_string(),
        });
    }

    /// Filters and exact answers of a case.
    fn know(&self, case: Case, at: usize) -> io::Result<Known> {
        let (vectors, k, queries) = (self.data.vectors(), self.results.k, self.data.info.queries);
        let filters: Vec<Vec<Condition>> = (0..queries).map(|query| self.fields.filter(case, query)).collect();
        let file = self.file(&format!("filters-{at}.json"));
        fs::write(&file, serde_json::to_vec(&filters)?)?;
        let answer = |query: usize| {
            let matching: Vec<usize> =
                (0..self.data.info.rows).filter(|&row| self.fields.holds(&filters[query], row)).collect();
            let asked = &vectors.queries[query * vectors.dim..][..vectors.dim];
            let distance = |row: usize| {
                let row = &vectors.train[row * vectors.dim..][..vectors.dim];
                let (mut square, mut dot) = (0.0_f32, 0.0_f32);
                for (a, b) in asked.iter().zip(row) {
                    square += (a - b) * (a - b);
                    dot += a * b;
                }
                if vectors.metric == vicino_index::Metric::L2 { square } else { -dot }
            };
            let mut nearest: Vec<(f32, u32)> = matching.iter().map(|&row| (distance(row), row as u32)).collect();
            nearest.sort_by(|a, b| a.0.total_cmp(&b.0));
            // Too few to fill k are counted once each: the last stands for those missing.
            let ids = nearest.iter().map(|near| near.1);
            let last = nearest.last().map_or(0, |near| near.1);
            let ids: Vec<u32> = ids.chain(std::iter::repeat(last)).take(k).collect();
            (ids, matching.len())
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = queries.div_ceil(threads).max(1);
        let answers: Vec<(Vec<u32>, usize)> = thread::scope(|scope| {
            let running: Vec<_> = (0..queries)
                .step_by(share)
                .map(|first| {
                    let answer = &answer;
                    scope.spawn(move || (first..queries.min(first + share)).map(answer).collect::<Vec<_>>())
                })
                .collect();
            running.into_iter().flat_map(|share| share.join().expect("no panic in plain arithmetic")).collect()
        });
        let truth: Vec<u32> = answers.iter().flat_map(|(ids, _)| ids.iter().copied()).collect();
        let matching = answers.iter().map(|(_, matching)| *matching).collect();
        Ok(Known { case, filters, file, thresholds: Thresholds::new(&vectors, &truth, k, k), matching })
    }

    fn build(&mut self, contender: &Contender, options: &Options<'_>) -> Result<Worker, WorkerError> {
        let mut command = match contender.engine.source {
            Source::Own => {
                let mut command = std::process::Command::new(&options.own);
                command.args(["worker", "--engine", contender.engine.name]);
                command
            }
            Source::Python(package) => {
                options.rivals.command(contender.engine, package, self.folder).map_err(WorkerError::Failed)?
            }
        };
        command.env("TMPDIR", self.folder);
        let mut worker = Worker::start(command, &self.file("worker.log"), options.patience)?;
        let loaded = worker.ask(&Request::Load {
            train: self.file("train.f32"),
            queries: self.file("queries.f32"),
            dim: self.data.info.dim,
            metric: self.data.info.metric.clone(),
        })?;
        if let Reply::Loaded { version } = loaded {
            let known = EngineVersion { engine: contender.engine.name.to_owned(), version };
            if !self.results.engines.contains(&known) {
                self.results.engines.push(known);
            }
        }
        let scratch = self.file("scratch");
        let made = fs::create_dir_all(&scratch);
        made.map_err(|error| WorkerError::Failed(format!("{}: {error}", scratch.display())))?;
        let mut build = contender.build.clone();
        build.0.insert("payload".into(), json!(self.file("payload.json")));
        worker.ask(&Request::Build { params: build, threads: options.build_threads, scratch, keep: None })?;
        Ok(worker)
    }

    /// One batch: seconds, distances, hops; the neighbours are in their file.
    fn search(
        &self,
        worker: &mut Worker,
        search: &Params,
        known: &Known,
    ) -> Result<(f64, Option<u64>, Option<u64>), WorkerError> {
        let mut params = search.clone();
        params.0.insert("filters".into(), json!(known.file));
        let reply = worker.ask(&Request::Search {
            params,
            k: self.results.k,
            threads: 1,
            neighbors: self.file("neighbors.i32"),
        })?;
        match reply {
            Reply::Searched { seconds, distances, hops, .. } => Ok((seconds, distances, hops)),
            other => Err(WorkerError::Protocol(format!("unexpected reply {other:?}"))),
        }
    }

    fn try_out(
        &self,
        contender: &Contender,
        worker: &mut Worker,
        (search, exact): (&Params, bool),
        known: &Known,
    ) -> Result<Run, WorkerError> {
        let (seconds, distances, hops) = self.search(worker, search, known)?;
        let (k, queries) = (self.results.k, self.data.info.queries);
        let path = self.file("neighbors.i32");
        let bytes = fs::read(&path).map_err(|error| WorkerError::Protocol(format!("{}: {error}", path.display())))?;
        let found: Vec<i32> = bytemuck::pod_collect_to_vec(&bytes);
        if found.len() != queries * k {
            return Err(WorkerError::Protocol(format!("{} neighbours; expected {}", found.len(), queries * k)));
        }
        let (mut whole, mut wrong) = (0, 0);
        for ((found, filter), &matching) in found.chunks(k).zip(&known.filters).zip(&known.matching) {
            let good = |&&row: &&i32| row >= 0 && self.fields.holds(filter, row as usize);
            let mut rows: Vec<i32> = found.iter().filter(good).copied().collect();
            wrong += found.iter().filter(|&&row| row >= 0).count() - rows.len();
            rows.sort_unstable();
            rows.dedup();
            whole += usize::from(rows.len() == k.min(matching));
        }
        let of_queries = |count: u64| count as f64 / queries as f64;
        Ok(Run {
            case: known.case,
            matching: known.matching.iter().sum::<usize>() as f64 / queries as f64,
            engine: contender.engine.name.to_owned(),
            build_params: contender.build.clone(),
            search_params: search.clone(),
            exact,
            recall: known.thresholds.recall(&self.data.vectors(), &found).ties,
            whole,
            wrong,
            tried_qps: queries as f64 / seconds,
            qps_repeats: Vec::new(),
            distances_per_query: distances.map(of_queries),
            hops_per_query: hops.map(of_queries),
        })
    }
}
