//! What ffmpeg may open: one source, over one protocol, in a container that cannot name other files or hosts.

use std::fmt;
use std::path::Path;

/// Demuxers that read nothing but the file they are given. No playlists, no concatenations, no scripts, no images, no captures: a
/// disguised one of those makes ffmpeg open local files or foreign hosts.
const DEMUXERS: &str = "mov,matroska,mpegts,mpeg,avi,flv,asf,mxf,gif,mp3,wav,w64,aiff,caf,flac,ogg,aac,ac3,eac3,amr";

/// A source as ffmpeg is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    url: String,
    protocols: &'static str,
}

impl Input {
    /// A source behind the loopback server of a worker.
    #[must_use]
    pub fn http(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            protocols: "http,tcp",
        }
    }

    /// A file of this machine, for the offline commands.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self {
            // The prefix keeps a name such as `concat:x` or `-y` from being anything but a name.
            url: format!("file:{}", path.display()),
            protocols: "file",
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
