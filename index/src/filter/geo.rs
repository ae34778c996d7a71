//! Places on Earth, and areas they lie in.

use serde_json::Value;

/// The mean radius of the Earth in metres (IUGG).
const EARTH_RADIUS: f64 = 6_371_008.8;

/// A place, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoPoint {
    lon: f64,
    lat: f64,
}

/// Where a place may lie. Borders belong to it, but for polygons, where it depends on the side.
#[derive(Debug, Clone, PartialEq)]
pub enum GeoArea {
    /// Between two corners; east of the one and west of the other, across the date line if need be.
    Box {
        /// The north-western corner.
        top_left: GeoPoint,
        /// The south-eastern corner.
        bottom_right: GeoPoint,
    },
    /// Within so many metres of a place, along the surface of a sphere.
    Radius {
        /// The place.
        center: GeoPoint,
        /// Metres.
        metres: f64,
    },
    /// Inside one ring and outside of others; edges are straight in degrees.
    Polygon {
        /// The outer ring.
        exterior: Vec<GeoPoint>,
        /// The holes.
        interiors: Vec<Vec<GeoPoint>>,
    },
}

impl GeoPoint {
    /// The place at `lon` in -180..=180 and `lat` in -90..=90 degrees.
    pub fn new(lon: f64, lat: f64) -> Option<Self> {
        ((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)).then_some(GeoPoint { lon, lat })
    }

    /// The place that `value` is, if it is one.
    pub fn of(value: &Value) -> Option<Self> {
        Self::new(value.get("lon")?.as_f64()?, value.get("lat")?.as_f64()?)
    }

    /// Longitude and latitude.
    pub(super) fn degrees(self) -> (f64, f64) {
        (self.lon, self.lat)
    }

    /// Metres to `other` by the haversine formula.
    fn distance(self, other: GeoPoint) -> f64 {
        let (a, b) = (self.lat.to_radians(), other.lat.to_radians());
        let (d_lat, d_lon) = (b - a, (other.lon - self.lon).to_radians());
        let h = (d_lat / 2.0).sin().powi(2) + a.cos() * b.cos() * (d_lon / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS * h.sqrt().min(1.0).asin()
    }
}

impl GeoArea {
    /// Whether `point` lies in it.
    pub fn contains(&self, point: GeoPoint) -> bool {
        match self {
            GeoArea::Box { top_left, bottom_right } => {
                let (west, east) = (top_left.lon, bottom_right.lon);
                let between = if west <= east {
                    (west..=east).contains(&point.lon)
                } else {
                    point.lon >= west || point.lon <= east
                };
                between && (bottom_right.lat..=top_left.lat).contains(&point.lat)
            }
            GeoArea::Radius { center, metres } => center.distance(point) <= *metres,
            GeoArea::Polygon { exterior, interiors } => {
                inside(exterior, point) && !interiors.iter().any(|ring| inside(ring, point))
            }
        }
    }
}

impl GeoArea {
    /// Degrees it lies within: south, north, and spans from west to east, of which the date line may make two.
    pub(super) fn bounds(&self) -> (f64, f64, Vec<(f64, f64)>) {
        let across = |west: f64, east: f64| {
            if west < -180.0 {
                vec![(-180.0, east.min(180.0)), (west + 360.0, 180.0)]
            } else if east > 180.0 {
                vec![(west, 180.0), (-180.0, east - 360.0)]
            } else if west > east {
                vec![(west, 180.0), (-180.0, east)]
            } else {
                vec![(west, east)]
            }
        };
        match self {
            GeoArea::Box { top_left, bottom_right } => {
                (bottom_right.lat, top_left.lat, across(top_left.lon, bottom_right.lon))
            }
            GeoArea::Radius { center, metres } => {
                // A little more than the radius, for the rounding of the formula.
                let reach = (metres / EARTH_RADIUS).max(0.0) * 1.000_001 + 1e-9;
                let (lat, degrees) = (center.lat.to_radians(), reach.to_degrees());
                let (south, north) = (center.lat - degrees, center.lat + degrees);
                let widest = reach.sin() / lat.cos();
                let pole = south <= -90.0 || north >= 90.0 || reach >= std::f64::consts::FRAC_PI_2 || widest >= 1.0;
                let width = if pole { 180.0 } else { widest.asin().to_degrees() };
                let spans = if pole { vec![(-180.0, 180.0)] } else { across(center.lon - width, center.lon + width) };
                (south.max(-90.0), north.min(90.0), spans)
            }
            GeoArea::Polygon { exterior, .. } => {
                let bounds = |of: fn(&GeoPoint) -> f64| {
                    let sides = exterior.iter().map(of);
                    sides.fold((180.0_f64, -180.0_f64), |(least, most), side| (least.min(side), most.max(side)))
                };
                let ((south, north), (west, east)) = (bounds(|point| point.lat), bounds(|point| point.lon));
                (south, north, vec![(west, east)])
            }
        }
    }
}

/// Whether a ray from `point` to the east crosses `ring` an odd number of times.
fn inside(ring: &[GeoPoint], point: GeoPoint) -> bool {
    let edges = ring.iter().zip(ring.iter().cycle().skip(1));
    let crossed = edges.filter(|(a, b)| {
        (a.lat > point.lat) != (b.lat > point.lat)
            && point.lon < (b.lon - a.lon) * (point.lat - a.lat) / (b.lat - a.lat) + a.lon
    });
    crossed.count() % 2 == 1
}
