//! The traits carry real encoders of each kind behind `dyn`, shared between threads.

use std::sync::Arc;
use std::thread;
use vicino_embed::{
    Bm25, Bm25Params, DenseBatch, DenseEncoder, EncodeError, Encoder, MultiVectorBatch, MultiVectorEncoder,
    SparseEncoder, TextKind,
};

/// Counts the letters `a` to `z`: of a text, or of each of its words.
struct Letters;

fn count(text: &str) -> [f32; 26] {
    let mut counts = [0.0; 26];
    text.bytes().filter(u8::is_ascii_lowercase).for_each(|letter| counts[usize::from(letter - b'a')] += 1.0);
    counts
}

impl Encoder for Letters {
    fn model_id(&self) -> &str {
        "letters"
    }

    fn max_tokens(&self) -> Option<usize> {
        None
    }
}

impl DenseEncoder for Letters {
    fn dim(&self) -> usize {
        26
    }

    fn normalized(&self) -> bool {
        false
    }

    fn encode(&self, texts: &[&str], _: TextKind) -> Result<DenseBatch, EncodeError> {
        let rows = texts.iter().flat_map(|text| count(text)).collect();
        Ok(DenseBatch::new(rows, 26).expect("whole rows of counts"))
    }
}

impl MultiVectorEncoder for Letters {
    fn dim(&self) -> usize {
        26
    }

    fn encode(&self, texts: &[&str], _: TextKind) -> Result<MultiVectorBatch, EncodeError> {
        let rows = texts.iter().flat_map(|text| text.split_whitespace()).flat_map(count).collect();
        let lengths: Vec<usize> = texts.iter().map(|text| text.split_whitespace().count()).collect();
        let rows = DenseBatch::new(rows, 26).expect("whole rows of counts");
        Ok(MultiVectorBatch::new(rows, &lengths).expect("one row for each word"))
    }
}

#[test]
fn every_kind_works_behind_dyn_and_across_threads() {
    let mut bm25 = Bm25::new(Bm25Params::LUCENE);
    bm25.extend(["ab ba", "b"]);
    let sparse: Arc<dyn SparseEncoder> = Arc::new(bm25);
    let dense: Arc<dyn DenseEncoder> = Arc::new(Letters);
    let multi: Arc<dyn MultiVectorEncoder> = Arc::new(Letters);
    let encode = move || {
        let texts = ["ab ba", "", "b"];
        let sparse = sparse.encode(&texts, TextKind::Document).unwrap();
        assert_eq!([sparse[0].len(), sparse[1].len(), sparse[2].len()], [2, 0, 1]);
        let dense_rows = dense.encode(&texts, TextKind::Document).unwrap();
        assert_eq!((dense_rows.len(), dense_rows.dim(), &dense_rows.row(0)[..2]), (3, dense.dim(), &[2.0, 2.0][..]));
        let multi_rows = multi.encode(&texts, TextKind::Query).unwrap();
        assert_eq!([0, 1, 2].map(|text| multi_rows.text(text).len() / multi.dim()), [2, 0, 1]);
    };
    let threads = [thread::spawn(encode.clone()), thread::spawn(encode)];
    for thread in threads {
        thread.join().unwrap();
    }
}
