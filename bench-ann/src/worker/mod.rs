//! The worker process of our own engines: reads requests, measures, answers. The other end is [`crate::process`].

mod compact;
mod filtered;
mod flat;
mod hnsw;
mod quantized;

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::thread;
use std::time::Instant;

use vicino_index::{Metric, Rows};

use crate::machine::kilobytes;
use crate::params::Params;
use crate::protocol::{Reply, Request};

/// Whatever went wrong, told to the parent as text.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Queries asked before single ones are timed.
const WARM_UP_QUERIES: usize = 20;

/// Vectors as the engines are given them.
struct Matrix {
    data: Vec<f32>, // [rows × dim]
    dim: usize,
}

/// What a batch cost, where counted.
#[derive(Default, Clone, Copy)]
struct Counters {
    distances: Option<u64>,
    hops: Option<u64>,
}

/// An engine that can be measured.
trait Engine {
    /// Builds from rows of `metric`.
    fn build(&mut self, train: &Matrix, metric: Metric, params: &Params, threads: usize) -> Result<(), Fault>;
    /// Bytes of the index.
    fn index_bytes(&self) -> u64;
    /// Takes the parameters of the searches that follow, outside the clock.
    fn prepare(&mut self, params: &Params, k: usize, threads: usize) -> Result<(), Fault>;
    /// Answers queries in order, writing `k` ids each to `found`, which holds -1 where nothing is written.
    fn search(&mut self, queries: Rows<'_>, found: &mut [i32]) -> Result<Counters, Fault>;
}

/// Divides queries and the places for their ids among scratches, one thread for each, and collects what `answer` makes of each share.
fn in_shares<S: Send, T: Send>(
    queries: Rows<'_>,
    k: usize,
    found: &mut [i32],
    scratches: &mut [S],
    answer: impl Fn(Rows<'_>, &mut [i32], &mut S) -> Result<T, Fault> + Sync,
) -> Result<Vec<T>, Fault> {
    if let [scratch] = scratches {
        return Ok(vec![answer(queries, found, scratch)?]);
    }
    let per_thread = queries.len().div_ceil(scratches.len()).max(1);
    let answer = &answer;
    thread::scope(|scope| {
        let share = |(i, (found, scratch)): (usize, (&'_ mut [i32], &'_ mut S))| {
            let queries = queries.slice(i * per_thread, queries.len().min((i + 1) * per_thread));
            answer(queries, found, scratch)
        };
        let shares = found.chunks_mut(per_thread * k).zip(scratches).enumerate();
        let running: Vec<_> = shares.map(|part| scope.spawn(move || share(part))).collect();
        running.into_iter().map(|share| share.join().expect("a search does not panic")).collect()
    })
}

impl Matrix {
    fn read(path: &Path, dim: usize) -> Result<Matrix, Fault> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let data = bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        Ok(Matrix { data, dim })
    }

    fn rows(&self) -> Result<Rows<'_>, Fault> {
        Ok(Rows::new(self.data.as_slice(), self.dim)?)
    }
}

/// Serves `engine` until the requests end. Errors only when the pipe breaks.
pub fn serve(engine: &str, requests: impl BufRead, mut replies: impl Write) -> io::Result<()> {
    let engine: Box<dyn Engine> = match engine {
        "vicino" => Box::new(hnsw::Hnsw::default()),
        "vicino-qg" => Box::new(quantized::Quantized::default()),
        "vicino-compact" => Box::new(compact::Compact::default()),
        "vicino-filtered" => Box::new(filtered::Filtered::default()),
        "flat" => Box::new(flat::Flat::default()),
        other => {
            return Err(io::Error::other(format!(
                "no engine `{other}` in this binary; it has vicino, vicino-qg, vicino-compact, vicino-filtered, flat"
            )));
        }
    };
    let mut state = State { engine, train: None, queries: None, metric: Metric::L2, empty: None };
    for line in requests.lines() {
        let reply = match serde_json::from_str(&line?) {
            Ok(request) => state.answer(request).unwrap_or_else(|error| Reply::Failed { message: error.to_string() }),
            Err(error) => Reply::Failed { message: format!("not a request: {error}") },
        };
        serde_json::to_writer(&mut replies, &reply)?;
        writeln!(replies)?;
        replies.flush()?;
    }
    Ok(())
}

struct State {
    engine: Box<dyn Engine>,
    train: Option<Matrix>,
    queries: Option<Matrix>,
    metric: Metric,
    /// Resident size without rows and index.
    empty: Option<u64>,
}

impl State {
    fn answer(&mut self, request: Request) -> Result<Reply, Fault> {
        match request {
            Request::Load { train, queries, dim, metric } => {
                self.metric = metric.parse()?;
                self.queries = Some(Matrix::read(&queries, dim)?);
                self.empty = memory("VmRSS");
                self.train = Some(Matrix::read(&train, dim)?);
                Ok(Reply::Loaded { version: concat!("vicino-index ", env!("CARGO_PKG_VERSION")).to_owned() })
            }
            Request::Build { params, threads, .. } => self.build(&params, threads),
            Request::Restore { .. } => Err("indexes of this binary are built anew in every run".into()),
            Request::Search { params, k, threads, neighbors } => self.search(&params, k, threads, &neighbors),
            Request::Latency { params, k, queries, micros } => self.latency(&params, k, queries, &micros),
        }
    }

    fn build(&mut self, params: &Params, threads: usize) -> Result<Reply, Fault> {
        let train = self.train.take().ok_or("build before load")?;
        // From here on the peak is the build's, not the loading's; where the kernel refuses, it is both.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let rss_before_bytes = memory("VmRSS");
        let (start, cpu) = (Instant::now(), cpu_seconds());
        self.engine.build(&train, self.metric, params, threads)?;
        let (seconds, cpu_after) = (start.elapsed().as_secs_f64(), cpu_seconds());
        let cpu_seconds = cpu.zip(cpu_after).map(|(before, after)| after - before);
        let peak_rss_bytes = memory("VmHWM");
        drop(train);
        let resident_bytes = memory("VmRSS").zip(self.empty).map(|(now, empty)| now.saturating_sub(empty));
        let index_bytes = Some(self.engine.index_bytes());
        Ok(Reply::Built { seconds, cpu_seconds, index_bytes, rss_before_bytes, peak_rss_bytes, resident_bytes })
    }

    fn search(&mut self, params: &Params, k: usize, threads: usize, neighbors: &Path) -> Result<Reply, Fault> {
        let queries = self.queries.as_ref().ok_or("search before load")?.rows()?;
        self.engine.prepare(params, k, threads)?;
        let mut found = vec![-1; queries.len() * k];
        let start = Instant::now();
        let counters = self.engine.search(queries, &mut found)?;
        let seconds = start.elapsed().as_secs_f64();
        fs::write(neighbors, bytemuck::cast_slice(&found))?;
        Ok(Reply::Searched { seconds, cpu_seconds: None, distances: counters.distances, hops: counters.hops })
    }

    fn latency(&mut self, params: &Params, k: usize, count: usize, path: &Path) -> Result<Reply, Fault> {
        let queries = self.queries.as_ref().ok_or("latency before load")?.rows()?;
        let count = count.min(queries.len());
        self.engine.prepare(params, k, 1)?;
        let mut found = vec![-1; k];
        for i in 0..count.min(WARM_UP_QUERIES) {
            self.engine.search(queries.slice(i, i + 1), &mut found)?;
        }
        let mut micros = Vec::with_capacity(count);
        for i in 0..count {
            let query = queries.slice(i, i + 1);
            let start = Instant::now();
            self.engine.search(query, &mut found)?;
            micros.push(start.elapsed().as_secs_f32() * 1e6);
        }
        fs::write(path, bytemuck::cast_slice(&micros))?;
        Ok(Reply::Timed)
    }
}

/// Processor time of this process so far, over all its threads, to a hundredth of a second.
fn cpu_seconds() -> Option<f64> {
    /// The unit of `/proc/*/stat` on every architecture we run on, whatever the kernel's own tick is.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name, may hold anything; user and system time are the 14th and 15th.
    let mut times = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) as f64 / TICKS_PER_SECOND)
}

/// `VmRSS` or `VmHWM` of this process.
fn memory(field: &str) -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, field)
}
