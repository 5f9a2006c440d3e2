//! What the tests of this folder share: the installed tool and media made by it.

use std::path::{Path, PathBuf};

use super::child::{self, Spawn};
use super::tool::Tool;

/// The installed tool.
pub(crate) fn tool() -> Tool {
    #[expect(clippy::disallowed_methods, reason = "tests use the tool of the developer's PATH")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    Tool::locate(None, None, &path).expect("ffmpeg is installed")
}

/// Makes `folder/name` by ffmpeg: `args` are what stands between the program's name and the output.
pub(crate) async fn make(folder: &Path, name: &str, args: &str) -> PathBuf {
    let file = folder.join(name);
    let args = format!("-v error -nostdin -y {args} {}", file.display());
    let spawn = Spawn::new(&tool().ffmpeg, args.split_whitespace()).in_folder(folder);
    let output = child::output(spawn, 1 << 20).await.expect("ffmpeg starts");
    assert!(output.status.success(), "{args}: {}", output.stderr_tail);
    file
}

/// What ffmpeg or ffprobe prints for `args`, which must succeed without a word on standard error.
pub(crate) async fn ask(program: &Path, folder: &Path, args: &str) -> String {
    let spawn = Spawn::new(program, args.split_whitespace()).in_folder(folder);
    let output = child::output(spawn, 64 << 20).await.expect("the program starts");
    assert!(
        output.status.success() && output.stderr_tail.is_empty(),
        "{args}: {}",
        output.stderr_tail
    );
    String::from_utf8(output.stdout).expect("text")
}
