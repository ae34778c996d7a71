//! Which files of a model are fetched: those that encoders read, at the root and in the folders that `modules.json` names.
//!
//! Weights in other forms (`pytorch_model.bin`, ONNX, OpenVINO) are many times the rest, and nothing here reads them.

use std::path::{Component, Path};

use serde::Deserialize;

/// The list of a sentence encoder's parts.
pub(super) const MODULES: &str = "modules.json";

/// Read at the root alone.
const AT_THE_ROOT: [&str; 2] = [MODULES, "config_sentence_transformers.json"];

/// Read at the root or in a module's folder; the two beside `tokenizer.json` by Python's tokenizers alone.
const ANYWHERE: [&str; 7] = [
    "config.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors",
    "idf.json",
];

/// Those without which there is no encoder.
const NEEDED: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// What files of weights end in.
const WEIGHTS: [&str; 6] = [".safetensors", ".safetensors.index.json", ".bin", ".onnx", ".h5", ".gguf"];

#[derive(Deserialize)]
struct Module {
    path: String,
}

/// The folders that the text of `modules.json` names, without the root. `Err` says what is wrong with it.
pub(super) fn folders(modules: &str) -> Result<Vec<String>, String> {
    let modules: Vec<Module> = serde_json::from_str(modules).map_err(|error| error.to_string())?;
    let folders: Vec<String> = modules.into_iter().map(|module| module.path).filter(|path| !path.is_empty()).collect();
    match folders.iter().find(|folder| !is_inside(folder)) {
        Some(folder) => Err(format!("a module in `{folder}`")),
        None => Ok(folders),
    }
}

/// The paths wanted, of which a model may lack any that is not [`missing`].
pub(super) fn wanted(folders: &[String]) -> Vec<String> {
    let inside = folders.iter().flat_map(|folder| ANYWHERE.map(|name| format!("{folder}/{name}")));
    AT_THE_ROOT.into_iter().chain(ANYWHERE).map(str::to_owned).chain(inside).collect()
}

/// The first file that an encoder needs and that is in none of the folders.
pub(super) fn missing(folders: &[String], is_there: impl Fn(&str) -> bool) -> Option<&'static str> {
    let lacks = |name: &&str| !is_there(name) && !folders.iter().any(|folder| is_there(&format!("{folder}/{name}")));
    NEEDED.into_iter().find(lacks)
}

/// The files of weights among `files`, in words.
pub(super) fn weights(files: &[String]) -> String {
    let weights: Vec<&str> =
        files.iter().map(String::as_str).filter(|file| WEIGHTS.iter().any(|end| file.ends_with(end))).collect();
    if weights.is_empty() { "no weights of any kind".into() } else { format!("as weights {}", weights.join(", ")) }
}

/// Whether a path, with `/` between its parts, leads from a folder into it.
pub(super) fn is_inside(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']))
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_told() {
        for path in ["config.json", "1_Pooling/config.json", "a b/ü/..c"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc/passwd", "../x", "a/../x", "a//b", "a/", "./a", "..\\x", "a\0"] {
            assert!(!is_inside(path), "{path:?}");
        }
    }

    #[test]
    fn folders_come_from_the_modules() {
        let modules = r#"[{"idx": 0, "path": "", "type": "T"}, {"idx": 1, "path": "1_Pooling", "type": "P"}]"#;
        let folders = folders(modules).unwrap();
        assert_eq!(folders, ["1_Pooling"]);
        assert!(wanted(&folders).contains(&"1_Pooling/config.json".into()));
        assert_eq!(missing(&folders, |path| path != "tokenizer.json"), None, "it may lie in the folder");
        assert_eq!(missing(&folders, |path| !path.ends_with("tokenizer.json")), Some("tokenizer.json"));
    }

    #[test]
    fn modules_elsewhere_are_refused() {
        assert_eq!(folders(r#"[{"path": "../.."}]"#).unwrap_err(), "a module in `../..`");
        assert!(folders("{}").is_err());
    }
}
