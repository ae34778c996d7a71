//! Measures nearest-neighbour indexes side by side: recall, speed, build time, size, memory; ours and the rivals', in one run.
//!
//! The module map; a module uses only those above it:
//!
//! ```text
//! params engines machine memory          what is measured, and where
//! protocol  recall  front                a worker's language; what an answer is worth
//! results  sweep  data  rivals  kept     files in, files out
//! worker                                 the measured process of our own engines
//! process  run                           the measuring process
//! filters/{cases, measure}               filtered search, measured
//! report/{table, plot, standing, growth, filters, html}  compare    what a result says
//! budget                                 where the time of a query of the quantized graph goes
//! gate                                   what a code can find before there is a graph
//! collection/{load, writes, restart, latency, churn, report}   what keeping points costs
//! ```

#![forbid(unsafe_code)]

pub mod budget;
pub mod collection;
pub mod compare;
pub mod data;
pub mod engines;
pub mod filters;
pub mod front;
pub mod gate;
pub mod kept;
pub mod machine;
pub mod memory;
pub mod params;
pub mod process;
pub mod protocol;
pub mod recall;
pub mod report;
pub mod results;
pub mod rivals;
pub mod run;
pub mod sweep;
pub mod worker;
