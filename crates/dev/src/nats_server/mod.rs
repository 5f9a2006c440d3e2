//! A `nats-server` of our own: found, checked, configured, started as a child and ended with us.
//!
//! [`NatsServer::start`] is the way in. The modules, in the order a start meets them: which binary
//! (`binary`) in which version (`version`), what it is told (`configuration`), how it runs and ends
//! (`child`), how we know that it answers (`server_info`).
//!
//! **It never outlives us.** `stop` and drop end it, and on Linux `setpriv --pdeathsig` has the
//! kernel kill it when this process dies of SIGKILL. Where `setpriv` is missing (macOS), a
//! SIGKILL leaves the server behind; the store's lock then makes the next start refuse instead of
//! letting two servers write one store.

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
