//! An S3 server inside this process, for one machine and one user.
//!
//! [`ObjectStore`] serves a folder over HTTP on the loopback interface. Signed requests may do
//! anything; what an unsigned one may read is `public_read`'s whole subject.

mod public_read;
mod store;

pub use store::{ACCESS_KEY_ID, ObjectStore, ObjectStoreError, REGION, SECRET_ACCESS_KEY};

#[cfg(test)]
mod tests;
