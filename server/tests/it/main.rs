//! The server from outside: its routes in-process, the real program over TCP, and the published Python client.

mod client;
mod compact;
mod embed;
mod files;
mod kill;
mod layouts;
mod ledger;
mod models;
mod named;
mod parquet;
mod power;
mod process;
mod program;
mod python;
mod refusals;
mod snapshots;
mod store;
mod wire;
