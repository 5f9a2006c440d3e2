//! What is wrong with an object of an output.

use std::fmt;

use serde::Serialize;

/// An object that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    #[serde(flatten)]
    pub harm: DamageKind,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "harm", rename_all = "snake_case")]
pub enum DamageKind {
    /// It does not exist.
    Missing,
    /// It has another size.
    Size {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// It has another content of the same size.
    Content,
    /// It leads to something that is no object of this output.
    Dangling {
        /// The URI, as the playlist has it.
        uri: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, harm } = self;
        match harm {
            DamageKind::Missing => write!(f, "missing  {key}"),
            DamageKind::Size { found, expected } => {
                write!(f, "size     {key} has {found} bytes instead of {expected}")
            }
            DamageKind::Content => write!(f, "content  {key}"),
            DamageKind::Dangling { uri } => write!(f, "dangling {key} leads to {uri}"),
        }
    }
}
