//! Admission: what cannot finish is never started. Disk and memory are given out like slots.
//!
//! A task says what it takes before its attempt is counted: [`ResourceRequirements`], from its plan
//! alone. The [`ResourceBudget`] of the process holds it against the [`AvailableCapacity`] there
//! is, as the system tells at that moment, less what tasks in work have reserved. Several processes
//! may share a disk: of each other they see what is used, not what is reserved.

mod budget;
mod capacity;
mod memory;
mod requirements;

use strum::{Display, IntoStaticStr, VariantArray};

pub use budget::{Admission, Reservation, ResourceBudget};
pub use capacity::{AvailableCapacity, Capacity};
pub(crate) use capacity::{is_full, used};
pub use requirements::ResourceRequirements;

/// Something there is only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Resource {
    /// Bytes in the work folder.
    Disk,
    /// Bytes of memory.
    Memory,
}

impl Resource {
    /// The word in metric labels and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The setting that limits it.
    #[must_use]
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Disk => "WORK_DIR_MAX",
            Self::Memory => "MEMORY_MAX",
        }
    }
}
