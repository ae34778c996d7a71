//! Finding a model's folder: a path, or a name in the Hugging Face cache.
//!
//! A path wins. A name such as `sentence-transformers/all-MiniLM-L6-v2` is looked up in the cache that Hugging Face's
//! tools and `datasets fetch hf:…` fill: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `huggingface/hub` in `$XDG_CACHE_HOME` or
//! `~/.cache`, at the commit that `refs/main` names, or of the branch, tag or commit behind an `@` in the name.
//! As nothing is ever downloaded, `HF_HUB_OFFLINE=1` and its absence mean the same here.

use super::ModelError;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of `name`, a path, `organisation/model` or `organisation/model@revision`.
pub fn locate(name: &str) -> Result<PathBuf, ModelError> {
    locate_in(name, hub_cache().as_deref())
}

/// As [`locate`], with the Hugging Face cache given.
pub fn locate_in(name: &str, cache: Option<&Path>) -> Result<PathBuf, ModelError> {
    let path = PathBuf::from(name);
    if path.is_dir() {
        return Ok(path);
    }
    let mut looked = vec![path];
    if let Some(cache) = cache {
        let (id, revision) = name.split_once('@').unwrap_or((name, "main"));
        let model = cache.join(format!("models--{}", id.replace('/', "--")));
        // A revision that no file refers to is a commit itself.
        let commit = fs::read_to_string(model.join("refs").join(revision)).unwrap_or_else(|_| revision.into());
        let snapshot = model.join("snapshots").join(commit.trim());
        if snapshot.is_dir() {
            return Ok(snapshot);
        }
        looked.push(snapshot);
    }
    Err(ModelError::NotFound { name: name.into(), looked })
}

fn hub_cache() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    let home = || folder("HF_HOME").or_else(|| user().map(|cache| cache.join("huggingface")));
    folder("HF_HUB_CACHE").or_else(|| home().map(|home| home.join("hub")))
}

/// The command that would get the model `name`, as far as its name shows.
pub(super) fn remedy(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        [owner, model] if !["", ".", "..", "~"].contains(&owner) && !model.is_empty() => {
            format!("`datasets fetch hf:{name}` gets it from the Hugging Face hub")
        }
        [_] => format!(
            "`datasets fetch {name}` gets it if `datasets list` shows it, `datasets fetch hf:OWNER/NAME` what the Hugging Face hub has"
        ),
        _ => "`datasets fetch hf:OWNER/NAME` gets what the Hugging Face hub has".into(),
    }
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
        for name in ["org/name", "org/name@main", "org/name@abc"] {
            assert_eq!(locate_in(name, Some(cache.path())).unwrap(), model.join("snapshots/abc"));
        }
        let folder = cache.path().to_str().unwrap();
        assert_eq!(locate_in(folder, None).unwrap(), cache.path());
        assert!(locate_in("org/other", Some(cache.path())).unwrap_err().to_string().contains("models--org--other"));
    }
    #[test]
    fn the_error_names_the_command_that_would_get_it() {
        for (name, command) in [
            ("org/name", "`datasets fetch hf:org/name` gets it"),
            ("org/name@v1", "`datasets fetch hf:org/name@v1` gets it"),
            ("minilm", "`datasets fetch minilm` gets it if"),
            ("./folder", "`datasets fetch hf:OWNER/NAME`"),
            ("/a/folder", "`datasets fetch hf:OWNER/NAME`"),
        ] {
            let error = locate_in(name, None).unwrap_err().to_string();
            assert!(error.contains(command), "{error}");
        }
    }
}
