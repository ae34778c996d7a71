//! The engines that can be measured: their names, and how the worker process of each is started.

/// Where an engine's worker comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This very binary.
    Own,
    /// The Python package of this name, in the environment of [`crate::rivals`].
    Python(&'static str),
}

/// An engine by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// As `--engine` and result files name it.
    pub name: &'static str,
    /// Where its worker comes from.
    pub source: Source,
    /// What it is, in a line.
    pub about: &'static str,
}

const fn python(name: &'static str, package: &'static str, about: &'static str) -> Engine {
    Engine { name, source: Source::Python(package), about }
}

/// Every engine, ours first.
pub const ENGINES: &[Engine] = &[
    Engine { name: "vicino", source: Source::Own, about: "HNSW of this project" },
    Engine {
        name: "vicino-qg",
        source: Source::Own,
        about: "quantized graph of this project: one-bit codes beside the links",
    },
    Engine {
        name: "vicino-compact",
        source: Source::Own,
        about: "the same graph on nested codes of 2, 4 or 8 bits, in a third of the memory of HNSW",
    },
    Engine { name: "flat", source: Source::Own, about: "exact scan of this project" },
    python("hnswlib", "hnswlib", "the reference HNSW"),
    python("faiss-hnsw", "faiss-cpu", "HNSW of faiss, full vectors; counts distances and hops"),
    python("faiss-ivfpq-fs", "faiss-cpu", "IVF over 4-bit product codes (FastScan), refined on full vectors"),
    python("usearch", "usearch", "HNSW of usearch, f32"),
    python("voyager", "voyager", "HNSW of Spotify's voyager, f32"),
    python("scann", "scann", "Google's ScaNN: tree and anisotropic codes, reordered on full vectors"),
    python("ngt", "ngt", "NGT's ONNG graph"),
    python("vsag", "pyvsag", "VSAG's HGraph on scalar codes"),
    python("symqg", "rabitqlib", "SymphonyQG of RaBitQ-Library"),
    python("rabitq-hnsw", "rabitqlib", "HNSW on RaBitQ codes"),
    python("svs", "scalable-vs", "Vamana of Intel's SVS, f32 or (on Intel's processors) LVQ codes"),
    python("qdrant-edge", "qdrant-edge-py", "Qdrant's engine in process: HNSW of f32 or bytes, payload indexes"),
];

/// No engine has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no engine is named `{name}`; there are {}", ENGINES.iter().map(|engine| engine.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownEngine {
    name: String,
}

/// The engine called `name`.
pub fn find(name: &str) -> Result<&'static Engine, UnknownEngine> {
    ENGINES.iter().find(|engine| engine.name == name).ok_or_else(|| UnknownEngine { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_its_own() {
        for engine in ENGINES {
            assert_eq!(find(engine.name).unwrap(), engine);
        }
        assert!(find("hnsw").unwrap_err().to_string().contains("hnswlib, faiss-hnsw"));
    }
}
