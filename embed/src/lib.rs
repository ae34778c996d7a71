//! Text to embeddings.
