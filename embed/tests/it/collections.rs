//! Judged collections: how a folder is read and refused, and what BM25 reaches on two real ones.

use std::fs;
use std::path::Path;
use vicino_embed::evaluate::beir::Collection;
use vicino_embed::evaluate::measure;
use vicino_embed::evaluate::rank::{SameId, rank};
use vicino_embed::{Bm25, Bm25Params};

fn write(folder: &Path, corpus: &str, queries: &str, judgments: &str) {
    fs::create_dir_all(folder.join("qrels")).unwrap();
    fs::write(folder.join("corpus.jsonl"), corpus).unwrap();
    fs::write(folder.join("queries.jsonl"), queries).unwrap();
    fs::write(folder.join("qrels/test.tsv"), judgments).unwrap();
}

const CORPUS: &str =
    "{\"_id\": \"a\", \"title\": \"Wings\", \"text\": \"lift\"}\r\n\n{\"_id\": \"b\", \"text\": \"heat\"}";
const QUERIES: &str = "{\"_id\": \"b\", \"text\": \"wing heat\"}\n{\"_id\": \"unjudged\", \"text\": \"lift\"}\n";
const JUDGMENTS: &str = "query-id\tcorpus-id\tscore\nb\ta\t2\r\nb\tb\t0\n";

fn bm25(collection: &Collection, params: Bm25Params) -> Bm25 {
    let mut bm25 = Bm25::new(params);
    bm25.extend(collection.corpus.iter().map(|document| document.text.as_str()));
    bm25
}

#[test]
fn reads_titles_texts_and_grades() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CORPUS, QUERIES, JUDGMENTS);
    let collection = Collection::open(folder.path(), "test").unwrap();
    let texts: Vec<&str> = collection.corpus.iter().map(|document| document.text.as_str()).collect();
    assert_eq!(texts, ["Wings lift", "heat"]);
    assert_eq!(collection.queries.len(), 1, "only judged queries");
    assert_eq!((collection.judgments["b"]["a"], collection.judgments["b"]["b"]), (2, 0));

    let bm25 = bm25(&collection, Bm25Params::LUCENE);
    let found = |same_id| {
        let run = rank(&bm25, &collection, same_id, &|done, total| assert!(done <= total && total == 3)).unwrap();
        let mut ids: Vec<String> = run["b"].iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(found(SameId::Keep), ["a", "b"]);
    assert_eq!(found(SameId::Drop), ["a"]);
}

#[test]
fn refuses_wrong_lines_by_number() {
    let repeated = format!("{CORPUS}\n{CORPUS}");
    for (corpus, queries, judgments, message) in [
        ("{\"_id\": 7}", QUERIES, JUDGMENTS, "corpus.jsonl, line 1: expected an object with `_id` and `text`"),
        (&repeated, QUERIES, JUDGMENTS, "corpus.jsonl, line 4: expected each id once, found `a` again"),
        (CORPUS, "{", JUDGMENTS, "queries.jsonl, line 1: expected an object"),
        (CORPUS, QUERIES, "b\ta\n", "test.tsv, line 1: expected query, document and grade between tabs"),
        (CORPUS, QUERIES, "b\ta\t1.5\n", "test.tsv, line 1: expected a whole number as grade, found `1.5`"),
        (CORPUS, QUERIES, "b\ta\t1\n\nc\ta\t1\n", "test.tsv, line 3: expected a query of queries.jsonl, found `c`"),
        (CORPUS, QUERIES, "b\tc\t1\n", "test.tsv, line 1: expected a document of corpus.jsonl, found `c`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), corpus, queries, judgments);
        let error = Collection::open(folder.path(), "test").expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
    let error = Collection::open(Path::new("no such folder"), "test").unwrap_err().to_string();
    assert!(error.contains("corpus.jsonl"), "{error}");
}

/// The expected means were computed by another program, in Python with NLTK's stemmer and `trec_eval`'s measures. For
/// SciFact they are Anserini's published .679 and .925 but for its one-byte document lengths.
#[test]
fn ranks_real_collections_as_another_program_does() {
    let Some(data) = std::env::var_os("VICINO_DATA") else {
        eprintln!("skipped: VICINO_DATA does not name a folder with scifact/ and cranfield/");
        return;
    };
    for (name, params, ndcg, recall) in [
        ("scifact", Bm25Params::ANSERINI, 0.6777, 0.9253),
        ("scifact", Bm25Params::LUCENE, 0.6830, 0.9282),
        ("cranfield", Bm25Params::ANSERINI, 0.3224, 0.7230),
        ("cranfield", Bm25Params::LUCENE, 0.3371, 0.7356),
    ] {
        let folder = Path::new(&data).join(name);
        if !folder.exists() {
            eprintln!("skipped: no {}", folder.display());
            continue;
        }
        let collection = Collection::open(&folder, "test").unwrap();
        let run = rank(&bm25(&collection, params), &collection, SameId::Keep, &|_, _| ()).unwrap();
        let measures = measure(&collection.judgments, &run);
        // Half a unit of the last digit given, and room for one pair of documents that ties in f32.
        let agrees = (measures.ndcg_at_10 - ndcg).abs() < 2e-4 && (measures.recall_at_100 - recall).abs() < 2e-4;
        assert!(agrees, "{name}, {params:?}: {measures:?}");
    }
}
