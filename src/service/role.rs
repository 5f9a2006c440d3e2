//! Roles: what one process does.

use std::fmt;
use std::str::FromStr;

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes upload events in.
    Intake,
    /// Probes sources and plans jobs.
    Plan,
    /// Encodes chunks and tracks.
    Encode,
    /// Checks outputs and makes them public.
    Package,
    /// Writes facts into the tables, and looks after open jobs.
    Project,
}

impl Role {
    /// Every role, in the order of the flow.
    pub const ALL: [Self; 5] = [
        Self::Intake,
        Self::Plan,
        Self::Encode,
        Self::Package,
        Self::Project,
    ];

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Plan => "plan",
            Self::Encode => "encode",
            Self::Package => "package",
            Self::Project => "project",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                format!(
                    "{text:?} is no role; choose from {}",
                    Self::ALL.map(Self::as_str).join(",")
                )
            })
    }
}
