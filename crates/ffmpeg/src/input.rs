//! What ffmpeg may open: one source, over one protocol, in a container that cannot name other files
//! or hosts.

use std::fmt;
use std::path::{Path, PathBuf};

use media::ladder::Limits;
use url::Url;

/// Demuxers that read only the file they are given. No playlists, no concatenations, no scripts, no
/// images, no captures: a disguised one of those makes ffmpeg open local files or foreign hosts.
const ALLOWED_DEMUXERS: &str = "mov,matroska,mpegts,mpeg,avi,flv,asf,mxf,gif,apng,webp_anim,dv,nut,mp3,wav,w64,aiff,caf,flac,ogg,aac,ac3,eac3,amr";

/// Bytes of the largest block of memory that is given out at once. An index of a few hundred bytes
/// may claim any number of samples, and is laid out in one block; that of 48 hours at 60 frames a
/// second takes half of this, as does one plane of an 8K picture.
const MAX_ALLOCATION_BYTES: &str = "536870912";

/// Streams at which a container is given up: far more than are accepted, so that what has a few too
/// many can still be counted, and what has a font for every sign can be read.
const MAX_STREAMS: &str = "1000";

/// Microseconds and bytes that are read of a source whose tracks begin late, until all of them are
/// known.
const DEEP_PROBE: (&str, &str) = ("60000000", "100000000");

/// A source as ffmpeg opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    url: String,
    protocols: &'static str,
    demuxers: &'static str,
    place: Place,
    /// Pixels of the largest picture that is decoded.
    pixels: u64,
    /// Whether it is read until all tracks are known, however late they begin.
    deep: bool,
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
            demuxers: ALLOWED_DEMUXERS,
            place: Place::Port(
                Url::parse(url)
                    .ok()
                    .and_then(|url| url.port_or_known_default()),
            ),
            pixels: Limits::default().pixels,
            deep: false,
        }
    }

    /// A file of this machine, for the offline commands. A relative path is resolved in the folder
    /// of the run.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self {
            // The prefix keeps a name such as `concat:x` or `-y` from being anything but a name.
            url: format!("file:{}", path.display()),
            protocols: "file",
            demuxers: ALLOWED_DEMUXERS,
            place: Place::File(path.to_owned()),
            pixels: Limits::default().pixels,
            deep: false,
        }
    }

    /// A file an earlier run of the same task wrote, in the container it writes.
    #[must_use]
    pub fn own_file(path: &Path) -> Self {
        Self {
            demuxers: "nut",
            ..Self::file(path)
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

    /// The same source, without decoding any picture larger than `pixels`: a container may declare
    /// a small size, and a stream may change to a larger one.
    #[must_use]
    pub fn decoding(mut self, pixels: u64) -> Self {
        self.pixels = pixels;
        self
    }

    /// The same source, read until all of its tracks are known if `deep` is set: at most 60 s or
    /// 100 MB of it, instead of the first 5 s or 5 MB. Every reader must find the same tracks as
    /// the probe.
    #[must_use]
    pub const fn looking(mut self, deep: bool) -> Self {
        self.deep = deep;
        self
    }

    /// Whether it is read until all of its tracks are known.
    #[must_use]
    pub const fn is_deep(&self) -> bool {
        self.deep
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The options that go before the URL, and the URL itself where `-i` introduces it (ffmpeg and
    /// ffprobe alike).
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        // Decoders lay pictures out in whole blocks, which may be an eighth larger.
        let pixels = (self.pixels + self.pixels / 8)
            .min(i32::MAX.unsigned_abs().into())
            .to_string();

        let mut args = Vec::new();
        if self.deep {
            args.extend(["-analyzeduration", DEEP_PROBE.0, "-probesize", DEEP_PROBE.1]);
        }

        args.extend([
            "-max_alloc",
            MAX_ALLOCATION_BYTES,
            "-max_streams",
            MAX_STREAMS,
            "-max_pixels",
            &pixels,
            "-protocol_whitelist",
            self.protocols,
            "-format_whitelist",
            self.demuxers,
            "-i",
            &self.url,
        ]);

        args.into_iter().map(str::to_owned).collect()
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
