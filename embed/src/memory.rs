//! Key-value memory: very many values, of which a query reads a few.
//!
//! - [`MemoryLayer`] with [`Values`]: product-key memory as a layer of a network, trained by [`Trainer`], kept in a
//!   [safetensors file](MemoryFile).
//! - [`KeyValueMemory`]: put keys and values, look up by inner product over any [`KeyIndex`].
//! - [`SlotMemory`]: the same over a fixed number of slots at [`ProductKeys`] learnt from vectors.
//! - [`Usage`]: how evenly slots are read.
//!
//! The module map, top to bottom; a module uses only those before it:
//!
//! ```text
//! error  panels  softmax    refusals; packed matrices; weights from scores
//! select  keys  kmeans      the best of n² pairs; product keys; learning them from vectors
//! values                    the pool: f32, bf16, int8, owned or mapped
//! layer  backward  train    the layer, its gradients, Adam
//! usage                     how evenly slots are read
//! map  file                 safetensors
//! index  store              keys by inner product; put and lookup
//! ```

mod backward;
mod error;
mod file;
mod index;
mod keys;
mod kmeans;
mod layer;
mod map;
mod panels;
mod select;
mod softmax;
mod store;
mod train;
mod usage;
mod values;

pub use backward::{Gradients, RowGradients};
pub use error::MemoryError;
pub use file::{Load, MemoryFile, save};
pub use index::{FlatKeys, IndexError, KeyIndex, KeyIndexMut};
pub use keys::{KeyScratch, KeyShape, ProductKeys, TopK};
pub use layer::{Forward, LayerConfig, LayerWeights, MemoryLayer};
pub use select::Hit;
pub use softmax::Softmax;
pub use store::{DEFAULT_BETA, KeyValueMemory, Lookup, SlotMemory, Write};
pub use train::{Adam, TrainParams, Trainer};
pub use usage::Usage;
pub use values::{ValueType, Values};

pub(crate) use index::search;
pub(crate) use keys::norm;
