//! Which layers of the sandbox work on this machine, and what to do if one does not.

use std::sync::LazyLock;

use landlock::{ABI, LandlockStatus};

use super::policy::SandboxPolicy;
use super::resource_limits::ResourceLimits;
use super::seccomp_filter::AllowedSockets;
use super::{landlock_rules, parent_death_signal, seccomp_filter};

/// Which layers of the sandbox hold on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// A run reaches no file but those it is given (Landlock, interface 3: Linux 6.2).
    pub files: bool,
    /// A run connects to no port but that of its source (Landlock, interface 4: Linux 6.7).
    pub network: bool,
    /// A run signals no process but its own (Landlock, interface 6: Linux 6.12).
    pub signals: bool,
    /// System calls no encoder needs are refused (seccomp).
    pub calls: bool,
    /// A run dies with its worker, however that dies (`setpriv`).
    pub parent_death_signal: bool,
}

/// What is asked of the sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SandboxRequirement {
    /// As many as there are; what is missing is said.
    #[default]
    Auto,
    /// Files and network must be shut off, or nothing is done.
    Require,
}

/// Files and network cannot be shut off here, and must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SANDBOX=require, but ffmpeg cannot be sandboxed here: {0}")]
pub struct SandboxMissing(String);

static HOST_SUPPORT: LazyLock<Support> = LazyLock::new(|| {
    // Both layers stay with the thread permanently, so one is spent to try them.
    let tried = std::thread::spawn(|| {
        let nothing = SandboxPolicy::new(ResourceLimits::answer());
        let landlock = landlock_rules::restrict(&nothing, "/nowhere".as_ref())
            .unwrap_or(LandlockStatus::NotImplemented);
        (
            landlock,
            seccomp_filter::restrict(AllowedSockets::None).is_ok(),
        )
    });

    let (landlock, calls) = tried
        .join()
        .unwrap_or((LandlockStatus::NotImplemented, false));
    Support::of(
        ABI::from(landlock),
        calls,
        parent_death_signal::setpriv().is_some(),
    )
});

impl Support {
    /// What holds on this machine: tried once, then remembered.
    #[must_use]
    pub fn here() -> Self {
        *HOST_SUPPORT
    }

    fn of(landlock: ABI, calls: bool, parent_death_signal: bool) -> Self {
        Self {
            files: landlock >= ABI::V3,
            network: landlock >= ABI::V4,
            signals: landlock >= ABI::V6,
            calls,
            parent_death_signal,
        }
    }

    /// What does not hold, and the fix, one sentence each; empty where all of it does.
    #[must_use]
    pub fn gaps(self) -> Vec<&'static str> {
        let all = [
            (
                self.files,
                "ffmpeg can reach every file this user can: run Linux 6.2 or newer with Landlock enabled (`lsm=` must name it)",
            ),
            (
                self.network,
                "ffmpeg can connect to every host this machine can: run Linux 6.7 or newer with Landlock enabled",
            ),
            (
                self.signals,
                "ffmpeg can signal every process of this user: run Linux 6.12 or newer with Landlock enabled, or run the service as a separate user",
            ),
            (
                self.calls,
                "ffmpeg can make every system call: run a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
            ),
            (
                self.parent_death_signal,
                "ffmpeg may outlive a killed worker by some seconds: install setpriv (Debian: util-linux)",
            ),
        ];
        all.into_iter()
            .filter_map(|(holds, gap)| (!holds).then_some(gap))
            .collect()
    }

    /// Whether work may begin; reports what is missing if it may.
    ///
    /// # Errors
    /// [`SandboxMissing`] where files and network must be shut off and cannot be.
    pub fn meets(self, demand: SandboxRequirement) -> Result<(), SandboxMissing> {
        let gaps = self.gaps().join("; ");
        // The network is shut off only with the filters as well: Landlock knows no sockets but
        // those of TCP.
        if demand == SandboxRequirement::Require && !(self.files && self.network && self.calls) {
            return Err(SandboxMissing(gaps));
        }
        if !gaps.is_empty() {
            tracing::warn!("the sandbox around ffmpeg has gaps: {gaps}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_today_has_every_layer_and_an_old_one_is_told_with_the_fix() {
        assert_eq!(Support::of(ABI::V7, true, true).gaps(), Vec::<&str>::new());

        let old = Support::of(ABI::Unsupported, true, true);
        assert!(!old.files && !old.network && !old.signals);
        assert_eq!(old.gaps().len(), 3);
        assert!(old.gaps()[0].contains("Landlock"));

        // Before this interface, files outside could still be cut to nothing.
        assert!(!Support::of(ABI::V2, true, true).files);
    }

    #[test]
    fn work_begins_with_gaps_unless_files_and_network_must_be_shut_off() {
        let half = Support::of(ABI::V3, false, false);
        assert_eq!(half.meets(SandboxRequirement::Auto), Ok(()));
        let message = half
            .meets(SandboxRequirement::Require)
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("SANDBOX=require") && message.contains("Linux 6.7"),
            "{message}"
        );

        // Without filters there are sockets that Landlock does not know.
        Support::of(ABI::V4, false, true)
            .meets(SandboxRequirement::Require)
            .unwrap_err();
        assert_eq!(
            Support::of(ABI::V4, true, false).meets(SandboxRequirement::Require),
            Ok(())
        );
    }
}
