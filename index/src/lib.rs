//! HNSW vector index.
//!
//! ids metric rows · distance · vectors · graph · storage · flat hnsw

pub mod distance;
pub mod ids;
pub mod metric;
pub mod rows;

pub use ids::{PointId, Slot};
pub use metric::{ElementType, Metric};
pub use rows::{RaggedRows, Rows, VectorRef};
