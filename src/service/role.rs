//! Roles: what one process does.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// What one process does, in the order of the flow.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = refuse)]
pub enum Role {
    /// Accepts upload events.
    Intake,
    /// Probes sources and plans jobs.
    Plan,
    /// Encodes chunks and tracks.
    Encode,
    /// Checks outputs and makes them public.
    Package,
    /// Writes facts into the tables, and sweeps open jobs.
    Project,
}

impl Role {
    /// The word on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The error about a word that names no role.
fn refuse(text: &str) -> String {
    let roles: Vec<&str> = Role::VARIANTS.iter().map(Into::into).collect();
    format!("{text:?} is not a role; choose from {}", roles.join(","))
}
