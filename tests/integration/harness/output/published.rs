//! A finished output as its playlists tell it, read by a strict parser that is not ours.

use std::time::Duration;

use hls_m3u8::tags::{ExtXMedia, VariantStream};
use hls_m3u8::types::MediaType;
use hls_m3u8::{MasterPlaylist, MediaPlaylist};
use url::Url;

use super::http::{Answer, get};

/// What lasts for ever under its key.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Everything a master playlist leads to.
#[derive(Debug)]
pub(crate) struct Published {
    /// The address of the master playlist.
    pub(crate) master: Url,
    /// The text of the master playlist.
    pub(crate) text: String,
    /// The variants with their video, in the order of the playlist.
    pub(crate) variants: Vec<Variant>,
    /// The audio tracks of all groups, in the order of the playlist.
    pub(crate) audio: Vec<Audio>,
    /// The subtitles, in the order of the playlist.
    pub(crate) subtitles: Vec<Subtitles>,
}

/// How players list a rendition: one line that starts with `#EXT-X-MEDIA`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// `GROUP-ID`.
    pub(crate) group: String,
    /// `NAME`.
    pub(crate) name: String,
    /// `LANGUAGE`.
    pub(crate) language: Option<String>,
    /// `DEFAULT`.
    pub(crate) default: bool,
    /// `CHANNELS`.
    pub(crate) channels: Option<u64>,
}

/// One rendition of sound.
#[derive(Debug)]
pub(crate) struct Audio {
    /// How it is listed.
    pub(crate) listing: Listing,
    /// What it plays.
    pub(crate) track: Track,
}

/// One rendition of subtitles.
#[derive(Debug)]
pub(crate) struct Subtitles {
    /// How it is listed.
    pub(crate) listing: Listing,
    /// The WebVTT text of all its segments.
    pub(crate) text: String,
}

/// One line of the master playlist that starts with `#EXT-X-STREAM-INF`.
#[derive(Debug)]
pub(crate) struct Variant {
    /// Declared peak, bits per second.
    pub(crate) bandwidth: u64,
    /// Declared mean, bits per second.
    pub(crate) average_bandwidth: u64,
    /// Declared codecs.
    pub(crate) codecs: String,
    /// Declared picture, absent for audio only.
    pub(crate) resolution: Option<(usize, usize)>,
    /// Declared frames per second.
    pub(crate) frame_rate: Option<f64>,
    /// The group of its sound.
    pub(crate) group: Option<String>,
    /// What it plays besides its group.
    pub(crate) track: Track,
}

/// One media playlist and what it names.
#[derive(Debug)]
pub(crate) struct Track {
    /// The address of the playlist.
    pub(crate) url: Url,
    /// `EXT-X-TARGETDURATION`.
    pub(crate) target: Duration,
    /// Its segments.
    pub(crate) segments: Vec<Segment>,
}

/// One media segment.
#[derive(Debug)]
pub(crate) struct Segment {
    /// `EXTINF`.
    pub(crate) duration: Duration,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Track {
    /// Sum of all `EXTINF`, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.segments
            .iter()
            .map(|segment| segment.duration.as_secs_f64())
            .sum()
    }

    /// Where each segment begins, in seconds.
    pub(crate) fn grid(&self) -> Vec<f64> {
        let mut at = 0.0;
        self.segments
            .iter()
            .map(|segment| {
                let begin = at;
                at += segment.duration.as_secs_f64();
                begin
            })
            .collect()
    }

    /// The highest rate of any run of segments that lasts half to one and a half target durations,
    /// in bits per second (RFC 8216bis, "peak segment bit rate"); of all segments, where no run is
    /// so long.
    pub(crate) fn peak(&self) -> f64 {
        let runs = (0..self.segments.len())
            .flat_map(|from| (from + 1..=self.segments.len()).map(move |to| from..to));
        let rates = runs.filter_map(|run| {
            let run = &self.segments[run];
            let duration: Duration = run.iter().map(|segment| segment.duration).sum();
            let fits = duration * 2 >= self.target && duration * 2 <= self.target * 3;
            (fits || run.len() == self.segments.len()).then(|| {
                let bytes: usize = run.iter().map(|segment| segment.bytes.len()).sum();
                (fits, bytes as f64 * 8.0 / duration.as_secs_f64())
            })
        });

        let rates: Vec<_> = rates.collect();
        let any_fits = rates.iter().any(|(fits, _)| *fits);
        rates
            .iter()
            .filter(|(fits, _)| *fits == any_fits)
            .map(|(_, rate)| *rate)
            .fold(0.0, f64::max)
    }
}

impl Published {
    /// Gets the master playlist and all it leads to; every answer has to have the right type and
    /// caching rule.
    pub(crate) async fn load(master: &str) -> Self {
        let master: Url = master.parse().unwrap();
        let answer = expect(
            &master,
            "application/vnd.apple.mpegurl",
            "public, max-age=10",
        )
        .await;
        let text = String::from_utf8(answer.body).unwrap();
        let playlist = MasterPlaylist::try_from(text.as_str())
            .unwrap_or_else(|error| panic!("{master}: {error}\n{text}"));
        assert!(playlist.has_independent_segments, "{text}");

        let (mut audio, mut subtitles) = (Vec::new(), Vec::new());
        for media in &playlist.media {
            match (media.media_type, media.uri()) {
                (MediaType::Audio, Some(uri)) => audio.push(Audio {
                    listing: listing(media),
                    track: track(&master, uri, "audio/mp4").await,
                }),
                (MediaType::Subtitles, Some(uri)) => subtitles.push(Subtitles {
                    listing: listing(media),
                    text: captions(&master, uri).await,
                }),
                _ => {}
            }
        }

        let mut variants = Vec::new();
        for stream in &playlist.variant_streams {
            if let VariantStream::ExtXStreamInf { .. } = stream {
                variants.push(variant(&master, stream).await);
            }
        }

        Self {
            variants,
            audio,
            subtitles,
            text: text.clone(),
            master,
        }
    }

    /// All tracks: the variants' own, then those of the audio groups.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &Track> {
        let sounds = self.audio.iter().map(|audio| &audio.track);
        self.variants
            .iter()
            .map(|variant| &variant.track)
            .chain(sounds)
    }

    /// The variants, each rung once: a rung may be there again for every group of sound.
    pub(crate) fn rungs(&self) -> Vec<&Variant> {
        let mut rungs: Vec<&Variant> = Vec::new();
        for variant in &self.variants {
            if !rungs.iter().any(|rung| rung.track.url == variant.track.url) {
                rungs.push(variant);
            }
        }
        rungs
    }
}

async fn variant(master: &Url, stream: &VariantStream<'_>) -> Variant {
    let VariantStream::ExtXStreamInf {
        uri,
        stream_data,
        frame_rate,
        audio,
        ..
    } = stream
    else {
        panic!("{master} leads to no variant: {stream}");
    };

    let size = stream_data
        .resolution()
        .map(|size| (size.width(), size.height()));
    let content_type = if size.is_some() {
        "video/mp4"
    } else {
        "audio/mp4"
    };

    Variant {
        bandwidth: stream_data.bandwidth(),
        average_bandwidth: stream_data.average_bandwidth().expect("AVERAGE-BANDWIDTH"),
        codecs: stream_data
            .codecs()
            .map(ToString::to_string)
            .expect("CODECS"),
        resolution: size,
        frame_rate: frame_rate.map(|rate| f64::from(rate.as_f32())),
        group: audio.as_ref().map(ToString::to_string),
        track: track(master, uri, content_type).await,
    }
}

fn listing(media: &ExtXMedia<'_>) -> Listing {
    Listing {
        group: media.group_id().to_string(),
        name: media.name().to_string(),
        language: media.language().map(ToString::to_string),
        default: media.is_default,
        channels: media
            .channels
            .as_ref()
            .map(hls_m3u8::types::Channels::number),
    }
}

/// The WebVTT text of a subtitle playlist.
async fn captions(master: &Url, uri: &str) -> String {
    let url = relative(master, uri);
    let answer = expect(&url, "application/vnd.apple.mpegurl", IMMUTABLE).await;
    let text = String::from_utf8(answer.body).unwrap();
    let playlist = MediaPlaylist::try_from(text.as_str())
        .unwrap_or_else(|error| panic!("{url}: {error}\n{text}"));
    assert!(playlist.has_end_list, "{url} has no ENDLIST:\n{text}");

    let mut words = String::new();
    for (_, segment) in &playlist.segments {
        let body = expect(&relative(&url, segment.uri()), "text/vtt", IMMUTABLE)
            .await
            .body;
        words.push_str(&String::from_utf8(body).unwrap());
    }
    words
}

async fn track(master: &Url, uri: &str, content_type: &str) -> Track {
    let url = relative(master, uri);
    let answer = expect(&url, "application/vnd.apple.mpegurl", IMMUTABLE).await;
    let text = String::from_utf8(answer.body).unwrap();
    let playlist = MediaPlaylist::try_from(text.as_str())
        .unwrap_or_else(|error| panic!("{url}: {error}\n{text}"));
    assert!(playlist.has_end_list, "{url} has no ENDLIST:\n{text}");

    // All chunks share the init segment of the first one, so there is one map and no discontinuity.
    let maps: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("#EXT-X-MAP"))
        .collect();
    assert_eq!(maps.len(), 1, "{url} has one init segment:\n{text}");
    assert!(
        !text.contains("DISCONTINUITY"),
        "{url} has no discontinuity:\n{text}"
    );

    let init = maps[0].split('"').nth(1).expect("a quoted URI");
    expect(&relative(&url, init), content_type, IMMUTABLE).await;

    let mut segments = Vec::new();
    for (_, segment) in &playlist.segments {
        let bytes = expect(&relative(&url, segment.uri()), content_type, IMMUTABLE)
            .await
            .body;
        segments.push(Segment {
            duration: segment.duration.duration(),
            bytes,
        });
    }

    Track {
        url,
        target: playlist.target_duration,
        segments,
    }
}

/// Resolves a URI of a playlist, which has to be relative and within the folder of the playlist.
fn relative(base: &Url, uri: &str) -> Url {
    let url = base.join(uri).unwrap();
    let folder = base.join(".").unwrap();
    assert!(
        url.as_str().starts_with(folder.as_str()) && !uri.contains("://"),
        "{uri} in {base} is not relative"
    );
    url
}

async fn expect(url: &Url, content_type: &str, cache_control: &str) -> Answer {
    let answer = get(url).await;
    assert_eq!(answer.status, 200, "{url}");
    assert_eq!(answer.content_type, content_type, "{url}");
    assert_eq!(answer.cache_control, cache_control, "{url}");
    assert!(!answer.body.is_empty(), "{url} is empty");
    answer
}
