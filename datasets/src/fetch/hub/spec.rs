//! What a user calls a model of the hub: `hf:OWNER/NAME`, or `hf:OWNER/NAME@REVISION`.

use std::fmt;
use std::str::FromStr;

/// What such a name begins with; without it, it is that of a data set.
pub const PREFIX: &str = "hf:";

/// The branch meant where none is named.
const DEFAULT_REVISION: &str = "main";

/// Bytes in the longest `OWNER/NAME` the hub allows.
const LONGEST: usize = 96;

/// A model of the hub at a revision. Both are such that they can be parts of a path and of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// `OWNER/NAME`.
    id: String,
    /// A branch, a tag or a commit.
    revision: String,
}

/// A name that cannot be a model's.
#[derive(Debug, thiserror::Error)]
#[error("`{name}`: expected {PREFIX}OWNER/NAME or {PREFIX}OWNER/NAME@REVISION, found {found}")]
pub struct NameError {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub found: String,
}

impl Model {
    /// `OWNER/NAME`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A branch, a tag or a commit; `main` where none was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.revision)
    }
}

impl FromStr for Model {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let error = |found: String| NameError { name: name.into(), found };
        let rest = name.strip_prefix(PREFIX).ok_or_else(|| error(format!("no `{PREFIX}`")))?;
        let (id, revision) = rest.split_once('@').unwrap_or((rest, DEFAULT_REVISION));
        let Some((owner, name)) = id.split_once('/') else {
            return Err(error("no `/`".into()));
        };
        for part in [owner, name] {
            if !is_name(part) {
                return Err(error(format!("`{part}`, which the hub allows no one to be called")));
            }
        }
        if id.len() > LONGEST {
            return Err(error(format!("{} bytes where the hub allows {LONGEST}", id.len())));
        }
        if !is_revision(revision) {
            return Err(error(format!("the revision `{revision}`, which git does not allow")));
        }
        Ok(Model { id: id.into(), revision: revision.into() })
    }
}

/// What the hub lets owners and models be called: no `--`, which stands for `/` in the cache.
fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
}

/// What git lets a branch be called, in the main.
fn is_revision(revision: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c);
    revision.chars().all(is_plain)
        && revision.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, id, revision) in [
            ("hf:sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "main"),
            ("hf:o/n_1.5@v1.0", "o/n_1.5", "v1.0"),
            ("hf:o/n@refs/pr/1", "o/n", "refs/pr/1"),
        ] {
            let model: Model = name.parse().unwrap();
            assert_eq!((model.id(), model.revision()), (id, revision));
        }
    }

    #[test]
    fn other_names_are_refused_with_the_reason() {
        let long = format!("hf:o/{}", "n".repeat(95));
        for (name, reason) in [
            ("o/n", "no `hf:`"),
            ("hf:bert", "no `/`"),
            ("hf:/n", "found ``"),
            ("hf:o/", "found ``"),
            ("hf:../n", "found `..`"),
            ("hf:o/a/b", "found `a/b`"),
            ("hf:o/a--b", "found `a--b`"),
            ("hf:o/a b", "found `a b`"),
            ("hf:o/n@", "the revision ``"),
            ("hf:o/n@../x", "the revision `../x`"),
            ("hf:o/n@a//b", "the revision `a//b`"),
            ("hf:o/n@/a", "the revision `/a`"),
            ("hf:o/n@a\\b", "the revision `a\\b`"),
            (&long, "97 bytes where the hub allows 96"),
        ] {
            let error = name.parse::<Model>().unwrap_err().to_string();
            assert!(error.contains("expected hf:OWNER/NAME") && error.contains(reason), "{error}");
        }
    }
}
