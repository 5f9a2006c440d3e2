//! Repair: a finished output is checked again, object by object, and what is damaged is made again.
//!
//! In reading order: `find` (which job's output is public under a prefix, and its receipt), `scan`
//! (every object the receipt names, read again), `repairer` (a repair, from its number to the new
//! master), `revision` (what it makes in between), `patch` (pure: which objects of a new encode
//! replace which old ones), `history` (what the log or a receipt has of a job), `copy` (a source
//! that has no index), `damage` and `error` (what is wrong with an object, and why a repair
//! failed).
//!
//! A repair writes new keys and never overwrites old ones, which are cached for a year. Its number,
//! the stream sequence of an `attempt` message, is in every key it writes. It becomes public like a
//! job does: the owner of the prefix is advanced by compare-and-set, and master follows the owner.
//! So if two repairs run at a time, one wins, and the other removes what it wrote.

mod copy;
mod damage;
mod error;
mod find;
mod history;
mod patch;
mod repairer;
mod revision;
mod scan;

pub use damage::{Damage, DamageKind};
pub use error::RepairError;
pub use find::{FindError, PublicOutput, find_public_output};
pub use history::receipt as receipt_from_log;
pub use repairer::{RepairReport, Repairer};
pub use scan::scan;
