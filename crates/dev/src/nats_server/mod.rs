//! A child `nats-server`: located, checked, configured, started, and ended with this process.
//!
//! [`NatsServer::start`] is the entry point. The modules, in the order a start uses them: which
//! binary (`binary`) in which version (`version`), its configuration (`configuration`), how it runs
//! and ends (`child`), and how to know that it answers (`server_info`).
//!
//! **It never outlives this process.** `stop` and drop end it, and on Linux `setpriv --pdeathsig`
//! makes the kernel kill it when this process dies of SIGKILL. Without `setpriv` (macOS), a SIGKILL
//! leaves the server behind; the store's lock then makes the next start refuse instead of letting
//! two servers write one store.

mod binary;
mod child;
mod configuration;
mod error;
mod server;
mod server_info;
mod version;

pub use child::ChildEnd;
pub use error::NatsServerError;
pub use server::{NatsServer, Settings};
pub use version::Version;

#[cfg(test)]
mod tests;
