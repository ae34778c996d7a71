//! Vector search over HTTP, in the form of Qdrant's REST API.
//!
//! The module map, top to bottom; a module uses only those before it:
//!
//! ```text
//! calendar   days as dates
//! dto        what stands in requests and answers
//! store      the collections by name, and their folders
//! api        routes: a body in, a call of the store, a body out; errors and the envelope
//! net        connections: timeouts, an orderly stop
//! cli        the commands of `vicino`
//! ```
#![forbid(unsafe_code)]

pub mod api;
mod calendar;
pub mod cli;
pub mod dto;
pub mod net;
pub mod store;
