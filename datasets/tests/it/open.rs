//! Data sets by name and by path.

use std::fs;
use std::path::Path;

use vicino_datasets::cache::Folders;
use vicino_datasets::folder::{self, Provenance};
use vicino_datasets::formats::{self, Ids, Table};
use vicino_datasets::{DatasetError, digits, open, open_in};

use crate::fixture;

fn written(path: &Path) {
    folder::write(path, &digits(), &Provenance::default()).unwrap();
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("somewhere");
    written(&path);
    assert_eq!(open(path.to_str().unwrap()).unwrap(), digits());
}

#[test]
fn names_are_found_in_the_data_folder_before_the_cache() {
    let root = tempfile::tempdir().unwrap();
    let (data, cache) = (root.path().join("data"), root.path().join("cache"));
    let folders = Folders::new(Some(data.clone()), Some(cache.clone()));
    assert!(
        matches!(open_in(&folders, "x-euclidean"), Err(DatasetError::NotFound { looked, .. }) if looked.len() == 5)
    );
    written(&cache.join("x-euclidean"));
    assert_eq!(open_in(&folders, "x-euclidean").unwrap().hash, digits().hash);
    fs::create_dir_all(&data).unwrap();
    fs::copy(fixture("contiguous.hdf5"), data.join("x-euclidean.hdf5")).unwrap();
    let found = open_in(&folders, "x-euclidean").unwrap();
    assert_eq!((found.name.as_str(), found.train.len()), ("x-euclidean", 12));
}

#[test]
fn a_data_folder_that_cannot_be_written_gives_way_to_the_cache() {
    let root = tempfile::tempdir().unwrap();
    // A file where the folder should be refuses even root.
    let (data, cache) = (root.path().join("data"), root.path().join("cache"));
    fs::write(&data, "").unwrap();
    assert_eq!(Folders::new(Some(data.clone()), Some(cache.clone())).writable().unwrap(), cache);
    let error = Folders::new(Some(data), None).writable().unwrap_err().to_string();
    assert!(error.contains("data: cannot write there"), "{error}");
}

/// Also for root, whom the system would let write.
#[test]
fn a_folder_marked_read_only_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (data, cache) = (root.path().join("data"), root.path().join("cache"));
    fs::create_dir(&data).unwrap();
    let mark = |read_only| {
        let mut permissions = fs::metadata(&data).unwrap().permissions();
        permissions.set_readonly(read_only);
        fs::set_permissions(&data, permissions).unwrap();
    };
    mark(true);
    assert_eq!(Folders::new(Some(data.clone()), Some(cache.clone())).writable().unwrap(), cache);
    let error = folder::write(&data, &digits(), &Provenance::default()).unwrap_err();
    assert!(error.to_string().contains("train.npy: cannot write to its folder"), "{error}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    mark(false);
}

#[test]
fn the_metric_is_said_or_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let said = root.path().join("x-angular");
    written(&said);
    fs::remove_file(said.join("meta.json")).unwrap();
    let dataset = open(said.to_str().unwrap()).unwrap();
    assert_eq!((dataset.metric.name(), dataset.name.as_str()), ("cosine", "x-angular"));
    let unsaid = root.path().join("vectors");
    fs::rename(&said, &unsaid).unwrap();
    let error = open(unsaid.to_str().unwrap()).unwrap_err().to_string();
    assert!(error.contains("metric: expected `metric` in meta.json") && error.contains("found `vectors`"), "{error}");
}

#[test]
fn files_that_do_not_fit_are_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x-euclidean");
    let fault = |name: &str, table: &Table| {
        written(&path);
        formats::write(&path.join(name), table).unwrap();
        open(path.to_str().unwrap()).unwrap_err().to_string()
    };
    let ids = |k: usize, ids: Vec<u32>| Table::Ids(Ids { k, ids });
    let error = fault("neighbors.npy", &ids(100, vec![1597; 20_000]));
    assert!(error.contains("x-euclidean: neighbour: expected a row below 1597, found 1597"), "{error}");
    let error = fault("neighbors.npy", &ids(10, vec![0; 2_000]));
    assert!(error.contains("distances.npy: shape: expected 200 × 10, found 200 × 100"), "{error}");
    let error = fault("test.npy", &ids(1, vec![0]));
    assert!(error.contains("test.npy: numbers: expected vectors"), "{error}");
}
