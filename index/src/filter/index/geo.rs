//! Rows under places: a grid of cells, in which an area's candidates are looked up and then asked one by one.

use std::collections::BTreeMap;

use crate::filter::geo::{GeoArea, GeoPoint};
use crate::ids::Slot;
use crate::mask::Mask;

/// Cells per degree: a cell is some 5.5 km high.
const PER_DEGREE: f64 = 20.0;

/// Places by their cell: latitude, then longitude.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    bands: BTreeMap<i16, BTreeMap<i16, Vec<(u32, GeoPoint)>>>,
}

fn cell(degrees: f64) -> i16 {
    (degrees * PER_DEGREE).floor() as i16
}

impl Places {
    pub(super) fn insert(&mut self, place: GeoPoint, row: u32) {
        let (lon, lat) = place.degrees();
        self.bands.entry(cell(lat)).or_default().entry(cell(lon)).or_default().push((row, place));
    }

    pub(super) fn remove(&mut self, place: GeoPoint, row: u32) {
        let (lon, lat) = place.degrees();
        let Some(band) = self.bands.get_mut(&cell(lat)) else { return };
        if let Some(places) = band.get_mut(&cell(lon)) {
            places.retain(|kept| *kept != (row, place));
            if places.is_empty() {
                band.remove(&cell(lon));
            }
        }
        if band.is_empty() {
            self.bands.remove(&cell(lat));
        }
    }

    pub(super) fn within(&self, area: &GeoArea, mask: &mut Mask) {
        self.near(area, |places| {
            let inside = places.iter().filter(|(_, place)| area.contains(*place));
            inside.for_each(|(row, _)| mask.insert(Slot(*row)));
        });
    }

    /// How many lie in it at most.
    pub(super) fn at_most(&self, area: &GeoArea) -> usize {
        let mut count = 0;
        self.near(area, |places| count += places.len());
        count
    }

    /// Hands the places of every cell that the area may touch to `take`.
    fn near(&self, area: &GeoArea, mut take: impl FnMut(&[(u32, GeoPoint)])) {
        let (south, north, spans) = area.bounds();
        for band in self.bands.range(cell(south)..=cell(north)).map(|(_, band)| band) {
            for (west, east) in spans.iter().copied() {
                band.range(cell(west)..=cell(east)).for_each(|(_, places)| take(places));
            }
        }
    }
}
