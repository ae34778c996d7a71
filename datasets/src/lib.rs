//! Public nearest-neighbour data sets: which there are, how they are fetched and read, and what their exact answers are.
//!
//! ```
//! let digits = vicino_datasets::digits();
//! assert_eq!((digits.train.len(), digits.test.len(), digits.train.dim()), (1597, 200, 64));
//! let truth = digits.truth.as_ref().expect("digits come with exact neighbours");
//! assert_eq!(truth.neighbors.len(), 200 * truth.k);
//! ```
//!
//! The module map, top to bottom; a module uses only those before it:
//!
//! ```text
//! matrix  dataset            rows of one element type; rows, queries, metric and truth
//! truth  digits              exact neighbours; the set that is always there
//! formats/{…}                one file each: npy, HDF5, fvecs, fbin, IDX, JSON lines
//! folder  text               a data set as a folder of files, read and written; one of texts
//! cache  open                where data sets lie, and finding them by name or path
//! random                     numbers that are the same for a seed for ever
//! synthetic                  made-up vectors of known structure
//! registry                   the public sets known by name
//! fetch/{…}                  getting them: over HTTP or out of packages, verified, made into folders
//! fetch/hub/{…}              models of the Hugging Face hub, into the cache of Python's tools
//! ```

#![forbid(unsafe_code)]

pub mod cache;
pub mod fetch;
pub mod folder;
pub mod formats;
pub mod registry;
pub mod synthetic;
pub mod text;

mod dataset;
mod digits;
mod matrix;
mod open;
mod random;
mod truth;

pub use dataset::{Dataset, Mismatch, Truth};
pub use digits::{DIGITS, digits};
pub use fetch::{FetchError, fetch};
pub use matrix::{Matrix, Values};
pub use open::{DatasetError, locate, open, open_in};
pub use truth::{TruthError, truth};
