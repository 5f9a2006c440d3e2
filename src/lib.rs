//! fluxhls.

#[cfg(feature = "dev")]
pub mod dev;
