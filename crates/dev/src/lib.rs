//! The parts of `fluxhls dev`, each usable separately: a child `nats-server`, an S3 server inside
//! this process and a page that uploads and plays.
//!
//! Everything here listens on the loopback interface only, uses the next port if the requested one
//! is in use, and ends with this process. No part depends on another: the caller that composes them
//! carries bytes from the page to the object store and facts from NATS to the page.

pub mod loopback;
pub mod nats_server;
pub mod object_store;
pub mod page;

#[cfg(test)]
mod raw_http;
