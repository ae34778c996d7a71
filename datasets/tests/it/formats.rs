//! Files: what is written is what is read, what others wrote is read, and nothing else is.

use std::fs;
use std::path::Path;

use half::f16;
use vicino_datasets::formats::{self, Ids, Table, hdf5};
use vicino_datasets::{Dataset, Matrix, Values, truth};
use vicino_index::Metric;

use crate::{fixture, fixture_rows};

fn vectors(values: Values, dim: usize) -> Table {
    Table::Vectors(Matrix::new(values, dim).unwrap())
}

fn floats() -> Table {
    vectors(Values::F32(vec![0.0, -1.5, 3.25e-20, 1.0, f32::MAX, 0.1]), 3)
}

/// A table of every kind, with the formats that hold it unchanged.
fn tables() -> Vec<(Table, &'static [&'static str])> {
    let halves = [0.0, -1.5, 65504.0, 1e-7].map(f16::from_f32).to_vec();
    let bits = vectors(Values::Bits(vec![0b1010_1010, 0b01, 0xFF, 0b10]), 10);
    vec![
        (floats(), &["npy", "fvecs", "fbin", "jsonl", "idx"]),
        (vectors(Values::F16(halves), 2), &["npy", "f16bin"]),
        (vectors(Values::U8(vec![0, 1, 254, 255]), 2), &["npy", "bvecs", "u8bin", "idx"]),
        (vectors(Values::I8(vec![0, -1, -128, 127]), 2), &["npy", "i8bin", "idx"]),
        (bits, &["npy"]),
        (Table::Ids(Ids { k: 2, ids: vec![0, 7, 2_000_000_000, 3] }), &["npy", "ivecs", "ibin"]),
    ]
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (table, extensions) in tables() {
        for extension in extensions {
            let path = folder.path().join("table").with_extension(extension);
            formats::write(&path, &table).unwrap();
            assert_eq!(formats::read(&path).unwrap(), table, "{extension}");
        }
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("table.")), "temporary files stay: {left:?}");
}

#[test]
fn formats_that_would_change_numbers_refuse() {
    let folder = tempfile::tempdir().unwrap();
    for extension in ["bvecs", "u8bin", "i8bin", "f16bin", "ivecs", "hdf5", ""] {
        let path = folder.path().join("table").with_extension(extension);
        let error = formats::write(&path, &floats()).unwrap_err().to_string();
        assert!(error.contains("table") && error.contains("expected"), "{error}");
        assert!(!path.exists());
    }
}

/// Every format's file, cut after each of its bytes, is an error that names the file.
#[test]
fn cut_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (table, extensions) in tables() {
        for extension in extensions.iter().filter(|extension| **extension != "jsonl") {
            let path = folder.path().join("whole").with_extension(extension);
            formats::write(&path, &table).unwrap();
            let whole = fs::read(&path).unwrap();
            // These are rows until the end of the file: one cut between rows is whole.
            let row = if extension.ends_with("vecs") {
                4 + i32::from_le_bytes(whole[..4].try_into().unwrap()) as usize
                    * if *extension == "bvecs" { 1 } else { 4 }
            } else {
                usize::MAX
            };
            for length in (0..whole.len()).filter(|length| *length == 0 || length % row != 0) {
                let cut = folder.path().join("cut").with_extension(extension);
                fs::write(&cut, &whole[..length]).unwrap();
                let error = formats::read(&cut).expect_err(&format!("{extension} cut to {length} bytes")).to_string();
                assert!(error.contains("cut") && error.contains("expected") && error.contains("found"), "{error}");
            }
            let mut longer = whole;
            longer.push(0);
            fs::write(&path, longer).unwrap();
            formats::read(&path).expect_err(&format!("{extension} with a byte too many"));
        }
    }
}

/// Sizes of up to 2⁶⁴ bytes, in files of a few: taking memory for them would end the process.
#[test]
fn headers_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let npy = |shape: &str| {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat()
    };
    let long_header = [b"\x93NUMPY\x02\x00".as_slice(), &u32::MAX.to_le_bytes()].concat();
    let lies: [(&str, Vec<u8>); 14] = [
        ("npy", npy("(4611686018427387904, 1)")),
        ("npy", npy("(4294967296, 4294967296)")),
        ("npy", npy("(100000000000000000000000, 1)")),
        ("npy", npy("(1, 0)")),
        ("npy", npy("(1, 2, 3)")),
        ("npy", npy("(-1, 2)")),
        ("npy", long_header),
        ("fbin", [u32::MAX.to_le_bytes(), u32::MAX.to_le_bytes()].concat()),
        ("u8bin", [1_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat()),
        ("fvecs", [i32::MAX.to_le_bytes(), 0_i32.to_le_bytes()].concat()),
        ("fvecs", [(-1_i32).to_le_bytes(), 0_i32.to_le_bytes()].concat()),
        ("fvecs", [1_i32.to_le_bytes(), [0; 4], 2_i32.to_le_bytes(), [0; 4], [0; 4]].concat()),
        ("idx", [[0, 0, 8, 3], [255; 4], [255; 4], [255; 4]].concat()),
        ("idx", [[0, 0, 8, 255], [255; 4], [255; 4], [255; 4]].concat()),
    ];
    for (at, (extension, bytes)) in lies.into_iter().enumerate() {
        let path = folder.path().join(format!("lie-{at}.{extension}"));
        fs::write(&path, bytes).unwrap();
        let error = formats::read(&path).expect_err(extension).to_string();
        assert!(
            error.contains(&format!("lie-{at}")) && error.contains("expected") && error.contains("found"),
            "{error}"
        );
    }
}

#[test]
fn numbers_of_the_wrong_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.ibin");
    fs::write(&path, [1_u32.to_le_bytes(), 1_u32.to_le_bytes(), (-1_i32).to_le_bytes()].concat()).unwrap();
    let error = formats::read(&path).unwrap_err().to_string();
    assert!(error.contains("row number: expected 0..=4294967295, found -1"), "{error}");
    let error = floats().into_ids(Path::new("f")).unwrap_err().to_string();
    assert_eq!(error, "f: numbers: expected row numbers, as 32 or 64-bit integers, found f32");
}

#[test]
fn json_lines_say_which_line_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.jsonl");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        formats::read(&path)
    };
    let same = vectors(Values::F32(vec![1.0, 2.0, 3.0, 4.0]), 2);
    assert_eq!(read("[1, 2]\n\n{\"id\": 7, \"embedding\": [3, 4]}\n").unwrap(), same);
    for (text, said) in [
        ("[1, 2]\n[1]\n", "in line 2: 1"),
        ("[1, 2]\n{\"text\": 1}\n", "in line 2: neither"),
        ("[1, 2", "in line 1"),
        ("[1e300]\n", "in line 1: inf"),
        ("", "expected at least one, found none"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("v.jsonl") && error.contains(said), "{error}");
    }
}

#[test]
fn numpys_files_are_read() {
    let rows = vectors(Values::F32(fixture_rows()), 4);
    assert_eq!(formats::read(&fixture("fortran.npy")).unwrap(), rows);
    let halves = formats::read(&fixture("half.npy")).unwrap().into_vectors(Path::new("")).unwrap();
    assert_eq!(halves.element().name(), "f16");
    assert_eq!(halves.to_f32(), fixture_rows());
    assert_eq!(formats::read(&fixture("flat.npy")).unwrap(), Table::Ids(Ids { k: 1, ids: vec![0, 1, 2, 3, 4] }));
}

/// The neighbours NumPy found are those found here, too.
#[test]
fn h5pys_files_are_read() {
    for name in ["contiguous.hdf5", "deflated.hdf5"] {
        let hdf5::Contents { metric, train, test, truth: theirs } = hdf5::read(&fixture(name)).unwrap();
        assert_eq!((metric, train.dim(), test.len()), (Metric::L2, 4, 3));
        assert_eq!(train.to_f32(), fixture_rows(), "{name}");
        let ours = truth(&Dataset::new(name, metric, train, test, None).unwrap(), 5, 1, None).unwrap();
        let theirs = theirs.unwrap();
        assert_eq!((theirs.k, theirs.neighbors), (5, ours.neighbors), "{name}");
        for (theirs, ours) in theirs.distances.unwrap().into_iter().zip(ours.distances.unwrap()) {
            assert!((theirs - ours).abs() <= 1e-5 * ours, "{theirs} {ours}");
        }
    }
    let bits = hdf5::read(&fixture("bits.hdf5")).unwrap();
    assert_eq!((bits.metric, bits.train.element().name(), bits.truth), (Metric::Hamming, "bits", None));
    assert_eq!(bits.train.to_f32(), (0..120).map(|at| f32::from(u8::from(at % 3 == 0))).collect::<Vec<_>>());
}

#[test]
fn damaged_hdf5_is_refused() {
    let whole = fs::read(fixture("contiguous.hdf5")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.hdf5");
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        let error = hdf5::read(&path).expect_err(&format!("cut to {length} bytes")).to_string();
        assert!(error.contains("cut.hdf5"), "{error}");
    }
}

/// A count of rows in the file's header, made absurd.
#[test]
fn hdf5_with_a_lying_shape_is_refused() {
    let mut bytes = fs::read(fixture("contiguous.hdf5")).unwrap();
    let shape = [12_u64.to_le_bytes(), 4_u64.to_le_bytes()].concat();
    let places: Vec<usize> = (0..bytes.len() - 16).filter(|&at| bytes[at..at + 16] == shape).collect();
    assert!(!places.is_empty(), "the fixture says its shape");
    places.into_iter().for_each(|at| bytes[at..at + 8].copy_from_slice(&(1_u64 << 50).to_le_bytes()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lie.hdf5");
    fs::write(&path, bytes).unwrap();
    let error = hdf5::read(&path).unwrap_err().to_string();
    assert!(error.contains("lie.hdf5") && error.contains("expected"), "{error}");
}
