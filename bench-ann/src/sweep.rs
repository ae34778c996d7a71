//! What to measure: for each engine, which build parameters with which search parameters.
//!
//! A sweep is a TOML file; some are built in. A value is one value or a list, and every combination is measured:
//! ```toml
//! repeats = 5
//! [[config]]
//! engines = ["vicino", "hnswlib"]
//! build = { m = 16, ef_construction = [100, 200] }   # two indexes each
//! search = { ef = [10, 20, 40] }                     # three settings on each index
//! ```
//! An index that several entries search is built once.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::engines::{self, Engine, UnknownEngine};
use crate::params::Params;

/// The built-in sweeps by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("default", include_str!("../sweeps/default.toml")),
    ("quick", include_str!("../sweeps/quick.toml")),
    ("first-slice", include_str!("../sweeps/first-slice.toml")),
    ("frontier", include_str!("../sweeps/frontier.toml")),
    ("growth", include_str!("../sweeps/growth.toml")),
    ("codes", include_str!("../sweeps/codes.toml")),
    ("peers", include_str!("../sweeps/peers.toml")),
    ("peers-million", include_str!("../sweeps/peers-million.toml")),
    ("compact", include_str!("../sweeps/compact.toml")),
];

/// One index to build and the settings to search it with.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Whose index.
    pub engine: &'static Engine,
    /// Its build parameters.
    pub build: Params,
    /// Its search parameters, one set per measurement.
    pub searches: Vec<Params>,
}

/// A sweep, expanded.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// How often every setting is timed.
    pub repeats: usize,
    /// Every index, those with equal place in their lists of build parameters side by side.
    pub configs: Vec<Config>,
}

/// A sweep that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The file cannot be read.
    #[error("sweep {path}: not a built-in sweep ({}) and not a readable file: {source}", built_in_names())]
    Read {
        /// The name or path given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a sweep.
    #[error("sweep {name}: {source}")]
    Parse {
        /// The sweep.
        name: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A parameter whose value is a table, a date or an empty list.
    #[error("sweep {name}: `{parameter}` is {found}; expected a value or a list of at least one")]
    Value {
        /// The sweep.
        name: String,
        /// The parameter.
        parameter: String,
        /// What it is.
        found: String,
    },
    /// It names an engine that does not exist.
    #[error("sweep {name}: {source}")]
    Engine {
        /// The sweep.
        name: String,
        /// Which.
        source: UnknownEngine,
    },
    /// An engine was asked for that the sweep says nothing of.
    #[error("sweep {name} has no parameters for {engine}; it has {}", known.join(", "))]
    Missing {
        /// The sweep.
        name: String,
        /// The engine asked for.
        engine: &'static str,
        /// The engines it has.
        known: Vec<&'static str>,
    },
    /// Nothing would be timed.
    #[error("sweep {name}: repeats is 0; expected at least 1")]
    NoRepeats {
        /// The sweep.
        name: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    repeats: usize,
    config: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    engines: Vec<String>,
    #[serde(default)]
    build: toml::Table,
    #[serde(default)]
    search: toml::Table,
}

impl Sweep {
    /// The sweep called or stored at `name`, for `wanted` engines.
    pub fn open(name: &str, wanted: &[&'static Engine]) -> Result<Sweep, SweepError> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let text = match built_in {
            Some(text) => text,
            None => std::fs::read_to_string(Path::new(name))
                .map_err(|source| SweepError::Read { path: name.into(), source })?,
        };
        Sweep::parse(name, &text, wanted)
    }

    /// From the text of a sweep file; `name` is for messages.
    pub fn parse(name: &str, text: &str, wanted: &[&'static Engine]) -> Result<Sweep, SweepError> {
        let file: File = toml::from_str(text)
            .map_err(|source| SweepError::Parse { name: name.to_owned(), source: Box::new(source) })?;
        if file.repeats == 0 {
            return Err(SweepError::NoRepeats { name: name.to_owned() });
        }
        let (mut configs, mut known) = (Vec::new(), Vec::new());
        for entry in &file.config {
            let engines = entry.engines.iter().map(|engine| engines::find(engine)).collect::<Result<Vec<_>, _>>();
            let engines = engines.map_err(|source| SweepError::Engine { name: name.to_owned(), source })?;
            let searches = combinations(name, &entry.search)?;
            for build in combinations(name, &entry.build)? {
                for &engine in engines.iter().filter(|engine| wanted.contains(engine)) {
                    add(&mut configs, Config { engine, build: build.clone(), searches: searches.clone() });
                }
            }
            known.extend(engines.iter().map(|engine| engine.name));
        }
        if let Some(missing) = wanted.iter().find(|engine| !known.contains(&engine.name)) {
            return Err(SweepError::Missing { name: name.to_owned(), engine: missing.name, known });
        }
        Ok(Sweep { repeats: file.repeats, configs })
    }
}

/// Adds `config`; where there is one of the same index, its searches to that.
fn add(configs: &mut Vec<Config>, config: Config) {
    let same = |other: &&mut Config| other.engine == config.engine && other.build == config.build;
    match configs.iter_mut().find(same) {
        None => configs.push(config),
        Some(there) => {
            let new = config.searches.into_iter().filter(|search| !there.searches.contains(search));
            let new: Vec<Params> = new.collect();
            there.searches.extend(new);
        }
    }
}

fn built_in_names() -> String {
    BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Every choice of one value per parameter; the last parameter varies fastest.
fn combinations(name: &str, table: &toml::Table) -> Result<Vec<Params>, SweepError> {
    let mut all = vec![Params(Map::new())];
    for (parameter, value) in table {
        let values = match value {
            toml::Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        let invalid = |found: String| SweepError::Value { name: name.to_owned(), parameter: parameter.clone(), found };
        if values.is_empty() {
            return Err(invalid("an empty list".to_owned()));
        }
        let values = values.iter().map(|value| scalar(value).ok_or_else(|| invalid(format!("a {}", value.type_str()))));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let extended = all.iter().flat_map(|params| {
            values.iter().map(|value| {
                let mut params = params.clone();
                params.0.insert(parameter.clone(), value.clone());
                params
            })
        });
        all = extended.collect();
    }
    Ok(all)
}

fn scalar(value: &toml::Value) -> Option<Value> {
    match value {
        toml::Value::String(text) => Some(text.clone().into()),
        toml::Value::Integer(number) => Some((*number).into()),
        toml::Value::Float(number) => Some((*number).into()),
        toml::Value::Boolean(flag) => Some((*flag).into()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(name: &str) -> &'static Engine {
        engines::find(name).unwrap()
    }

    const TWO: &str = r#"
        repeats = 3
        [[config]]
        engines = ["vicino", "hnswlib"]
        build = { m = [16, 32], ef_construction = 200 }
        search = { ef = [10, 20], extra = ["a", "b"] }
    "#;

    #[test]
    fn lists_are_combined_and_engines_chosen() {
        let sweep = Sweep::parse("two", TWO, &[engine("hnswlib")]).unwrap();
        assert_eq!(sweep.repeats, 3);
        let builds: Vec<String> = sweep.configs.iter().map(|config| config.build.to_string()).collect();
        assert_eq!(builds, ["m=16 ef_construction=200", "m=32 ef_construction=200"]);
        let searches: Vec<String> = sweep.configs[0].searches.iter().map(Params::to_string).collect();
        assert_eq!(searches, ["ef=10 extra=a", "ef=10 extra=b", "ef=20 extra=a", "ef=20 extra=b"]);
    }

    #[test]
    fn engines_with_the_same_build_stand_together() {
        let sweep = Sweep::parse("two", TWO, &[engine("vicino"), engine("hnswlib")]).unwrap();
        let names: Vec<&str> = sweep.configs.iter().map(|config| config.engine.name).collect();
        assert_eq!(names, ["vicino", "hnswlib", "vicino", "hnswlib"]);
    }

    #[test]
    fn an_index_is_built_once() {
        let more = r#"
            [[config]]
            engines = ["hnswlib"]
            build = { ef_construction = 200, m = 32 }
            search = { extra = "b", ef = [20, 40] }
        "#;
        let sweep = Sweep::parse("two", &format!("{TWO}{more}"), &[engine("hnswlib")]).unwrap();
        assert_eq!(sweep.configs.len(), 2);
        let searches: Vec<String> = sweep.configs[1].searches.iter().map(Params::to_string).collect();
        assert_eq!(searches[..4], ["ef=10 extra=a", "ef=10 extra=b", "ef=20 extra=a", "ef=20 extra=b"]);
        assert_eq!(searches[4..], ["extra=b ef=40"]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let message = |text: &str, wanted: &str| Sweep::parse("x", text, &[engine(wanted)]).unwrap_err().to_string();
        assert!(message(TWO, "scann").contains("no parameters for scann; it has vicino, hnswlib"));
        assert!(message(&TWO.replace("[10, 20]", "[]"), "vicino").contains("`ef` is an empty list"));
        assert!(message(&TWO.replace("repeats = 3", "repeats = 0"), "vicino").contains("at least 1"));
        assert!(message(&TWO.replace("hnswlib", "hnsw"), "vicino").contains("no engine is named `hnsw`"));
        assert!(message(&TWO.replace("build", "biuld"), "vicino").contains("biuld"));
        assert!(
            Sweep::open("nowhere", &[])
                .unwrap_err()
                .to_string()
                .contains("default, quick, first-slice, frontier, growth, codes, peers, peers-million, compact")
        );
    }

    #[test]
    fn built_in_sweeps_parse_and_the_default_covers_every_engine() {
        for (name, text) in BUILT_IN {
            assert!(
                Sweep::parse(name, text, &[engine("hnswlib")]).is_ok_and(|sweep| !sweep.configs.is_empty()),
                "{name}"
            );
        }
        let every: Vec<&'static Engine> = engines::ENGINES.iter().collect();
        Sweep::open("default", &every).unwrap();
        Sweep::open("quick", &every).unwrap();
    }
}
