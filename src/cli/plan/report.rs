//! A plan as text for a person.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use ffmpeg::{Input, argv};
use streams::plan::{Planned, Rendition, SubtitleRendition, Track, TrackKind, VideoPlan};

/// The whole report.
pub(super) fn report(planned: &Planned) -> String {
    let mut text = String::new();
    // Writing into a String never fails.
    let _ = write_report(&mut text, planned);
    text
}

fn write_report(text: &mut String, planned: &Planned) -> std::fmt::Result {
    let source = &planned.source;
    writeln!(
        text,
        "{}: {}, {:.2} s, {}",
        source.key,
        source.mime_type,
        source.duration,
        format_bytes(source.size)
    )?;
    for track in &source.tracks {
        writeln!(text, "  {}", self::track(track))?;
    }

    writeln!(
        text,
        "\nProfile {}: segments of {:.3} s; zero is {:.3} s of the source; ffmpeg {}\n",
        planned.profile,
        planned.segment.duration.as_f64(),
        planned.timeline.zero.as_f64(),
        planned.encoder.ffmpeg
    )?;

    for line in table(planned).lines() {
        writeln!(text, "{}", line.trim_end())?;
    }

    write_section(
        text,
        "Left out",
        planned
            .left_out
            .iter()
            .map(|left| format!("{}: {}", left.name, left.reason)),
    )?;
    write_section(text, "Warnings", planned.warnings.iter().cloned())?;

    if let Some(complexity) = &planned.complexity {
        let rungs = complexity.rungs.iter();
        write_section(
            text,
            "Sampled",
            rungs.map(|rung| {
                format!(
                    "{}: {} kb/s; {}",
                    rung.name,
                    rung.bitrate / 1000,
                    rung.decision
                )
            }),
        )?;
    }

    if let Some(video) = &planned.video {
        write_section(text, "Chunks", [chunks(planned, video)].into_iter())?;
        write_section(
            text,
            "Filters of the first chunk",
            filters(planned).into_iter(),
        )?;
    }

    if let Some(cost) = planned.cost {
        writeln!(
            text,
            "\nCost, roughly: {:.1} s of processor time, {} of memory for the largest task, at most {} of output",
            cost.cpu_seconds,
            format_bytes(cost.memory_bytes),
            format_bytes(cost.output_bytes)
        )?;
    }

    Ok(())
}

fn write_section(
    text: &mut String,
    title: &str,
    lines: impl Iterator<Item = String>,
) -> std::fmt::Result {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        writeln!(text, "\n{title}")?;
    }
    lines.try_for_each(|line| writeln!(text, "  {line}"))
}

/// What a stream of the source is.
fn track(track: &Track) -> String {
    let kind = match track.kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
        TrackKind::Subtitle => "subtitle",
        TrackKind::Cover => "cover",
        TrackKind::Data => "data",
    };

    let size = track
        .width
        .zip(track.height)
        .map(|(width, height)| format!("{width}x{height}"));
    let rate = track
        .frame_rate
        .map(|rate| format!("{:.3} fps", rate.as_f64()));
    let sound = track
        .channels
        .zip(track.sample_rate)
        .map(|(channels, rate)| format!("{channels} channels, {rate} Hz"));

    let codec = Some(track.codec.clone()).filter(|codec| !codec.is_empty());
    let words = [
        codec,
        size,
        rate,
        sound,
        track.language.clone(),
        track.title.clone(),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();

    format!("#{} {kind} {}", track.index, words.join(", "))
        .trim_end()
        .to_owned()
}

/// Every rendition with its reason.
fn table(planned: &Planned) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["RENDITION", "WHAT", "ENCODER", "AT MOST", "WHY"]);

    for rendition in &planned.renditions {
        table.add_row(row(rendition));
    }
    for subtitle in &planned.subtitles {
        table.add_row(subtitle_row(subtitle));
    }

    table
}

fn row(rendition: &Rendition) -> [String; 5] {
    match rendition {
        Rendition::Video(video) => [
            video.name.to_string(),
            format!(
                "{}x{} at {:.3}",
                video.width,
                video.height,
                video.frame_rate.as_f64()
            ),
            format!("{} {} crf {}", video.encoder, video.preset, video.crf),
            format!("{} kb/s", video.maxrate / 1000),
            video.reason.clone(),
        ],
        Rendition::Audio(audio) => [
            audio.name.to_string(),
            format!("{}, {} channels", audio.label, audio.channels),
            "aac".to_owned(),
            format!("{} kb/s", audio.bitrate / 1000),
            audio.reason.clone(),
        ],
    }
}

fn subtitle_row(subtitle: &SubtitleRendition) -> [String; 5] {
    [
        format!("subs-{}", subtitle.name),
        subtitle.label.clone(),
        "webvtt".to_owned(),
        String::new(),
        subtitle.reason.clone(),
    ]
}

/// The chunk map.
fn chunks(planned: &Planned, video: &VideoPlan) -> String {
    let starts: Vec<String> = video.chunks.iter().map(u32::to_string).collect();
    let seconds = planned.segment.duration.as_f64();
    let text = format!(
        "{} of {} frames at {:.3} fps; they begin with segment {} ({seconds:.3} s each)",
        starts.len(),
        video.frames,
        video.frame_rate.as_f64(),
        starts.join(", ")
    );

    if video.seekable {
        text
    } else {
        format!(
            "{text}; the source cannot be read from an arbitrary time, so it is read from its start"
        )
    }
}

/// The filters as ffmpeg gets them, one chain to a line.
fn filters(planned: &Planned) -> Vec<String> {
    let input = Input::file(std::path::Path::new(&planned.source.key));
    let args = argv::video_chunk(planned, 0, &input, argv::Options::default()).unwrap_or_default();
    let graph = args
        .iter()
        .skip_while(|arg| *arg != "-filter_complex")
        .nth(1);
    graph
        .map(|graph| graph.split(';').map(str::to_owned).collect())
        .unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn format_bytes(count: u64) -> String {
    format!("{:.1} MB", count as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use media::ladder::probe::{Audio, Content, Probe, Stream};
    use media::ladder::{self, Pin, Profiles, Settings, testing};
    use streams::Rational;
    use streams::fact::Head;
    use streams::upload::Priority;

    use super::*;

    fn stream(index: u32, codec: &str, content: Content) -> Stream {
        Stream {
            index,
            audience: media::ladder::probe::Audience::default(),
            codec: codec.to_owned(),
            language: None,
            title: None,
            default: true,
            start: Some(Rational::ZERO),
            end: Some(60.0),
            packet: 0.0,
            content,
        }
    }

    /// Not a shipped one: their numbers may change.
    const LADDER: &str = r#"
        [profiles.plain]
        about = "for this test"
        segment = 6
        gop = 2
        encoder = "libx264"
        preset = "faster"
        rungs = [
            { short_side = 1440, crf = 22, maxrate = 9_000_000 },
            { short_side = 1080, crf = 21, maxrate = 5_000_000 },
            { short_side = 480, crf = 20, maxrate = 1_500_000 },
        ]
    "#;

    #[test]
    fn a_plan_reads_well() {
        let video = ladder::probe::Video {
            rotation: -90,
            bitrate: Some(1_000_000),
            ..testing::video()
        };
        let sound = Audio {
            layout: None,
            changes: false,
            channels: 2,
            sample_rate: 48_000,
        };

        let probe = Probe {
            container: "mov,mp4,m4a,3gp,3g2,mj2".to_owned(),
            brand: Some("isom".to_owned()),
            container_start: Rational::ZERO,
            declared_end: Some(60.0),
            streams: vec![
                stream(0, "h264", Content::Video(video)),
                stream(1, "aac", Content::Audio(sound)),
                stream(2, "mjpeg", Content::Cover),
            ],
            seekable: true,
            leads: vec![1.0; 14],
            ..Probe::default()
        };

        let pin = Pin {
            bucket: "b".to_owned(),
            key: "holiday.mp4".to_owned(),
            etag: String::new(),
            size: 30_123_456,
        };

        let settings = Settings {
            profile: Profiles::shipped()
                .with_file("plain.toml", LADDER)
                .unwrap()
                .get("plain")
                .unwrap()
                .clone(),
            priority: Priority::Normal,
            limits: media::ladder::Limits::default(),
            fleet: 1,
        };

        let head = Head::new("j".parse().unwrap(), "f".parse().unwrap());
        let planned = ladder::plan(head, &probe, pin, &settings, "5.1").unwrap();

        let text = report(&planned);
        let golden = include_str!("../../../tests/golden/plan.txt");
        assert_eq!(text, golden, "the report is now\n{text}");
    }
}
