//! The contract for machines: a JSON Schema for each public message, and an AsyncAPI document over
//! all of them.
//!
//! Both are made of the types that write and read the messages. Schemas are open: fields may be
//! added within a version.

mod asyncapi;
mod event;

pub use asyncapi::asyncapi;
pub use event::{EVENTS, Event};
