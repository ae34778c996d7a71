//! What each command does.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use bench_ann::budget;
use bench_ann::collection::{self, Phase, Settings, resident};
use bench_ann::compare::compare;
use bench_ann::data::Data;
use bench_ann::engines::{self, ENGINES, Engine, Source};
use bench_ann::filters::measure::{self, measure as measure_filters};
use bench_ann::filters::{self, Filtered};
use bench_ann::gate;
use bench_ann::kept::Keep;
use bench_ann::machine::{Commit, Machine, available_memory};
use bench_ann::process::INTERRUPTED;
use bench_ann::recall::Thresholds;
use bench_ann::report::filters::Report;
use bench_ann::report::plot::{Measure, plot};
use bench_ann::report::summary::{Section, json, sections};
use bench_ann::report::table::{Table, legend};
use bench_ann::report::{growth::Growth, html, standing, svg};
use bench_ann::results::{Results, ResultsError, SCHEMA, write_atomically};
use bench_ann::rivals::{Package, Rivals};
use bench_ann::run::{Listener, Options, run};
use bench_ann::sweep::{BUILT_IN, Sweep};
use clap::ValueEnum as _;

use crate::cli::{
    BudgetArgs, CollectionArgs, Command, FiltersArgs, GateArgs, GrowthArgs, ReportArgs, RivalsCommand, RunArgs,
};

/// Exit status after Ctrl-C, as shells have it.
const INTERRUPTED_STATUS: u8 = 130;
/// Points that are churned, if the data set has so many: each is written five times over.
const CHURN_ROWS: usize = 100_000;
/// Share of the memory available at the start that indexes leave free.
const SPARE_SHARE: f64 = 0.2;

pub(crate) fn dispatch(command: Command) -> Result<ExitCode> {
    let speaks_to_workers = match &command {
        Command::Run(_) => true,
        Command::Filters(args) => args.dataset.is_some(),
        _ => false,
    };
    // Whoever reads what is printed has seen enough, as `head` has: no error. Where a worker closes its pipe, it is one.
    if !speaks_to_workers {
        sigpipe::reset();
    }
    match command {
        Command::Run(args) => return measure(&args),
        Command::Report(args) => report(&args)?,
        Command::Growth(args) => growth(&args)?,
        Command::Budget(args) => budget(&args)?,
        Command::Gate(args) => gate(&args)?,
        Command::Filters(args) => filters(&args)?,
        Command::Compare { old, new, markdown } => {
            let comparison = compare(&Results::read(&old)?, &Results::read(&new)?)?;
            let table = &comparison.table;
            print!("{}", if markdown { table.markdown() } else { table.text() });
            comparison.notes.iter().for_each(|note| println!("note: {note}"));
            println!("{} losses", comparison.losses);
        }
        Command::Rivals { command, rivals } => {
            let rivals = Rivals::at(rivals);
            match command {
                RivalsCommand::Install { names } => list(&rivals.install(&names, &|what| eprintln!("{what}"))?),
                RivalsCommand::List => list(&rivals.packages()?),
            }
            println!("in {}", rivals.folder().display());
        }
        Command::Collection(args) => keep(&args)?,
        Command::Resident { home, queries, k, ef } => println!("{}", resident(&home, &queries, k, ef)?),
        Command::Engines => {
            for Engine { name, source, about } in ENGINES {
                let package = if let Source::Python(package) = source { package } else { "built in" };
                println!("{name:<16} {package:<12} {about}");
            }
        }
        Command::Sweeps { name: None } => BUILT_IN.iter().for_each(|(name, _)| println!("{name}")),
        Command::Sweeps { name: Some(name) } => {
            let text = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| text);
            print!("{}", text.ok_or_else(|| anyhow!("no built-in sweep is named `{name}`; see `bench-ann sweeps`"))?);
        }
        Command::Worker { engine } => {
            bench_ann::worker::serve(&engine, std::io::stdin().lock(), std::io::stdout().lock())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures what keeping points costs; the report is written after each phase.
fn keep(args: &CollectionArgs) -> Result<()> {
    let mut dataset = vicino_datasets::open(&args.dataset)?;
    if let Some(rows) = args.rows {
        dataset = dataset.first_rows(rows)?;
    }
    let data = Data::new(dataset, args.k, Some(args.queries), &exact_progress)?;
    let settings = Settings {
        dir: args.dir.clone(),
        own: std::env::current_exe().context("this binary's own path")?,
        element: args.element.to_string(),
        batch: args.batch,
        singles: args.singles,
        writers: args.writers,
        seconds: args.seconds,
        ingest: args.ingest,
        churn_rows: args.churn_rows.unwrap_or(CHURN_ROWS.min(data.info.rows)),
        rounds: args.rounds,
        k: args.k,
        ef: args.ef.clone(),
    };
    let mut report = collection::Report::open(&args.out, &data.info)?;
    let started = Instant::now();
    let say = |what: &str| eprintln!("{:>6.1} s  {what}", started.elapsed().as_secs_f64());
    let phases = if args.phase.is_empty() { Phase::value_variants() } else { &args.phase };
    collection::run(&data, &settings, phases, &say, |measured| {
        report.put(measured);
        report.write(&args.out)?;
        say(&format!("wrote {}", args.out.display()));
        Ok(())
    })?;
    print!("{}", report.markdown());
    Ok(())
}

fn list(packages: &[Package]) {
    for Package { package, version, error } in packages {
        match (version, error) {
            (Some(version), _) => println!("{package:<12} {version}"),
            (None, error) => println!("{package:<12} not installed: {}", error.as_deref().unwrap_or("unknown reason")),
        }
    }
}

fn measure(args: &RunArgs) -> Result<ExitCode> {
    let wanted = args.engine.iter().map(|name| engines::find(name)).collect::<Result<Vec<_>, _>>()?;
    let mut sweep = Sweep::open(&args.sweep, &wanted)?;
    sweep.repeats = args.repeats.unwrap_or(sweep.repeats);

    let mut progress = Progress::new(args);
    progress.doing(&format!("opening {}", args.dataset));
    let data = open(&args.dataset, args.rows, args.queries, args.k)?;
    // Until here there is nothing to save, and Ctrl-C ends the process at once.
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).context("Ctrl-C handler")?;
    let options = Options {
        build_threads: args.build_threads.unwrap_or_else(processors),
        patience: Duration::from_secs(args.timeout),
        own: std::env::current_exe().context("this binary's own path")?,
        rivals: Rivals::at(args.rivals.clone()),
        spare_memory: available_memory().map(|bytes| (bytes as f64 * SPARE_SHARE) as u64),
        keep: args.keep.clone().map(Keep),
    };
    let heading = Results {
        schema: SCHEMA,
        complete: false,
        command: command_line(),
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        commit: Commit::read(),
        machine: Machine::read(),
        dataset: data.info.clone(),
        k: args.k,
        search_threads: args.threads,
        repeats: sweep.repeats,
        engines: Vec::new(),
        runs: Vec::new(),
        failures: Vec::new(),
    };
    let results = run(&data, &sweep, &options, heading, &mut progress)?;
    progress.finish();
    if let Some(path) = &args.neighbors {
        progress.write_neighbors(path, data.info.queries, args.k)?;
    }
    for failure in &results.failures {
        eprintln!("not measured: {} {}: {}", failure.engine, failure.build_params, failure.message);
    }
    println!("{} settings measured, results in {}", results.runs.len(), args.out.display());
    if !results.complete {
        eprintln!("interrupted: the results are partial");
        return Ok(ExitCode::from(INTERRUPTED_STATUS));
    }
    if results.runs.is_empty() {
        bail!("nothing could be measured");
    }
    Ok(ExitCode::SUCCESS)
}

/// A data set as all commands measure it: its first rows, its first queries.
fn open(name: &str, rows: Option<usize>, queries: Option<usize>, k: usize) -> Result<Data> {
    let mut dataset = vicino_datasets::open(name)?;
    if let Some(rows) = rows {
        dataset = dataset.first_rows(rows)?;
    }
    Ok(Data::new(dataset, k, queries, &exact_progress)?)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The program by name: where it lies says nothing about the measurement.
fn command_line() -> Vec<String> {
    std::iter::once("bench-ann".to_owned()).chain(std::env::args().skip(1)).collect()
}

fn budget(args: &BudgetArgs) -> Result<()> {
    let data = open(&args.dataset, args.rows, args.queries, args.k)?;
    let (truth, truth_k) = data.truth();
    let thresholds = Thresholds::new(&data.vectors(), truth, truth_k, args.k);
    eprintln!("building");
    let threads = args.build_threads.unwrap_or_else(processors);
    let bench = budget::Bench::new(&data, &thresholds, args.k, threads)?;
    let mut budgets = Vec::new();
    for &recall in &args.recall {
        eprintln!("taking searches of recall {recall} apart");
        budgets.push(bench.at_recall(recall)?);
    }
    let table = bench.table(&budgets);
    println!("{}\n\n{}\n\n{}", bench.title(), bench.limits(), table.text());
    println!("{}", budget::LEGEND);
    if let Some(path) = &args.out {
        let (machine, commit) = (Machine::read(), Commit::read());
        let commit = commit.map_or_else(|| "unknown".to_owned(), |commit| commit.to_string());
        let text = format!(
            "# Where the time of a query goes\n\n{}\n\n{}\n\n{}\n{}\n\n```text\n{}\n{}, {} cores, {}\ncommit {commit}\n```\n",
            bench.title(),
            bench.limits(),
            table.markdown(),
            budget::LEGEND,
            command_line().join(" "),
            machine.cpu,
            machine.cores,
            machine.caches.join(", "),
        );
        write_atomically(path, text.as_bytes())?;
    }
    Ok(())
}

/// Tells a terminal how far the exact neighbours are; a log would only grow by it.
fn exact_progress(done: usize, total: usize) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2Kexact neighbours: {done} of {total} queries");
    }
}

/// Says on stderr what is being done, on one line where that is a terminal; saves the results as they grow.
struct Progress {
    out: PathBuf,
    terminal: bool,
    keep_neighbors: bool,
    neighbors: Vec<Vec<i32>>,
}

impl Progress {
    fn new(args: &RunArgs) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        Progress { out: args.out.clone(), terminal, keep_neighbors: args.neighbors.is_some(), neighbors: Vec::new() }
    }

    fn finish(&self) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }

    fn write_neighbors(&self, path: &Path, queries: usize, k: usize) -> Result<()> {
        let shape = match self.neighbors.len() {
            1 => vec![queries, k],
            runs => vec![runs, queries, k],
        };
        let mut npy = npy_header("<i4", &shape);
        self.neighbors.iter().for_each(|found| npy.extend_from_slice(bytemuck::cast_slice(found)));
        Ok(write_atomically(path, &npy)?)
    }
}

impl Listener for Progress {
    fn doing(&mut self, what: &str) {
        if self.terminal {
            eprint!("\r\x1b[2K{what}");
            // A progress line that cannot be shown is no reason to stop.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{what}");
        }
    }

    fn save(&mut self, results: &Results) -> Result<(), ResultsError> {
        results.write(&self.out)
    }

    fn neighbors(&mut self, found: Vec<i32>) {
        if self.keep_neighbors {
            self.neighbors.push(found);
        }
    }
}

/// The head of a NumPy file of little-endian words in row-major order.
fn npy_header(words: &str, shape: &[usize]) -> Vec<u8> {
    let shape: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let mut text = format!("{{'descr': '{words}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version and length take ten bytes; the whole must be a multiple of 64 and end in a newline.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(text.len() as u16).to_le_bytes());
    header.extend_from_slice(text.as_bytes());
    header
}

fn report(args: &ReportArgs) -> Result<()> {
    let files = args.files.iter().map(|path| Results::read(path)).collect::<Result<Vec<_>, _>>()?;
    let sections = sections(&files);
    let beside = || args.files[0].parent().map(Path::to_owned).unwrap_or_default();
    let quiet = args.json || args.markdown;
    if let Some(folder) = args.out.clone().or_else(|| (!quiet).then(beside)) {
        let stem = args.files[0].file_stem().unwrap_or_default().to_string_lossy();
        for path in write(&sections, &folder, &stem)? {
            eprintln!("wrote {}", path.display());
        }
    }
    if args.json {
        println!("{:#}", json(&sections));
    } else {
        for section in &sections {
            let table = Table::of(section);
            println!("{}\n", section.title());
            println!("{}", if args.markdown { table.markdown() } else { table.text() });
        }
        println!("{}", legend());
        if let Some(table) = standing::table(&sections) {
            println!("\n{}\n", standing::TITLE);
            println!("{}", if args.markdown { table.markdown() } else { table.text() });
            println!("{}", standing::legend());
        }
        for failure in files.iter().flat_map(|file| &file.failures) {
            println!("not measured: {} {}: {}", failure.engine, failure.build_params, failure.message);
        }
    }
    Ok(())
}

fn growth(args: &GrowthArgs) -> Result<()> {
    let files = args.files.iter().map(|path| Results::read(path)).collect::<Result<Vec<_>, _>>()?;
    let sections = sections(&files);
    let growth = Growth::of(&sections)?;
    let beside = || args.files[0].parent().map(Path::to_owned).unwrap_or_default();
    if let Some(folder) = args.out.clone().or_else(|| (!args.markdown).then(beside)) {
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for (cost, drawing) in growth.plots() {
            let name = format!("{}-growth-{cost}", growth.dataset());
            for (end, data) in [("svg", drawing.clone().into_bytes()), ("png", svg::png(&drawing))] {
                let path = folder.join(format!("{name}.{end}"));
                write_atomically(&path, &data)?;
                eprintln!("wrote {}", path.display());
            }
        }
    }
    let table = growth.table();
    println!("{}\n", growth.title());
    println!("{}", if args.markdown { table.markdown() } else { table.text() });
    println!("{}", Growth::legend());
    Ok(())
}

fn gate(args: &GateArgs) -> Result<()> {
    for name in &args.dataset {
        let dataset = vicino_datasets::open(name)?;
        let data = Data::new(dataset, args.k, Some(args.queries), &exact_progress)?;
        let info = &data.info;
        let table = gate::gate(&data, args.k, |what| eprintln!("{}: {what}", info.name))
            .map_err(|fault| anyhow!("{name}: {fault}"))?;
        let title = format!("{}: {} × {}, {}", info.name, info.rows, info.dim, info.metric);
        println!("{title}, {} queries, k = {}\n\n{}", info.queries, args.k, table.markdown());
    }
    let commit = Commit::read().map_or_else(|| "unknown".to_owned(), |commit| commit.to_string());
    println!("```text\n{}\ncommit {commit}\n```", command_line().join(" "));
    Ok(())
}

fn filters(args: &FiltersArgs) -> Result<()> {
    let path = args.report.as_ref().or(args.out.as_ref()).context("expected --report or --out")?;
    let results = match &args.dataset {
        None => Filtered::read(path)?,
        Some(dataset) => measure_filtered(args, dataset, path)?,
    };
    let report = Report::of(&results);
    if !args.markdown {
        let drawing = report.plot();
        for (end, data) in [("svg", drawing.clone().into_bytes()), ("png", svg::png(&drawing))] {
            let path = path.with_extension(end);
            write_atomically(&path, &data)?;
            eprintln!("wrote {}", path.display());
        }
    }
    let table = report.table();
    println!("{}\n", report.title());
    println!("{}", if args.markdown { table.markdown() } else { table.text() });
    println!("{}", report.legend());
    for failure in &results.failures {
        println!("not measured: {} {}: {}", failure.engine, failure.build_params, failure.message);
    }
    Ok(())
}

fn measure_filtered(args: &FiltersArgs, dataset: &str, out: &Path) -> Result<Filtered> {
    let mut dataset = vicino_datasets::open(dataset)?;
    let (all_rows, all_queries) = (dataset.train.len(), dataset.test.len());
    let labels = match (&args.labels, &args.query_labels) {
        (Some(rows), Some(queries)) => {
            let mut of_rows = classes(rows, all_rows)?;
            of_rows.truncate(args.rows.unwrap_or(all_rows));
            Some((of_rows, classes(queries, all_queries)?))
        }
        _ => None,
    };
    if let Some(rows) = args.rows {
        dataset = dataset.first_rows(rows)?;
    }
    let data = Data::new(dataset, args.k, Some(args.queries), &exact_progress)?;
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).context("Ctrl-C handler")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = measure::Options {
        build_threads: args.build_threads.unwrap_or(cores),
        patience: Duration::from_secs(7200),
        own: std::env::current_exe().context("this binary's own path")?,
        rivals: Rivals::at(args.rivals.clone()),
        say: &|what| eprintln!("{what}"),
    };
    let heading = Filtered {
        schema: filters::SCHEMA,
        command: std::iter::once("bench-ann".to_owned()).chain(std::env::args().skip(1)).collect(),
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        commit: Commit::read(),
        machine: Machine::read(),
        dataset: data.info.clone(),
        k: args.k,
        target: args.recall,
        repeats: args.repeats,
        engines: Vec::new(),
        runs: Vec::new(),
        failures: Vec::new(),
    };
    Ok(measure_filters(&data, labels, &options, heading, &|results| results.write(out))?)
}

/// Classes from an IDX file, one for each of `expected` vectors.
fn classes(path: &Path, expected: usize) -> Result<Vec<u32>> {
    let matrix = vicino_datasets::formats::read(path)?.into_vectors(path)?;
    if (matrix.len(), matrix.dim()) != (expected, 1) {
        bail!(
            "{}: {} × {}: expected a class for each of {expected} vectors",
            path.display(),
            matrix.len(),
            matrix.dim()
        );
    }
    Ok(matrix.to_f32().into_iter().map(|class| class as u32).collect())
}

/// Plots and page, named after the first file, the data set and k.
fn write(sections: &[Section<'_>], folder: &Path, stem: &str) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut written = Vec::new();
    let mut save = |name: String, data: &[u8]| -> Result<()> {
        let path = folder.join(name);
        write_atomically(&path, data)?;
        written.push(path);
        Ok(())
    };
    for (number, section) in sections.iter().enumerate() {
        let name = if number == 0 { stem.to_owned() } else { format!("{stem}-{}", number + 1) };
        for measure in [Measure::Qps, Measure::Distances] {
            if let Some(drawing) = plot(section, measure) {
                save(format!("{name}-{}.svg", measure.name()), drawing.as_bytes())?;
                save(format!("{name}-{}.png", measure.name()), &svg::png(&drawing))?;
            }
        }
    }
    save(format!("{stem}.html"), html::page(sections).as_bytes())?;
    Ok(written)
}
