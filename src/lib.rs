//! fluxhls.
