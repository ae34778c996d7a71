//! [`QuantizedGraph`] to a file and back, and the proof that it is sound.
//!
//! The rotation is not in the file: it is drawn from the seed. The first of the entries is the one from which every node can be reached.

use std::path::Path;
use std::sync::OnceLock;

use bincode::{Decode, Encode};

use crate::distance::fastscan::{LANES, Units};
use crate::graph::Graph;
use crate::graph::check::{GraphFault, GraphReport};
use crate::graph::links::NONE;
use crate::quant::byte::Scale;
use crate::quant::rotation::Rotation;
use crate::spec::VectorSpec;
use crate::storage::codec;
use crate::storage::format::{self, IndexFile, OpenError, SaveError, Section};
use crate::storage::save::{StoredSpec, vector_bytes, vectors};
use crate::vfs::RealFs;

use super::calibrate::Calibration;
use super::entry::{Entries, block_bytes};
use super::layout::Layout;
use super::{DEGREE, QuantizedGraph, QuantizedParams};

/// All that is not an array.
#[derive(Debug, Encode, Decode)]
struct Metadata {
    spec: StoredSpec,
    params: QuantizedParams,
    lossless: bool,
    units: Units,
    calibration: Calibration,
}

impl QuantizedGraph {
    /// Writes the index to `path`, replacing what is there; at any moment the file is the old one or the new one, whole. On disk
    /// when this returns.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        self.with_sections(|sections| format::replace(&RealFs, path.as_ref(), sections))
    }

    /// Hands the parts of the file to `write`.
    pub(crate) fn with_sections<R>(&self, write: impl FnOnce(&[(Section, &[u8])]) -> R) -> R {
        let lossless = self.scale == Scale::Whole;
        let metadata = codec::encode(&Metadata {
            spec: self.spec.into(),
            params: self.params,
            lossless,
            units: self.units,
            calibration: self.calibration.clone(),
        });
        let sections = [
            (Section::Metadata, &metadata[..]),
            (Section::Mean, bytemuck::cast_slice(self.mean.as_slice())),
            (Section::CodedRows, self.rows.as_slice()),
            (Section::EntrySlots, bytemuck::cast_slice(self.entries.slots.as_slice())),
            (Section::EntryBlocks, self.entries.blocks.as_slice()),
            (Section::Twins, bytemuck::cast_slice(self.twins.as_slice())),
            (Section::Rows, self.full.as_ref().map_or(&[][..], vector_bytes)),
        ];
        write(&sections)
    }

    /// Maps the index in `path` after verifying every checksum and the bounds of every link; what a search needs is read from the file
    /// when it needs it. The file must stay as it is while it is open: replace it by rename, as [`save`](QuantizedGraph::save) does.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::from_file(&IndexFile::open(&RealFs, path.as_ref())?)
    }

    /// The index in `file`, whose checksums hold.
    pub(crate) fn from_file(file: &IndexFile) -> Result<Self, OpenError> {
        let index = Self::unchecked(file)?;
        index.check_shape().map_err(|(section, what)| file.invalid(section, what))?;
        Ok(index)
    }

    /// The index in `file`, of which nothing is known but that its rows are as many as they say: fit for reading vectors.
    pub(crate) fn unchecked(file: &IndexFile) -> Result<Self, OpenError> {
        let metadata: Metadata = codec::decode(file.bytes(Section::Metadata)?)
            .ok_or_else(|| file.invalid(Section::Metadata, "it does not decode".into()))?;
        let invalid = |what: String| file.invalid(Section::Metadata, what);
        let spec = VectorSpec::try_from(metadata.spec).map_err(invalid)?;
        metadata.params.validate().map_err(|error| invalid(error.to_string()))?;
        if !metadata.calibration.is_sound() {
            return Err(invalid("recall that does not rise with slack".into()));
        }
        let rotation = Rotation::new(spec.dim(), metadata.params.seed);
        let layout = Layout::new(spec.dim(), rotation.out_dim());
        let mut index = QuantizedGraph {
            params: metadata.params,
            spec,
            scale: if metadata.lossless { Scale::Whole } else { Scale::Own },
            layout,
            rotation,
            units: metadata.units,
            mean: file.array(Section::Mean)?,
            rows: file.array(Section::CodedRows)?,
            entries: Entries { slots: file.array(Section::EntrySlots)?, blocks: file.array(Section::EntryBlocks)? },
            twins: file.array(Section::Twins)?,
            full: None,
            calibration: metadata.calibration,
            costs: OnceLock::new(),
            sketch: OnceLock::new(),
            copies: OnceLock::new(),
        };
        if !metadata.lossless {
            index.full = Some(vectors(file, spec, Some(index.len()))?);
        }
        Ok(index)
    }

    /// Checks that the arrays belong together and that every slot is one: what every access relies on.
    fn check_shape(&self) -> Result<(), (Section, String)> {
        let (nodes, dim) = (self.len(), self.spec.dim());
        let length = |section, found: usize, expected: usize| {
            let what = || (section, format!("{found} elements, expected {expected}"));
            if found == expected { Ok(()) } else { Err(what()) }
        };
        length(Section::Mean, self.mean.len(), dim)?;
        length(Section::CodedRows, self.rows.len(), nodes * self.layout.stride)?;
        let blocks = self.entries.slots.len().div_ceil(LANES);
        length(Section::EntrySlots, self.entries.slots.len(), blocks * LANES)?;
        length(Section::EntryBlocks, self.entries.blocks.len(), blocks * block_bytes(self.rotation.out_dim()))?;
        length(Section::Twins, self.twins.len(), if self.twins.len() == 0 { 0 } else { nodes })?;
        let inside = |section, slots: &[u32]| match slots.iter().find(|&&slot| slot as usize >= nodes) {
            Some(slot) => Err((section, format!("slot {slot} of {nodes} rows"))),
            None => Ok(()),
        };
        inside(Section::EntrySlots, self.entries.slots.as_slice())?;
        for node in 0..nodes as u32 {
            inside(Section::CodedRows, self.row(node).slots())?;
        }
        let twins = self.twins.as_slice().iter().find(|&&twin| twin != NONE && twin as usize >= nodes);
        match twins {
            Some(twin) => Err((Section::Twins, format!("slot {twin} of {nodes} rows"))),
            None => Ok(()),
        }
    }

    /// Proves the graph's invariants, or names the first that is broken: links to other nodes, each once; every node reachable from the
    /// first entry; every copy in one chain and in no list. Cost: O(links).
    pub fn check(&self) -> Result<GraphReport, GraphFault> {
        let entry = self.entries.slots.as_slice().first().copied();
        Graph::of_lists(DEGREE, self.len(), |node| self.neighbors(node), self.twins.clone(), entry).check()
    }

    /// The neighbours of `node`: the lanes whose estimates are not infinite.
    pub(crate) fn neighbors(&self, node: u32) -> Vec<u32> {
        let row = self.row(node);
        let lanes = row.slots().iter().zip(row.factors(0));
        lanes.filter(|(_, add)| add.is_finite()).map(|(&slot, _)| slot).collect()
    }
}
