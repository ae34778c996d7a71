//! Small metadata as bytes: the one file that names bincode.
//!
//! Only short, checksummed records go through here, with a limit on what a record may claim to hold; whatever is mapped is laid out
//! by hand in `format`. bincode is pinned at its last release: 3.0.0 does not compile (RUSTSEC-2025-0141, unmaintained).

use bincode::{Decode, Encode, config};

/// The longest record, and the most that decoding one may allocate.
const LIMIT: usize = 64 << 10;

/// `record` as bytes. Panics if it is longer than any record of ours can be.
pub(crate) fn encode(record: &impl Encode) -> Vec<u8> {
    let bytes = bincode::encode_to_vec(record, configuration()).expect("a record in memory can be encoded");
    assert!(bytes.len() <= LIMIT, "a metadata record of {} bytes", bytes.len());
    bytes
}

/// The record that `bytes` hold, all of them; `None` if they hold none.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let (record, read) = bincode::decode_from_slice(bytes, configuration()).ok()?;
    (read == bytes.len()).then_some(record)
}

/// Little-endian integers of fixed size: the same bytes on every machine.
fn configuration() -> impl config::Config {
    config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_whole_or_not_at_all() {
        let record = (7_u32, vec![1_u8, 2, 3], "name".to_owned());
        let bytes = encode(&record);
        assert_eq!(decode(&bytes), Some(record));
        for len in 0..bytes.len() {
            assert_eq!(decode::<(u32, Vec<u8>, String)>(&bytes[..len]), None, "cut at {len}");
        }
        assert_eq!(decode::<(u32, Vec<u8>, String)>(&[&bytes[..], &[0]].concat()), None, "a byte too many");
        assert_eq!(decode::<Vec<u8>>(&u64::MAX.to_le_bytes()), None, "a length that lies");
    }
}
