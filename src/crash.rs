//! Death, sleep or a panic on request, in debug builds only: the tests kill or stop a process after
//! each single step of each handler.
//!
//! The step [`CrashPoints::crash`] makes the process abort when it reaches that step for the first
//! time, as `kill -9` would there; [`CrashPoints::pause`] stops it there, as `kill -STOP` would,
//! until someone continues it. At [`CrashPoints::panic`] the code that takes the step panics. In
//! release builds [`point`] is empty.

/// Steps at which the process aborts, stops or panics. Names are `<handler>.<step>`.
#[derive(Debug, Default)]
pub struct CrashPoints {
    /// Where it dies.
    pub crash: Option<String>,
    /// Where it stops once.
    pub pause: Option<String>,
    /// Where it panics, each time.
    pub panic: Option<String>,
}

#[cfg(debug_assertions)]
static ARMED: std::sync::OnceLock<CrashPoints> = std::sync::OnceLock::new();

/// Sets the steps of this process, once.
#[cfg(debug_assertions)]
pub fn arm(points: CrashPoints) {
    // A second call would be one in the same process, whose steps are set.
    let _ = ARMED.set(points);
}

/// A step after which a process may abort or stop. Names are `<handler>.<step>`.
#[cfg(debug_assertions)]
pub fn point(step: &str) {
    use std::sync::OnceLock;
    static PAUSED: OnceLock<()> = OnceLock::new();

    let Some(armed) = ARMED.get() else {
        return;
    };

    if armed.crash.as_deref() == Some(step) {
        tracing::error!(step, "dying here, as asked");
        std::process::abort();
    }

    assert!(
        armed.panic.as_deref() != Some(step),
        "panicking at {step}, as asked"
    );

    // A process stops only once: after `SIGCONT` it has to pass the same step.
    if armed.pause.as_deref() == Some(step) && PAUSED.set(()).is_ok() {
        tracing::error!(step, "standing still here, as asked");
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
    }
}

/// A step after which a process may abort or stop.
#[cfg(not(debug_assertions))]
pub const fn point(_step: &str) {}
