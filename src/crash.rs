//! Death or sleep on request, in debug builds only: the tests kill or stop a process after each single step of each handler.
//!
//! `FLUXHLS_CRASH_AT=<step>` makes the process abort when it reaches that step for the first time, as `kill -9` would there;
//! `FLUXHLS_PAUSE_AT=<step>` stops it there, as `kill -STOP` would, until somebody continues it. In release builds [`point`] is empty.

/// A step after which a process may die or stand still. Names are `<handler>.<step>`.
#[cfg(debug_assertions)]
pub fn point(step: &str) {
    use std::sync::OnceLock;
    static CRASH: OnceLock<Option<String>> = OnceLock::new();
    static PAUSE: OnceLock<Option<String>> = OnceLock::new();
    static PAUSED: OnceLock<()> = OnceLock::new();
    if CRASH.get_or_init(crate::config::crash_point).as_deref() == Some(step) {
        tracing::error!(step, "dying here, as asked");
        std::process::abort();
    }
    if PAUSE.get_or_init(crate::config::pause_point).as_deref() == Some(step) && PAUSED.set(()).is_ok() {
        tracing::error!(step, "standing still here, as asked");
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
    }
}

/// A step after which a process may die or stand still.
#[cfg(not(debug_assertions))]
pub const fn point(_step: &str) {}
