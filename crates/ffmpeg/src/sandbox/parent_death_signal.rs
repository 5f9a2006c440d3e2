//! Death with the worker: the kernel's parent-death signal (`PR_SET_PDEATHSIG(2const)`), for a
//! worker that is killed can end nothing.
//!
//! Only a process itself can ask for that signal, so `setpriv` (util-linux) asks for it and then
//! becomes the program. The signal comes when the *thread* ends that started the program; the
//! thread that applied the sandbox stays for that. A worker that dies in the moment before
//! `setpriv` has asked leaves a program behind whose source and pipes are gone, which ends most of
//! them soon; and its limits stay.

use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;

/// Where systems have it. PATH is not used, because its folders may belong to anyone.
const SETPRIV_PATHS: &[&str] = &["/usr/bin/setpriv", "/bin/setpriv"];

/// The arguments that come before the program and its own ones.
pub(super) const SETPRIV_ARGUMENTS: [&str; 3] = ["--pdeathsig", "KILL", "--"];

static SETPRIV: LazyLock<Option<&'static Path>> = LazyLock::new(|| {
    SETPRIV_PATHS
        .iter()
        .map(Path::new)
        .find(|place| is_usable(place))
});

/// The program that ties another one to the life of the thread that starts it; none if none is
/// installed, or only one too old or too small for it.
pub(super) fn setpriv() -> Option<&'static Path> {
    *SETPRIV
}

fn is_usable(setpriv: &Path) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "only this folder starts processes"
    )]
    let mut asked = std::process::Command::new(setpriv);
    asked
        .env_clear()
        .args(SETPRIV_ARGUMENTS)
        .arg(setpriv)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());

    asked.status().is_ok_and(|status| status.success())
}
