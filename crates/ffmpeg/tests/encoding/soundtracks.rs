//! Audio end to end, on real media: probe, plan, encode, gate, and measure the output.

use std::f64::consts::TAU;
use std::path::Path;
use std::time::Duration;

use ffmpeg::argv::reference::{self, Excerpt, Extraction, LevelMeter};
use ffmpeg::testing::{Server, ask, make, tool};
use ffmpeg::{
    End, Exit, Limits, ProbeLimits, ProgressUpdate, ResourceLimits, Run, SandboxPolicy, argv,
    probe, run, surplus_segments,
};
use media::cmaf::{self, FragmentInfo, InitInfo};
use media::ladder::{self, Pin, Profile, Settings};
use media::levels::{
    self, Level,
    testing::{QUIETER_DB, worst_block},
};
use streams::fact::Head;
use streams::plan::{AudioRendition, Planned};
use streams::upload::Priority;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One tone for each channel, none a multiple of another's neighbour; the fourth is the bass.
const TONES: [u32; 8] = [310, 430, 530, 60, 710, 830, 970, 1130];

/// The audio of one source.
struct Bench {
    folder: tempfile::TempDir,
    server: Server,
    planned: Planned,
}

impl Bench {
    async fn of(name: &str, args: &str, loudness: Option<f64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = make(folder.path(), name, args).await;
        Self::of_file(folder, &source, loudness).await
    }

    /// Of two consecutive pieces of audio, each made by its arguments.
    async fn joined(name: &str, pieces: [&str; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        for (k, args) in pieces.iter().enumerate() {
            let piece = make(folder.path(), &format!("{k}{name}"), args).await;
            bytes.extend(std::fs::read(piece).unwrap());
        }

        let source = folder.path().join(name);
        std::fs::write(&source, bytes).unwrap();
        Self::of_file(folder, &source, None).await
    }

    async fn of_file(folder: tempfile::TempDir, source: &Path, loudness: Option<f64>) -> Self {
        let server = Server::of(source).await;
        let probe = probe(&tool(), &server.input, &ProbeLimits::default())
            .await
            .unwrap();

        let pin = Pin {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            etag: "e".to_owned(),
            size: 1,
        };
        let settings = Settings {
            profile: Profile {
                loudness,
                ..Profile::standard()
            },
            priority: Priority::Normal,
            limits: media::ladder::Limits::default(),
            fleet: 1,
        };

        let head = Head::new("j".parse().unwrap(), "f".parse().unwrap());
        let planned = ladder::plan(head, &probe, pin, &settings, "test").unwrap();
        for rendition in planned.audios() {
            std::fs::create_dir(folder.path().join(rendition.name.as_str())).unwrap();
        }

        Self {
            folder,
            server,
            planned,
        }
    }

    async fn run(&self, args: &[String]) {
        let exit = self.try_run(args).await;
        assert_eq!(exit.end, End::Finished, "{}", exit.stderr_tail);
    }

    async fn try_run(&self, args: &[String]) -> Exit {
        let (tool, stop, ticks) = (
            tool(),
            CancellationToken::new(),
            watch::Sender::new(ProgressUpdate::default()),
        );
        let exit = run(Run {
            tool: &tool,
            args,
            policy: SandboxPolicy::new(ResourceLimits::readback())
                .workdir(self.folder.path())
                .allow_input(&self.server.input),
            limits: Limits::new(Duration::from_secs(300)),
            stop: &stop,
            external_work: &|| 0,
            ticks: &ticks,
        });
        exit.await.unwrap()
    }

    /// Makes and gates every rendition.
    async fn encode(&self, choice: &argv::TrackSelection) {
        if let Some(args) =
            argv::uniform(&self.planned, &self.server.input, argv::Options::default())
        {
            self.run(&args).await;
            let bytes = std::fs::metadata(self.folder.path().join("uniform.nut"))
                .unwrap()
                .len();
            let said = argv::uniform_bytes(&self.planned);
            assert!(
                bytes.abs_diff(said) < said / 10,
                "{bytes} bytes, not {said}"
            );
        }

        let args = argv::tracks(
            &self.planned,
            &self.server.input,
            argv::Options::default(),
            choice,
        );
        self.run(&args.unwrap()).await;

        for rendition in self.planned.audios() {
            let folder = self.folder.path().join(rendition.name.as_str());
            surplus_segments::join(&folder, self.planned.segment.last())
                .await
                .unwrap();
            let init = std::fs::read(folder.join(argv::INIT_FILE)).unwrap();
            let info = InitInfo::parse(&init).unwrap();
            let mut joined = init;

            let mut segments = Vec::new();
            for n in 0.. {
                let Ok(bytes) = std::fs::read(folder.join(argv::segment_file(n))) else {
                    break;
                };
                segments.push((n, FragmentInfo::parse(&bytes, info.defaults).unwrap()));
                joined.extend(bytes);
            }

            cmaf::track(&self.planned, rendition, &info, &segments).unwrap();
            std::fs::write(folder.join("joined.mp4"), joined).unwrap();
        }
    }

    fn rendition(&self, name: &str) -> &AudioRendition {
        let mut renditions = self.planned.audios();
        renditions
            .find(|rendition| rendition.name.as_str() == name)
            .unwrap()
    }

    /// What a decoder makes of a rendition: samples of each channel.
    async fn hear(&self, name: &str) -> Vec<Vec<f64>> {
        let channels = self.rendition(name).channels as usize;
        let args = format!("-i {name}/joined.mp4 -f f32le");
        let raw = make(self.folder.path(), "heard.raw", &args).await;
        let bytes = std::fs::read(raw).unwrap();

        let samples = bytes
            .chunks_exact(4)
            .map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap())));
        let samples: Vec<f64> = samples.collect();

        (0..channels)
            .map(|channel| {
                samples
                    .iter()
                    .skip(channel)
                    .step_by(channels)
                    .copied()
                    .collect()
            })
            .collect()
    }

    /// The levels of a rendition as its encoder was given it.
    fn source_levels(&self, rendition: &AudioRendition) -> Vec<Level> {
        let file = self
            .folder
            .path()
            .join(rendition.name.as_str())
            .join(reference::LEVELS_FILE);
        levels::read(
            &std::fs::read_to_string(file).unwrap(),
            LevelMeter::of(rendition, 0).block(),
        )
    }

    /// The levels of all whole blocks of a piece of a rendition, from segment `first` to before
    /// `end`, as they are read back; none if it has no such segments.
    async fn made_levels(
        &self,
        rendition: &AudioRendition,
        first: u32,
        end: u32,
    ) -> Option<Vec<Level>> {
        let folder = self.folder.path().join(rendition.name.as_str());
        let init = std::fs::read(folder.join(argv::INIT_FILE)).unwrap();
        let defaults = InitInfo::parse(&init).unwrap().defaults;
        let (mut piece, mut samples) = (init, Vec::new());

        for n in first..end {
            let Ok(bytes) = std::fs::read(folder.join(argv::segment_file(n))) else {
                break;
            };
            let info = FragmentInfo::parse(&bytes, defaults).unwrap();
            samples.extend([info.start, info.start + info.duration]);
            piece.extend(bytes);
        }

        let is_last = !folder.join(argv::segment_file(end)).exists();
        let span = *samples.first()?..*samples.last()?;
        let blocks = levels::whole_blocks(span, is_last, rendition.sample_rate);

        std::fs::write(folder.join("piece.mp4"), piece).unwrap();
        let hearing = LevelMeter::of(rendition, blocks.start);
        let excerpt = Excerpt {
            file: format!("{}/piece.mp4", rendition.name),
            output: format!("{}/made.levels", rendition.name),
            look: Extraction::Levels(hearing),
        };
        self.run(&reference::extract_samples(std::slice::from_ref(&excerpt)))
            .await;
        let text = std::fs::read_to_string(self.folder.path().join(excerpt.output)).unwrap();
        Some(levels::within(
            levels::read(&text, hearing.block()),
            &blocks,
        ))
    }

    /// Programme loudness of a rendition in LUFS, as ffmpeg measures it.
    async fn loudness(&self, name: &str) -> f64 {
        let args = format!(
            "-hide_banner -nostdin -v error -i {name}/joined.mp4 -af ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=- -f null -"
        );
        let said = ask(&tool().ffmpeg, self.folder.path(), &args).await;

        let mut values = said
            .lines()
            .filter_map(|line| line.strip_prefix("lavfi.r128.I=")?.parse().ok());
        values.next_back().unwrap()
    }
}

/// Amplitude of a tone in samples at 48 kHz, over the second half second.
fn level(samples: &[f64], tone: u32) -> f64 {
    level_in(&samples[24_000..48_000], tone)
}

/// The same over all of a window (Goertzel).
fn level_in(window: &[f64], tone: u32) -> f64 {
    let step = TAU * f64::from(tone) / 48_000.0;
    let (sine, cosine) =
        window
            .iter()
            .enumerate()
            .fold((0.0, 0.0), |(sine, cosine), (i, sample)| {
                let at = step * i as f64;
                (sine + sample * at.sin(), cosine + sample * at.cos())
            });
    2.0 * f64::hypot(sine, cosine) / window.len() as f64
}

fn peak(samples: &[f64]) -> f64 {
    samples
        .iter()
        .fold(0.0, |peak: f64, sample| peak.max(sample.abs()))
}

/// Audio with this many channels, each with its own tone.
fn chord(channels: usize, layout: &str, amplitude: f64) -> String {
    let tones = TONES
        .iter()
        .cycle()
        .take(channels)
        .map(|tone| format!("{amplitude}*sin(2*PI*{tone}*t)"));

    let layout = if layout.is_empty() {
        String::new()
    } else {
        format!(":c={layout}")
    };

    format!(
        "-f lavfi -i aevalsrc=exprs={}:s=48000:d=2{layout}",
        tones.collect::<Vec<_>>().join("|")
    )
}

/// The tones that a mix may contain with `amplitude`; the others must be almost absent.
fn holds(samples: &[f64], wanted: &[(u32, f64)], what: &str) {
    for tone in TONES {
        let wanted = wanted
            .iter()
            .find(|(one, _)| *one == tone)
            .map_or(0.0, |(_, amplitude)| *amplitude);

        let found = level(samples, tone);
        assert!(
            (found - wanted).abs() < 0.02,
            "{what}: {found:.3} of {tone} Hz, not {wanted:.3}"
        );
    }
}

#[tokio::test]
async fn six_channels_are_kept_in_their_places_and_mixed_down_with_their_centre() {
    for (name, layout, codec) in [
        ("a.mp4", "5.1", "-c:a aac -b:a 400k"),
        ("a.mkv", "5.1(side)", "-c:a ac3 -b:a 640k"),
        // Nothing in such a file says which loudspeaker is which.
        ("a.mka", "", "-c:a pcm_s16le"),
    ] {
        let bench = Bench::of(name, &format!("{} {codec}", chord(6, layout, 0.2)), None).await;
        bench.encode(&argv::TrackSelection::default()).await;

        let surround = bench.hear("surround-0").await;
        for (channel, tone) in surround.iter().zip(TONES) {
            holds(channel, &[(tone, 0.2)], name);
        }

        let stereo = bench.hear("audio-0").await;
        let beside = 0.2 * 0.5_f64.sqrt();
        holds(
            &stereo[0],
            &[(310, 0.2), (530, beside), (710, beside)],
            name,
        );
        holds(
            &stereo[1],
            &[(430, 0.2), (530, beside), (830, beside)],
            name,
        );
    }
}

#[tokio::test]
async fn no_mix_leaves_the_range_however_loud_its_channels_are() {
    let same = ["0.9*sin(2*PI*310*t)"; 6].join("|");
    let args = format!("-f lavfi -i aevalsrc=exprs={same}:s=48000:d=2:c=5.1 -c:a flac");
    let bench = Bench::of("a.flac", &args, None).await;
    bench.encode(&argv::TrackSelection::default()).await;
    for channel in bench.hear("audio-0").await {
        assert!((0.8..1.0).contains(&peak(&channel)), "{}", peak(&channel));
    }
}

#[tokio::test]
async fn of_any_number_of_channels_each_but_the_bass_is_heard() {
    for channels in [1, 2, 3, 4, 5, 7, 8, 12] {
        let bench = Bench::of(
            "a.mka",
            &format!("{} -c:a pcm_s16le", chord(channels, "", 0.1)),
            None,
        )
        .await;
        bench.encode(&argv::TrackSelection::default()).await;
        let stereo = bench.hear("audio-0").await;

        if channels == 1 {
            holds(&stereo[0], &[(310, 0.1)], "left of one channel");
            holds(&stereo[1], &[(310, 0.1)], "right of one channel");
        }

        for (i, tone) in TONES.iter().take(channels).enumerate() {
            let is_bass = i == 3 && matches!(channels, 7 | 8);
            let heard = stereo
                .iter()
                .map(|channel| level(channel, *tone))
                .fold(0.0, f64::max);
            assert!(
                is_bass || heard > 0.03,
                "{channels} channels: {heard:.3} of {tone} Hz"
            );
        }

        let surround = bench.planned.audios().any(AudioRendition::is_surround);
        assert_eq!(surround, matches!(channels, 7 | 8), "{channels} channels");
    }
}

#[tokio::test]
async fn every_usual_rate_becomes_48_khz_and_keeps_its_pitch() {
    for rate in [8000, 22_050, 96_000, 192_000] {
        let args = format!(
            "-f lavfi -i aevalsrc=exprs=0.3*sin(2*PI*530*t)|0.3*sin(2*PI*530*t):s={rate}:d=2 -c:a pcm_s16le"
        );
        let bench = Bench::of("a.wav", &args, None).await;
        bench.encode(&argv::TrackSelection::default()).await;
        holds(
            &bench.hear("audio-0").await[0],
            &[(530, 0.3)],
            &format!("{rate} Hz"),
        );
    }
}

/// When a sound is first louder than a third of its peak, in samples.
fn onset(samples: &[f64]) -> usize {
    let loud = peak(samples) / 3.0;
    samples
        .iter()
        .position(|sample| sample.abs() > loud)
        .unwrap()
}

#[tokio::test]
async fn a_wished_loudness_is_reached_without_moving_a_sample() {
    // Silence, then a tone over a carpet of noise, then noise alone: as uneven as a programme is.
    let programme = "-f lavfi -i aevalsrc=exprs=if(lt(t\\,1)\\,0\\,VOLUME*(sin(2*PI*530*t)*lt(mod(t\\,3)\\,2)+0.2*(random(0)-0.5))):s=48000:d=12:c=mono";
    for (volume, target) in [("0.02", -16.0), ("0.9", -23.0), ("0.3", -14.0)] {
        let args = format!("{} -ac 2 -c:a flac", programme.replace("VOLUME", volume));
        let bench = Bench::of("a.mka", &args, Some(target)).await;

        let measure = argv::loudness(
            &bench.planned,
            &bench.server.input,
            argv::Options::default(),
        );
        bench.run(&measure.unwrap()).await;
        let name = bench.rendition("audio-0").name.clone();
        let measurements = bench.folder.path().join(argv::loudness_file(&name));
        let gain = ffmpeg::loudness::gain(&measurements, target).await.unwrap();

        let choice = argv::TrackSelection {
            gains: [(name, gain)].into(),
            sound_alone: false,
        };
        bench.encode(&choice).await;

        let found = bench.loudness("audio-0").await;
        assert!(
            (found - target).abs() <= 1.0,
            "{volume}: {found} LUFS, not {target}"
        );

        let heard = bench.hear("audio-0").await;
        assert!(peak(&heard[0]) < 1.0);
        let began = onset(&heard[0]);
        assert!(
            (47_900..48_300).contains(&began),
            "{volume}: it begins at sample {began}"
        );
    }
}

#[tokio::test]
async fn late_sound_stays_late() {
    let pictures = "-f lavfi -i testsrc2=s=160x120:r=25:d=3 -itsoffset 0.75";
    let tone = "-f lavfi -i aevalsrc=exprs=0.5*sin(2*PI*530*t):s=48000:d=2";
    for name in ["a.mp4", "a.mkv"] {
        let args = format!("{pictures} {tone} -c:v libx264 -preset ultrafast -ac 2 -c:a aac");
        let bench = Bench::of(name, &args, None).await;
        bench.encode(&argv::TrackSelection::default()).await;
        let began = onset(&bench.hear("audio-0").await[0]) as f64 / 48_000.0;
        assert!(
            (began - 0.75).abs() < 0.005,
            "{name}: it begins at {began} s"
        );
    }
}

#[tokio::test]
async fn a_cover_becomes_a_poster_no_larger_than_others() {
    let cover = "-f lavfi -i testsrc2=s=1801x1401:d=0.04 -map 0 -map 1 -frames:v 1 -disposition:v attached_pic";
    for (name, codec) in [
        ("a.mp3", "-c:v png"),
        ("a.m4a", "-c:v mjpeg"),
        ("a.flac", "-c:v png"),
    ] {
        let args = format!("{} {cover} {codec}", "-f lavfi -i sine=d=2");
        let bench = Bench::of(name, &args, None).await;
        assert!(bench.planned.cover.is_some(), "{name}");
        bench.encode(&argv::TrackSelection::default()).await;

        let args = format!(
            "-v error -show_entries stream=width,height -of csv=p=0 {}",
            argv::COVER_FILE
        );
        let said = ask(&tool().ffprobe, bench.folder.path(), &args).await;
        assert_eq!(said.trim(), "1280,996", "{name}");
    }
}

#[tokio::test]
async fn text_tracks_are_written_beside_the_sound() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.srt");
    std::fs::write(&text, b"1\n00:00:00,500 --> 00:00:01,123\ncaf\xe9 & more\n").unwrap();

    let args = format!(
        "-f lavfi -i sine=d=3 -i {} -map 0 -map 1 -c:a aac -c:s copy -output_ts_offset 5",
        text.display()
    );

    let bench = Bench::of("a.mkv", &args, None).await;
    bench.encode(&argv::TrackSelection::default()).await;

    let written = std::fs::read(
        bench
            .folder
            .path()
            .join(argv::subtitle_file(&"0".parse().unwrap())),
    )
    .unwrap();
    let cues = media::webvtt::read(&media::webvtt::charset::decode(&written, None).text);
    let lift = i64::from(argv::TIME_OFFSET_SECONDS) * 1000;
    assert_eq!(
        (cues[0].start - lift, cues[0].end - lift, cues.len()),
        (5500, 6123, 1)
    );
    assert_eq!(cues[0].lines, ["café & more"]);
    assert!(Path::new(bench.folder.path()).join("audio-0").exists());
}

/// Sound of one expression, on both channels.
fn drawn(expression: &str, seconds: u32) -> String {
    format!("-f lavfi -i aevalsrc=exprs={expression}|{expression}:s=48000:d={seconds}")
}

#[tokio::test]
async fn every_block_of_sound_comes_out_as_loud_as_it_went_in() {
    let gated = "0.17*(random(0)*2-1)*lt(mod(t\\,2.03)\\,1.31)";
    let beeps = "0.3*sin(2*PI*440*t)*(lt(mod(t\\,1)\\,0.02)+gt(mod(t+0.5\\,1.5)\\,1.4))";
    let clicks = "lt(mod(t\\,1.7)\\,0.00004)";
    let quiet = "0.004*(random(0)*2-1)*lt(mod(t\\,2.5)\\,1.5)";
    let inaudible = "0.3*sin(2*PI*18500*t)*lt(mod(t\\,3)\\,1.5)";

    let inputs = [
        ("gated noise", drawn(gated, 21)),
        ("beeps", drawn(beeps, 17)),
        ("clicks", drawn(clicks, 17)),
        ("quiet noise", drawn(quiet, 17)),
        ("a tone above the cut-off", drawn(inaudible, 17)),
        (
            "a tone on the right alone",
            "-f lavfi -i aevalsrc=exprs=0|0.5*sin(2*PI*700*t):s=48000:d=9".to_owned(),
        ),
        ("six channels", chord(6, "5.1", 0.1)),
        (
            "late sound",
            format!(
                "-f lavfi -i testsrc2=s=160x120:r=25:d=9 -itsoffset 5.123 {} -c:v libx264 -preset ultrafast",
                drawn(gated, 9)
            ),
        ),
    ];
    for (what, args) in inputs {
        let bench = Bench::of("a.mkv", &format!("{args} -c:a pcm_s16le"), None).await;
        bench.encode(&argv::TrackSelection::default()).await;
        for rendition in bench.planned.audios() {
            let source = bench.source_levels(rendition);
            let mut heard = Vec::new();
            // As a whole, and in pieces that begin wherever segments do.
            for (first, end) in [(0, 99), (0, 1), (1, 2), (2, 99)] {
                heard.extend(bench.made_levels(rendition, first, end).await);
            }

            for made in &heard {
                let worst = worst_block(made, &source);
                assert!(
                    worst > QUIETER_DB,
                    "{what}: a block of {} is {worst:.1} dB quieter",
                    rendition.name
                );

                let sample = levels::compare(made, &source).unwrap();
                assert!(!levels::is_lost(&sample), "{what}: {sample:?}");
                assert!(
                    what != "a tone above the cut-off" || sample.source_rms < -60.0,
                    "{sample:?}"
                );
            }

            let blocks = heard[0].len();
            assert!(
                (blocks as f64 / 2.0 - rendition.duration).abs() <= 0.6,
                "{what}: {blocks} blocks of {}",
                rendition.duration
            );
        }
    }
}

/// The tones of two pieces of sound of three seconds each.
const PIECES: [u32; 2] = [530, 830];

/// Asserts that the left channel of a rendition holds the tone of each piece in its time and not
/// the other, and ends with the second. The windows are short and far from the change: pieces
/// overlap by what an encoder puts before its first sample, and ffmpeg draws that out over some
/// seconds.
async fn holds_both(bench: &Bench, name: &str, amplitudes: [f64; 2], what: &str) {
    let left = &bench.hear(name).await[0];
    for (k, from) in [1, 5].into_iter().enumerate() {
        let found = PIECES.map(|tone| level_in(&left[from * 48_000..][..2400], tone));
        let fits = (found[k] - amplitudes[k]).abs() < 0.02 && found[1 - k] < 0.02;
        assert!(
            fits,
            "{what}, {name}, second {from}: {found:?} of {PIECES:?} Hz, not {amplitudes:?}"
        );
    }

    let seconds = left.len() as f64 / 48_000.0;
    assert!((seconds - 6.0).abs() < 0.1, "{what}: {seconds} s");
}

/// The arguments that make piece `k` with its tone in every channel.
fn piece(k: usize, channels: usize, rate: u32, codec: &str) -> String {
    let one = format!("0.2*sin(2*PI*{}*t)", PIECES[k]);
    let all = vec![one; channels].join("|");
    let layout = ["mono", "stereo", "", "", "", "5.1"][channels - 1];
    let begin = 10 + 3 * k;

    format!(
        "-f lavfi -i aevalsrc=exprs={all}:s={rate}:d=3:c={layout} {codec} -muxdelay 0 -muxpreload 0 -output_ts_offset {begin}"
    )
}

#[tokio::test]
async fn sound_that_changes_its_form_plays_throughout() {
    let ac3 = "-c:a ac3 -b:a 384k";
    let aac = "-c:a aac -b:a 192k";
    let mp3 = "-c:a libmp3lame -write_xing 0 -id3v2_version 0";
    let beside = 0.2 * (1.0 + 2.0 * 0.5_f64.sqrt());

    for (what, name, pieces, levels, surround) in [
        (
            "5.1 to stereo",
            "a.ts",
            [piece(0, 6, 48_000, ac3), piece(1, 2, 48_000, ac3)],
            [beside, 0.2],
            true,
        ),
        (
            "stereo to 5.1",
            "a.ts",
            [piece(0, 2, 48_000, ac3), piece(1, 6, 48_000, ac3)],
            [0.2, beside],
            true,
        ),
        (
            "mono to stereo",
            "a.ts",
            [piece(0, 1, 48_000, aac), piece(1, 2, 48_000, aac)],
            [0.2; 2],
            false,
        ),
        (
            "44.1 to 48 kHz",
            "a.ts",
            [piece(0, 2, 44_100, aac), piece(1, 2, 48_000, aac)],
            [0.2; 2],
            false,
        ),
        (
            "mono of 44.1 kHz to stereo of 48 kHz",
            "a.mp3",
            [piece(0, 1, 44_100, mp3), piece(1, 2, 48_000, mp3)],
            [0.2; 2],
            false,
        ),
    ] {
        let bench = Bench::joined(name, [&pieces[0], &pieces[1]]).await;
        assert!(
            bench.planned.audios().all(|rendition| rendition.changes),
            "{what}"
        );
        assert_eq!(
            bench.planned.audios().any(AudioRendition::is_surround),
            surround,
            "{what}"
        );

        bench.encode(&argv::TrackSelection::default()).await;
        holds_both(&bench, "audio-0", levels, what).await;
        if surround {
            holds_both(&bench, "surround-0", [0.2; 2], what).await;
        }
    }
}

/// Seconds of sound in a file, as ffmpeg decodes it at 48 kHz.
async fn decoded(folder: &Path, name: &str) -> f64 {
    let raw = make(
        folder,
        "decoded.raw",
        &format!("-i {name} -vn -ac 1 -ar 48000 -f s16le"),
    )
    .await;
    std::fs::metadata(raw).unwrap().len() as f64 / 96_000.0
}

#[tokio::test]
async fn sound_of_any_coder_in_any_container_has_the_length_of_its_packets() {
    let film = "-f lavfi -i testsrc2=s=160x120:r=25:d=5 -f lavfi -i sine=f=440:r=44100:d=5.03 -ac 2 -strict -2";
    let x264 = "-c:v libx264 -preset ultrafast";

    for (name, coders) in [
        ("a.mkv", format!("{x264} -c:a tta")),
        ("a.mkv", format!("{x264} -c:a alac")),
        ("a.mkv", format!("{x264} -c:a wavpack")),
        ("a.mp4", format!("{x264} -c:a alac")),
        ("a.avi", format!("{x264} -c:a wmav2")),
        ("a.avi", format!("{x264} -c:a wmav2 -ar 32000")),
        ("a.avi", format!("{x264} -c:a wmav1 -ar 8000")),
        ("a.wmv", "-c:v wmv2 -c:a wmav2 -ar 16000".to_owned()),
        ("a.flv", "-c:v flv -c:a adpcm_swf -ar 22050".to_owned()),
        ("a.mov", format!("{x264} -c:a adpcm_ima_qt")),
        (
            "a.webm",
            "-c:v libvpx -deadline realtime -c:a libopus -ar 48000".to_owned(),
        ),
    ] {
        let bench = Bench::of(name, &format!("{film} {coders}"), None).await;
        bench.encode(&argv::TrackSelection::default()).await;
        let heard = bench.hear("audio-0").await[0].len() as f64 / 48_000.0;

        // Its last packet may claim more than it holds, and the pictures are held to the end of
        // that.
        let (planned, sound) = (&bench.planned, bench.planned.audios().next().unwrap());
        let (end, programme) = (sound.source_end, planned.programme);
        let claimed = 5.03 + sound.source_packet;
        let pictures = planned.video.as_ref().unwrap().source_end;

        assert!(
            (5.0..=claimed).contains(&end) && programme - end.max(pictures) <= 0.04,
            "{name} {coders}: {end} s of {programme} s"
        );
        assert!(
            (heard - programme).abs() <= cmaf::gate::AUDIO_TOLERANCE_SECONDS,
            "{name} {coders}: {heard} s are heard of {programme} s"
        );
    }
}

#[tokio::test]
async fn what_a_coder_filled_its_last_packet_up_with_is_not_planned() {
    let tone =
        |rate: u32, coder: &str| format!("-f lavfi -i sine=f=440:r={rate}:d=5.03 -c:a {coder}");
    let mut inputs = vec![("a.webm", tone(48_000, "libopus"))];
    for rate in [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
        inputs.push(("a.mp3", tone(rate, "libmp3lame")));
    }

    for (name, args) in inputs {
        let bench = Bench::of(name, &args, None).await;
        let planned = bench.rendition("audio-0").duration;
        let whole = decoded(bench.folder.path(), name).await;

        // Matroska counts from before the start-up samples that an Opus decoder drops.
        assert!(
            (planned - whole).abs() < 0.008,
            "{args}: {planned} s are planned of {whole} s"
        );
        assert!(
            (whole - 5.03).abs() < 0.002,
            "{args}: {whole} s are decoded"
        );
        bench.encode(&argv::TrackSelection::default()).await;
    }
}

#[tokio::test]
async fn a_change_that_was_not_planned_ends_the_run_and_an_attempt_that_expects_it_makes_all_of_it()
{
    let pieces = [
        piece(0, 2, 48_000, "-c:a ac3"),
        piece(1, 1, 48_000, "-c:a ac3"),
    ];
    let mut bench = Bench::joined("a.ts", [&pieces[0], &pieces[1]]).await;

    for rendition in &mut bench.planned.renditions {
        if let streams::plan::Rendition::Audio(audio) = rendition {
            audio.changes = false;
        }
    }

    let (input, choice) = (&bench.server.input, argv::TrackSelection::default());
    let args = argv::tracks(&bench.planned, input, argv::Options::default(), &choice).unwrap();
    let exit = bench.try_run(&args).await;
    assert!(matches!(exit.end, End::Failed(_)), "{:?}", exit.end);

    ladder::audio::expect_changes(&mut bench.planned);
    bench.encode(&choice).await;
    holds_both(&bench, "audio-0", [0.2; 2], "expected").await;
}

#[tokio::test]
async fn left_and_right_in_two_tracks_become_one_of_two_channels() {
    let tone =
        |tone: u32| format!("-f lavfi -i aevalsrc=exprs=0.3*sin(2*PI*{tone}*t):s=48000:d=2:c=mono");
    let args = format!(
        "{} -itsoffset 0.5 {} -map 0 -map 1 -c:a aac -metadata:s:a:0 title=Right -metadata:s:a:1 title=left",
        tone(430),
        tone(310)
    );

    // Apart in time they are no pair.
    let bench = Bench::of("a.mka", &args, None).await;
    assert_eq!(bench.planned.audios().count(), 2);

    let bench = Bench::of("a.mka", &args.replace("-itsoffset 0.5", ""), None).await;
    assert_eq!(bench.planned.audios().count(), 1);

    bench.encode(&argv::TrackSelection::default()).await;
    let heard = bench.hear("audio-0").await;
    holds(&heard[0], &[(310, 0.3)], "left");
    holds(&heard[1], &[(430, 0.3)], "right");
}
