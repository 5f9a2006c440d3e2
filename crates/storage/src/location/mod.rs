//! What an upload event may name as its source: `file_url` to bucket and key. Pure.
//!
//! A URL only names an object here; it is never fetched. So it does not have to answer; it has to
//! name a source bucket, and everything else is refused.

mod address;
mod forbidden;
mod locator;
mod service;
#[cfg(test)]
mod tests;

pub use forbidden::ForbiddenSource;
pub use locator::{Locator, LocatorError};
