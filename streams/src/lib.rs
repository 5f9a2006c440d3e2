//! The contract of fluxhls as a crate: the messages, their subjects, and the creation of their
//! streams.
//!
//! In reading order: [`id`] (names that are valid subject tokens by construction), [`subject`]
//! (every subject, built and parsed in one place), [`upload`] (the event that starts a job),
//! [`delete`] (the event that removes a file), [`fact`] (the job log), [`work`] (messages between
//! workers), [`task`] (the queue), [`wire`] (what another release wrote), [`order`] (which event
//! came first), [`progress`], [`dead`] (dead letters), [`code`] (failure codes), [`topology`]
//! (streams and consumers as values), [`merge`] (what of them a server lacks) and [`provision`]
//! (create, update, or report drift).
//!
//! Payloads are JSON. Unknown fields are ignored on reading and additive change never bumps `v`.

pub mod api;
pub mod capacity;
pub mod cloudevent;
pub mod code;
pub mod dead;
pub mod delete;
pub mod fact;
pub mod id;
pub mod merge;
pub mod order;
pub mod plan;
pub mod progress;
pub mod provision;
pub mod rational;
pub mod schema;
pub mod subject;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topology;
pub mod upload;
pub mod wire;
pub mod work;

mod head;

pub use code::{Class as FailureClass, Code};
pub use fact::{Fact, FactKind};
pub use id::{FileId, JobId, OutputPrefix, RenditionName};
pub use order::EventOrder;
pub use rational::Rational;
pub use task::{Class, Lane, TaskKey, TaskName};
pub use wire::Unread;

/// Version of every payload: the `v` field and the token in every subject.
pub const VERSION: u32 = 1;
