//! Starting a program in the sandbox: by a thread that applies it to itself first. Landlock and
//! seccomp bind the calling thread and what it starts (`landlock_restrict_self(2)`, `seccomp(2)`).

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use nix::unistd::{AccessFlags, access as may};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::policy::SandboxPolicy;
use super::seccomp_filter::AllowedSockets;
use super::support::Support;
use super::{landlock_rules, parent_death_signal, seccomp_filter};

/// Bytes of the stack of a thread that starts a program and waits.
const LAUNCH_STACK_BYTES: usize = 256 * 1024;

/// A program that runs in the sandbox.
pub(crate) struct Launched {
    /// The program.
    pub(crate) child: Child,
    /// Keeps the thread that started it, without which the kernel kills it. Nothing is ever sent.
    pub(crate) launch_guard: mpsc::Sender<Infallible>,
}

/// Starts `program` in the sandbox of `policy`, as `command` makes it: that is given the program to
/// start, and the arguments that come before the program's own.
///
/// # Errors
/// When the program does not exist, a layer cannot be applied, or a limit cannot be imposed.
pub(crate) async fn launch(
    program: &Path,
    policy: SandboxPolicy,
    command: impl FnOnce(&Path, &[&OsStr]) -> Command + Send + 'static,
) -> io::Result<Launched> {
    // It starts in another folder than this process.
    let program = std::path::absolute(program)?;
    // If `setpriv` starts it, only the log of `setpriv` would show that there is no such program.
    may(&program, AccessFlags::X_OK)?;

    let (launch_guard, held) = mpsc::channel();
    let (sender, receiver) = oneshot::channel();
    let (runtime, resource_limits) = (Handle::current(), policy.resource_limits());

    let thread = thread::Builder::new()
        .name("ffmpeg".to_owned())
        .stack_size(LAUNCH_STACK_BYTES);
    thread.spawn(move || {
        // tokio starts processes only from within a runtime, which this thread is no part of.
        let _runtime = runtime.enter();
        // This comes before the sandbox: what is tried here for the first time would fail inside of
        // it.
        let (support, setpriv) = (Support::here(), parent_death_signal::setpriv());
        let started = apply_sandbox(&policy, &program, support).and_then(|()| {
            let mut command = match setpriv {
                None => command(&program, &[]),
                Some(setpriv) => {
                    let before: Vec<&OsStr> = parent_death_signal::SETPRIV_ARGUMENTS
                        .map(OsStr::new)
                        .into_iter()
                        .chain([program.as_os_str()])
                        .collect();
                    command(setpriv, &before)
                }
            };
            command.spawn()
        });

        // No one may be waiting any more: then the program ends with this message.
        let _ = sender.send(started);
        // This returns when the guard is dropped; until then the thread lives, and so may the
        // program.
        let _ = held.recv();
    })?;

    let child = receiver.await.map_err(io::Error::other)??;
    // A limit that cannot be imposed drops the child, which kills it.
    if let Some(pid) = child.id() {
        resource_limits.impose(pid)?;
    }
    Ok(Launched {
        child,
        launch_guard,
    })
}

fn apply_sandbox(policy: &SandboxPolicy, program: &Path, support: Support) -> io::Result<()> {
    landlock_rules::restrict(policy, program)?;
    if support.calls {
        let sockets = match policy.port {
            Some(_) => AllowedSockets::Tcp,
            None => AllowedSockets::None,
        };
        seccomp_filter::restrict(sockets)?;
    }
    Ok(())
}
