//! The sandbox, tried from within: real programs, started as all are, that go for what they must
//! not have.

mod layers;
mod limits;

use std::path::{Path, PathBuf};

use crate::child::{self, Output, Spawn};
use crate::{ResourceLimits, SandboxPolicy};

/// What a program says that is run in the sandbox.
async fn run(program: &str, args: &[&str], policy: SandboxPolicy) -> Output {
    let spawn = Spawn::new(Path::new(program), args, policy);
    child::output(spawn, 1 << 20).await.unwrap()
}

/// What a shell says that is run in the sandbox.
async fn sh(script: &str, policy: SandboxPolicy) -> Output {
    run("/bin/sh", &["-c", script], policy).await
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A work folder with the folders of two tasks in it.
struct Yard {
    root: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for task in ["ours", "theirs"] {
            std::fs::create_dir(root.path().join(task)).unwrap();
        }
        std::fs::write(root.path().join("theirs/secret"), "secret").unwrap();
        Self { root }
    }

    fn ours(&self) -> PathBuf {
        self.root.path().join("ours")
    }

    fn theirs(&self) -> PathBuf {
        self.root.path().join("theirs")
    }

    fn policy(&self) -> SandboxPolicy {
        SandboxPolicy::new(ResourceLimits::readback()).workdir(&self.ours())
    }
}
