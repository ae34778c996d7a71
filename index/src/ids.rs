//! The two id spaces, kept apart by type: what the caller calls a point, and where it lies.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// A point's id as its owner knows it; stable over updates and files. Integers come before UUIDs.
///
/// A UUID is read in any of its spellings, with hyphens or without, in braces or as a URN, and written with hyphens in lower case:
/// ```
/// use vicino_index::PointId;
/// let id: PointId = "936DA01F9ABD4d9d80C702AF85C822A8".parse()?;
/// assert_eq!(id.to_string(), "936da01f-9abd-4d9d-80c7-02af85c822a8");
/// assert!(PointId::from(u64::MAX) < id);
/// # Ok::<(), vicino_index::PointIdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointId {
    /// A number.
    Integer(u64),
    /// A UUID of any version.
    Uuid(Uuid),
}

/// A text that is no point's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("point id {found:?}: expected {expected}", expected = PointId::EXPECTED)]
pub struct PointIdError {
    /// The text.
    pub found: String,
}

/// The bytes of an id in files: what kind it is, and the number or UUID, most significant byte first. They sort as ids do.
pub(crate) type IdBytes = [u8; 17];

impl PointId {
    /// The first of all ids.
    pub const FIRST: PointId = PointId::Integer(0);

    /// What stands for an id, in words.
    pub const EXPECTED: &str = "an unsigned 64-bit integer or a UUID";

    pub(crate) fn to_bytes(self) -> IdBytes {
        let (kind, number) = match self {
            PointId::Integer(number) => (0, u128::from(number)),
            PointId::Uuid(uuid) => (1, uuid.as_u128()),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    /// The id whose bytes these are, if they are one's.
    pub(crate) fn from_bytes([kind, number @ ..]: IdBytes) -> Option<Self> {
        let number = u128::from_be_bytes(number);
        match kind {
            0 => number.try_into().ok().map(PointId::Integer),
            1 => Some(PointId::Uuid(Uuid::from_u128(number))),
            _ => None,
        }
    }
}

impl From<u64> for PointId {
    fn from(number: u64) -> Self {
        PointId::Integer(number)
    }
}

impl From<Uuid> for PointId {
    fn from(uuid: Uuid) -> Self {
        PointId::Uuid(uuid)
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PointId::Integer(number) => number.fmt(f),
            PointId::Uuid(uuid) => uuid.hyphenated().fmt(f),
        }
    }
}

impl FromStr for PointId {
    type Err = PointIdError;

    /// Reads digits as a number; 32 of them are a UUID without hyphens, which no number has.
    fn from_str(text: &str) -> Result<Self, PointIdError> {
        let is_number = text.len() < 32 && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = if is_number { text.parse().map(PointId::Integer).ok() } else { text.parse().map(PointId::Uuid).ok() };
        id.ok_or_else(|| PointIdError { found: text.into() })
    }
}

impl Serialize for PointId {
    /// As a number, or as a string.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PointId::Integer(number) => serializer.serialize_u64(*number),
            PointId::Uuid(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for PointId {
    /// From a number, or from a string that holds a UUID.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ids;
        impl Visitor<'_> for Ids {
            type Value = PointId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(PointId::EXPECTED)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<PointId, E> {
                Ok(PointId::Integer(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PointId, E> {
                let uuid: Result<Uuid, _> = text.parse();
                uuid.map(PointId::Uuid).map_err(|_| E::custom(PointIdError { found: text.into() }))
            }
        }
        deserializer.deserialize_any(Ids)
    }
}

/// A row of one index: `0..len`, in insertion order. Never shown to a caller who did not ask for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Slot(pub u32);

impl Slot {
    /// Rows an index can hold: the top bit and the all-ones word are taken by flags inside the graph.
    pub const MAX_ROWS: usize = (1 << 31) - 1;

    /// The row number, for indexing.
    #[inline(always)]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In order.
    fn ids() -> Vec<PointId> {
        let numbers = [0, 1, 255, 256, u64::MAX].map(PointId::Integer);
        let uuids = [0, 1, 0x550e_8400_e29b_41d4_a716_4466_5544_0000, u128::MAX].map(Uuid::from_u128);
        numbers.into_iter().chain(uuids.map(PointId::Uuid)).collect()
    }

    #[test]
    fn ids_come_back_from_text_json_and_bytes_in_their_order() {
        let ids = ids();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.is_sorted_by(|a, b| a.to_bytes() < b.to_bytes()));
        for id in ids {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(PointId::from_bytes(id.to_bytes()), Some(id));
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<PointId>(&json).unwrap(), id, "{json}");
        }
        let mut bytes = PointId::Integer(u64::MAX).to_bytes();
        bytes[8] = 1;
        assert_eq!(PointId::from_bytes(bytes), None, "a number of more than 64 bits");
        bytes[0] = 2;
        assert_eq!(PointId::from_bytes(bytes), None, "no kind of id");
    }

    #[test]
    fn every_spelling_of_a_uuid_is_the_same_id() {
        let id = PointId::Uuid(Uuid::from_u128(0xf916_8c5e_ceb2_4faa_b6bf_329b_f39f_a1e4));
        for text in [
            "f9168c5e-ceb2-4faa-b6bf-329bf39fa1e4",
            "F9168C5E-CEB2-4faa-B6BF-329BF39FA1E4",
            "f9168c5eceb24faab6bf329bf39fa1e4",
            "urn:uuid:F9168C5E-CEB2-4faa-B6BF-329BF39FA1E4",
            "{f9168c5e-ceb2-4faa-b6bf-329bf39fa1e4}",
        ] {
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(serde_json::from_value::<PointId>(text.into()).unwrap(), id);
        }
        let digits = "00000000000000000000000000000042";
        assert_eq!(digits.parse(), Ok(PointId::Uuid(Uuid::from_u128(0x42))));
    }

    #[test]
    fn what_is_no_id_is_refused_with_what_was_expected() {
        for text in ["", "-1", "+1", "1.0", "18446744073709551616", " 1", "f9168c5e-ceb2-4faa-b6bf-329bf39fa1e", "cat"]
        {
            let error = text.parse::<PointId>().unwrap_err().to_string();
            assert_eq!(error, format!("point id {text:?}: expected an unsigned 64-bit integer or a UUID"));
        }
        for json in ["-1", "1.0", "18446744073709551616", "\"17\"", "\"cat\"", "null", "[1]"] {
            let error = serde_json::from_str::<PointId>(json).unwrap_err().to_string();
            assert!(error.contains("expected an unsigned 64-bit integer or a UUID"), "{json}: {error}");
        }
    }
}
