//! Versions of `nats-server`, and the oldest that will do.

use std::fmt;

/// The oldest server on which a single node keeps what it acknowledged: `sync_interval: always`
/// flushes stream *and* consumer state only from here on.
pub(super) const MIN_VERSION: Version = Version {
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
    pub(super) fn from_output(output: &str) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_version_line_is_read_with_or_without_a_pre_release() {
        let version = |major, minor, patch| {
            Some(Version {
                major,
                minor,
                patch,
            })
        };
        assert_eq!(
            Version::from_output("nats-server: v2.15.1\n"),
            version(2, 15, 1)
        );
        assert_eq!(
            Version::from_output("nats-server: v2.15.0-RC.2"),
            version(2, 15, 0)
        );

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
}
