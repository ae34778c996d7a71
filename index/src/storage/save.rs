//! [`Hnsw`] to a file and back: which array is which section, and what must hold between them.
//!
//! The same rows, parameters and seed give the same file, byte for byte: nothing in it depends on time, place or threads.

use std::path::Path;

use bincode::{Decode, Encode};

use crate::graph::Graph;
use crate::graph::links::Links;
use crate::hnsw::{Hnsw, Known};
use crate::metric::{ElementType, Metric};
use crate::params::HnswParams;
use crate::spec::{Component, VectorSpec};
use crate::vectors::dense::{Dense, Vectors, with_rows};
use crate::vfs::RealFs;

use super::codec;
use super::format::{self, IndexFile, OpenError, SaveError, Section};

/// All that is not an array.
#[derive(Debug, Encode, Decode)]
struct Metadata {
    spec: StoredSpec,
    params: HnswParams,
    entry: Option<u32>,
    unproven: usize,
}

impl Hnsw {
    /// Writes the index to `path`, replacing what is there; at any moment the file is the old one or the new one, whole. On disk
    /// when this returns.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        self.with_sections(|sections| format::replace(&RealFs, path.as_ref(), sections))
    }

    /// Hands the parts of the file to `write`.
    pub(crate) fn with_sections<R>(&self, write: impl FnOnce(&[(Section, &[u8])]) -> R) -> R {
        let metadata = codec::encode(&Metadata {
            spec: self.spec().into(),
            params: self.params,
            entry: self.graph.entry,
            unproven: self.graph.unproven,
        });
        let links = &self.graph.links;
        let sections = [
            (Section::Metadata, &metadata[..]),
            (Section::Rows, vector_bytes(&self.vectors)),
            (Section::Levels, links.levels.as_slice()),
            (Section::Level0, bytemuck::cast_slice(links.level0.as_slice())),
            (Section::Offsets, bytemuck::cast_slice(links.offsets.as_slice())),
            (Section::Upper, bytemuck::cast_slice(links.upper.as_slice())),
            (Section::Kept0, links.kept0.as_slice()),
            (Section::KeptUpper, links.kept_upper.as_slice()),
            (Section::Twins, bytemuck::cast_slice(links.twins.as_slice())),
        ];
        write(&sections)
    }

    /// Maps the index in `path` after verifying every checksum and the bounds of every link; rows and links are read from the file
    /// as a search needs them, and copied into memory by the first change. The file must stay as it is while it is open: replace it
    /// by rename, as [`save`](Hnsw::save) does.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::from_file(&IndexFile::open(&RealFs, path.as_ref())?)
    }

    /// The index in `file`, whose checksums hold.
    pub(crate) fn from_file(file: &IndexFile) -> Result<Self, OpenError> {
        let metadata: Metadata = codec::decode(file.bytes(Section::Metadata)?)
            .ok_or_else(|| file.invalid(Section::Metadata, "it does not decode".into()))?;
        let invalid = |what: String| file.invalid(Section::Metadata, what);
        let spec = VectorSpec::try_from(metadata.spec).map_err(invalid)?;
        metadata.params.validate().map_err(|error| invalid(error.to_string()))?;
        let links = Links {
            m0: metadata.params.m0,
            m: metadata.params.m,
            level0: file.array(Section::Level0)?,
            levels: file.array(Section::Levels)?,
            offsets: file.array(Section::Offsets)?,
            upper: file.array(Section::Upper)?,
            kept0: file.array(Section::Kept0)?,
            kept_upper: file.array(Section::KeptUpper)?,
            twins: file.array(Section::Twins)?,
        };
        let graph = Graph { links, entry: metadata.entry, unproven: metadata.unproven };
        graph.check_shape().map_err(|fault| file.invalid(Section::Level0, fault.to_string()))?;
        let nodes = graph.links.nodes();
        if graph.entry.is_some_and(|entry| entry as usize >= nodes) || graph.entry.is_none() != (nodes == 0) {
            return Err(invalid(format!("entry {:?} of {nodes} nodes", graph.entry)));
        }
        let vectors = vectors(file, spec, Some(nodes))?;
        Ok(Hnsw { params: metadata.params, vectors, graph, known: Known::default() })
    }
}

/// A spec by the names of its parts.
#[derive(Debug, Encode, Decode)]
pub(crate) struct StoredSpec {
    dim: usize,
    metric: String,
    element: String,
}

impl From<VectorSpec> for StoredSpec {
    fn from(spec: VectorSpec) -> Self {
        StoredSpec { dim: spec.dim(), metric: spec.metric().name().into(), element: spec.element().name().into() }
    }
}

impl TryFrom<StoredSpec> for VectorSpec {
    /// What is wrong with it.
    type Error = String;

    fn try_from(stored: StoredSpec) -> Result<Self, String> {
        let metric: Metric = stored.metric.parse().map_err(|error| format!("{error}"))?;
        let element: ElementType = stored.element.parse().map_err(|error| format!("{error}"))?;
        VectorSpec::new(stored.dim, metric, element).map_err(|error| error.to_string())
    }
}

/// The section of rows for `vectors`.
pub(crate) fn vector_bytes(vectors: &Vectors) -> &[u8] {
    with_rows!(vectors, rows => bytemuck::cast_slice(rows.array().as_slice()))
}

/// The rows of `file`: `nodes` of them, or as many as there are.
pub(crate) fn vectors(file: &IndexFile, spec: VectorSpec, nodes: Option<usize>) -> Result<Vectors, OpenError> {
    Ok(match spec.element() {
        ElementType::F32 => Vectors::F32(rows(file, spec, nodes)?),
        ElementType::F16 => Vectors::F16(rows(file, spec, nodes)?),
        ElementType::U8 => Vectors::U8(rows(file, spec, nodes)?),
        ElementType::I8 => Vectors::I8(rows(file, spec, nodes)?),
        ElementType::Bits => Vectors::Bits(rows(file, spec, nodes)?),
    })
}

fn rows<T: Component>(file: &IndexFile, spec: VectorSpec, nodes: Option<usize>) -> Result<Dense<T>, OpenError> {
    let rows = file.array::<T>(Section::Rows)?;
    let stride = Dense::<T>::stride_of(&spec);
    let nodes = nodes.unwrap_or(rows.len() / stride);
    let expected = nodes * stride;
    if rows.len() != expected {
        return Err(file.invalid(Section::Rows, format!("{} words for {nodes} rows, expected {expected}", rows.len())));
    }
    Ok(Dense::over(spec, rows))
}
