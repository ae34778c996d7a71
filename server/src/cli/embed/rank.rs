//! The answers to a judged collection's queries: by one encoder, or by a sparse and a dense one together.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use vicino_embed::evaluate::beir::{Collection, Text};
use vicino_embed::evaluate::exact::{self, RESCORED, rank_dense, rank_multi_vector, rank_vectors};
use vicino_embed::evaluate::rank::{SameId, rank};
use vicino_embed::evaluate::{Judgments, Run};
use vicino_embed::hybrid::bootstrap::{difference, per_query};
use vicino_embed::hybrid::judged::{LAMBDA_GRID, restrict};
use vicino_embed::hybrid::{Fusion, HybridIndex, Judged};
use vicino_embed::multivector::fde::{Fde, FdeParams};
use vicino_embed::splade::InferenceFree;
use vicino_embed::{
    Bm25, Bm25Params, Counts, DenseBatch, DenseEncoder, MultiVectorEncoder, SparseEncoder, SparseVector, Splade,
    TextKind, frozen,
};

use super::{Model, advance, folder, progress};

/// Documents of either side that are fused, and that a run holds.
pub(super) const DEPTH: usize = 1000;

/// The single vectors that stand for token states: 10,240 numbers.
const FDE: FdeParams = FdeParams { repetitions: 20, bits: 5, projected: Some(16), sketched: None, seed: 1 };

/// A ranking and where it is from.
pub(super) struct Ranked {
    /// The encoder, or the rule that put two together.
    pub(super) name: String,
    /// The models' ids.
    pub(super) model: String,
    pub(super) run: Run,
    /// What the encoder looked at; zeros where vectors came from a file or it has no tokens.
    pub(super) counts: Counts,
    /// What a reader of the figures must know.
    pub(super) note: Option<String>,
}

/// Where the weight of a hybrid's sparse side comes from.
pub(super) enum Weight<'a> {
    /// From the caller.
    Given(f32),
    /// The best on other queries of the same collection.
    Tuned {
        /// These queries.
        on: &'a Collection,
        /// Their name.
        split: &'a str,
    },
    /// Nothing to tune on: [`Fusion::DEFAULT`].
    Default,
}

/// One collection, and how it is ranked.
pub(super) struct Ranking<'a> {
    pub(super) collection: &'a Collection,
    pub(super) params: Bm25Params,
    pub(super) max_tokens: Option<usize>,
    pub(super) same_id: SameId,
    /// Dense vectors are kept here.
    pub(super) vectors: Option<&'a Path>,
    pub(super) weight: Weight<'a>,
    /// Whether BM25 in a hybrid takes the parameters that do best on the queries the weight is tuned on, in place of `params`.
    pub(super) tune_bm25: bool,
}

/// What BM25's k1 and b are tuned over.
const BM25_GRID: ([f64; 4], [f64; 4]) = ([0.6, 0.9, 1.2, 1.6], [0.3, 0.4, 0.55, 0.75]);

impl Ranking<'_> {
    /// The rankings that `encoder` stands for: one, or several of encoders that can be used in several ways.
    pub(super) fn rank(&self, encoder: &str) -> anyhow::Result<Vec<Ranked>> {
        if let Some(pair) = encoder.strip_prefix("hybrid:") {
            return self.hybrid(pair);
        }
        if let Some(model) = encoder.strip_prefix("muvera:") {
            let Model::MultiVector(states) = Model::open(&format!("tokens:{model}"), self.max_tokens)? else {
                unreachable!("what follows `tokens:` has many vectors")
            };
            return self.late_interaction(&*states, model, Some(&Fde::new(FDE, states.dim())?));
        }
        match self.model(encoder, self.params)? {
            Model::Dense(model) => Ok(vec![self.dense(&*model, encoder)?]),
            Model::Sparse(model) => Ok(vec![self.sparse(&*model, encoder)?]),
            Model::MultiVector(model) => {
                self.late_interaction(&*model, encoder.strip_prefix("tokens:").unwrap_or(encoder), None)
            }
        }
    }

    /// An encoder by its name; those that must see the documents first have seen them.
    fn model(&self, encoder: &str, params: Bm25Params) -> anyhow::Result<Model> {
        Ok(match encoder {
            "bm25" => {
                let mut bm25 = Bm25::new(params);
                bm25.extend(self.collection.corpus.iter().map(|document| document.text.as_str()));
                Model::Sparse(Box::new(bm25))
            }
            "splade-free" => {
                let splade = Splade::open(&folder("splade-tiny")?)?;
                Model::Sparse(Box::new(InferenceFree::of_corpus(splade, &texts(&self.collection.corpus))?))
            }
            _ => Model::open(encoder, self.max_tokens)?,
        })
    }

    fn dense(&self, encoder: &dyn DenseEncoder, name: &str) -> anyhow::Result<Ranked> {
        let (run, counts) = match self.vectors {
            Some(_) if encoder.normalized() => {
                let documents = dense_vectors(encoder, &self.collection.corpus, TextKind::Document, self.vectors)?;
                let queries = dense_vectors(encoder, &self.collection.queries, TextKind::Query, self.vectors)?;
                (rank_vectors(self.collection, &documents, &queries, self.same_id), Counts::default())
            }
            _ => {
                let bar = progress("encoding")?;
                let ranked =
                    rank_dense(encoder, self.collection, self.same_id, &|done, total| advance(&bar, done, total))?;
                bar.finish_and_clear();
                ranked
            }
        };
        Ok(Ranked { name: name.into(), model: encoder.model_id().into(), run, counts, note: None })
    }

    fn sparse(&self, encoder: &dyn SparseEncoder, name: &str) -> anyhow::Result<Ranked> {
        let bar = progress("encoding")?;
        let run = rank(encoder, self.collection, self.same_id, &|done, total| advance(&bar, done, total))?;
        bar.finish_and_clear();
        let (model, counts) = (encoder.model_id().into(), Counts::default());
        Ok(Ranked { name: name.into(), model, run, counts, note: None })
    }

    fn late_interaction(
        &self,
        encoder: &dyn MultiVectorEncoder,
        name: &str,
        single: Option<&Fde>,
    ) -> anyhow::Result<Vec<Ranked>> {
        let bar = progress("encoding")?;
        let report = |done, total| advance(&bar, done, total);
        let found = rank_multi_vector(encoder, self.collection, self.same_id, single, &report)?;
        bar.finish_and_clear();
        let exact::LateInteraction { exact, single: found_single, counts } = found;
        let ranked = |name: String, run| {
            let model = encoder.model_id().to_owned();
            Ranked { name, model, run, counts, note: None }
        };
        let mut rows = vec![ranked(format!("{name}, a vector for each token, MaxSim"), exact)];
        if let (Some(found), Some(fde)) = (found_single, single) {
            rows.push(ranked(format!("{name}, MUVERA, one vector of {}", fde.dim()), found.alone));
            rows.push(ranked(format!("{name}, the first {RESCORED} of MUVERA by MaxSim"), found.rescored));
        }
        Ok(rows)
    }

    /// `SPARSE+DENSE` under every rule of fusion.
    fn hybrid(&self, pair: &str) -> anyhow::Result<Vec<Ranked>> {
        let (first, second) =
            pair.split_once('+').with_context(|| format!("`hybrid:{pair}`: expected hybrid:SPARSE+DENSE"))?;
        let Model::Dense(dense) = self.model(second, self.params)? else {
            bail!("`hybrid:{pair}`: expected a sparse encoder before the +, a dense one behind it")
        };
        let sides = |params| match self.model(first, params)? {
            Model::Sparse(sparse) => Ok(Sides { sparse, dense: &*dense, vectors: self.vectors }),
            _ => bail!("`hybrid:{pair}`: expected a sparse encoder before the +, a dense one behind it"),
        };
        let params = match self.weight {
            Weight::Tuned { on, .. } if self.tune_bm25 && first == "bm25" => self.best_params(on, &sides)?,
            _ => self.params,
        };
        let sides = sides(params)?;
        let index = sides.index(self.collection)?;
        let (lambda, from) = match self.weight {
            Weight::Given(lambda) => (lambda, "given".to_owned()),
            Weight::Tuned { on, split } => {
                let tuned = sides.judged(on, &index)?.tune(&LAMBDA_GRID);
                let curve: Vec<String> =
                    tuned.curve.iter().map(|(weight, ndcg)| format!("{weight}: {ndcg:.4}")).collect();
                (
                    tuned.lambda,
                    format!("the best nDCG@10 on the {} queries of `{split}` ({})", on.queries.len(), curve.join(", ")),
                )
            }
            Weight::Default => {
                let Fusion::Weighted { lambda } = Fusion::DEFAULT else {
                    unreachable!("the default is a weighted sum")
                };
                (lambda, "the default: there are no other queries to tune on".to_owned())
            }
        };
        let judged = sides.judged(self.collection, &index)?;
        let weighted = Fusion::Weighted { lambda };
        let best = per_query(&self.collection.judgments, &judged.run(weighted));
        let gain = |rule: Fusion, name: &str| {
            let gain = difference(&best, &per_query(&self.collection.judgments, &judged.run(rule)), 1);
            format!("{name} {:+.3} [{:+.3}, {:+.3}]", gain.mean, gain.low, gain.high)
        };
        let gains =
            [gain(Fusion::Sparse, first), gain(Fusion::Dense, second), gain(Fusion::MIN_MAX, "min-max")].join(", ");
        let bm25 = if first == "bm25" { format!("k1 = {}, b = {}, ", params.k1(), params.b()) } else { String::new() };
        let note = format!("{bm25}λ = {lambda}, {from}; nDCG@10 over {gains} (95 % of paired bootstrap draws)");
        let model = format!("{} + {}", sides.sparse.model_id(), sides.dense.model_id());
        let rows = [Fusion::RECIPROCAL_RANK, Fusion::MIN_MAX, weighted].map(|rule| {
            let rule_name = match rule {
                Fusion::Weighted { .. } => "dense + λ · sparse".to_owned(),
                other => other.to_string(),
            };
            let mut run = judged.run(rule);
            if self.same_id == SameId::Drop {
                run.iter_mut().for_each(|(query, found)| found.retain(|(document, _)| document != query));
            }
            let note = (rule == weighted).then(|| note.clone());
            Ranked { name: format!("{pair}, {rule_name}"), model: model.clone(), run, counts: Counts::default(), note }
        });
        Ok(rows.into())
    }

    /// The parameters of [`BM25_GRID`] with the largest nDCG@10 on the queries of `on`, each with its own best weight.
    fn best_params<'s>(
        &self,
        on: &Collection,
        sides: &dyn Fn(Bm25Params) -> anyhow::Result<Sides<'s>>,
    ) -> anyhow::Result<Bm25Params> {
        let mut best = (f64::NEG_INFINITY, self.params);
        for (k1, b) in BM25_GRID.0.into_iter().flat_map(|k1| BM25_GRID.1.map(|b| (k1, b))) {
            let params = Bm25Params::new(k1, b)?;
            let sides = sides(params)?;
            let tuned = sides.judged(on, &sides.index(self.collection)?)?.tune(&LAMBDA_GRID);
            let reached = tuned.curve.iter().map(|(_, ndcg)| *ndcg).fold(f64::NEG_INFINITY, f64::max);
            if reached > best.0 {
                best = (reached, params);
            }
        }
        Ok(best.1)
    }
}

/// The two encoders of a hybrid.
struct Sides<'a> {
    sparse: Box<dyn SparseEncoder>,
    dense: &'a dyn DenseEncoder,
    vectors: Option<&'a Path>,
}

impl Sides<'_> {
    /// The documents under both.
    fn index(&self, collection: &Collection) -> anyhow::Result<HybridIndex> {
        let (dense, sparse) = self.vectors(&collection.corpus, TextKind::Document)?;
        Ok(HybridIndex::new(dense, sparse)?)
    }

    /// The candidates of every query.
    fn judged<'c>(&self, collection: &'c Collection, index: &HybridIndex) -> anyhow::Result<Judged<'c>> {
        let (dense, sparse) = self.vectors(&collection.queries, TextKind::Query)?;
        Ok(Judged::new(collection, index, &dense, &sparse, DEPTH)?)
    }

    fn vectors(&self, of: &[Text], kind: TextKind) -> anyhow::Result<(DenseBatch, Vec<SparseVector>)> {
        Ok((dense_vectors(self.dense, of, kind, self.vectors)?, self.sparse.encode(&texts(of), kind)?))
    }
}

/// The vectors of `texts`, kept in `folder` if there is one.
pub(super) fn dense_vectors(
    encoder: &dyn DenseEncoder,
    of: &[Text],
    kind: TextKind,
    folder: Option<&Path>,
) -> anyhow::Result<DenseBatch> {
    let texts = texts(of);
    let file = folder.map(|folder| folder.join(frozen::file_name(encoder, &texts, kind)));
    let bar = progress("encoding")?;
    let vectors = frozen::vectors(encoder, &texts, kind, file.as_deref(), &|done, total| advance(&bar, done, total))?;
    bar.finish_and_clear();
    Ok(vectors)
}

fn texts(of: &[Text]) -> Vec<&str> {
    of.iter().map(|text| text.text.as_str()).collect()
}

/// The judgments of the queries whose ids `file` has, one a line; it is sought in the collection's `data` folder first.
pub(super) fn subset(data: &Path, file: &Path, collection: &Collection) -> anyhow::Result<Judgments> {
    let beside = data.join(file);
    let path = if beside.is_file() { &beside } else { file };
    let ids = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let ids: HashSet<&str> = ids.lines().map(str::trim).filter(|id| !id.is_empty()).collect();
    Ok(restrict(&collection.judgments, |query| ids.contains(query)))
}
