//! Death on request, in debug builds only: the tests kill a process after each single step of each handler.
//!
//! `FLUXHLS_CRASH_AT=<step>` makes the process abort when it reaches that step for the first time, as `kill -9` would there.
//! In release builds [`point`] is empty.

/// A step after which a process may die. Names are `<handler>.<step>`.
#[cfg(debug_assertions)]
pub fn point(step: &str) {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    if CHOSEN.get_or_init(crate::config::crash_point).as_deref() == Some(step) {
        tracing::error!(step, "dying here, as asked");
        std::process::abort();
    }
}

/// A step after which a process may die.
#[cfg(not(debug_assertions))]
pub const fn point(_step: &str) {}
