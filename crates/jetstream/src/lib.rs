//! NATS JetStream: the connection, the log (compare-and-set publishing and leader reads) and the
//! one pull loop.
//!
//! Every decision is read from the stream's leader, every publish is retried until the server said
//! what became of it, and acknowledgements are requests, so that silence is noticed.

mod backlog;
mod connection;
mod dead_letter;
mod delivery;
mod health;
mod identity;
mod listing;
mod log;
mod message;
mod newer;
mod pull;
mod refusal;
mod replay;
mod send;
mod settings;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use backlog::Backlog;
pub use connection::{ConnectError, Nats};
pub use dead_letter::{DeadLetterReason, dead_letter};
pub use delivery::{Delivery, Disposition, Slot};
pub use health::ConnectionHealth;
pub use log::{CreateOutcome, Enqueued, Log, Refused};
pub use message::{OutboundMessage, StoredMessage};
pub use newer::{NEWER_PAUSE, NewerMessages};
pub use pull::{Lanes, pull};
pub use send::{SendError, send};
pub use settings::{Api, NatsSettings};
pub use store::{PublishFailure, Store};
