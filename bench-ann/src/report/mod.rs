//! What results say: tables, plots and a page, all from one summary.

pub mod filters;
pub mod growth;
pub mod html;
pub mod plot;
pub mod standing;
pub mod summary;
pub mod svg;
pub mod table;
