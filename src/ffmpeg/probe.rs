//! Probing a source: what ffprobe says of it, then when its streams really begin and end, then whether it can be entered at a time.

use std::io;
use std::time::Duration;

use streams::{Code, Rational};

use super::child::{self, Spawn};
use super::input::Input;
use super::packet::{ENTRIES, Packet};
use super::probe_json::Document;
use super::timing::{Spans, exact, intervals, leads, spread};
use super::tool::Tool;
use crate::ladder::probe::{Content, Probe};

/// How long probing may take, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeLimits {
    /// For one look at a part of the source.
    pub look: Duration,
    /// For reading through a source that has no index.
    pub scan: Duration,
    /// Bytes of the description of all streams.
    pub description: usize,
    /// Streams.
    pub streams: usize,
}

impl Default for ProbeLimits {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(60),
            scan: Duration::from_secs(30 * 60),
            description: 4 * 1024 * 1024,
            streams: 32,
        }
    }
}

/// Why a source cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// ffprobe did not start, or broke.
    #[error("ffprobe failed on the source: {0}; check the ffprobe installation")]
    Broken(#[from] io::Error),
    /// It took too long.
    #[error("ffprobe did not finish reading the source within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// ISO media without its index.
    #[error("the source has no index (moov): the upload stopped before its end")]
    NoMoov,
    /// A container that is not on the allow-list.
    #[error("the source's container is not one that is accepted")]
    Forbidden,
    /// Nothing ffprobe can read.
    #[error("ffprobe cannot read the source: {0}")]
    NotMedia(String),
    /// More streams than anybody needs.
    #[error("the source has {found} streams; at most {limit} are accepted")]
    TooManyStreams {
        /// Streams of the source.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Nothing to encode.
    #[error("the source has neither video nor audio that can be decoded")]
    NoTracks,
}

impl ProbeError {
    /// The failure code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Broken(_) => Code::FfmpegCrashed,
            Self::TimedOut(_) => Code::FfmpegStalled,
            Self::NoMoov => Code::TruncatedUpload,
            Self::Forbidden => Code::ForbiddenContainer,
            Self::NotMedia(_) => Code::NotMedia,
            Self::TooManyStreams { .. } => Code::ExceedsPolicy,
            Self::NoTracks => Code::NoTracks,
        }
    }
}

/// At most so many seeks are tried.
const SEEKS: u32 = 64;

/// Seconds between tried seeks, in short sources.
const SEEKS_APART: f64 = 4.0;

/// Seconds from the start of a source whose packets tell when its streams begin.
const BEGINNING: f64 = 2.0;

/// Seconds before the supposed end of a source in which its last packets are looked for, wider and wider.
const ENDINGS: [f64; 3] = [10.0, 60.0, 600.0];

/// Probes `input`. A read that failed on the way looks like a short source here: the caller must ask its source server for faults.
///
/// # Errors
/// [`ProbeError`] when there is nothing that can be planned.
pub async fn probe(tool: &Tool, input: &Input, limits: &ProbeLimits) -> Result<Probe, ProbeError> {
    let prober = Prober { tool, input, limits };
    let document = prober.describe().await?;
    let mut probe = prober.read(&document)?;
    let indexed = has_index(&probe.container) && document.format.duration().is_some();
    let beginning = prober.spans(&format!("%+{BEGINNING}")).await?;
    let ending = match document.format.duration().filter(|_| indexed) {
        Some(duration) => prober.ending(&probe, duration).await?,
        None => prober.scan().await?,
    };
    if indexed {
        probe.declared_end = declared_end(&probe, &document);
    }
    settle(&mut probe, &document, &beginning, &ending);
    if indexed && let Some(leads) = prober.seek(&probe).await? {
        (probe.seekable, probe.leads) = (true, leads);
    }
    Ok(probe)
}

/// Containers whose index leads to key frames. AVI has one too, but no presentation times; in the others a seek guesses.
fn has_index(container: &str) -> bool {
    container.split(',').any(|name| matches!(name, "mov" | "matroska"))
}

/// Writes what the packets say into the streams.
fn settle(probe: &mut Probe, document: &Document, beginning: &Spans, ending: &Spans) {
    for (stream, raw) in probe.streams.iter_mut().zip(&document.streams) {
        // A stream that begins later has no packet in the beginning; then the container's word is taken, or the whole scan's.
        let first = beginning
            .get(stream.index)
            .or_else(|| ending.get(stream.index).filter(|_| stream.start.is_none()));
        if let (Some(span), Some(base)) = (first, raw.time_base()) {
            stream.start = exact(span.first, base).or(stream.start);
        }
        let frame = match &stream.content {
            Content::Video(video) => video.average_rate.map_or(0.0, |rate| 1.0 / rate.as_f64()),
            _ => 0.0,
        };
        // Without durations the last frame lasts as long as the mean one.
        stream.end = ending.get(stream.index).map(|span| {
            if span.end > span.last {
                span.end
            } else {
                span.end + frame
            }
        });
    }
}

/// When video and sound end by the word of an index: of their own where it names them, else of the whole container if that holds
/// nothing else.
fn declared_end(probe: &Probe, document: &Document) -> Option<f64> {
    let own = probe
        .streams
        .iter()
        .zip(&document.streams)
        .filter(|(stream, _)| stream.is_media());
    own.filter_map(|(stream, raw)| Some(stream.start?.as_f64() + raw.duration()?))
        .max_by(f64::total_cmp)
        .or_else(|| {
            // Matroska counts its one duration from time zero or from its start, by writer: the earlier end is the one that is sure.
            let alone = probe.streams.iter().all(crate::ladder::probe::Stream::is_media);
            document.format.duration().filter(|_| alone)
        })
}

struct Prober<'a> {
    tool: &'a Tool,
    input: &'a Input,
    limits: &'a ProbeLimits,
}

impl Prober<'_> {
    fn spawn(&self, args: &[&str]) -> Spawn {
        let quiet = ["-hide_banner", "-v", "error"].map(str::to_owned);
        let args = args.iter().map(|arg| (*arg).to_owned());
        Spawn::new(
            &self.tool.ffprobe,
            quiet.into_iter().chain(args).chain(self.input.args()),
        )
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, ProbeError> {
        Ok(tokio::time::timeout(limit, work)
            .await
            .map_err(|_| ProbeError::TimedOut(limit))??)
    }

    /// What the header says.
    async fn describe(&self) -> Result<Document, ProbeError> {
        let spawn = self.spawn(&["-show_format", "-show_streams", "-of", "json"]);
        let output = self
            .within(self.limits.look, child::output(spawn, self.limits.description))
            .await?;
        if !output.status.success() {
            // Only prose tells these apart; what is not recognised is no media all the same.
            let said = |words: &str| output.stderr_tail.contains(words);
            return Err(if said("moov atom not found") {
                ProbeError::NoMoov
            } else if said("not on whitelist") {
                ProbeError::Forbidden
            } else {
                let last = output.stderr_tail.lines().last().unwrap_or("it gives no reason");
                ProbeError::NotMedia(last.replace(self.input.url(), "source"))
            });
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| ProbeError::NotMedia(format!("its description is not valid: {error}")))
    }

    /// The description as values.
    fn read(&self, document: &Document) -> Result<Probe, ProbeError> {
        if document.streams.len() > self.limits.streams {
            return Err(ProbeError::TooManyStreams {
                found: document.streams.len(),
                limit: self.limits.streams,
            });
        }
        let streams: Option<Vec<_>> = document
            .streams
            .iter()
            .map(super::probe_json::RawStream::stream)
            .collect();
        let probe = Probe {
            container: document.format.name().unwrap_or("").to_owned(),
            brand: document.format.brand(),
            container_start: document.format.start(),
            declared_end: None,
            streams: streams.ok_or_else(|| ProbeError::NotMedia("a stream has no index".to_owned()))?,
            seekable: false,
            leads: Vec::new(),
        };
        let some = probe.main_video().is_some() || probe.audios().next().is_some();
        some.then_some(probe).ok_or(ProbeError::NoTracks)
    }

    /// First and last times of all streams within an interval of ffprobe's syntax.
    async fn spans(&self, interval: &str) -> Result<Spans, ProbeError> {
        let mut spans = Spans::default();
        let args = [
            "-show_entries",
            ENTRIES,
            "-of",
            "compact=print_section=0",
            "-read_intervals",
            interval,
        ];
        self.packets(&args, self.limits.look, |packet| spans.add(&packet))
            .await?;
        Ok(spans)
    }

    /// First and last times of all streams of the whole source.
    async fn scan(&self) -> Result<Spans, ProbeError> {
        let mut spans = Spans::default();
        let args = ["-show_entries", ENTRIES, "-of", "compact=print_section=0"];
        self.packets(&args, self.limits.scan, |packet| spans.add(&packet))
            .await?;
        Ok(spans)
    }

    async fn packets(&self, args: &[&str], limit: Duration, mut each: impl FnMut(Packet)) -> Result<(), ProbeError> {
        let read = child::lines(self.spawn(args), |line| {
            if let Some(packet) = Packet::parse(line) {
                each(packet);
            }
        });
        // A damaged end is an error to ffprobe; the packets before it count all the same.
        self.within(limit, read).await.map(|_| ())
    }

    /// The last times of video and audio, looked for from the supposed end backwards.
    async fn ending(&self, probe: &Probe, duration: f64) -> Result<Spans, ProbeError> {
        let start = probe.container_start.as_f64();
        let wanted = |spans: &Spans| {
            let mut media = probe
                .main_video()
                .map(|(stream, _)| stream)
                .into_iter()
                .chain(probe.audios().map(|(stream, _)| stream));
            media.all(|stream| spans.get(stream.index).is_some())
        };
        for width in ENDINGS {
            if duration <= width {
                break;
            }
            let spans = self.spans(&format!("{:.6}%", start + duration - width)).await?;
            if wanted(&spans) {
                return Ok(spans);
            }
        }
        self.scan().await
    }

    /// Seconds from key frames to times spread over the main video; nothing where seeks do not land as they must.
    async fn seek(&self, probe: &Probe) -> Result<Option<Vec<f64>>, ProbeError> {
        let Some((stream, _)) = probe.main_video() else {
            return Ok(None);
        };
        let (Some(start), Some(end)) = (stream.start.map(Rational::as_f64), stream.end) else {
            return Ok(None);
        };
        let times = spread(start, end, SEEKS_APART, SEEKS);
        let (index, intervals) = (stream.index.to_string(), intervals(&times));
        let mut landed = Vec::new();
        let args = [
            "-select_streams",
            &index,
            "-show_entries",
            ENTRIES,
            "-of",
            "compact=print_section=0",
            "-read_intervals",
            &intervals,
        ];
        self.packets(&args, self.limits.look, |packet| landed.push(packet))
            .await?;
        Ok(leads(&times, &landed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffmpeg::testing::{make, tool};
    use std::path::Path;

    const PICTURES: &str = "-f lavfi -i testsrc=s=128x96:r=25:d=12";
    const SOUND: &str = "-f lavfi -i sine=d=12:r=48000";

    async fn probe_file(file: &Path) -> Result<Probe, ProbeError> {
        probe(&tool(), &Input::file(file), &ProbeLimits::default()).await
    }

    async fn probed(name: &str, args: &str) -> Probe {
        let folder = tempfile::tempdir().unwrap();
        probe_file(&make(folder.path(), name, args).await).await.unwrap()
    }

    fn near(found: Option<f64>, wanted: f64) -> bool {
        found.is_some_and(|found| (found - wanted).abs() < 0.06)
    }

    #[tokio::test]
    async fn containers_with_an_index_can_be_entered_and_the_others_cannot() {
        let encode = format!("{PICTURES} {SOUND} -g 50 -c:v libx264 -preset ultrafast -c:a aac");
        for (name, seekable) in [
            ("a.mp4", true),
            ("a.mkv", true),
            ("a.ts", false),
            ("a.flv", false),
            ("a.avi", false),
        ] {
            let probe = probed(name, &encode).await;
            assert_eq!(probe.seekable, seekable, "{name}");
            assert!(probe.leads.iter().all(|lead| *lead < 2.1), "{name}: {:?}", probe.leads);
            let (video, start) = (
                probe.main_video().unwrap().0,
                probe.main_video().unwrap().0.start.unwrap().as_f64(),
            );
            assert!(near(video.end.map(|end| end - start), 12.0), "{name}: {video:?}");
            assert!(
                near(probe.audios().next().unwrap().0.end.map(|end| end - start), 12.0),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn fragmented_files_and_files_without_a_duration_are_measured_by_their_packets() {
        let encode = format!("{PICTURES} -g 50 -c:v libx264 -preset ultrafast -bf 2");
        let fragmented = probed("a.mp4", &format!("{encode} -movflags frag_keyframe+empty_moov")).await;
        let (video, _) = fragmented.main_video().unwrap();
        assert_eq!(video.start, Rational::new(2, 25));
        assert!(near(video.end, 12.08), "{video:?}");
        let live = probed(
            "a.webm",
            &format!("{PICTURES} -c:v libvpx -deadline realtime -cpu-used 8 -live 1"),
        )
        .await;
        assert!(!live.seekable);
        assert!(near(live.main_video().unwrap().0.end, 12.0), "{live:?}");
    }

    #[tokio::test]
    async fn the_end_is_found_where_one_track_is_much_shorter_than_the_other() {
        let short_sound = probed(
            "a.mp4",
            "-f lavfi -i testsrc=s=64x64:r=10:d=90 -f lavfi -i sine=d=5 -c:v libx264 -preset ultrafast",
        )
        .await;
        assert!(near(short_sound.main_video().unwrap().0.end, 90.0));
        assert!(near(short_sound.audios().next().unwrap().0.end, 5.0));
    }

    #[tokio::test]
    async fn late_and_offset_tracks_keep_their_times() {
        let args = format!("-itsoffset 0.5 {SOUND} {PICTURES} -c:v libx264 -preset ultrafast -c:a aac");
        let probe = probed("a.mkv", &args).await;
        let start = |stream: &crate::ladder::probe::Stream| stream.start.unwrap().as_f64();
        // An offset does not look like missing data.
        assert!(probe.declared_end.unwrap() - probe.end().unwrap() < 0.1, "{probe:?}");
        let late = start(probe.audios().next().unwrap().0) - start(probe.main_video().unwrap().0);
        assert!((late - 0.5).abs() < 0.05, "{late}");
    }

    #[tokio::test]
    async fn rotation_aspect_and_fields_are_read() {
        let folder = tempfile::tempdir().unwrap();
        make(
            folder.path(),
            "flat.mp4",
            &format!("{PICTURES} -vf setsar=32/27 -c:v libx264 -preset ultrafast -flags +ildct -x264-params tff=1"),
        )
        .await;
        let turned = folder.path().join("turned.mp4");
        let mut bytes = std::fs::read(folder.path().join("flat.mp4")).unwrap();
        let header = bytes.windows(4).position(|kind| kind == b"tkhd").unwrap();
        // The matrix of a track header (ISO/IEC 14496-12 section 8.3.2): a quarter turn.
        for (i, value) in [0, 0x1_0000, 0, -0x1_0000, 0, 0, 0, 0, 0x4000_0000_i32]
            .into_iter()
            .enumerate()
        {
            let at = header + 44 + 4 * i;
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        std::fs::write(&turned, bytes).unwrap();
        let probe = probe_file(&turned).await.unwrap();
        let (_, video) = probe.main_video().unwrap();
        assert_eq!(
            (video.width, video.height, video.pixel_aspect),
            (128, 96, Rational::new(32, 27).unwrap())
        );
        assert_eq!(video.rotation.abs(), 90);
        assert!(video.interlaced);
    }

    #[tokio::test]
    async fn a_cut_file_ends_before_its_index_says() {
        let folder = tempfile::tempdir().unwrap();
        let whole = make(
            folder.path(),
            "a.mp4",
            &format!("{PICTURES} {SOUND} -c:v libx264 -preset ultrafast -movflags +faststart"),
        )
        .await;
        let bytes = std::fs::read(&whole).unwrap();
        std::fs::write(&whole, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let probe = probe_file(&whole).await.unwrap();
        assert!(near(probe.declared_end, 12.0), "{probe:?}");
        assert!(probe.end().unwrap() < 9.0, "{probe:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_planned_has_its_own_code() {
        let folder = tempfile::tempdir().unwrap();
        // No suffix, as behind the loopback server: a suffix would decide over the bytes.
        let file = folder.path().join("upload");
        let mut whole = std::fs::read(make(folder.path(), "a.mp4", PICTURES).await).unwrap();
        whole.truncate(whole.len() / 2);
        let texts: [(&[u8], Code); 4] = [
            (&whole, Code::TruncatedUpload),
            (b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", Code::NotMedia),
            (
                b"ffconcat version 1.0
file a.mp4
",
                Code::ForbiddenContainer,
            ),
            (&[0x17; 5000], Code::NotMedia),
        ];
        for (bytes, code) in texts {
            std::fs::write(&file, bytes).unwrap();
            let error = probe_file(&file).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        }
        let picture = make(folder.path(), "a.png", "-f lavfi -i testsrc=s=64x64 -frames:v 1").await;
        assert_eq!(probe_file(&picture).await.unwrap_err().code(), Code::ForbiddenContainer);
        let words = make(folder.path(), "words.mkv", "-f lavfi -i anullsrc=d=1 -c:a copy").await;
        assert!(probe_file(&words).await.is_ok());
    }

    #[tokio::test]
    async fn a_source_that_never_answers_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limits = ProbeLimits {
            look: Duration::from_millis(300),
            ..ProbeLimits::default()
        };
        let silent = Input::http(&format!("http://{}/x", listener.local_addr().unwrap()));
        let error = probe(&tool(), &silent, &limits).await.unwrap_err();
        assert_eq!(error.code(), Code::FfmpegStalled);
    }
}
