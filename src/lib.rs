//! fluxhls turns uploaded videos into HLS that plays everywhere.
pub mod jetstream;
pub mod project;
