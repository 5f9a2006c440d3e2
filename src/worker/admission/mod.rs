//! Admission: what cannot finish is never started. Disk and memory are given out like slots.
//!
//! A task declares what it needs before its attempt is counted: [`ResourceRequirements`], from its
//! plan alone. The [`ResourceBudget`] of the process compares it with the [`AvailableCapacity`], as
//! the system reports it at that moment, minus what tasks in work have reserved. Several processes
//! may share a disk: each sees what the others use, not what they reserve.

mod budget;
mod capacity;
mod memory;
mod requirements;

use strum::{Display, IntoStaticStr, VariantArray};

pub use budget::{Admission, Reservation, ResourceBudget};
pub use capacity::{AvailableCapacity, Capacity};
pub(crate) use capacity::{is_full, used};
pub use requirements::ResourceRequirements;

/// A limited resource.
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
