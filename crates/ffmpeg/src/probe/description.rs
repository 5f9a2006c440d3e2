//! What ffprobe says of a source: its container and its streams, or why it gave it up.

use std::io;

use media::ladder::Refusal;
use media::ladder::probe::{Content, Probe, Stream, UnreadableCause};
use streams::Code;

use super::super::child;
use super::super::probe_json::{Document, RawStream};
use super::super::sandbox::ResourceLimits;
use super::{ProbeError, Prober, check_exit};

/// The size in a decoder's word that it does not begin with a picture:
/// `… Picture size 30000x30000 is invalid`, or `… exceeds …`.
pub(super) fn refused_size(line: &str) -> Option<(u32, u32)> {
    let (_, rest) = line.split_once("Picture size ")?;
    let (width, height) = rest.split_whitespace().next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

impl Prober<'_> {
    /// The description in the header, and the first packets of tracks that it describes too little.
    pub(super) async fn describe(&self) -> Result<Document, ProbeError> {
        // Of the container's tags only the one that is used: others may be megabytes long.
        let entries = "format=format_name,start_time,duration,bit_rate:format_tags=major_brand:program_stream=index";
        let args = ["-show_entries", entries, "-show_streams", "-of", "json"];
        let spawn = self.spawn(&args, ResourceLimits::extract_samples());
        let output = self
            .within(
                self.limits.look,
                child::output(spawn, self.limits.description),
            )
            .await;

        let output = match output {
            Err(ProbeError::NotRun(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                let limit = self.limits.description;
                let message =
                    format!("The description of the file's tracks has more than {limit} bytes.");
                return Err(Refusal::new(Code::ExceedsPolicy, message).into());
            }
            output => output?,
        };

        // A crash or a limit says nothing of the source, so the log is searched for a reason only
        // after this.
        check_exit(output.ending)?;
        if !output.ending.success() {
            return Err(self.refusal(&output.stderr_tail));
        }

        let mut document: Document = serde_json::from_slice(&output.stdout).map_err(|error| {
            ProbeError::NotMedia(format!("its description is not valid: {error}"))
        })?;
        self.look_at_sizes(&document, &output.stderr_tail)?;
        // Streams keep the index that the container gave them, so leaving some out moves none.
        document.streams.retain(|stream| !stream.is_attachment());
        Ok(document)
    }

    /// Why ffprobe gave up on the source. Only its messages show it; a source with an unknown
    /// message is not media.
    fn refusal(&self, stderr: &str) -> ProbeError {
        let said = |words: &str| stderr.contains(words);

        if said("moov atom not found") {
            ProbeError::NoMoov
        } else if said("not on whitelist") {
            ProbeError::Forbidden
        } else if said("exceeds max_streams") {
            let most = self.limits.policy.tracks;
            let message = format!("The file has hundreds of tracks; at most {most} are accepted.");
            Refusal::new(Code::ExceedsPolicy, message).into()
        } else if let Err(refusal) = self.judge_refused(stderr) {
            // Where a parser knows the size, ffprobe ends when the decoder does not begin.
            refusal.into()
        } else {
            let last = stderr.lines().last().unwrap_or("it gives no reason");
            let last: String = last
                .replace(self.input.url(), "source")
                .chars()
                .take(200)
                .collect();
            ProbeError::NotMedia(last)
        }
    }

    /// Refuses pictures over the limit, by the word of the container or by that of a decoder that
    /// would not begin with them.
    fn look_at_sizes(&self, document: &Document, stderr: &str) -> Result<(), ProbeError> {
        let claimed = document.streams.iter().filter_map(RawStream::picture);
        let pictures: Vec<(u32, u32)> = claimed.collect();

        for (width, height) in &pictures {
            self.limits.policy.judge_picture(*width, *height)?;
        }

        // Zeros mean that no decoder began: then only its message names the size.
        if pictures.contains(&(0, 0)) {
            self.judge_refused(stderr)?;
        }
        Ok(())
    }

    /// Judges the pictures that decoders say they did not begin with.
    fn judge_refused(&self, stderr: &str) -> Result<(), Refusal> {
        let mut sizes = stderr.lines().filter_map(refused_size);
        sizes.try_for_each(|(width, height)| self.limits.policy.judge_picture(width, height))
    }

    /// The description as values.
    pub(super) async fn read(&self, document: &Document) -> Result<Probe, ProbeError> {
        let streams: Option<Vec<_>> = document.streams.iter().map(RawStream::stream).collect();

        let mut probe = Probe {
            container: document.format.name().unwrap_or("").to_owned(),
            brand: document.format.brand(),
            container_start: document.format.start(),
            declared_end: None,
            streams: streams
                .ok_or_else(|| ProbeError::NotMedia("a stream has no index".to_owned()))?,
            seekable: false,
            leads: Vec::new(),
            seek_margin: 0.0,
            deep: self.input.is_deep(),
            clock_repair: None,
            programmes: document.programmes(),
        };

        self.limits.policy.judge_media(&probe)?;
        self.name_missing_decoders(&mut probe).await;
        for stream in &mut probe.streams {
            if let Content::Video(video) = &mut stream.content {
                video.bitrate = video
                    .bitrate
                    .or_else(|| document.rest_of_bitrate(stream.index));
            }
        }

        let is_media =
            |stream: &Stream| stream.is_media() || matches!(stream.content, Content::Unreadable(_));
        if probe.streams.iter().any(is_media) {
            Ok(probe)
        } else {
            Err(ProbeError::NoTracks)
        }
    }

    /// Distinguishes tracks without a decoder from those with too little information: ffmpeg has
    /// names for more codecs than it decodes.
    async fn name_missing_decoders(&self, probe: &mut Probe) {
        let unclear = |stream: &Stream| matches!(stream.content, Content::Unreadable(why) if why.cause == UnreadableCause::NoParameters);
        if !probe.streams.iter().any(unclear) {
            return;
        }

        let Ok(decoded) = self.tool.decoded_codecs().await else {
            return;
        };

        for stream in &mut probe.streams {
            if let Content::Unreadable(why) = &mut stream.content
                && !decoded.contains(&stream.codec)
            {
                why.cause = UnreadableCause::NoDecoder;
            }
        }
    }
}
