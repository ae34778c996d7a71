//! The tests are tested: with any one safeguard off, at least one of them fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{crash, damage, failures};
use crate::faults::{Safeguard, without};

type Suite = fn() -> Result<(), String>;

/// The suites, in the order of cost.
const SUITES: [(&str, Suite); 8] = [
    ("lock", failures::lock),
    ("log", log),
    ("signed lies", crate::wal::tests::signed_lies),
    ("replay", super::replay_checks_its_sum),
    ("sum", damage::signed_sum),
    ("failures", failures::suite),
    ("crash", crash::suite),
    ("damage", damage::suite),
];

/// Tests of the log by itself, which panic.
fn log() -> Result<(), String> {
    crate::wal::tests::damage_is_refused_wherever_a_later_group_vouches();
    crate::wal::tests::a_group_upon_another_past_is_refused();
    Ok(())
}

fn run(suite: Suite) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(suite)).unwrap_or_else(|_| Err("panic".into()))
}

#[test]
fn each_safeguard_is_missed() {
    for (name, suite) in SUITES {
        run(suite).unwrap_or_else(|fault| panic!("{name}, with every safeguard: {fault}"));
    }
    let mut survivors = Vec::new();
    for safeguard in Safeguard::ALL {
        let caught = SUITES.iter().find_map(|(name, suite)| Some((name, without(safeguard, || run(*suite)).err()?)));
        match caught {
            Some((name, fault)) => println!("{safeguard:?}: {name}: {}", fault.chars().take(150).collect::<String>()),
            None => survivors.push(safeguard),
        }
    }
    assert!(survivors.is_empty(), "nothing misses {survivors:?}");
}
