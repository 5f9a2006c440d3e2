//! What an upload event may name as its source: `file_url` to bucket and key. Pure.
//!
//! A URL only names an object here; it is never fetched. So the question is not whether it answers
//! but whether it means a bucket of ours, and everything that does not is refused.

mod address;
mod forbidden;
mod locator;
mod service;
#[cfg(test)]
mod tests;

pub use forbidden::ForbiddenSource;
pub use locator::{Locator, LocatorError};
