//! What is done with jobs and outputs besides making them: [`api`] answers questions of other
//! services, [`collector`] keeps the metrics of tables and streams, [`repair`] checks a finished
//! output and repairs it, [`prune`] removes what is old or left over.

pub mod api;
pub mod collector;
pub mod prune;
pub mod repair;
