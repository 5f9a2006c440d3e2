//! fluxhls.

pub mod storage;
