//! The ffmpeg of this machine with some of its commands changed on the way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The developer's ffmpeg.
#[expect(
    clippy::disallowed_methods,
    reason = "the tool of the developer's PATH is wrapped"
)]
pub(crate) fn real_ffmpeg() -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("ffmpeg"))
        .find(|file| file.exists())
        .unwrap()
}

/// An ffmpeg that rewrites commands which hold `mark`: for each of their arguments, `$a`, a shell
/// runs `change`, which appends to `"$@"`.
pub(crate) fn changed_ffmpeg(folder: &Path, name: &str, mark: &str, change: &str) -> PathBuf {
    let (path, ffmpeg) = (folder.join(name), real_ffmpeg());
    let ffmpeg = ffmpeg.display();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'{mark}'*) n=$#\nwhile [ $n -gt 0 ]; do\n\
         a=$1; shift; {change}; n=$((n-1))\ndone;; esac\nexec {ffmpeg} \"$@\"\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// An ffmpeg that encodes video no faster than `rate` times as fast as it plays: it reads no
/// faster.
pub(crate) fn paced_ffmpeg(folder: &Path, rate: f64) -> PathBuf {
    let change = format!("[ \"$a\" = -i ] && set -- \"$@\" -readrate {rate}; set -- \"$@\" \"$a\"");
    changed_ffmpeg(folder, "paced", "libx264", &change)
}
