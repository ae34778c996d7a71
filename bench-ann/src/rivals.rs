//! The rivals' own Python packages, in an environment of their own that this module makes and asks.
//!
//! Packages go in one at a time, so that one which does not install on this machine takes none of the others with it; what came
//! of each is kept in `rivals.json` beside the environment, and a run lists a rival that is not there as a failure.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::{Deserialize, Serialize};

use crate::engines::{ENGINES, Engine, Source};

/// The scripts every Python worker runs, written out when a run starts.
const SCRIPTS: &[(&str, &str)] =
    &[("worker.py", include_str!("../rivals/worker.py")), ("engines.py", include_str!("../rivals/engines.py"))];

/// Lines of pip's output kept as the reason of a failure.
const REASON_LINES: usize = 3;

/// The environment.
#[derive(Debug, Clone)]
pub struct Rivals {
    folder: PathBuf,
}

/// What came of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name on PyPI.
    pub package: String,
    /// The version installed.
    pub version: Option<String>,
    /// Why it is not.
    pub error: Option<String>,
}

/// The environment cannot be made or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RivalsError {
    /// The file system said no, or a program is missing.
    #[error("{path}: {source}")]
    Io {
        /// The file or program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No virtual environment came of it.
    #[error("python3 -m venv {folder} failed: {output}")]
    Venv {
        /// Where.
        folder: PathBuf,
        /// What Python said.
        output: String,
    },
    /// `rivals.json` is damaged.
    #[error("{path}: not a list of packages: {source}; delete it and install again")]
    Record {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Asked to install what no engine needs.
    #[error("no rival is named `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The engines and packages there are.
        known: Vec<&'static str>,
    },
}

impl Rivals {
    /// The environment at `folder`, by default `vicino/rivals` in the user's cache; it need not exist.
    pub fn at(folder: Option<PathBuf>) -> Rivals {
        let cache = || match std::env::var_os("XDG_CACHE_HOME") {
            Some(cache) => PathBuf::from(cache),
            None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        };
        Rivals { folder: folder.unwrap_or_else(|| cache().join("vicino").join("rivals")) }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn python(&self) -> PathBuf {
        self.folder.join("venv").join("bin").join("python")
    }

    fn record(&self) -> PathBuf {
        self.folder.join("rivals.json")
    }

    /// What came of each package so far; empty before the first install.
    pub fn packages(&self) -> Result<Vec<Package>, RivalsError> {
        let path = self.record();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| RivalsError::Record { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(RivalsError::Io { path, source }),
        }
    }

    /// Installs the packages of the engines or packages `names` (all, if none are named), telling `say` about each. A package that
    /// fails is recorded, not an error.
    pub fn install(&self, names: &[String], say: &dyn Fn(&str)) -> Result<Vec<Package>, RivalsError> {
        let wanted = wanted(names)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| RivalsError::Io { path, source }
        };
        fs::create_dir_all(&self.folder).map_err(io(&self.folder))?;
        if !self.python().exists() {
            let venv = self.folder.join("venv");
            say(&format!("making {}", venv.display()));
            let output =
                Command::new("python3").args(["-m", "venv"]).arg(&venv).output().map_err(io(Path::new("python3")))?;
            if !output.status.success() {
                return Err(RivalsError::Venv { folder: venv, output: last_lines(&output) });
            }
        }
        self.pip(&["install", "--upgrade", "pip", "numpy"])?;
        let mut packages = self.packages()?;
        for package in wanted {
            say(&format!("installing {package}"));
            let output = self.pip(&["install", "--upgrade", package])?;
            let outcome = if output.status.success() {
                Package { package: package.to_owned(), version: self.version(package)?, error: None }
            } else {
                Package { package: package.to_owned(), version: None, error: Some(last_lines(&output)) }
            };
            packages.retain(|known| known.package != package);
            packages.push(outcome);
            let text = serde_json::to_vec_pretty(&packages).expect("packages are plain data");
            fs::write(self.record(), text).map_err(io(&self.record()))?;
        }
        Ok(packages)
    }

    fn pip(&self, args: &[&str]) -> Result<Output, RivalsError> {
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "--disable-pip-version-check"]).args(args);
        pip.output().map_err(|source| RivalsError::Io { path: self.python(), source })
    }

    fn version(&self, package: &str) -> Result<Option<String>, RivalsError> {
        let output = self.pip(&["show", package])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().find_map(|line| line.strip_prefix("Version: ")).map(str::to_owned))
    }

    /// Writes the workers' scripts into `folder`.
    pub fn write_scripts(folder: &Path) -> io::Result<()> {
        SCRIPTS.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    }

    /// The command of a Python engine's worker, with the scripts in `scripts`; why there is none, if so.
    pub fn command(&self, engine: &Engine, package: &str, scripts: &Path) -> Result<Command, String> {
        if !self.python().exists() {
            return Err(format!(
                "no rivals are installed in {}; run `bench-ann rivals install {}`",
                self.folder.display(),
                engine.name
            ));
        }
        let packages = self.packages().map_err(|error| error.to_string())?;
        match packages.iter().find(|known| known.package == package) {
            Some(Package { error: Some(error), .. }) => Err(format!("{package} did not install here: {error}")),
            Some(_) => {
                let mut command = Command::new(self.python());
                command.arg(scripts.join("worker.py")).arg(engine.name);
                Ok(command)
            }
            None => Err(format!("{package} is not installed; run `bench-ann rivals install {}`", engine.name)),
        }
    }
}

/// The packages behind engine or package names, each once; all for no names.
fn wanted(names: &[String]) -> Result<Vec<&'static str>, RivalsError> {
    let pairs = ENGINES.iter().filter_map(|engine| match engine.source {
        Source::Python(package) => Some((engine.name, package)),
        Source::Own => None,
    });
    let pairs: Vec<(&'static str, &'static str)> = pairs.collect();
    let known = |name: &str| pairs.iter().any(|&(engine, package)| name == engine || name == package);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let known = pairs.iter().map(|(engine, _)| *engine).collect();
        return Err(RivalsError::Unknown { name: name.clone(), known });
    }
    let named =
        |engine: &str, package: &str| names.is_empty() || names.iter().any(|name| name == engine || name == package);
    let mut packages = Vec::new();
    for (engine, package) in pairs.iter().copied() {
        if named(engine, package) && !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(packages)
}

fn last_lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(REASON_LINES)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_by_either_name_and_once() {
        let names = |list: &[&str]| wanted(&list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["faiss-hnsw", "faiss-cpu", "symqg"]).unwrap(), ["faiss-cpu", "rabitqlib"]);
        assert_eq!(names(&[]).unwrap().len(), 10);
        assert!(names(&["faiss"]).unwrap_err().to_string().contains("faiss-hnsw, faiss-ivfpq-fs"));
    }
}
