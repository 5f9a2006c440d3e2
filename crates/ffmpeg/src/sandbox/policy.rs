//! What a run may reach and use, as a value. A program cannot be started without one.

use std::path::{Path, PathBuf};

use super::resource_limits::ResourceLimits;
use crate::input::Input;

/// What a run may access and use. It begins with only the program, its libraries and its resource
/// limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPolicy {
    pub(super) resource_limits: ResourceLimits,
    pub(super) folder: Option<PathBuf>,
    pub(super) seen: Vec<PathBuf>,
    pub(super) port: Option<u16>,
    pub(super) devices: bool,
}

impl SandboxPolicy {
    /// A run that may use so much and reach nothing.
    #[must_use]
    pub const fn new(resource_limits: ResourceLimits) -> Self {
        Self {
            resource_limits,
            folder: None,
            seen: Vec::new(),
            port: None,
            devices: false,
        }
    }

    /// The run works in this folder and may do there what it likes, but make links and devices, and
    /// execute what it wrote.
    #[must_use]
    pub fn workdir(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The run may read this source: by one port, or one file.
    #[must_use]
    pub fn allow_input(mut self, input: &Input) -> Self {
        self.port = input.port().or(self.port);
        self.seen.extend(input.file_path().map(Path::to_owned));
        self
    }

    /// The run may read this file, or what is in this folder.
    #[must_use]
    pub fn allow_read(mut self, path: &Path) -> Self {
        self.seen.push(path.to_owned());
        self
    }

    /// The run may use the machine's encoders, where `needed`: their devices are then open to it.
    #[must_use]
    pub const fn with_devices(mut self, needed: bool) -> Self {
        self.devices = needed;
        self
    }

    /// The folder the run works in.
    pub(crate) fn folder(&self) -> &Path {
        // Not the current folder, which may be anywhere: nothing can be written there.
        self.folder.as_deref().unwrap_or(Path::new("/"))
    }

    /// How much it may use.
    pub(crate) const fn resource_limits(&self) -> ResourceLimits {
        self.resource_limits
    }
}
