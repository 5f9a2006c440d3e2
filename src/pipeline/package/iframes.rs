//! The I-frame playlist of an output (RFC 8216, section 4.3.3.6): the key frames of its lowest
//! rung. Pure.

use media::playlist::{IframePlaylist, IframeVariant, MediaSegment};
use storage::segment_name;
use streams::RenditionName;
use streams::plan::{Planned, Rendition, VideoRendition};

use super::assembly::AssembledRendition;

/// The playlist, and its rendition. None if there is no video, or if an older build made a part of
/// it and did not record where key frames end.
pub(super) fn playlist(
    plan: &Planned,
    renditions: &[AssembledRendition],
) -> Option<(RenditionName, IframePlaylist)> {
    let (lowest, video) = lowest(renditions)?;
    let name = &video.name;

    let frames = lowest.segments.iter().map(|(attempt, segment)| {
        Some(MediaSegment {
            uri: format!("{name}/{}", segment_name(u64::from(segment.n), *attempt)),
            duration: segment.duration,
            bytes: segment.key_frame?,
        })
    });
    let playlist = IframePlaylist {
        target_duration: plan.segment.target_duration,
        timescale: lowest.timescale,
        init_uri: format!("{name}/{}", lowest.init_file()),
        frames: frames.collect::<Option<_>>()?,
    };
    Some((name.clone(), playlist))
}

/// Its line in the multivariant playlist; `file` is where it lies in the folder of the job.
pub(super) fn variant(
    plan: &Planned,
    job: &str,
    renditions: &[AssembledRendition],
    file: &str,
) -> Option<IframeVariant> {
    let (lowest, video) = lowest(renditions)?;
    let (_, playlist) = playlist(plan, renditions)?;
    Some(IframeVariant {
        uri: format!("{job}/{file}"),
        width: video.width,
        height: video.height,
        codecs: lowest.codecs.clone(),
        bandwidth: playlist.bandwidth(),
    })
}

/// The smallest pictures, because they must appear immediately while a viewer seeks.
fn lowest(renditions: &[AssembledRendition]) -> Option<(&AssembledRendition, &VideoRendition)> {
    renditions
        .iter()
        .rev()
        .find_map(|made| match &made.rendition {
            Rendition::Video(video) => Some((made, video)),
            Rendition::Audio(_) => None,
        })
}

#[cfg(test)]
mod tests {
    use storage::JobKeys;
    use streams::testing::planned;
    use streams::work::{ObjectRef, SegmentOutput};

    use super::*;

    fn made(name: &str, key_frames: &[Option<u64>]) -> AssembledRendition {
        let planned = planned();
        let rendition = planned
            .renditions
            .iter()
            .find(|rendition| rendition.name().as_str() == name);

        let segments = (0..).zip(key_frames).map(|(n, key_frame)| {
            let segment = SegmentOutput {
                n,
                start: 0,
                duration: 120_120,
                key_frame: *key_frame,
                size: 100_000,
                sha256: String::new(),
                etag: None,
            };
            (36, segment)
        });

        AssembledRendition {
            rendition: rendition.unwrap().clone(),
            init: ObjectRef {
                key: format!("hls/f/j/{name}/init-10.mp4"),
                size: 1,
                sha256: String::new(),
                etag: None,
            },
            init_match: String::new(),
            playlist: "index.m3u8".to_owned(),
            codecs: "avc1.64001f".to_owned(),
            timescale: 30_000,
            units: 1,
            segments: segments.collect(),
        }
    }

    #[test]
    fn the_lowest_rung_is_named_from_where_its_playlist_lies() {
        let whole = [
            made("1080p", &[Some(9), Some(9)]),
            made("480p", &[Some(4004), Some(2002)]),
        ];

        let (name, playlist) = playlist(&planned(), &whole).unwrap();
        let text = playlist.to_string();
        for line in [
            "#EXT-X-MAP:URI=\"480p/init-10.mp4\"",
            "#EXT-X-BYTERANGE:2002@0\n480p/1-10.m4s",
        ] {
            assert!(text.contains(line), "{text}");
        }

        let variant = variant(&planned(), "j", &whole, &format!("iframe-{name}.m3u8")).unwrap();
        assert_eq!(
            (variant.width, variant.height, variant.bandwidth.peak),
            (854, 480, 8000)
        );
        let key = JobKeys::new("hls/f/", "j").iframe_playlist(name.as_str());
        assert_eq!(key, format!("hls/f/{}", variant.uri));
    }

    #[test]
    fn what_an_older_build_made_has_none() {
        assert_eq!(
            playlist(&planned(), &[made("480p", &[Some(1), None])]),
            None
        );
        assert_eq!(variant(&planned(), "j", &[], "iframe.m3u8"), None);
    }
}
