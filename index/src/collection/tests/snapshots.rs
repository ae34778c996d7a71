//! Folders of another time: copied while the collection went on, or written by a build of another version.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::damage::resigned;
use super::workload::{Kind, Workload, create_as, dir, file_system, options};
use crate::BuildOptions;
use crate::collection::{SharedCollection, Snapshot, SnapshotContent, SyncMode, verify};
use crate::vfs::{SimFs, Vfs};

/// Copies what is in `snapshot` to folder `to`.
fn restore(fs: &SimFs, snapshot: &Snapshot, to: &Path) {
    fs.create_dir(to).unwrap();
    for file in &snapshot.files {
        let bytes = match &file.content {
            SnapshotContent::Bytes(bytes) => bytes.clone(),
            SnapshotContent::File(path, bytes) => {
                let found = fs.read(path).unwrap();
                assert_eq!(found.len() as u64, *bytes, "{}", path.display());
                found
            }
        };
        fs.create(&to.join(&file.name)).unwrap().write_all(&bytes).unwrap();
    }
}

#[test]
fn a_snapshot_is_one_moment_whatever_comes_after() {
    for kind in Kind::ALL {
        let workload = Workload::of(kind, 11, 60);
        let fs = file_system();
        let collection = create_as(&fs, SyncMode::Always, kind).unwrap();
        let mut snapshots = Vec::new();
        for (done, change) in (1..).zip(&workload.changes) {
            collection.write(change.clone()).unwrap();
            if done % 12 == 0 {
                let snapshot = collection.snapshot().unwrap().expect("it has files");
                assert_eq!((snapshot.operation, snapshot.sum), (done, collection.read().sum()));
                snapshots.push(snapshot);
            }
            collection.tend().unwrap();
        }
        collection.compact(&BuildOptions::default()).unwrap();
        for (number, snapshot) in snapshots.iter().enumerate() {
            let to = PathBuf::from(format!("data/copy-{number}"));
            restore(&fs, snapshot, &to);
            verify(&fs, &to).unwrap();
            let copy = SharedCollection::open(Arc::new(fs.clone()), &to, options(SyncMode::Always)).unwrap();
            assert_eq!(workload.position(&copy), Ok(snapshot.operation as usize), "{kind:?}");
            assert_eq!(copy.read().sum(), snapshot.sum);
        }
        let files = |fs: &SimFs| fs.list(dir()).unwrap().len();
        let pinned = files(&fs);
        drop(snapshots);
        collection.write(workload.changes[0].clone()).unwrap();
        collection.checkpoint().unwrap();
        assert!(files(&fs) < pinned, "{kind:?}: files of old snapshots stay");
    }
}

#[test]
fn a_folder_of_another_version_is_refused_and_left_alone() {
    let fs = file_system();
    drop(create_as(&fs, SyncMode::Always, Kind::Whole).unwrap());
    let path = dir().join("manifest.json");
    let text = fs.read(&path).unwrap();
    for version in [2, 3, 6] {
        let image = fs.kill();
        let other = format!("\"vicino_collection\":{version}");
        let other = resigned(&text, |line| line.replace("\"vicino_collection\":5", &other));
        assert_ne!(text, other);
        image.put(&path, other.clone()).unwrap();
        let error = SharedCollection::open(Arc::new(image.clone()), dir(), options(SyncMode::Always)).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: format version {version}, this build reads 4..=5", path.display()));
        assert_eq!(image.read(&path).unwrap(), other);
    }
}

#[test]
fn a_folder_of_format_4_opens_and_becomes_one_of_5() {
    // Without named vectors the formats differ by their number alone.
    let workload = Workload::of(Kind::Whole, 3, 20);
    let fs = file_system();
    let collection = create_as(&fs, SyncMode::Always, Kind::Whole).unwrap();
    workload.changes[..12].iter().for_each(|change| assert!(collection.write(change.clone()).is_ok()));
    collection.checkpoint().unwrap();
    drop(collection);
    let path = dir().join("manifest.json");
    let older = |text: &[u8]| resigned(text, |line| line.replace("\"vicino_collection\":5", "\"vicino_collection\":4"));
    let text = fs.read(&path).unwrap();
    assert_ne!(older(&text), text);
    fs.put(&path, older(&text)).unwrap();
    let collection = SharedCollection::open(Arc::new(fs.clone()), dir(), options(SyncMode::Always)).unwrap();
    assert_eq!(workload.position(&collection), Ok(12));
    workload.changes[12..].iter().for_each(|change| assert!(collection.write(change.clone()).is_ok()));
    collection.checkpoint().unwrap();
    assert_eq!(workload.position(&collection), Ok(20));
    let text = fs.read(&path).unwrap();
    assert_ne!(older(&text), text, "the next manifest is of format 5");
}
