//! fluxhls.
fn main() {}
