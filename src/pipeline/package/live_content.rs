//! What live playlists list: what is listed stays as it is, and what follows it without a gap is
//! added. Pure.

use media::playlist::{Bandwidth, LivePlaylist, LiveSegment};
use storage::{init_name, segment_name};
use streams::plan::{Planned, Rendition};
use streams::work::RenditionOutput;

use super::assembly::AssembledRendition;

/// The file of a live playlist, in the folder of its rendition.
const LIVE_PLAYLIST: &str = "live.m3u8";

/// Share by which boxes and the coder's own freedom may exceed a planned rate.
const CONTAINER_OVERHEAD_RATIO: f64 = 1.02;

/// Share by which the loudest part of the audio may need more than its mean rate.
const AUDIO_PEAK_RATIO: f64 = 1.1;

/// Seconds that the texts of a playlist may lose by rounding.
const ROUNDING_SECONDS: f64 = 0.005;

/// Seconds by which an audio segment may end after the video segment of the same number: an AAC
/// frame.
const AUDIO_FRAME_SECONDS: f64 = 1024.0 / 48_000.0;

/// Segments of one rendition that one attempt made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PublishedSegments {
    /// The attempt in their keys.
    pub(super) attempt: u64,
    /// What it made.
    pub(super) output: RenditionOutput,
}

/// The playlist as it was, or a new one, with all segments of `pieces` that follow without a gap
/// and end by `limit`, in seconds. None if there is none to list. What would need another init
/// segment is not listed: that would be a discontinuity. The last segment comes together with the
/// end: players that read it first wait for another one, and some never ask again.
pub(super) fn extend_playlist(
    plan: &Planned,
    before: Option<LivePlaylist>,
    head: &PublishedSegments,
    pieces: &[PublishedSegments],
    limit: f64,
) -> Option<LivePlaylist> {
    let mut playlist = before.unwrap_or_else(|| LivePlaylist {
        target_duration: plan.segment.target_duration,
        init_uri: init_name(head.attempt),
        lines: Vec::new(),
        sealed: false,
    });
    let fits = |piece: &&PublishedSegments| {
        piece.output.init_match == head.output.init_match
            && piece.output.timescale == head.output.timescale
    };

    let mut due = None;
    for piece in pieces.iter().filter(fits) {
        for segment in &piece.output.segments {
            // An EVENT playlist only grows at its end (RFC 8216, section 4.3.3.5).
            let is_next = usize::try_from(segment.n).is_ok_and(|n| n == playlist.lines.len());
            if !is_next || due.is_some_and(|due| due != segment.start) {
                continue;
            }
            if seconds(segment.start + segment.duration, piece.output.timescale) > limit {
                break;
            }
            due = Some(segment.start + segment.duration);
            let uri = segment_name(u64::from(segment.n), piece.attempt);
            let line = LiveSegment::new(uri, segment.duration, piece.output.timescale);
            playlist.lines.push(line);
        }
    }

    playlist.sealed |= playlist.lines.len() >= plan.segment.count as usize;
    (!playlist.lines.is_empty()).then_some(playlist)
}

/// Where all other renditions of a job have to end by, in seconds, given the playlist of its lowest
/// rung: players that are shown more audio than video jump back to the end of the video.
pub(super) fn latest_end_seconds(lowest: Option<&LivePlaylist>) -> f64 {
    match lowest {
        None => 0.0,
        Some(playlist) if playlist.sealed => f64::INFINITY,
        Some(playlist) => playlist.seconds() + AUDIO_FRAME_SECONDS + ROUNDING_SECONDS,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "ticks of hours stay far below 2^52"
)]
fn seconds(ticks: u64, timescale: u32) -> f64 {
    ticks as f64 / f64::from(timescale.max(1))
}

/// Whether there is something to play: the lowest rung and all audio.
pub(super) fn is_playable(plan: &Planned, is_listed: impl Fn(&Rendition) -> bool) -> bool {
    let lowest = plan
        .renditions
        .iter()
        .rfind(|rendition| rendition.video().is_some());
    let audios = plan
        .renditions
        .iter()
        .filter(|rendition| rendition.video().is_none());
    let mut wanted = lowest.into_iter().chain(audios).peekable();
    wanted.peek().is_some() && wanted.all(is_listed)
}

/// A rendition as the live multivariant playlist names it.
pub(super) fn to_live_rendition(
    rendition: &Rendition,
    head: &PublishedSegments,
) -> AssembledRendition {
    AssembledRendition {
        rendition: rendition.clone(),
        init: head.output.init.clone(),
        init_match: head.output.init_match.clone(),
        playlist: LIVE_PLAYLIST.to_owned(),
        codecs: head.output.codecs.clone(),
        timescale: head.output.timescale,
        units: 0,
        segments: Vec::new(),
    }
}

/// The rates a rendition may have, by its plan: the segments so far say little about later ones.
/// The peak allows for what may be measured: an encoder may spend a whole buffer on top of its
/// rate, within the shortest run of segments that counts.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates stay far below 2^52"
)]
pub(super) fn planned_bandwidth(plan: &Planned, rendition: &Rendition) -> Bandwidth {
    let (average, above) = match rendition {
        Rendition::Video(video) => (
            video.maxrate,
            video.bufsize as f64 / shortest_peak_segment_seconds(plan),
        ),
        Rendition::Audio(audio) => (
            audio.bitrate,
            audio.bitrate as f64 * (AUDIO_PEAK_RATIO - 1.0),
        ),
    };
    Bandwidth {
        peak: ((average as f64 + above) * CONTAINER_OVERHEAD_RATIO) as u64,
        average,
    }
}

/// Seconds of the shortest segment whose rate counts for the peak (RFC 8216bis section 4.4.6.2):
/// the last one, where it is at least half as long as the target, else any.
fn shortest_peak_segment_seconds(plan: &Planned) -> f64 {
    let each = plan.segment.duration.as_f64();
    let last = plan.programme - f64::from(plan.segment.last()) * each;
    let counts = last >= f64::from(plan.segment.target_duration) / 2.0;
    if counts { last.min(each) } else { each }
}

#[cfg(test)]
mod tests {
    use streams::work::{ObjectRef, SegmentOutput};

    use super::*;
    use streams::testing::planned;

    fn piece(attempt: u64, segments: std::ops::Range<u32>, init: &str) -> PublishedSegments {
        let segment = |n| SegmentOutput {
            n,
            start: u64::from(n) * 100,
            duration: 100,
            key_frame: None,
            size: 1,
            sha256: String::new(),
            etag: None,
        };

        PublishedSegments {
            attempt,
            output: RenditionOutput {
                name: "480p".parse().unwrap(),
                init: ObjectRef {
                    key: String::new(),
                    size: 1,
                    sha256: String::new(),
                    etag: None,
                },
                init_match: init.to_owned(),
                codecs: "avc1.64001f".to_owned(),
                timescale: 25,
                units: 0,
                segments: segments.map(segment).collect(),
            },
        }
    }

    fn uris(playlist: &LivePlaylist) -> Vec<&str> {
        playlist
            .lines
            .iter()
            .map(|line| line.uri.as_str())
            .collect()
    }

    #[test]
    fn what_is_listed_stays_and_only_what_follows_is_added() {
        let plan = planned();
        let first = piece(36, 0..2, "a");
        let playlist = extend_playlist(
            &plan,
            None,
            &first,
            std::slice::from_ref(&first),
            f64::INFINITY,
        )
        .unwrap();
        assert_eq!(
            (uris(&playlist), playlist.init_uri.as_str()),
            (vec!["0-10.m4s", "1-10.m4s"], "init-10.mp4")
        );

        // Another attempt made the same again and more; there is a gap before the last piece.
        let again = [piece(37, 0..4, "a"), piece(38, 5..6, "a")];
        let playlist =
            extend_playlist(&plan, Some(playlist), &first, &again, f64::INFINITY).unwrap();
        assert_eq!(
            uris(&playlist),
            ["0-10.m4s", "1-10.m4s", "2-11.m4s", "3-11.m4s"]
        );

        let unchanged = extend_playlist(
            &plan,
            Some(playlist.clone()),
            &first,
            &[piece(39, 0..3, "a")],
            f64::INFINITY,
        )
        .unwrap();
        assert_eq!(unchanged, playlist);
    }

    #[test]
    fn what_needs_another_init_segment_or_leaves_a_gap_in_time_is_not_listed() {
        let plan = planned();
        let first = piece(36, 0..2, "a");
        let playlist = extend_playlist(
            &plan,
            None,
            &first,
            &[first.clone(), piece(37, 2..3, "b")],
            f64::INFINITY,
        )
        .unwrap();
        assert_eq!(playlist.lines.len(), 2);

        let mut late = piece(37, 2..3, "a");
        late.output.segments[0].start += 1;
        assert_eq!(
            extend_playlist(&plan, None, &first, &[first.clone(), late], f64::INFINITY)
                .unwrap()
                .lines
                .len(),
            2
        );

        assert_eq!(
            extend_playlist(&plan, None, &first, &[], f64::INFINITY),
            None
        );
    }

    #[test]
    fn the_last_segment_comes_with_the_end_and_nothing_beyond_the_limit() {
        let plan = planned();
        let all = piece(36, 0..4, "a");
        let until =
            |limit| extend_playlist(&plan, None, &all, std::slice::from_ref(&all), limit).unwrap();
        let listed = |limit| (until(limit).lines.len(), until(limit).sealed);

        // Segments of four seconds.
        assert_eq!(
            [12.0, 15.9, 16.0].map(listed),
            [(3, false), (3, false), (4, true)]
        );
        assert_eq!(latest_end_seconds(None), 0.0);
        assert!(
            (latest_end_seconds(Some(&until(12.0))) - 12.0).abs() < 0.03
                && latest_end_seconds(Some(&until(16.0))) > 1e9
        );
    }

    #[test]
    fn no_measured_rate_is_above_the_planned_one() {
        let mut plan = planned();
        let top = plan.renditions[0].clone();
        let peak = |plan: &Planned| planned_bandwidth(plan, &top).peak;
        // 9 Mb/s and a buffer of one second, over 3.003 s; then a last segment too short to count.
        assert_eq!(peak(&plan), ((9e6 + 9e6 / (15.015 - 12.012)) * 1.02) as u64);

        plan.programme = 13.0;
        assert_eq!(peak(&plan), ((9e6 + 9e6 / 4.004) * 1.02) as u64);
    }

    #[test]
    fn it_plays_with_the_lowest_rung_and_all_sound() {
        let plan = planned();
        let lowest = plan.videos().last().unwrap().name.clone();
        assert!(is_playable(&plan, |rendition| rendition.video().is_none()
            || *rendition.name() == lowest));
        assert!(!is_playable(&plan, |rendition| rendition.video().is_some()));
        assert!(!is_playable(&plan, |rendition| *rendition.name() != lowest));
    }
}
