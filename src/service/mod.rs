//! The composition root: connects to everything, starts the chosen roles, and waits for them to end.

mod obstacles;
mod role;
mod running;
mod settings;
#[cfg(test)]
#[cfg(feature = "dev")]
mod simulation;

pub use role::Role;
pub use running::Service;
pub use settings::ServiceSettings;
