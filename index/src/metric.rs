//! What "near" means: the metrics, the element types, and which go together.
//!
//! Inside the engine every metric is a *distance*, smaller is closer, and squared where that saves a root. [`Metric::score`]
//! is the one place where a distance becomes the number a user expects.

use std::fmt;
use std::str::FromStr;

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Euclidean; the engine's distance is squared.
    L2,
    /// Inner product; the engine's distance is its negative.
    Dot,
    /// Angle; the engine's distance is `1 − cos`. Float rows are normalised when they are stored.
    Cosine,
    /// Sum of absolute differences (Manhattan).
    L1,
    /// Number of differing bits.
    Hamming,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 5] = [Metric::L2, Metric::Dot, Metric::Cosine, Metric::L1, Metric::Hamming];

    /// The engine's distance as users know it: Euclidean distance (rooted), inner product, cosine similarity, L1, bits.
    pub fn score(self, distance: f32) -> f32 {
        match self {
            Metric::L2 => distance.max(0.0).sqrt(),
            Metric::Dot => -distance,
            Metric::Cosine => 1.0 - distance,
            Metric::L1 | Metric::Hamming => distance,
        }
    }

    /// The engine's distance for a user's score: the inverse of [`Metric::score`].
    pub fn distance(self, score: f32) -> f32 {
        match self {
            Metric::L2 => score * score,
            Metric::Dot => -score,
            Metric::Cosine => 1.0 - score,
            Metric::L1 | Metric::Hamming => score,
        }
    }

    /// Whether a larger [`score`](Metric::score) is nearer.
    pub fn larger_is_nearer(self) -> bool {
        matches!(self, Metric::Dot | Metric::Cosine)
    }

    /// The name used in files, flags and messages.
    pub fn name(self) -> &'static str {
        match self {
            Metric::L2 => "l2",
            Metric::Dot => "dot",
            Metric::Cosine => "cosine",
            Metric::L1 => "l1",
            Metric::Hamming => "hamming",
        }
    }
}

/// How one coordinate is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit float.
    F32,
    /// 16-bit float (IEEE 754 half).
    F16,
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// One bit; eight to a byte, the lowest bit first.
    Bits,
}

impl ElementType {
    /// Every element type.
    pub const ALL: [ElementType; 5] =
        [ElementType::F32, ElementType::F16, ElementType::U8, ElementType::I8, ElementType::Bits];

    /// The name used in files, flags and messages.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::F32 => "f32",
            ElementType::F16 => "f16",
            ElementType::U8 => "u8",
            ElementType::I8 => "i8",
            ElementType::Bits => "bits",
        }
    }

    /// Whether this element can be compared by `metric`: Hamming is for bits, and bits for Hamming alone.
    pub fn supports(self, metric: Metric) -> bool {
        (self == ElementType::Bits) == (metric == Metric::Hamming)
    }

    /// Stored words (bytes for bits) of one vector of `dim` coordinates.
    pub fn words(self, dim: usize) -> usize {
        if self == ElementType::Bits { dim.div_ceil(8) } else { dim }
    }

    /// Bytes of a stored word.
    pub fn word_bytes(self) -> usize {
        match self {
            ElementType::F32 => 4,
            ElementType::F16 => 2,
            ElementType::U8 | ElementType::I8 | ElementType::Bits => 1,
        }
    }
}

/// A name that is no metric or element type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`, expected one of {expected}")]
pub struct UnknownName {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl FromStr for Metric {
    type Err = UnknownName;

    /// Reads the names users write: `l2`/`euclidean`/`euclid`, `dot`/`ip`, `cosine`/`angular`, `l1`/`manhattan`, `hamming`.
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "l2" | "euclidean" | "euclid" => Metric::L2,
            "dot" | "ip" => Metric::Dot,
            "cosine" | "angular" => Metric::Cosine,
            "l1" | "manhattan" => Metric::L1,
            "hamming" => Metric::Hamming,
            _ => {
                let expected = "l2 (euclidean), dot (ip), cosine (angular), l1 (manhattan), hamming";
                return Err(UnknownName { what: "metric", found: name.into(), expected });
            }
        })
    }
}

impl FromStr for ElementType {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let expected = "f32, f16, u8, i8, bits";
        let known = Self::ALL.into_iter().find(|element| element.name().eq_ignore_ascii_case(name));
        known.ok_or_else(|| UnknownName { what: "element type", found: name.into(), expected })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse(), Ok(metric));
        }
        for element in ElementType::ALL {
            assert_eq!(element.name().parse(), Ok(element));
        }
    }

    #[test]
    fn unknown_names_say_what_is_known() {
        let error = "cosinus".parse::<Metric>().unwrap_err().to_string();
        assert!(error.contains("unknown metric `cosinus`") && error.contains("cosine"), "{error}");
    }

    #[test]
    fn scores_invert() {
        for metric in Metric::ALL {
            for distance in [0.0_f32, 0.25, 1.0, 1.75] {
                assert!((metric.distance(metric.score(distance)) - distance).abs() < 1e-6, "{metric} {distance}");
            }
        }
    }
}
