//! An index saved and opened answers as it did, and can be changed without touching the file it came from.

use std::path::Path;

use vicino_index::{BuildOptions, ElementType, Hnsw, HnswParams, Metric, Rows, VectorRef, VectorSpec};

use crate::data::{bits, build, clustered, plain, saved, search};

const DIM: usize = 12;

/// 1,000 rows of which 50 are copies, with upper levels.
fn index() -> Hnsw {
    let mut points = clustered(2, 950, DIM);
    points.extend_from_within(..50 * DIM);
    build(&points, DIM, HnswParams::new(5, 40))
}

/// Asserts that both give the same slots, distance bits and counters, with and without a filter.
fn assert_same(expected: &Hnsw, found: &Hnsw) {
    assert_eq!((found.len(), found.spec(), found.params()), (expected.len(), expected.spec(), expected.params()));
    assert_eq!(found.check().unwrap(), expected.check().unwrap());
    for query in clustered(3, 20, DIM).chunks(DIM) {
        let (hits, stats) = search(found, query.into(), 10, 30);
        let (expected, expected_stats) = search(expected, query.into(), 10, 30);
        assert_eq!((bits(&hits), stats), (bits(&expected), expected_stats));
    }
}

#[test]
fn an_opened_index_answers_bit_for_bit() {
    let (folder, index) = (tempfile::tempdir().unwrap(), index());
    let path = folder.path().join("index");
    index.save(&path).unwrap();
    let opened = Hnsw::open(&path).unwrap();
    assert_same(&index, &opened);
    let row = |index: &Hnsw, slot| {
        let mut row = Vec::new();
        index.vector(vicino_index::Slot(slot), &mut row);
        row
    };
    assert!((0..1000).all(|slot| row(&index, slot) == row(&opened, slot)));
    assert_eq!(saved(&opened), std::fs::read(&path).unwrap());
}

#[test]
fn every_metric_and_element_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<u8> = clustered(4, 300, DIM).iter().map(|x| (40.0 + 5.0 * x) as u8 % 128).collect();
    for (metric, element) in
        Metric::ALL.into_iter().flat_map(|metric| ElementType::ALL.map(|element| (metric, element)))
    {
        let Ok(spec) = VectorSpec::new(DIM, metric, element) else { continue };
        let rows = match element {
            ElementType::Bits => VectorRef::Bits(&values),
            _ => VectorRef::U8(&values),
        };
        let rows = Rows::new(rows, DIM).unwrap();
        let index = Hnsw::build(spec, HnswParams::new(5, 40), rows, &BuildOptions::default()).unwrap();
        let path = folder.path().join(format!("{metric}-{element}"));
        index.save(&path).unwrap();
        let opened = Hnsw::open(&path).unwrap();
        assert_eq!(opened.spec(), spec);
        for query in 0..20 {
            let answers = [&index, &opened].map(|index| search(index, rows.row(query), 5, 20));
            assert_eq!(bits(&answers[0].0), bits(&answers[1].0), "{metric}, {element}");
            assert_eq!(answers[0].1, answers[1].1, "{metric}, {element}");
        }
    }
}

#[test]
fn an_empty_index_is_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    Hnsw::new(plain(DIM), HnswParams::default()).unwrap().save(&path).unwrap();
    let mut opened = Hnsw::open(&path).unwrap();
    assert!(opened.is_empty() && search(&opened, (&[0.0; DIM]).into(), 3, 10).0.is_empty());
    opened.insert((&[1.0; DIM]).into()).unwrap();
    assert_eq!(search(&opened, (&[0.0; DIM]).into(), 3, 10).0.len(), 1);
}

/// An opened index that grows is the index that was never saved, grown; the file stays, and so does another view of it.
#[test]
fn growth_after_opening_leaves_the_file() {
    let (folder, mut index) = (tempfile::tempdir().unwrap(), index());
    let path = folder.path().join("index");
    index.save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let (mut opened, bystander) = (Hnsw::open(&path).unwrap(), Hnsw::open(&path).unwrap());
    let unchanged = index.clone();
    let copy = opened.clone();

    let more = clustered(5, 100, DIM);
    for index in [&mut index, &mut opened] {
        let (one, rest) = more.split_at(DIM);
        assert_eq!(index.insert(one.into()).unwrap().0, 1000);
        assert_eq!(index.extend(Rows::new(rest, DIM).unwrap(), &BuildOptions::default()).unwrap(), 1001..1100);
    }
    assert_same(&index, &opened);
    assert_eq!(saved(&index), saved(&opened));
    assert!(std::fs::read(&path).unwrap() == before, "the file was written to");
    assert_same(&unchanged, &bystander);
    assert_same(&unchanged, &copy);
}

#[test]
fn a_file_may_be_replaced_while_it_is_open() {
    let (folder, index) = (tempfile::tempdir().unwrap(), index());
    let path = folder.path().join("index");
    index.save(&path).unwrap();
    let old = Hnsw::open(&path).unwrap();
    let mut grown = Hnsw::open(&path).unwrap();
    grown.insert((&[1.0; DIM]).into()).unwrap();
    grown.save(&path).unwrap();
    assert_same(&index, &old);
    assert_same(&grown, &Hnsw::open(&path).unwrap());
    // Onto itself, still mapped and unchanged.
    let mapped = Hnsw::open(&path).unwrap();
    mapped.save(&path).unwrap();
    assert_same(&grown, &mapped);
    assert_same(&grown, &Hnsw::open(&path).unwrap());
    assert_eq!(entries(folder.path()), ["index"], "a temporary file was left");
}

/// Whoever renames last wins, but no mixture of two is ever seen.
#[test]
fn savers_of_one_path_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let indexes = [6, 7].map(|seed| build(&clustered(seed, 400, DIM), DIM, HnswParams::new(5, 40)));
    let files = [saved(&indexes[0]), saved(&indexes[1])];
    std::thread::scope(|scope| {
        for index in &indexes {
            scope
                .spawn(|| (0..20).for_each(|round| index.save(&path).unwrap_or_else(|e| panic!("round {round}: {e}"))));
        }
    });
    let file = std::fs::read(&path).unwrap();
    assert!(files.contains(&file));
    assert_eq!(entries(folder.path()), ["index"]);
}

#[test]
fn a_save_that_fails_leaves_what_was_there() {
    let (folder, index) = (tempfile::tempdir().unwrap(), index());
    let missing = folder.path().join("no such folder/index");
    let error = index.save(&missing).unwrap_err().to_string();
    assert!(error.contains("no such folder/index: cannot save: "), "{error}");
    // A folder in the way: the rename fails, after the temporary file was written.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("precious"), "x").unwrap();
    assert!(index.save(&taken).is_err());
    assert_eq!(entries(folder.path()), ["taken"]);
    assert_eq!(std::fs::read(taken.join("precious")).unwrap(), b"x");
    assert!(index.save(Path::new("/")).is_err());
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
