//! What can still be had of a damaged collection.
//!
//! Opening refuses a folder in which anything is not what was written. Salvage reads past it: each point carries a checksum over id,
//! version, vector and payload, and each named vector one of its own, so whatever happened to the files around it, a point is either proven to be as it was stored or left
//! out; of the log every group that is whole is applied. What cannot be known is named: a group that is lost may have held a delete.

use std::collections::BTreeMap;
use std::path::Path;

use super::home;
use super::manifest::Manifest;
use super::record::Record;
use super::{OpenCollectionError, Point, Schema, folder};
use crate::ids::PointId;
use crate::named::NamedVector;
use crate::vfs::Vfs;
use crate::wal;

/// What was had of a collection, and what was not.
#[derive(Debug)]
pub struct Salvaged {
    /// What the collection was made with.
    pub schema: Schema,
    /// The points, in order of ids: vectors and payload each as last stored, as far as is known.
    pub points: Vec<Point>,
    /// What is lost, in words; empty if nothing is.
    pub lost: Vec<String>,
}

/// Reads what can be had of the collection in `dir` and changes nothing. Errors only if the manifest cannot be read, without which
/// nothing is known of what the bytes mean, or the folder is in use.
pub fn salvage(vfs: &dyn Vfs, dir: &Path) -> Result<Salvaged, OpenCollectionError> {
    let _lock = home::lock(vfs, dir)?;
    let manifest = Manifest::read(vfs, dir)?;
    let mut schema = manifest.schema(dir)?;
    let mut lost = Vec::new();
    // Where it is not known which rows of a segment are dead, a point may be in several: the newest counts.
    let mut newest: BTreeMap<PointId, folder::Intact> = BTreeMap::new();
    for entry in &manifest.segments {
        for intact in folder::salvage_part(vfs, dir, entry, &schema.vectors, &mut lost) {
            if newest.get(&intact.point.id).is_none_or(|held| held.version < intact.version) {
                newest.insert(intact.point.id, intact);
            }
        }
    }
    let mut points: BTreeMap<PointId, Point> = newest.into_iter().map(|(id, intact)| (id, intact.point)).collect();
    let start = manifest.log;
    wal::salvage(vfs, dir, manifest.log_id(), start.file, start.position(), &mut lost, |record| {
        let record = Record::decode(record, &schema)?;
        apply(&mut points, &mut schema, record)
    });
    Ok(Salvaged { schema, points: points.into_values().collect(), lost })
}

fn apply(points: &mut BTreeMap<PointId, Point>, schema: &mut Schema, record: Record) -> Result<(), String> {
    match record {
        Record::Store(stored) => points.extend(stored.into_iter().map(|point| (point.id, point))),
        Record::Delete(ids) => ids.iter().for_each(|id| drop(points.remove(id))),
        Record::Payload(payloads) => {
            for (id, payload) in payloads {
                // Of a point that is lost the payload alone is of no use.
                if let Some(point) = points.get_mut(&id) {
                    point.payload = payload;
                }
            }
        }
        Record::Vectors(changed) => {
            for (id, edits) in changed {
                if let Some(point) = points.get_mut(&id) {
                    for (name, vector) in edits {
                        match vector {
                            Some(vector) => point.vectors.insert(name, vector),
                            None => drop(point.vectors.remove(&name)),
                        }
                    }
                }
            }
        }
        Record::AddVector(vector) => {
            let vector = NamedVector::try_from(vector)?;
            let vectors = schema.vectors.clone().with(vector.name(), vector.spec(), vector.note().clone());
            schema.vectors = vectors.map_err(|error| error.to_string())?;
        }
        Record::DropVector(name) => {
            schema.vectors = schema.vectors.clone().without(&name).map_err(|error| error.to_string())?;
            points.values_mut().for_each(|point| drop(point.vectors.remove(&name)));
        }
        // Indexes are made anew from points.
        Record::Fields(_) => {}
    }
    Ok(())
}
