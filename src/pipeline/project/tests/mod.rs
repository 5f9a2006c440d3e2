//! The projection on real databases, fed with facts made by hand, and on a real log.

mod batching;
mod checkpoint;
mod contract;
mod counting;
mod deleting;
mod facts;
mod live;
mod questions;
mod refusals;
mod tables;
