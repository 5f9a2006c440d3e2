//! What tests share: a nats-server for each test, and a model of one for simulations (feature
//! `testing`).

#![expect(clippy::unwrap_used, reason = "whatever fails here fails a test")]

pub mod model;
mod server;

pub use server::{Server, publish};
