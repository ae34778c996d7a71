//! Durable changes of one point each: by one writer, then by many at once.

use std::time::Instant;

use anyhow::Result;

use super::Bench;
use super::figures::{Findings, Times, millis};

pub(super) fn measure(bench: &Bench<'_>, findings: &mut Findings) -> Result<()> {
    let collection = bench.open()?;
    let rows = bench.data.info.rows;
    let write = |writer: usize, changes: usize| -> Result<Times> {
        let mut times = Times::default();
        for number in 0..changes {
            let id = ((writer * 7919 + number * 31) % rows) as u64;
            let change = bench.upsert(std::iter::once(id), |id| id as usize);
            let called = Instant::now();
            collection.write(change)?;
            times.push(called.elapsed());
        }
        Ok(times)
    };
    let (singles, writers) = (bench.settings.singles, bench.settings.writers);
    (bench.say)("one writer");
    let times = write(0, singles)?;
    let (p50, p99) = (millis(times.quantile(0.5)), millis(times.quantile(0.99)));
    let finding = findings.add("one durable upsert, one writer", times.words());
    finding.times(&times).goal("p50 ≤ 1 ms, p99 ≤ 10 ms", p50 <= 1.0 && p99 <= 10.0);
    (bench.say)(&format!("{writers} writers"));
    let (started, mut times) = (Instant::now(), Times::default());
    let outcomes: Vec<Result<Times>> = std::thread::scope(|scope| {
        let write = &write;
        let spawn = |writer| scope.spawn(move || write(writer, singles.div_ceil(writers)));
        let threads: Vec<_> = (0..writers).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("a writer that does not panic")).collect()
    });
    for outcome in outcomes {
        times.extend(outcome?);
    }
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    findings
        .add(format!("{writers} writers, one durable upsert a call"), format!("{rate:.0} upserts/s; {}", times.words()))
        .times(&times)
        .value("upserts_per_second", rate)
        .goal("≥ 5,000 upserts/s", rate >= 5000.0);
    Ok(())
}
