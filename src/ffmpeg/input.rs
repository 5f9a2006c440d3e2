//! What ffmpeg may open: one source, over one protocol, in a container that cannot name other files or hosts.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

/// Demuxers that read nothing but the file they are given. No playlists, no concatenations, no scripts, no images, no captures: a
/// disguised one of those makes ffmpeg open local files or foreign hosts.
const DEMUXERS: &str = "mov,matroska,mpegts,mpeg,avi,flv,asf,mxf,gif,mp3,wav,w64,aiff,caf,flac,ogg,aac,ac3,eac3,amr";

/// A source as ffmpeg is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    url: String,
    protocols: &'static str,
    place: Place,
}

/// Where a source is, as the sandbox must know.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Behind this port; nothing for what is no URL, which cannot be read either.
    Port(Option<u16>),
    /// In this file.
    File(PathBuf),
}

impl Input {
    /// A source behind the loopback server of a worker.
    #[must_use]
    pub fn http(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            protocols: "http,tcp",
            place: Place::Port(Url::parse(url).ok().and_then(|url| url.port_or_known_default())),
        }
    }

    /// A file of this machine, for the offline commands. A relative path is looked for in the folder the run works in.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self {
            // The prefix keeps a name such as `concat:x` or `-y` from being anything but a name.
            url: format!("file:{}", path.display()),
            protocols: "file",
            place: Place::File(path.to_owned()),
        }
    }

    /// The port the source is behind.
    #[must_use]
    pub(super) const fn port(&self) -> Option<u16> {
        match self.place {
            Place::Port(port) => port,
            Place::File(_) => None,
        }
    }

    /// The file the source is in.
    #[must_use]
    pub(super) fn file_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Port(_) => None,
            Place::File(path) => Some(path),
        }
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The options that go before the URL, and the URL itself where `-i` introduces it (ffmpeg and ffprobe alike).
    #[must_use]
    pub fn args(&self) -> [String; 6] {
        [
            "-protocol_whitelist",
            self.protocols,
            "-format_whitelist",
            DEMUXERS,
            "-i",
            &self.url,
        ]
        .map(str::to_owned)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
