//! How growing playlists grow: what is listed stays as it is, and what follows it without a gap is added. Pure.

use streams::plan::{Planned, Rendition};
use streams::work::RenditionOutput;

use super::assembly::Assembled;
use crate::playlist::{Bandwidth, LivePlaylist, LiveSegment};
use crate::storage::{init_name, segment_name};

/// The file of a growing playlist, in the folder of its rendition.
const LIVE_PLAYLIST: &str = "live.m3u8";

/// Rates at joints of chunks rise so far above the cap (measured: 7 %).
const ABOVE_CAP: f64 = 1.1;

/// Segments of one rendition that one attempt made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// The attempt in their keys.
    pub(super) attempt: u64,
    /// What it made.
    pub(super) output: RenditionOutput,
}

/// The playlist as it was, or a new one, with all segments of `pieces` that follow without a gap. Nothing where there is none to list.
/// What would need another init segment is not listed: that would be a discontinuity.
pub(super) fn grown(
    plan: &Planned,
    before: Option<LivePlaylist>,
    head: &Piece,
    pieces: &[Piece],
) -> Option<LivePlaylist> {
    let mut playlist = before.unwrap_or_else(|| LivePlaylist {
        target_duration: plan.segment.target_duration,
        init_uri: init_name(head.attempt),
        lines: Vec::new(),
        sealed: false,
    });
    let fits = |piece: &&Piece| {
        piece.output.init_match == head.output.init_match && piece.output.timescale == head.output.timescale
    };
    let mut due = None;
    for piece in pieces.iter().filter(fits) {
        for segment in &piece.output.segments {
            let is_next = usize::try_from(segment.n).is_ok_and(|n| n == playlist.lines.len());
            if !is_next || due.is_some_and(|due| due != segment.start) {
                continue;
            }
            due = Some(segment.start + segment.duration);
            let uri = segment_name(u64::from(segment.n), piece.attempt);
            let line = LiveSegment::new(uri, segment.duration, piece.output.timescale);
            playlist.lines.push(line);
        }
    }
    (!playlist.lines.is_empty()).then_some(playlist)
}

/// Whether there is something to play: the lowest rung and all sound.
pub(super) fn plays(plan: &Planned, is_listed: impl Fn(&Rendition) -> bool) -> bool {
    let lowest = plan.renditions.iter().rfind(|rendition| rendition.video().is_some());
    let sounds = plan.renditions.iter().filter(|rendition| rendition.video().is_none());
    let mut wanted = lowest.into_iter().chain(sounds).peekable();
    wanted.peek().is_some() && wanted.all(is_listed)
}

/// A rendition as the growing multivariant playlist names it.
pub(super) fn listed(rendition: &Rendition, head: &Piece) -> Assembled {
    Assembled {
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

/// The rates a rendition may have, by its plan: what is there so far tells little of what comes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates stay far below 2^52"
)]
pub(super) fn planned_rates(rendition: &Rendition) -> Bandwidth {
    let average = match rendition {
        Rendition::Video(video) => video.maxrate,
        Rendition::Audio(audio) => audio.bitrate,
    };
    Bandwidth {
        peak: (average as f64 * ABOVE_CAP) as u64,
        average,
    }
}

#[cfg(test)]
mod tests {
    use streams::work::{ObjectRef, SegmentOutput};

    use super::*;
    use crate::ffmpeg::testing::planned;

    fn piece(attempt: u64, segments: std::ops::Range<u32>, init: &str) -> Piece {
        let segment = |n| SegmentOutput {
            n,
            start: u64::from(n) * 100,
            duration: 100,
            key_frame: None,
            size: 1,
            sha256: String::new(),
            etag: None,
        };
        Piece {
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
        playlist.lines.iter().map(|line| line.uri.as_str()).collect()
    }

    #[test]
    fn what_is_listed_stays_and_only_what_follows_is_added() {
        let plan = planned();
        let first = piece(36, 0..2, "a");
        let playlist = grown(&plan, None, &first, std::slice::from_ref(&first)).unwrap();
        assert_eq!(
            (uris(&playlist), playlist.init_uri.as_str()),
            (vec!["0-10.m4s", "1-10.m4s"], "init-10.mp4")
        );
        // Another attempt made the same again and more; there is a gap before the last piece.
        let again = [piece(37, 0..4, "a"), piece(38, 5..6, "a")];
        let playlist = grown(&plan, Some(playlist), &first, &again).unwrap();
        assert_eq!(uris(&playlist), ["0-10.m4s", "1-10.m4s", "2-11.m4s", "3-11.m4s"]);
        let unchanged = grown(&plan, Some(playlist.clone()), &first, &[piece(39, 0..3, "a")]).unwrap();
        assert_eq!(unchanged, playlist);
    }

    #[test]
    fn what_needs_another_init_segment_or_leaves_a_gap_in_time_is_not_listed() {
        let plan = planned();
        let first = piece(36, 0..2, "a");
        let playlist = grown(&plan, None, &first, &[first.clone(), piece(37, 2..3, "b")]).unwrap();
        assert_eq!(playlist.lines.len(), 2);
        let mut late = piece(37, 2..3, "a");
        late.output.segments[0].start += 1;
        assert_eq!(
            grown(&plan, None, &first, &[first.clone(), late]).unwrap().lines.len(),
            2
        );
        assert_eq!(grown(&plan, None, &first, &[]), None);
    }

    #[test]
    fn it_plays_with_the_lowest_rung_and_all_sound() {
        let plan = planned();
        let lowest = plan.videos().last().unwrap().name.clone();
        assert!(plays(&plan, |rendition| rendition.video().is_none()
            || *rendition.name() == lowest));
        assert!(!plays(&plan, |rendition| rendition.video().is_some()));
        assert!(!plays(&plan, |rendition| *rendition.name() != lowest));
    }
}
