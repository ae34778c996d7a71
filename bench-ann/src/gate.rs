//! What a code can find before any graph is built: of the true k nearest, how many are among the nearest by code.
//!
//! A graph walked on codes finds at best what comparing all codes would, so a code that fails here cannot be walked on, and one that does
//! well within twice as many needs no more than that scored again.

use vicino_index::{Code, CodeBits, Coded, ElementType, Metric, Rows, VectorSpec};

use crate::data::Data;
use crate::recall::{TIE_SLACK, Thresholds};
use crate::report::table::Table;

/// How many of the nearest by code are looked at, as multiples of k.
const DEPTHS: [usize; 4] = [1, 2, 4, 8];

/// A code under study.
struct Trial {
    name: &'static str,
    code: Code,
    element: ElementType,
    rotated: bool,
}

const fn trial(name: &'static str, code: Code, element: ElementType, rotated: bool) -> Trial {
    Trial { name, code, element, rotated }
}

const TRIALS: [Trial; 11] = [
    trial("f32", Code::Full, ElementType::F32, false),
    trial("f16", Code::Full, ElementType::F16, false),
    trial("byte, own steps", Code::Byte, ElementType::F32, false),
    trial("nested, 8 bits", Code::Nested(CodeBits::Eight), ElementType::F32, false),
    trial("nested, 8 bits", Code::Nested(CodeBits::Eight), ElementType::F32, true),
    trial("nested, 4 bits", Code::Nested(CodeBits::Four), ElementType::F32, false),
    trial("nested, 4 bits", Code::Nested(CodeBits::Four), ElementType::F32, true),
    trial("nested, 2 bits", Code::Nested(CodeBits::Two), ElementType::F32, false),
    trial("nested, 2 bits", Code::Nested(CodeBits::Two), ElementType::F32, true),
    trial("1 bit (RaBitQ)", Code::Bit, ElementType::F32, false),
    trial("1 bit (RaBitQ)", Code::Bit, ElementType::F32, true),
];

/// Whatever went wrong.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The table of one data set: every code over all dimensions and over the first half of them. `progress` hears what is being done.
pub fn gate(data: &Data, k: usize, mut progress: impl FnMut(&str)) -> Result<Table, Fault> {
    let mut header: Vec<String> = ["code", "dimensions", "rotated", "bytes"].map(str::to_owned).to_vec();
    header.extend(DEPTHS.iter().map(|depth| format!("in {}", k * depth)));
    let mut table = Table { header, rows: Vec::new() };
    let vectors = data.vectors();
    let (truth, truth_k) = data.truth();
    let thresholds = Thresholds::new(&vectors, truth, truth_k, k);
    for dim in [vectors.dim, vectors.dim / 2] {
        let (train, queries) = (first(vectors.train, vectors.dim, dim), first(vectors.queries, vectors.dim, dim));
        let lossless = vectors.metric == Metric::L2 && vectors.train.iter().all(|&x| f32::from(x as u8) == x);
        for Trial { name, code, element, rotated } in &TRIALS {
            progress(&format!("{name}, {dim} dimensions{}", if *rotated { ", rotated" } else { "" }));
            let spec = VectorSpec::new(dim, vectors.metric, *element)?;
            let coded = Coded::new(spec, *code, *rotated, Rows::new(&train[..], dim)?)?;
            let (mut hits, mut counts) = (Vec::new(), [0_usize; DEPTHS.len()]);
            for (query, vector) in queries.chunks_exact(dim).enumerate() {
                coded.search(vector.into(), k * DEPTHS[DEPTHS.len() - 1], &mut hits)?;
                let kth = thresholds.kth(query);
                let near =
                    |hit: &vicino_index::Hit| vectors.distance(query, hit.slot.index()) <= kth + TIE_SLACK * kth.abs();
                for (count, depth) in counts.iter_mut().zip(DEPTHS) {
                    // Of several rows at the k-th distance any will do, but no more than k count.
                    *count += hits.iter().take(k * depth).filter(|hit| near(hit)).count().min(k);
                }
            }
            let exact = lossless && matches!(code, Code::Byte | Code::Nested(CodeBits::Eight));
            let mut row = vec![format!("{name}{}", if exact { ", exact" } else { "" }), dim.to_string()];
            row.push(if *rotated { "yes" } else { "no" }.to_owned());
            row.push(coded.row_bytes().to_string());
            let wanted = (queries.len() / dim * k) as f64;
            row.extend(counts.iter().map(|&count| format!("{:.4}", count as f64 / wanted)));
            table.rows.push(row);
        }
    }
    Ok(table)
}

/// The first `dim` coordinates of each row.
fn first(rows: &[f32], all: usize, dim: usize) -> Vec<f32> {
    rows.chunks_exact(all).flat_map(|row| &row[..dim]).copied().collect()
}
