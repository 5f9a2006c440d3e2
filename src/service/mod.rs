//! The composition root: connects to everything, starts the chosen roles, and waits for them to
//! end.

pub mod http;
mod readiness;
mod role;
mod running;
mod settings;
pub mod shutdown;

pub use role::Role;
pub use running::Service;
pub use settings::ServiceSettings;
