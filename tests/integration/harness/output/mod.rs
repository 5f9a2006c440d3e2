//! Judges a finished output from outside, over plain HTTP, with tools that are not ours.

pub(crate) mod http;
pub(crate) mod pictures;
mod published;
pub(crate) mod sound;

use std::path::Path;

use streams::fact::{Ended, Planned};
use streams::plan::Rendition;

use super::process::command;
use pictures::{Pictures, pictures};
pub(crate) use published::{Listing, Published, Track, Variant};
use sound::{RATE, sound};

/// Everything an output has to be, or a panic that names what it is not.
pub(crate) async fn verify(ended: &Ended, planned: &Planned, source: &Path) -> Published {
    let master = ended
        .manifest_url
        .as_deref()
        .expect("a completed job has a manifest");
    let output = conforms(master, planned).await;

    let source = source.to_str().unwrap();
    if planned.video.is_some() {
        pictures_as_planned(&output, planned, source).await;
    }
    if let Some(audio) = output.audio.first() {
        sounds_like_its_source(&audio.track, planned, source).await;
    }

    output
}

/// Everything an output has to be whatever its source is.
pub(crate) async fn conforms(master: &str, planned: &Planned) -> Published {
    let output = Published::load(master).await;
    decodes_without_a_word(&output).await;
    one_target_duration(&output, planned);
    bandwidths_are_the_measured_ones(&output);
    output
}

async fn decodes_without_a_word(output: &Published) {
    for url in output
        .tracks()
        .map(|track| &track.url)
        .chain([&output.master])
    {
        // With `-xerror` ffmpeg ends with a failure at the first error, which it would else decode
        // around.
        let mut ffmpeg = command("ffmpeg");
        ffmpeg.args([
            "-nostdin",
            "-v",
            "error",
            "-xerror",
            "-i",
            url.as_str(),
            "-map",
            "0",
            "-f",
            "null",
            "-",
        ]);

        let said = ffmpeg.output().await.unwrap();
        let words = String::from_utf8_lossy(&said.stderr);
        assert!(
            said.status.success() && words.trim().is_empty(),
            "{url} does not decode cleanly: {words}"
        );
    }
}

fn one_target_duration(output: &Published, planned: &Planned) {
    for track in output.tracks() {
        assert_eq!(
            track.target.as_secs(),
            u64::from(planned.segment.target_duration),
            "{}",
            track.url
        );

        // The rounded durations are what the target bounds (RFC 8216, section 4.3.3.1).
        for segment in &track.segments {
            let rounded = segment.duration.as_secs_f64().round();
            assert!(
                rounded <= track.target.as_secs_f64(),
                "{} has a segment of {:?}",
                track.url,
                segment.duration
            );
        }
    }
}

/// Frames as planned, as many as the source has, and one grid for all renditions.
async fn pictures_as_planned(output: &Published, planned: &Planned, source: &str) {
    let video = planned.video.as_ref().unwrap();
    let original = pictures(source).await;
    let mut grid: Option<(Vec<f64>, Vec<f64>)> = None;

    let rungs = planned
        .renditions
        .iter()
        .filter(|rendition| matches!(rendition, Rendition::Video(_)));
    assert_eq!(output.rungs().len(), rungs.count());

    for variant in output.rungs() {
        let url = variant.track.url.as_str();
        let found = pictures(url).await;
        is_the_planned_rung(variant, &found, planned, &original);
        let shortest = original.size.0.min(original.size.1);
        assert!(
            found.size.0.min(found.size.1) <= shortest,
            "{url} is larger than its source"
        );

        let own = (variant.track.grid(), found.keys);
        match &grid {
            None => grid = Some(own),
            Some(grid) => same_times(url, &own, grid),
        }
    }

    let lasting = original.times.last().unwrap() - original.times[0];
    let planned_lasting = (video.source_frames() - 1) as f64 / video.frame_rate.as_f64();
    let frame = 1.0 / video.frame_rate.as_f64();
    assert!(
        (planned_lasting - lasting).abs() <= frame * 1.001,
        "planned {planned_lasting} s of pictures, the source has {lasting} s"
    );
}

/// Every frame of the plan, in one step over all joints, from zero on, in the size of the plan.
fn is_the_planned_rung(variant: &Variant, found: &Pictures, planned: &Planned, source: &Pictures) {
    let url = variant.track.url.as_str();
    let name = url.rsplit('/').nth(1).unwrap();
    let rung = planned
        .renditions
        .iter()
        .find_map(|rendition| match rendition {
            Rendition::Video(rung) if rung.name.as_str() == name => Some(rung),
            _ => None,
        });
    let rung = rung.unwrap_or_else(|| panic!("{url} is not planned"));

    let video = planned.video.as_ref().unwrap();
    // Small rungs of fast sources take every second frame.
    let every = u64::from(video.segment_frames / rung.segment_frames);
    // Before version 7 ffmpeg leaves out a last picture of which the file does not say how long it
    // stays.
    let fewest = video.frames - u64::from(!source.has_end);
    assert!(
        (fewest.div_ceil(every)..=video.frames.div_ceil(every))
            .contains(&(found.times.len() as u64)),
        "{url} has {} frames, planned are {} of the full rate",
        found.times.len(),
        video.frames
    );

    let steps = &found.steps;
    assert_eq!(
        (steps.0.len(), steps.1.len()),
        (1, 1),
        "{url} does not go in one step: {steps:?}"
    );

    assert!(
        found.times[0].abs() < 1e-6,
        "{url} starts at {}",
        found.times[0]
    );
    assert_eq!(
        found.size,
        (u64::from(rung.width), u64::from(rung.height)),
        "{url}"
    );
    assert_eq!(
        variant.resolution,
        Some((rung.width as usize, rung.height as usize)),
        "{url}"
    );
}

fn same_times(url: &str, own: &(Vec<f64>, Vec<f64>), grid: &(Vec<f64>, Vec<f64>)) {
    for (own, grid) in [(&own.0, &grid.0), (&own.1, &grid.1)] {
        assert_eq!(own.len(), grid.len(), "{url}");
        for (one, other) in own.iter().zip(grid) {
            assert!(
                (one - other).abs() < 1e-3,
                "{url} leaves the grid: {one} instead of {other}"
            );
        }
    }
}

/// As long as the programme within 50 ms, and no millisecond later or earlier than its source.
async fn sounds_like_its_source(track: &Track, planned: &Planned, source: &str) {
    let (ours, original) = (sound(track.url.as_str()).await, sound(source).await);
    let zero = planned.timeline.zero.as_f64();
    assert!(
        ours.start.abs() < 1e-6,
        "{} starts at {}",
        track.url,
        ours.start
    );

    let own = original.start - zero + original.seconds();
    let wanted = planned.programme;
    assert!(
        own < wanted + 0.15,
        "{} ends at {wanted} s, its source at {own} s",
        track.url
    );

    assert!(
        (ours.seconds() - wanted).abs() < 0.05,
        "{} lasts {} s, the programme {wanted} s",
        track.url,
        ours.seconds()
    );
    assert!(
        (track.seconds() - ours.seconds()).abs() < 0.05,
        "{} claims {} s and lasts {} s",
        track.url,
        track.seconds(),
        ours.seconds()
    );

    assert_eq!(ours.is_silent(), original.is_silent(), "{}", track.url);
    if original.is_silent() {
        return;
    }

    let lag = ours.lag_behind(&original, zero);
    assert!(
        lag.abs() < 0.001,
        "{} lags by {} samples at {RATE} Hz",
        track.url,
        lag * f64::from(RATE)
    );
}

/// What a variant declares is within a hundredth of what its segments weigh.
fn bandwidths_are_the_measured_ones(output: &Published) {
    for variant in output
        .variants
        .iter()
        .filter(|variant| variant.resolution.is_some())
    {
        // `BANDWIDTH` counts the largest rendition of each group, too (RFC 8216, section 4.3.4.2).
        let group = output
            .audio
            .iter()
            .filter(|audio| Some(&audio.listing.group) == variant.group.as_ref());
        let sound = group.map(|audio| audio.track.peak()).fold(0.0, f64::max);
        let measured = variant.track.peak() + sound;
        let declared = variant.bandwidth as f64;
        let ratio = declared / measured;

        assert!(
            (0.99..1.01).contains(&ratio),
            "{} declares {declared} b/s and peaks at {measured}",
            variant.track.url
        );
        assert!(variant.average_bandwidth <= variant.bandwidth && variant.average_bandwidth > 0);
        assert_eq!(
            variant.codecs.contains("mp4a.40.2"),
            !output.audio.is_empty(),
            "{}",
            variant.codecs
        );
    }
}

#[cfg(test)]
mod tests {
    use storage::ObjectKind;

    use super::*;
    use crate::harness::clip::moving;
    use crate::harness::database::Engine;
    use crate::harness::world::World;

    /// Whether the judge takes the output as it is now.
    async fn passes(ended: &Ended, planned: &Planned, source: &Path) -> bool {
        let (ended, planned, source) = (ended.clone(), planned.clone(), source.to_owned());
        tokio::spawn(async move { verify(&ended, &planned, &source).await })
            .await
            .is_ok()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_judge_notices_a_wrong_segment_a_missing_one_and_a_wrong_header() {
        let world = World::new(Engine::Sqlite).await;
        let _worker = world.worker("one").start();
        let clip = moving("320x180", 10.0).rate("12").make().await;
        let job = world.submit(&clip).await;
        let (ended, planned) = (world.completed(&job).await, world.planned(&job).await);
        assert!(passes(&ended, &planned, &clip.path).await);

        let keys: Vec<String> = world
            .bucket
            .list("hls/")
            .await
            .unwrap()
            .into_iter()
            .map(|object| object.key)
            .collect();

        for (ending, other, kind) in [
            ("p/0-", "p/1-", ObjectKind::Video),
            ("audio-0/0-", "audio-0/1-", ObjectKind::Audio),
            ("p/index.m3u8", "p/index.m3u8", ObjectKind::LivePlaylist),
            ("master.m3u8", "master.m3u8", ObjectKind::Playlist),
        ] {
            let key = |part: &str| {
                keys.iter()
                    .find(|key| key.contains(part))
                    .unwrap_or_else(|| panic!("{part} in {keys:?}"))
            };

            let right = world
                .bucket
                .get(key(ending), 1 << 30)
                .await
                .unwrap()
                .unwrap();
            let right_kind = match kind {
                ObjectKind::LivePlaylist => ObjectKind::Playlist,
                ObjectKind::Playlist => ObjectKind::Master,
                ref same => same.clone(),
            };
            let wrong = world
                .bucket
                .get(key(other), 1 << 30)
                .await
                .unwrap()
                .unwrap();
            world.bucket.put(key(ending), wrong, kind).await.unwrap();
            assert!(
                !passes(&ended, &planned, &clip.path).await,
                "{ending} is wrong and was not noticed"
            );

            world.bucket.delete(&[key(ending).clone()]).await.unwrap();
            assert!(
                !passes(&ended, &planned, &clip.path).await,
                "{ending} is missing and was not noticed"
            );

            world
                .bucket
                .put(key(ending), right, right_kind)
                .await
                .unwrap();
        }

        assert!(
            passes(&ended, &planned, &clip.path).await,
            "all is as it was"
        );
    }
}
