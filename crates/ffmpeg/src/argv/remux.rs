//! A copy of a source, packet for packet, in a container whose index leads to every key frame.

use media::ladder::Probe;
use media::ladder::probe::{ClockShift, Content, Stream};

use super::filter::{Chain, Filter};
use super::uniform_audio::one_form;
use super::{common_args, split_words};
use crate::input::Input;

/// The file the copy is written to, in the folder ffmpeg runs in.
pub const COPY_FILE: &str = "source.mkv";

/// The streams that are copied, in the order they have in the copy, by ffmpeg's letters for their
/// kinds; subtitles last, since they may be left out.
#[must_use]
pub fn copied_streams(probe: &Probe) -> [(&'static str, Vec<&Stream>); 3] {
    let of_kind = |is_wanted: fn(&Content) -> bool| -> Vec<&Stream> {
        probe
            .streams
            .iter()
            .filter(|stream| is_wanted(&stream.content))
            .collect()
    };
    [
        ("v", of_kind(|content| matches!(content, Content::Video(_)))),
        ("a", of_kind(|content| matches!(content, Content::Audio(_)))),
        (
            "s",
            of_kind(|content| matches!(content, Content::Subtitle { .. })),
        ),
    ]
}

/// The channels of sound that must be decoded to one form to be copied; nothing for all else.
/// Matroska has one place for what AAC says of all packets of a track; other codecs say it in each.
#[must_use]
pub fn decoded_channels(stream: &Stream) -> Option<u32> {
    match &stream.content {
        Content::Audio(audio) if audio.changes && stream.codec.starts_with("aac") => {
            Some(audio.channels)
        }
        _ => None,
    }
}

/// What becomes of the subtitles of a source that is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopiedSubtitles {
    /// All of them are copied. One that Matroska does not take fails the whole copy.
    All,
    /// None of them is.
    None,
}

/// The arguments that copy the video and the sound of `input` that can be decoded, and its
/// subtitles. Where the clock of the source begins again or jumps, the copy goes on. Equal sources
/// give equal bytes.
#[must_use]
pub fn remux(input: &Input, probe: &Probe, subtitles: CopiedSubtitles) -> Vec<String> {
    let kinds = copied_streams(probe);
    let kinds = match subtitles {
        CopiedSubtitles::All => &kinds[..],
        CopiedSubtitles::None => &kinds[..2],
    };
    let decodes = kinds
        .iter()
        .flat_map(|(_, streams)| streams)
        .any(|stream| decoded_channels(stream).is_some());

    // Packets that are encoded again are other ones than those that shifts count: then the clock is
    // left to ffmpeg's own repair, which is about as good for transport and programme streams.
    let repair = probe.clock_repair.as_ref();
    let repair_by_shifts = repair.filter(|_| !decodes);

    let mut args = common_args();
    args.extend(split_words("-fflags +genpts"));
    // Without `-copyts` ffmpeg repairs jumps of the clock by itself, which is wanted only where no
    // shifts do.
    if repair.is_none() || repair_by_shifts.is_some() {
        args.push("-copyts".to_owned());
    }

    args.extend(input.args());
    for stream in kinds.iter().flat_map(|(_, streams)| streams) {
        args.extend(split_words(&format!("-map 0:{}", stream.index)));
    }

    args.extend(split_words("-c copy"));
    for (k, stream) in kinds[1].1.iter().enumerate() {
        if let Some(channels) = decoded_channels(stream) {
            // Frames so short that next to nothing is lost of the one in the making at a change.
            args.extend(split_words(&format!(
                "-c:a:{k} flac -frame_size:a:{k} 1024 -filter:a:{k}"
            )));
            args.push(
                Chain::default()
                    .then_all(one_form(channels, "s16"))
                    .to_string(),
            );
        }
    }

    args.extend(split_words("-fflags +bitexact"));
    if let Some(repair) = repair_by_shifts {
        // Some versions filter packets in milliseconds, as Matroska counts, and call them by the
        // source's unit unless this is said.
        args.extend(split_words("-time_base 1/1000"));
        for (kind, streams) in kinds {
            for (n, stream) in streams.iter().enumerate() {
                if let Some(shifts) = repair.shifts.get(&stream.index) {
                    args.extend([format!("-bsf:{kind}:{n}"), shift_times(shifts).to_string()]);
                }
            }
        }
    }

    args.extend(split_words("-f matroska"));
    args.push(COPY_FILE.to_owned());
    args
}

/// Shifts in one bitstream filter: ffmpeg refuses expressions of a hundred terms.
const SHIFTS_PER_FILTER: usize = 64;

/// The bitstream filters that move the time stamps of a stream, from certain packets on; one goes
/// on from what the one before it made.
fn shift_times(shifts: &[ClockShift]) -> Chain {
    let filters = shifts.chunks(SHIFTS_PER_FILTER).map(|shifts| {
        let terms = shifts.iter().map(|shift| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "days in microseconds stay far below 2^52"
            )]
            let seconds = shift.micros as f64 / 1e6;
            format!("+gte(N,{})*round({seconds}/TB)", shift.packet)
        });
        let terms: String = terms.collect();
        Filter::new("setts")
            .arg("pts", format!("PTS{terms}"))
            .arg("dts", format!("DTS{terms}"))
    });

    Chain::default().then_all(filters)
}

#[cfg(test)]
mod tests {
    use media::ladder::probe::{Audio, ClockRepair};
    use media::ladder::testing;

    use super::*;

    fn source() -> Probe {
        let audio = Content::Audio(Audio {
            channels: 2,
            sample_rate: 48_000,
            layout: None,
            changes: false,
        });

        let contents = [
            audio,
            Content::Data,
            Content::Video(testing::video()),
            Content::Subtitle { bitmap: true },
        ];

        let streams = (0..)
            .zip(contents)
            .map(|(index, content)| testing::stream(index, "", content));
        Probe {
            streams: streams.collect(),
            ..Probe::default()
        }
    }

    fn text(probe: &Probe, subtitles: CopiedSubtitles) -> String {
        remux(&Input::http("http://127.0.0.1:1/x"), probe, subtitles).join(" ")
    }

    #[test]
    fn pictures_and_sound_are_copied_and_subtitles_where_they_can_be() {
        let tail = "-c copy -fflags +bitexact -f matroska source.mkv";
        let probe = source();
        let all = text(&probe, CopiedSubtitles::All);
        assert!(all.ends_with(&format!("-map 0:2 -map 0:0 -map 0:3 {tail}")));
        let none = text(&probe, CopiedSubtitles::None);
        assert!(none.ends_with(&format!("-map 0:2 -map 0:0 {tail}")));
    }

    #[test]
    fn a_clock_that_begins_anew_is_moved_on_for_each_stream_from_its_own_packet_on() {
        let shift = |packet, micros| ClockShift { packet, micros };
        let mut probe = source();
        probe.clock_repair = Some(ClockRepair {
            shifts: [
                (0, vec![shift(236, 5_000_000), shift(300, -250_000)]),
                (2, vec![shift(125, 5_000_000)]),
            ]
            .into(),
            duration: 9.0,
        });

        let text = text(&probe, CopiedSubtitles::None);
        assert!(
            text.contains("-time_base 1/1000 -bsf:v:0 setts=pts='PTS+gte(N,125)*round(5/TB)'"),
            "{text}"
        );
        assert!(
            text.contains(
                "-bsf:a:0 setts=pts='PTS+gte(N,236)*round(5/TB)+gte(N,300)*round(-0.25/TB)':dts='DTS+gte(N,236)"
            ),
            "{text}"
        );
    }

    #[test]
    fn any_number_of_shifts_fits_the_expressions_and_the_command_line() {
        let shift = |k: u64| ClockShift {
            packet: 10_000_000 + k,
            micros: 86_399_999_999 + k as i64,
        };
        let shifts: Vec<ClockShift> = (0..1000).map(shift).collect();

        let filters = shift_times(&shifts).to_string();
        assert_eq!(filters.matches("setts=").count(), 16);
        assert!(
            filters
                .split("setts=")
                .all(|filter| filter.matches("+gte").count() <= 2 * 64)
        );

        // Linux takes no argument of 128 KiB.
        assert!(filters.len() < 100_000, "{}", filters.len());
    }

    #[test]
    fn sound_whose_form_changes_where_the_copy_has_one_place_for_it_is_decoded() {
        let mut probe = source();
        for stream in &mut probe.streams {
            if let Content::Audio(audio) = &mut stream.content {
                (audio.changes, stream.codec) = (true, "aac".to_owned());
            }
        }

        let copied = text(&probe, CopiedSubtitles::None);
        assert!(copied.contains("-copyts"), "{copied}");
        assert!(
            copied.contains("-c copy -c:a:0 flac -frame_size:a:0 1024 -filter:a:0 volume="),
            "{copied}"
        );

        // Shifts count packets of the source, which these are not.
        probe.clock_repair = Some(ClockRepair::default());
        let repaired = text(&probe, CopiedSubtitles::None);
        assert!(
            !repaired.contains("-copyts") && !repaired.contains("setts"),
            "{repaired}"
        );
    }
}
