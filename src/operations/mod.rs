//! What is done with jobs and outputs besides making them: [`api`] answers questions of other
//! services, [`repair`] checks a finished output and mends it, [`prune`] removes what is old or
//! left over.

pub mod api;
pub mod prune;
pub mod repair;
