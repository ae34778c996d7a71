//! Names of collections: which are allowed, and the folder each has.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A collection's name, checked. Never a path: [`folder`](CollectionName::folder) is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionName(String);

/// A name no collection can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Empty, or longer than [`CollectionName::MAX_CHARS`].
    #[error("collection name has {found} characters: expected 1..={max}", max = CollectionName::MAX_CHARS)]
    Length {
        /// Its characters.
        found: usize,
    },
    /// A character that names cannot have.
    #[error("collection name {name:?} holds {found:?}: expected no `/`, `\\` or control character")]
    Character {
        /// The name.
        name: String,
        /// The character.
        found: char,
    },
    /// `.` or `..`.
    #[error("collection name {name:?} is no name: expected anything but `.` and `..`")]
    Dots {
        /// The name.
        name: String,
    },
    /// Too long once it is written with ASCII letters only.
    #[error("collection name {name:?} takes {found} bytes as a folder's name: expected at most {max}", max = CollectionName::MAX_FOLDER_BYTES)]
    Folder {
        /// The name.
        name: String,
        /// Bytes its folder's name would have.
        found: usize,
    },
}

/// What stays as it is in a folder's name.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

impl CollectionName {
    /// The longest name.
    pub const MAX_CHARS: usize = 255;
    /// The longest name of a folder on common file systems.
    pub const MAX_FOLDER_BYTES: usize = 255;

    /// Checks `name`.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let found = name.chars().count();
        if found == 0 || found > Self::MAX_CHARS {
            return Err(NameError::Length { found });
        }
        if let Some(found) = name.chars().find(|c| matches!(c, '/' | '\\') || c.is_control()) {
            return Err(NameError::Character { name: name.into(), found });
        }
        if name == "." || name == ".." {
            return Err(NameError::Dots { name: name.into() });
        }
        let checked = CollectionName(name.into());
        let found = checked.folder().len();
        if found > Self::MAX_FOLDER_BYTES {
            return Err(NameError::Folder { name: name.into(), found });
        }
        Ok(checked)
    }

    /// The name of its folder: percent-encoded but for ASCII letters, digits, `-` and `_`.
    pub fn folder(&self) -> String {
        utf8_percent_encode(&self.0, ENCODED).to_string()
    }

    /// The name whose folder this is, if there is one.
    pub fn of_folder(folder: &str) -> Option<Self> {
        let name = percent_decode_str(folder).decode_utf8().ok()?;
        CollectionName::new(&name).ok().filter(|name| name.folder() == folder)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_folders_go_both_ways() {
        for name in ["a", "A_b-c", "with space", "ünï", "..a", "%2e", "x".repeat(255).as_str()] {
            let checked = CollectionName::new(name).unwrap();
            let folder = checked.folder();
            assert!(folder.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_%".contains(&b)), "{folder}");
            assert_eq!(CollectionName::of_folder(&folder), Some(checked));
        }
        assert_eq!(CollectionName::of_folder("%2E%2E"), None);
        assert_eq!(CollectionName::of_folder("not encoded"), None);
    }

    #[test]
    fn what_could_be_a_path_is_no_name() {
        for bad in
            ["", ".", "..", "a/b", "/etc", "a\\b", "a\0", "a\nb", "x".repeat(256).as_str(), "ü".repeat(200).as_str()]
        {
            assert!(CollectionName::new(bad).is_err(), "{bad:?}");
        }
    }
}
