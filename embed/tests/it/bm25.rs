//! BM25 against the textbook's formula in f64, over texts of made-up words that the analyzer leaves alone.

use crate::random::Random;
use vicino_embed::{Bm25, Bm25Params, EncodeError, SparseEncoder, SparseVector, TextKind};

/// Words as numbers: `x0`, `x1`, ….
type Words = Vec<u64>;

/// A text of up to `longest` words; small numbers are common and large ones rare.
fn words(random: &mut Random, longest: u64) -> Words {
    let length = random.below(longest + 1);
    let word = |_| {
        let end = 1 + random.below(40);
        random.below(end)
    };
    (0..length).map(word).collect()
}

fn text(words: &Words) -> String {
    words.iter().map(|word| format!("x{word} ")).collect()
}

fn occurrences(words: &Words, word: u64) -> f64 {
    words.iter().filter(|&&other| other == word).count() as f64
}

/// The score by the formula, term by term of the query, repeats one by one.
fn oracle(params: Bm25Params, corpus: &[Words], query: &Words, document: &Words) -> f64 {
    let count = corpus.len() as f64;
    let average = corpus.iter().map(Vec::len).sum::<usize>() as f64 / count;
    let score = |&word: &u64| {
        let holding = corpus.iter().filter(|document| document.contains(&word)).count() as f64;
        let idf = (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln();
        let tf = occurrences(document, word);
        let norm = params.k1() * (1.0 - params.b() + params.b() * document.len() as f64 / average);
        if tf == 0.0 { 0.0 } else { idf * tf / (tf + norm) }
    };
    query.iter().map(score).sum()
}

fn encode(bm25: &Bm25, words: &Words, kind: TextKind) -> SparseVector {
    bm25.encode(&[&text(words)], kind).unwrap().pop().unwrap()
}

#[test]
fn products_are_the_textbook_scores_while_documents_come_in() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let params = [Bm25Params::LUCENE, Bm25Params::ANSERINI, Bm25Params::new(0.0, 1.0).unwrap()][seed as usize % 3];
        let mut bm25 = Bm25::new(params);
        let mut corpus: Vec<Words> = Vec::new();
        for _ in 0..3 {
            let arrived: Vec<Words> = (0..1 + random.below(30)).map(|_| words(&mut random, 30)).collect();
            bm25.extend(arrived.iter().map(text).collect::<Vec<_>>().iter().map(String::as_str));
            corpus.extend(arrived);
            for _ in 0..10 {
                let query = words(&mut random, 6);
                let vector = encode(&bm25, &query, TextKind::Query);
                for document in &corpus {
                    let expected = oracle(params, &corpus, &query, document);
                    let found = f64::from(vector.dot(&encode(&bm25, document, TextKind::Document)));
                    assert!((found - expected).abs() <= 1e-6 * expected.abs(), "seed {seed}: {found} for {expected}");
                }
            }
        }
    }
}

#[test]
fn ids_stay_as_documents_come_in() {
    let mut bm25 = Bm25::new(Bm25Params::LUCENE);
    bm25.extend(["zebra apple", "apple"]);
    let before: Vec<Option<String>> = (0..2).map(|id| bm25.term(id).map(str::to_owned)).collect();
    bm25.add("aardvark apple yak");
    let after: Vec<Option<String>> = (0..2).map(|id| bm25.term(id).map(str::to_owned)).collect();
    assert_eq!(before, after);
    assert_eq!((bm25.vocabulary_len(), bm25.documents(), bm25.average_length()), (4, 3, 2.0));
    assert_eq!(bm25.term(4), None);
}

#[test]
fn each_side_has_its_own_weights() {
    let mut bm25 = Bm25::new(Bm25Params::LUCENE);
    bm25.extend(["lift lift drag", "lift"]);
    let of = |kind| bm25.encode(&["lift drag lift"], kind).unwrap().pop().unwrap();
    let id = |term| (0..2).find(|&id| bm25.term(id) == Some(term)).unwrap();
    let weight = |vector: &SparseVector, term| vector.iter().find(|&(at, _)| at == id(term)).unwrap().1;
    assert_eq!((weight(&of(TextKind::Raw), "lift"), weight(&of(TextKind::Raw), "drag")), (2.0, 1.0));
    let rare = weight(&of(TextKind::Query), "drag");
    assert!((f64::from(rare) - 2.0_f64.ln()).abs() < 1e-7, "one of two documents: ln 2, not {rare}");
    assert!(weight(&of(TextKind::Document), "lift") < 1.0);
}

#[test]
fn unknown_terms_are_dropped_from_queries_and_refused_in_documents() {
    let mut bm25 = Bm25::new(Bm25Params::LUCENE);
    let nothing = vec![SparseVector::default(); 2];
    assert_eq!(bm25.encode(&["wing", ""], TextKind::Query).unwrap(), nothing);
    assert_eq!(bm25.encode(&["", "the"], TextKind::Document).unwrap(), nothing);
    bm25.add("wing");
    assert_eq!(bm25.encode(&["wings of wax"], TextKind::Query).unwrap()[0].len(), 1);
    for kind in [TextKind::Document, TextKind::Raw] {
        let error = bm25.encode(&["wing", "wings of wax"], kind).unwrap_err();
        assert_eq!(error, EncodeError::UnknownTerm { text: 1, term: "wax".into() });
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    for (k1, b) in [(-0.1, 0.5), (f64::NAN, 0.5), (f64::INFINITY, 0.5), (1.2, -0.1), (1.2, 1.1), (1.2, f64::NAN)] {
        assert!(Bm25Params::new(k1, b).is_err(), "k1 {k1}, b {b}");
    }
    let error = Bm25Params::new(1.2, 1.5).unwrap_err().to_string();
    assert_eq!(error, "b: expected a number in 0..=1, found 1.5");
}
