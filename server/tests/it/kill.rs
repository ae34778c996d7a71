//! The real program, killed: at random times and at named points, some cycles again while it reads its log. A ledger outside of it knows
//! what was acknowledged; after every restart exactly that is there, and of the changes under way each is whole or absent.
//!
//! `VICINO_KILL_CYCLES=1000 cargo test --release -p vicino-server killed_at_any_time -- --nocapture` for more than the default.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vicino_index::faults::{KILL_AT, Point};

use crate::ledger::{Ledger, Random, Server, setting};

#[test]
fn killed_at_any_time_it_has_all_it_acknowledged() {
    let (cycles, seed) = (setting("VICINO_KILL_CYCLES", 50), setting("VICINO_KILL_SEED", 1));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let (mut random, mut ledger) = (Random(seed), Ledger::new(seed));
    let points = Point::ALL.map(|point| (!matches!(point, Point::Replayed | Point::Opened)).then_some(point));
    let (points, mut turn) = (points.into_iter().flatten().collect::<Vec<Point>>(), 0);
    let (mut at_points, mut in_recovery, started) = (BTreeMap::new(), 0, Instant::now());
    for cycle in 0..cycles {
        let context = format!("seed {seed}, cycle {cycle}");
        if cycle > 0 && random.below(4) == 0 {
            // Killed while it starts, at a point or after a few milliseconds.
            let point = [Point::Replayed, Point::Opened][random.below(2) as usize];
            let at_point = random.below(2) == 0;
            let mut server = Server::start(data, &[], at_point.then(|| (KILL_AT, format!("{point:?}:0"))));
            if at_point {
                assert_eq!(server.address(), None, "{context}: not killed at {point:?}");
                *at_points.entry(format!("{point:?}")).or_insert(0) += 1;
            } else {
                std::thread::sleep(Duration::from_millis(random.below(40)));
            }
            server.kill();
            in_recovery += 1;
        }
        let at_point = cycle > 0 && random.below(2) == 0;
        // In turn, so that each is come to.
        let point = points[turn % points.len()];
        turn += usize::from(at_point);
        let frequent = matches!(point, Point::GroupWritten | Point::GroupSynced);
        let passes = random.below(if frequent { 100 } else { 3 });
        let mut server = Server::start(data, &[], at_point.then(|| (KILL_AT, format!("{point:?}:{passes}"))));
        let url = server.address().filter(|url| ledger.make_collections(url));
        let served = url.and_then(|url| ledger.compare(&url).map(|compared| (url, compared)));
        let Some((url, compared)) = served else {
            // At a point that is passed at the start, or in a checkpoint that is due from the start.
            assert!(at_point, "{context}: the server ended by itself");
            *at_points.entry(format!("{point:?}")).or_insert(0) += 1;
            server.kill();
            continue;
        };
        compared.unwrap_or_else(|fault| panic!("{context}: {fault}"));
        let pause = Duration::from_millis(5 + random.below(400));
        let ended = ledger.work_until(&url, &[], |_| {
            if at_point {
                let waiting = Instant::now();
                while server.child.try_wait().unwrap().is_none() && waiting.elapsed() < Duration::from_secs(5) {
                    std::thread::sleep(Duration::from_millis(2));
                }
            } else {
                std::thread::sleep(pause);
            }
            server.kill()
        });
        assert!(!ended || at_point, "{context}: the server ended by itself");
        if ended {
            *at_points.entry(format!("{point:?}")).or_insert(0) += 1;
        }
    }
    let mut server = Server::start(data, &[], None);
    let url = server.address().expect("a server");
    let points = ledger.compare(&url).expect("a server").unwrap_or_else(|fault| panic!("at the end: {fault}"));
    server.kill();
    let (acknowledged, named) = ledger.acknowledged();
    println!(
        "{cycles} cycles in {:.0} s, seed {seed}: {acknowledged} changes acknowledged, {named} of them to named vectors, {points} points at the end; \
         {in_recovery} killed again in recovery; at points: {at_points:?}",
        started.elapsed().as_secs_f64()
    );
    assert!(acknowledged > cycles && named > cycles);
    for family in ["Seal", "Merge"] {
        let reached = at_points.iter().filter(|(point, _)| point.starts_with(family)).count();
        assert!(cycles < 50 || reached > 1, "{family}: killed at {reached} of its points");
    }
}
