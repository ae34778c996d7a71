//! `vicino embed capacity`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use vicino_embed::capacity::margin::{sufficient, typical_95};
use vicino_embed::capacity::passages::{Found, Shape, measure, measure_encoder, sample};
use vicino_embed::capacity::plot::{Figure, Line};
use vicino_embed::capacity::survival::{DEPTHS, Survival, survival};
use vicino_embed::evaluate::beir::Collection;
use vicino_embed::multivector::windows::word_starts;
use vicino_embed::{Bm25, Bm25Params, SparseEncoder, SparseVector, TextKind};

use super::conditions::conditions;
use super::{Model, collection_folder};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino embed capacity --data scifact
  vicino embed capacity --data scifact --boolean --dims 64,256,1024
  vicino embed capacity --data ./my-collection --plots ./plots --json
  vicino embed capacity --data scifact --encoder static

BM25's vectors are projected to fewer dimensions by random signs, and its first document of each query is looked for again
(Luan et al., arXiv:2005.00181): how many dimensions, or vectors for a document, keep its ranking.")]
pub(super) struct Capacity {
    /// The collection: a folder in BEIR's layout, or a name
    #[arg(long, value_name = "NAME|PATH")]
    data: String,
    /// Whose judgments choose the queries
    #[arg(long, default_value = "test")]
    split: String,
    /// BM25: how slowly repeats saturate
    #[arg(long, default_value_t = Bm25Params::ANSERINI.k1())]
    k1: f64,
    /// BM25: how much length matters, 0 to 1
    #[arg(long, default_value_t = Bm25Params::ANSERINI.b())]
    b: f64,
    /// Count a word once and alike, in place of BM25's weights
    #[arg(long)]
    boolean: bool,
    /// Dimensions projected to
    #[arg(long, value_delimiter = ',', default_values_t = [32, 64, 128, 256, 384, 512, 768, 1024, 2048, 4096])]
    dims: Vec<usize>,
    /// Projections, whose means are reported
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Words that documents are cut to, to see what length costs; whole documents come last
    #[arg(long, value_delimiter = ',', default_values_t = [25, 50, 100, 200])]
    lengths: Vec<usize>,
    /// Words of the passages of the second experiment
    #[arg(long, value_delimiter = ',', default_values_t = [50, 100, 200, 400])]
    words: Vec<usize>,
    /// Passages of each length
    #[arg(long, default_value_t = 2000)]
    passages: usize,
    /// Spans of words that are looked for in the passages
    #[arg(long, default_value_t = 500)]
    spans: usize,
    /// Vectors of a passage and their dimensions
    #[arg(long, value_delimiter = ',', value_parser = shape, default_value = "1x64,1x512,2x256,4x128,8x64,8x512")]
    shapes: Vec<Shape>,
    /// A dense encoder for the second experiment too: static, minilm, a model's folder or name
    #[arg(long)]
    encoder: Option<String>,
    /// Write plots to this folder, as SVG
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Documents cut to one length.
#[derive(serde::Serialize)]
struct Group {
    /// Words kept of each; `None`: all.
    words: Option<usize>,
    /// Mean number of distinct terms.
    terms: f64,
    survival: Survival,
}

/// What an encoder finds in each shape.
type Encoded = Vec<(Shape, f64)>;

/// Dimensions of the smallest vectors an encoder is cut to.
const SMALL: usize = 64;

/// One vector and several, cut to few dimensions and whole; the several small ones take the room of the one whole vector.
fn encoder_shapes(dim: usize) -> Vec<Shape> {
    let small = SMALL.min(dim);
    let several = dim / small;
    [(1, small), (1, dim), (several, small), (several, dim)].map(|(vectors, dim)| Shape { vectors, dim }).into()
}

impl Capacity {
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        self.dims.sort_unstable();
        if self.dims.first().is_none_or(|&dim| dim == 0) || self.seeds == 0 {
            bail!("expected at least one dimension and projection, all above 0");
        }
        let data = collection_folder(&self.data)?;
        let collection = Collection::open(&data, &self.split)?;
        let params = Bm25Params::new(self.k1, self.b)?;
        let texts: Vec<&str> = collection.corpus.iter().map(|document| document.text.as_str()).collect();
        let (documents, queries) = self.vectors(&collection, &texts, params)?;
        let whole = survival(&documents, &queries, &self.dims, &self.seeds());
        let groups = self.by_length(&collection, params, &documents, &whole)?;
        let (found, encoded): (Vec<Found>, Vec<Encoded>) = self.passages(&collection, params)?.into_iter().unzip();
        if let Some(folder) = &self.plots {
            self.plot(folder, &whole, &groups, &found)?;
        }
        if self.json {
            let groups: Vec<_> = groups.iter().collect();
            let report = json!({ "conditions": conditions(), "survival": whole, "by_length": groups, "passages": found, "encoder": encoded });
            println!("{report:#}");
        } else {
            self.print(&whole, &groups, &found, &encoded);
        }
        Ok(())
    }

    fn seeds(&self) -> Vec<u64> {
        (1..=self.seeds).collect()
    }

    fn vectors(
        &self,
        collection: &Collection,
        texts: &[&str],
        params: Bm25Params,
    ) -> anyhow::Result<(Vec<SparseVector>, Vec<SparseVector>)> {
        let asked: Vec<&str> = collection.queries.iter().map(|query| query.text.as_str()).collect();
        let mut bm25 = Bm25::new(params);
        bm25.extend(texts.iter().copied());
        let mut documents = bm25.encode(texts, TextKind::Document)?;
        let mut queries = bm25.encode(&asked, TextKind::Query)?;
        if self.boolean {
            for vector in documents.iter_mut().chain(&mut queries) {
                *vector = SparseVector::new(vector.indices().to_vec(), vec![1.0; vector.len()])?;
            }
        }
        Ok((documents, queries))
    }

    fn by_length(
        &self,
        collection: &Collection,
        params: Bm25Params,
        documents: &[SparseVector],
        whole: &Survival,
    ) -> anyhow::Result<Vec<Group>> {
        let terms = |documents: &[SparseVector]| {
            documents.iter().map(SparseVector::len).sum::<usize>() as f64 / documents.len() as f64
        };
        let mut groups = Vec::new();
        for &words in &self.lengths {
            let texts: Vec<&str> =
                collection.corpus.iter().map(|document| first_words(&document.text, words)).collect();
            let (documents, queries) = self.vectors(collection, &texts, params)?;
            let survival = survival(&documents, &queries, &self.dims, &self.seeds());
            groups.push(Group { words: Some(words), terms: terms(&documents), survival });
        }
        groups.push(Group { words: None, terms: terms(documents), survival: whole.clone() });
        Ok(groups)
    }

    /// For each length, what random projections find, and what the encoder finds.
    fn passages(&self, collection: &Collection, params: Bm25Params) -> anyhow::Result<Vec<(Found, Encoded)>> {
        let encoder = match self.encoder.as_ref().map(|name| Model::open(name, None)).transpose()? {
            None => None,
            Some(Model::Dense(encoder)) => Some(encoder),
            Some(_) => bail!("--encoder: expected a dense encoder"),
        };
        let shapes = encoder.as_ref().map(|encoder| encoder_shapes(encoder.dim())).unwrap_or_default();
        let texts: Vec<&str> = collection.corpus.iter().map(|document| document.text.as_str()).collect();
        let mut found = Vec::new();
        for &words in &self.words {
            if words < 25 || self.passages == 0 || self.spans == 0 {
                bail!("expected passages of at least 25 words, and some of them, found {words} words");
            }
            let sample = sample(&texts, words, self.passages, self.spans, 1).with_context(|| {
                format!(
                    "{}: fewer than {} passages of {words} words; ask for fewer `--passages`",
                    self.data, self.passages
                )
            })?;
            let encoded = encoder.as_ref().map(|encoder| measure_encoder(&sample, &**encoder, &shapes)).transpose()?;
            found.push((measure(&sample, params, &self.shapes, 2)?, encoded.unwrap_or_default()));
        }
        Ok(found)
    }

    fn print(&self, whole: &Survival, groups: &[Group], found: &[Found], encoded: &[Encoded]) {
        let weights =
            if self.boolean { "words counted once".to_owned() } else { format!("BM25 {}/{}", self.k1, self.b) };
        println!("{}\n", conditions());
        println!(
            "{}, {weights}: {} documents, {} queries, {} pairs; margins: least {:.2e}, median {:.3}. Means of {} projections.\n",
            self.data, whole.documents, whole.queries, whole.pairs, whole.least_margin, whole.median_margin, self.seeds
        );
        println!("The first document, and the pairs, that a projection keeps:\n");
        row(std::iter::once("dimensions".into()).chain(self.dims.iter().map(ToString::to_string)));
        row(std::iter::repeat_n("---".into(), self.dims.len() + 1));
        for (at, depth) in DEPTHS.into_iter().enumerate() {
            let kept = whole.kept.iter().map(|kept| format!("{:.3}", kept.within[at]));
            row(std::iter::once(format!("first of all is among the first {depth}")).chain(kept));
        }
        let pairs = whole.kept.iter().map(|kept| format!("{:.4}", kept.pairs));
        row(std::iter::once("pairs in order".into()).chain(pairs));

        println!(
            "\nDimensions by what a margin ε costs, 1/(ε²/2 − ε³/3): measured, by the normal approximation, by lemma 1:\n"
        );
        row(["cost", "pairs", "95 % kept at", "normal", "lemma 1"].map(String::from));
        row(std::iter::repeat_n("---".into(), 5));
        for bin in &whole.by_cost {
            // The bin's middle, as a margin: cost ≈ 2 / ε² for small ones.
            let margin = (2.0 / (bin.from.max(bin.to / 2.0) * 1.5_f64.min(bin.to / bin.from.max(1.0)))).sqrt();
            let theory =
                |of: fn(f64) -> f64| if bin.to.is_finite() { format!("{:.0}", of(margin)) } else { "–".into() };
            row([
                format!("{:.0}–{:.0}", bin.from, bin.to),
                bin.pairs.to_string(),
                dim(bin.dim),
                theory(typical_95),
                theory(|margin| sufficient(margin, 0.05)),
            ]);
        }

        println!("\nBy length, every document cut to its first words:\n");
        row(["words", "distinct terms", "median margin", "95 % of pairs at", "90 % first in 10 at"]
            .map(String::from)
            .into_iter()
            .chain(self.dims.iter().map(|dim| format!("first in 10, {dim}"))));
        row(std::iter::repeat_n("---".into(), 5 + self.dims.len()));
        for Group { words, terms, survival } in groups {
            let words = words.map_or("all".into(), |words| words.to_string());
            let cells = [
                words,
                format!("{terms:.0}"),
                format!("{:.3}", survival.median_margin),
                dim(survival.least_dim_for_pairs()),
                dim(survival.least_dim(1, 0.9)),
            ];
            row(cells.into_iter().chain(survival.kept.iter().map(|kept| format!("{:.3}", kept.within[1]))));
        }

        println!("\nWhich passage holds a span of 5 to 25 words? Mean reciprocal rank in 10, by words of a passage:\n");
        row(["vectors × dimensions".into()]
            .into_iter()
            .chain(found.iter().map(|found| format!("{} words", found.words))));
        row(std::iter::repeat_n("---".into(), found.len() + 1));
        row(["BM25".into()].into_iter().chain(found.iter().map(|found| format!("{:.3}", found.bm25))));
        for (at, shape) in self.shapes.iter().enumerate() {
            let reached = found.iter().map(|found| format!("{:.3}", found.shapes[at].1));
            row([name(*shape)].into_iter().chain(reached));
        }
        for (at, (shape, _)) in encoded.first().map_or(&[][..], Vec::as_slice).iter().enumerate() {
            let reached = encoded.iter().map(|encoded| format!("{:.3}", encoded[at].1));
            let encoder = self.encoder.as_deref().unwrap_or_default();
            row([format!("{encoder}, {}", name(*shape))].into_iter().chain(reached));
        }
    }

    fn plot(&self, folder: &Path, whole: &Survival, groups: &[Group], found: &[Found]) -> anyhow::Result<()> {
        let place = || folder.display().to_string();
        std::fs::create_dir_all(folder).with_context(place)?;
        let conditions = conditions();
        let write =
            |name: &str, figure: Figure<'_>| std::fs::write(folder.join(name), figure.svg()).with_context(place);
        let line = |name: String, points: Vec<(f64, f64)>| Line { name, points };
        let kept = |survival: &Survival, of: &dyn Fn(usize) -> f64| {
            survival.kept.iter().enumerate().map(|(at, kept)| (kept.dim as f64, of(at))).collect::<Vec<_>>()
        };
        let depths = DEPTHS.into_iter().enumerate().map(|(depth, rank)| {
            line(format!("among the first {rank}"), kept(whole, &|at| whole.kept[at].within[depth]))
        });
        write(
            "capacity-dimensions.svg",
            Figure {
                title: &format!("{}: BM25's first document after random projection", self.data),
                conditions: &conditions,
                x: "dimensions",
                y: "queries",
                lines: depths.collect(),
            },
        )?;
        let lines = groups.iter().map(|group| {
            let survival = &group.survival;
            line(
                group.words.map_or("whole".into(), |words| format!("first {words} words")),
                kept(survival, &|at| survival.kept[at].within[1]),
            )
        });
        write(
            "capacity-length.svg",
            Figure {
                title: &format!("{}: BM25's first document among the first 10, by length", self.data),
                conditions: &conditions,
                x: "dimensions",
                y: "queries",
                lines: lines.collect(),
            },
        )?;
        let shapes = self.shapes.iter().enumerate().map(|(at, shape)| {
            line(name(*shape), found.iter().map(|found| (found.words as f64, found.shapes[at].1)).collect())
        });
        let bm25 = line("BM25".into(), found.iter().map(|found| (found.words as f64, found.bm25)).collect());
        write(
            "capacity-passages.svg",
            Figure {
                title: &format!("{}: the passage that holds a span", self.data),
                conditions: &conditions,
                x: "words of a passage",
                y: "mean reciprocal rank",
                lines: std::iter::once(bm25).chain(shapes).collect(),
            },
        )
    }
}

/// The first `count` words of `text`.
fn first_words(text: &str, count: usize) -> &str {
    word_starts(text).nth(count).map_or(text, |end| text[..end].trim_end())
}

/// `vectors x dimensions`.
fn shape(text: &str) -> Result<Shape, String> {
    let parts = text.split_once('x').and_then(|(vectors, dim)| Some((vectors.parse().ok()?, dim.parse().ok()?)));
    match parts {
        Some((vectors, dim)) if vectors > 0 && dim > 0 => Ok(Shape { vectors, dim }),
        _ => Err(format!("expected VECTORSxDIMENSIONS such as 8x64, found `{text}`")),
    }
}

fn name(shape: Shape) -> String {
    format!("{} × {}", shape.vectors, shape.dim)
}

fn dim(dim: Option<usize>) -> String {
    dim.map_or("more".into(), |dim| dim.to_string())
}

/// A row of a Markdown table.
fn row(cells: impl IntoIterator<Item = String>) {
    println!("| {} |", cells.into_iter().collect::<Vec<_>>().join(" | "));
}
