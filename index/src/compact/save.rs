//! [`CompactGraph`] to a file and back, and the proof that it is sound.
//!
//! The rotation is not in the file: it is drawn from the seed. The first of the entries is the one from which every node can be reached.

use std::path::Path;
use std::sync::OnceLock;

use bincode::{Decode, Encode};

use crate::distance::fastscan::{LANES, Units};
use crate::graph::check::{GraphFault, GraphReport};
use crate::graph::{Graph, links::NONE};
use crate::qgraph::DEGREE;
use crate::qgraph::calibrate::Calibration;
use crate::qgraph::entry::{Entries, block_bytes};
use crate::quant::byte::Scale;
use crate::quant::codes::Codes;
use crate::quant::frame::Frame;
use crate::quant::nested::Unit;
use crate::quant::rotation::Rotation;
use crate::spec::VectorSpec;
use crate::storage::codec;
use crate::storage::format::{self, IndexFile, OpenError, SaveError, Section};
use crate::storage::save::{StoredSpec, vector_bytes, vectors};
use crate::vfs::RealFs;

use super::{CompactGraph, CompactParams};

/// All that is not an array.
#[derive(Debug, Encode, Decode)]
struct Metadata {
    spec: StoredSpec,
    params: CompactParams,
    lossless: bool,
    units: Units,
    unit: Unit,
    deviation: f32,
    calibration: Calibration,
}

impl CompactGraph {
    /// Writes the index to `path`, replacing what is there; at any moment the file is the old one or the new one, whole. On disk
    /// when this returns.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        self.with_sections(|sections| format::replace(&RealFs, path.as_ref(), sections))
    }

    /// Hands the parts of the file to `write`.
    pub(crate) fn with_sections<R>(&self, write: impl FnOnce(&[(Section, &[u8])]) -> R) -> R {
        let codes = &self.codes;
        let metadata = codec::encode(&Metadata {
            spec: self.spec.into(),
            params: self.params,
            lossless: self.is_lossless(),
            units: self.units,
            unit: codes.unit,
            deviation: self.deviation,
            calibration: self.calibration.clone(),
        });
        let sections = [
            (Section::Metadata, &metadata[..]),
            (Section::Mean, bytemuck::cast_slice(codes.frame.centre.as_slice())),
            (Section::Level0, bytemuck::cast_slice(self.links.as_slice())),
            (Section::HighNibbles, codes.high.as_slice()),
            (Section::CodeTerms, bytemuck::cast_slice(codes.terms.as_slice())),
            (Section::FineRows, codes.fine.as_slice()),
            (Section::EntrySlots, bytemuck::cast_slice(self.entries.slots.as_slice())),
            (Section::EntryBlocks, self.entries.blocks.as_slice()),
            (Section::Twins, bytemuck::cast_slice(self.twins.as_slice())),
            (Section::Rows, self.full.as_ref().map_or(&[][..], vector_bytes)),
        ];
        write(&sections)
    }

    /// Maps the index in `path` after verifying every checksum and the bounds of every link; what a search needs is read from the file
    /// when it needs it. The file must stay as it is while it is open: replace it by rename, as [`save`](CompactGraph::save) does.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::from_file(&IndexFile::open(&RealFs, path.as_ref())?)
    }

    /// The index in `file`, whose checksums hold.
    pub(crate) fn from_file(file: &IndexFile) -> Result<Self, OpenError> {
        let index = Self::unchecked(file)?;
        index.check_slots().map_err(|(section, what)| file.invalid(section, what))?;
        Ok(index)
    }

    /// The index in `file`, of which nothing is known but that its arrays are as long as they should be: fit for reading vectors.
    pub(crate) fn unchecked(file: &IndexFile) -> Result<Self, OpenError> {
        let metadata: Metadata = codec::decode(file.bytes(Section::Metadata)?)
            .ok_or_else(|| file.invalid(Section::Metadata, "it does not decode".into()))?;
        let invalid = |what: String| file.invalid(Section::Metadata, what);
        let spec = VectorSpec::try_from(metadata.spec).map_err(invalid)?;
        metadata.params.validate().map_err(|error| invalid(error.to_string()))?;
        if !metadata.calibration.is_sound() {
            return Err(invalid("recall that does not rise with slack".into()));
        }
        let rotation = Rotation::new(spec.dim(), metadata.params.graph.seed);
        let centre = file.array(Section::Mean)?;
        if centre.len() != spec.dim() {
            return Err(file.invalid(Section::Mean, format!("{} elements, expected {}", centre.len(), spec.dim())));
        }
        let codes = Codes {
            frame: Frame::new(centre, Some(rotation)),
            metric: spec.metric(),
            scale: if metadata.lossless { Scale::Whole } else { Scale::Own },
            unit: metadata.unit,
            high: file.array(Section::HighNibbles)?,
            terms: file.array(Section::CodeTerms)?,
            fine: file.array(Section::FineRows)?,
        };
        let mut index = CompactGraph {
            params: metadata.params,
            spec,
            codes,
            links: file.array(Section::Level0)?,
            entries: Entries { slots: file.array(Section::EntrySlots)?, blocks: file.array(Section::EntryBlocks)? },
            units: metadata.units,
            deviation: metadata.deviation,
            twins: file.array(Section::Twins)?,
            full: None,
            calibration: metadata.calibration,
            costs: OnceLock::new(),
            sketch: OnceLock::new(),
        };
        if metadata.params.keep_vectors && !metadata.lossless {
            index.full = Some(vectors(file, spec, Some(index.len()))?);
        }
        index.check_lengths().map_err(|(section, what)| file.invalid(section, what))?;
        Ok(index)
    }

    /// Checks that the arrays belong together.
    fn check_lengths(&self) -> Result<(), (Section, String)> {
        let (nodes, codes) = (self.len(), &self.codes);
        let blocks = self.entries.slots.len().div_ceil(LANES);
        let lengths = [
            (Section::Level0, self.links.len(), nodes * DEGREE),
            (Section::HighNibbles, codes.high.len(), nodes * codes.plane()),
            (Section::FineRows, codes.fine.len(), nodes * codes.fine_stride() + codes.fine_slack()),
            (Section::EntrySlots, self.entries.slots.len(), blocks * LANES),
            (Section::EntryBlocks, self.entries.blocks.len(), blocks * block_bytes(codes.frame.out_dim())),
            (Section::Twins, self.twins.len(), if self.twins.len() == 0 { 0 } else { nodes }),
        ];
        for (section, found, expected) in lengths {
            if found != expected {
                return Err((section, format!("{found} elements, expected {expected}")));
            }
        }
        Ok(())
    }

    /// Checks that every slot is one: with the lengths of arrays, what every access relies on.
    fn check_slots(&self) -> Result<(), (Section, String)> {
        let nodes = self.len();
        let slots = [
            (Section::EntrySlots, self.entries.slots.as_slice()),
            (Section::Level0, self.links.as_slice()),
            (Section::Twins, self.twins.as_slice()),
        ];
        for (section, slots) in slots {
            let none_is_one = section != Section::EntrySlots;
            let outside = |&&slot: &&u32| slot as usize >= nodes && !(none_is_one && slot == NONE);
            if let Some(slot) = slots.iter().find(outside) {
                return Err((section, format!("slot {slot} of {nodes} rows")));
            }
        }
        Ok(())
    }

    /// Proves the graph's invariants, or names the first that is broken: links to other nodes, each once; every node reachable from the
    /// first entry; every copy in one chain and in no list. Cost: O(links).
    pub fn check(&self) -> Result<GraphReport, GraphFault> {
        let list = |node: u32| {
            let list = &self.links.as_slice()[node as usize * DEGREE..][..DEGREE];
            list.iter().copied().filter(|&slot| slot != NONE).collect()
        };
        let entry = self.entries.slots.as_slice().first().copied();
        Graph::of_lists(DEGREE, self.len(), list, self.twins.clone(), entry).check()
    }
}
