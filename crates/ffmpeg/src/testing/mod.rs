//! What tests share: the installed tool and media made by it (feature `testing`).

mod server;

pub use server::Server;

use std::path::{Path, PathBuf};

use super::child::{self, Spawn};
use super::sandbox::{ResourceLimits, SandboxPolicy};
use super::tool::Tool;

/// The installed tool.
pub fn tool() -> Tool {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests use the tool of the developer's PATH"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    Tool::locate(None, None, &path).expect("ffmpeg is installed")
}

/// Tests may work in their folder, and read the files their arguments name.
fn inside(folder: &Path, args: &str) -> SandboxPolicy {
    let named = args
        .split_whitespace()
        .map(Path::new)
        .filter(|path| path.is_absolute() && path.exists());
    named.fold(
        SandboxPolicy::new(ResourceLimits::readback()).workdir(folder),
        SandboxPolicy::allow_read,
    )
}

/// Makes `folder/name` by ffmpeg: `args` are what comes between the program's name and the output.
pub async fn make(folder: &Path, name: &str, args: &str) -> PathBuf {
    let file = folder.join(name);
    let args = format!("-v error -nostdin -y {args} {}", file.display());
    let spawn = Spawn::new(
        &tool().ffmpeg,
        args.split_whitespace(),
        inside(folder, &args),
    );
    let output = child::output(spawn, 1 << 20).await.expect("ffmpeg starts");
    assert!(output.ending.success(), "{args}: {}", output.stderr_tail);
    file
}

/// What ffmpeg or ffprobe prints for `args`, which must succeed without a word on standard error.
pub async fn ask(program: &Path, folder: &Path, args: &str) -> String {
    String::from_utf8(bytes(program, folder, args).await).expect("text")
}

/// The same, where it is not text.
pub async fn bytes(program: &Path, folder: &Path, args: &str) -> Vec<u8> {
    let spawn = Spawn::new(program, args.split_whitespace(), inside(folder, args));
    let output = child::output(spawn, 64 << 20)
        .await
        .expect("the program starts");
    assert!(
        output.ending.success() && output.stderr_tail.is_empty(),
        "{args}: {}",
        output.stderr_tail
    );
    output.stdout
}
