//! Finding a model's folder: a path, or a name in the Hugging Face cache.
//!
//! A path wins. A name such as `sentence-transformers/all-MiniLM-L6-v2` is looked up in the cache that Hugging Face's
//! tools fill: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`, at the revision `refs/main` names.
//! As nothing is ever downloaded, `HF_HUB_OFFLINE=1` and its absence mean the same here.

use super::ModelError;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of `name`, a path or `organisation/model`.
pub fn locate(name: &str) -> Result<PathBuf, ModelError> {
    locate_in(name, hub_cache().as_deref())
}

/// As [`locate`], with the cache given.
fn locate_in(name: &str, cache: Option<&Path>) -> Result<PathBuf, ModelError> {
    let path = PathBuf::from(name);
    if path.is_dir() {
        return Ok(path);
    }
    let mut looked = vec![path];
    if let Some(cache) = cache {
        let model = cache.join(format!("models--{}", name.replace('/', "--")));
        if let Ok(revision) = fs::read_to_string(model.join("refs").join("main")) {
            let snapshot = model.join("snapshots").join(revision.trim());
            if snapshot.is_dir() {
                return Ok(snapshot);
            }
            looked.push(snapshot);
        } else {
            looked.push(model);
        }
    }
    Err(ModelError::NotFound { name: name.into(), looked })
}

fn hub_cache() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HF_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache").join("huggingface")));
    folder("HF_HUB_CACHE").or_else(|| home().map(|home| home.join("hub")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_main_snapshot_and_says_where_it_looked() {
        let cache = tempfile::tempdir().unwrap();
        let model = cache.path().join("models--org--name");
        fs::create_dir_all(model.join("refs")).unwrap();
        fs::write(model.join("refs/main"), "abc\n").unwrap();
        let missing = locate_in("org/name", Some(cache.path())).unwrap_err().to_string();
        assert!(missing.contains("org/name") && missing.contains("abc"), "{missing}");
        fs::create_dir_all(model.join("snapshots/abc")).unwrap();
        assert_eq!(locate_in("org/name", Some(cache.path())).unwrap(), model.join("snapshots/abc"));
        let folder = cache.path().to_str().unwrap();
        assert_eq!(locate_in(folder, None).unwrap(), cache.path());
        assert!(locate_in("org/other", Some(cache.path())).unwrap_err().to_string().contains("models--org--other"));
    }
}
