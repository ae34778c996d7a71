//! Archives: what one holds that is made between writes, and what becomes of one that is not what was written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use vicino_index::PointId;
use vicino_index::collection::{Change, Options};
use vicino_index::vfs::Vfs;
use vicino_server::store::{Restore, Store};

use super::{REPLACE, archive_of, file_system, fill, name, point, schema, simulated, state};

#[test]
fn a_snapshot_taken_between_writes_holds_a_first_part_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { seal_rows: 50, ..Options::default() }).unwrap();
    assert!(store.create(name("c"), schema()).unwrap());
    let (sent, acknowledged, rounds) = (AtomicU64::new(0), AtomicU64::new(0), 12);
    let mut checked = 0;
    std::thread::scope(|scope| {
        let (over, collection) = (Arc::new(Mutex::new(false)), store.get("c").unwrap());
        let stop = Arc::clone(&over);
        let writing = scope.spawn(|| {
            let (stop, collection) = (stop, collection);
            // Change n stores point n and a new version of point 0; every seventh removes the one before.
            for n in 1.. {
                if *stop.lock().unwrap() {
                    break;
                }
                sent.store(n, Ordering::SeqCst);
                let change = match n % 7 {
                    0 => Change::Delete(vec![PointId::Integer(n - 1)]),
                    _ => Change::Upsert(vec![point(n, 0), point(0, n)]),
                };
                collection.write(change).unwrap();
                acknowledged.store(n, Ordering::SeqCst);
            }
        });
        for round in 0..rounds {
            while acknowledged.load(Ordering::SeqCst) < (round + 1) * 40 {
                std::thread::yield_now();
            }
            let before = acknowledged.load(Ordering::SeqCst);
            let archived = store.snapshot("c", &|_, _| ()).unwrap();
            let after = sent.load(Ordering::SeqCst);
            store.recover(&name("copy"), &format!("c/{}", archived.name), REPLACE).unwrap();
            let copy = store.get("copy").unwrap().read();
            let last = copy.operation();
            assert!((before..=after).contains(&last), "{before} <= {last} <= {after}");
            // What the first `last` changes make.
            let mut expected = BTreeMap::new();
            for n in 1..=last {
                if n % 7 == 0 {
                    expected.remove(&(n - 1));
                } else {
                    expected.extend([(n, 0), (0, n)]);
                }
            }
            let found = copy.scroll(PointId::FIRST).map(|point| {
                let PointId::Integer(id) = point.id() else { panic!("{}", point.id()) };
                (id, point.payload()["of"].as_u64().unwrap())
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
            checked += 1;
        }
        *over.lock().unwrap() = true;
        writing.join().unwrap();
    });
    assert_eq!(checked, rounds);
}

#[test]
fn an_archive_that_is_not_what_was_written_is_refused_or_the_same() {
    let fs = file_system();
    let store = simulated(&fs);
    fill(&store, 100);
    let (archive, expected) = archive_of(&store);
    let before = state(&store, "c");
    let target = name("copy");
    let (mut refused, mut same) = (0, 0);
    for at in (0..archive.len()).step_by(17) {
        let mut damaged = archive.clone();
        damaged[at] ^= 1 << (at % 8);
        match store.restore(&target, &damaged[..], REPLACE) {
            Ok(_) => {
                // Between files there are bytes that mean nothing.
                assert_eq!(state(&store, "copy"), expected, "byte {at}");
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    for len in (0..archive.len()).step_by(256) {
        if store.restore(&target, &archive[..len], REPLACE).is_ok() {
            assert_eq!(state(&store, "copy"), expected, "cut at {len}");
        }
    }
    assert!(refused > 3 * same, "{refused} refused, {same} the same, of {} bytes", archive.len());
    let error = store.restore(&target, &archive[..], Restore { limit: archive.len() as u64 - 1, ..REPLACE });
    assert!(error.unwrap_err().to_string().contains("more than"));
    for (bytes, words) in [
        (with_file(&archive, "extra.txt"), "`extra.txt`, which its manifest does not name"),
        (with_file(&[0; 1024], "manifest.json"), "holds no collection"),
        (vec![0; 1024], "manifest.json"),
    ] {
        let error = store.restore(&target, &bytes[..], REPLACE).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(state(&store, "c"), before);
    assert!(fs.list(Path::new("data/pending")).unwrap().is_empty());
}

/// `archive` with one more file.
fn with_file(archive: &[u8], name: &str) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    for (at, field) in [(100, "0000644\0"), (124, "00000000002\0"), (136, "00000000000\0"), (257, "ustar\x0000")] {
        header[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    header[148..156].fill(b' ');
    header[156] = b'0';
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let end = archive.len() - 1024;
    [&archive[..end], &header, b"{}", &[0; 510], &archive[end..]].concat()
}
