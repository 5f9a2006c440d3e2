//! Recordings of a quarter of an hour, judged by value: what an encoder makes of them passes, and
//! two lost seconds are found.
//!
//! They are made at a low rate, so that one test takes seconds, and what AAC does to them is a
//! model; `crates/ffmpeg/tests/encoding/soundtracks.rs` holds it against ffmpeg's encoder.

use std::f32::consts::TAU;

use super::*;

/// Samples a second: 32 of them last as long as an AAC frame.
const RATE: usize = 1500;

/// Samples of an AAC frame.
const AAC_FRAME: usize = 32;

/// Samples of a block.
const BLOCK: usize = RATE / BLOCKS_PER_SECOND as usize;

/// Seconds of a recording.
const LENGTH: f32 = 900.0;

/// How much quieter than its input a frame may be: 2.5 dB, while the encoder of ffmpeg never
/// differed by more than 1.7 dB.
const QUIETER: f32 = 0.75;

/// The noise of the encoder relative to the sound around it, as amplitude: far more than that of
/// ffmpeg.
const NOISE: f32 = 0.3;

/// Numbers that only look random.
struct Dice(u32);

impl Dice {
    const fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// From `low` to `high`.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() >> 8) as f32 / 16_777_216.0
    }

    /// From -1 to 1.
    fn noise(&mut self) -> f32 {
        (self.next() as i32 >> 8) as f32 / 8_388_608.0
    }
}

/// A recording while it is made.
struct Recording {
    samples: Vec<f32>,
    dice: Dice,
}

/// A sound that begins and ends.
#[derive(Clone, Copy)]
struct Sound {
    /// As what a sample's amplitude is drawn, 1 being full scale.
    amplitude: f32,
    /// Hz; noise where it is 0.
    tone: f32,
    /// Seconds of rise and of fall.
    ramp: f32,
}

impl Recording {
    fn new(seed: u32) -> Self {
        Self {
            samples: vec![0.0; LENGTH as usize * RATE],
            dice: Dice(seed.wrapping_mul(2_654_435_769) | 1),
        }
    }

    /// Adds a sound from one time to another, in seconds.
    fn add(&mut self, from: f32, to: f32, sound: Sound) {
        let rate = RATE as f32;

        let first = (from.max(0.0) * rate).round() as usize;
        let end = ((to.max(0.0) * rate).round() as usize).min(self.samples.len());
        let (length, ramp) = (end.saturating_sub(first), (sound.ramp * rate) as usize);

        // A tone turns a vector by the same angle from sample to sample.
        let (sin, cos) = (TAU * sound.tone / rate).sin_cos();
        let (mut x, mut y) = (0.0_f32, 1.0_f32);

        for i in 0..length {
            let value = if sound.tone > 0.0 {
                (x, y) = (x * cos + y * sin, y * cos - x * sin);
                x
            } else {
                self.dice.noise()
            };

            let edge = (i + 1).min(length - i);
            let gain = if edge < ramp {
                edge as f32 / ramp as f32
            } else {
                1.0
            };
            self.samples[first + i] += value * gain * sound.amplitude;
        }
    }

    /// Sounds of random length, with pauses of random length between them.
    fn phrases(mut self, sound: Sound, lengths: (f32, f32), pauses: (f32, f32)) -> Self {
        let mut time = 0.3;
        while time < LENGTH - 6.0 {
            let length = self.dice.between(lengths.0, lengths.1);
            self.add(time, time + length, sound);
            time += length + self.dice.between(pauses.0, pauses.1);
        }
        self
    }

    /// A sound of equal length, repeated, each time at this distance from its whole half second.
    fn every(mut self, period: f32, offset: f32, length: f32, sound: Sound) -> Self {
        let mut time = period;
        while time < LENGTH - period {
            self.add(time + offset, time + offset + length, sound);
            time += period;
        }
        self
    }

    /// Chords that die away, four to a bar and a bar of rest after two.
    fn music(mut self, beat: f32, amplitude: f32) -> Self {
        let mut time = 0.0;
        let mut count = 0;

        while time < LENGTH - 4.0 {
            let length = beat * self.dice.between(0.3, 1.0);
            for _ in 0..if count % 12 < 8 { 2 } else { 0 } {
                let tone = 110.0 * 2_f32.powf(self.dice.between(0.0, 2.0));
                let ramp = length * 0.6;
                self.add(
                    time,
                    time + length,
                    Sound {
                        amplitude,
                        tone,
                        ramp,
                    },
                );
            }

            (time, count) = (time + beat, count + 1);
        }
        self
    }

    /// Everything as loud as `gain` says of each second.
    fn shaped(mut self, gain: impl Fn(f32) -> f32) -> Self {
        for (i, second) in self.samples.chunks_mut(RATE / 10).enumerate() {
            let gain = gain(i as f32 / 10.0);
            second.iter_mut().for_each(|sample| *sample *= gain);
        }
        self
    }

    fn clipped(mut self) -> Self {
        self.samples
            .iter_mut()
            .for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        self
    }

    /// What an encoder is given of it: its own start-up takes the place of the first frame.
    fn given(mut self) -> Vec<f32> {
        self.samples[..AAC_FRAME].fill(0.0);
        self.samples
    }
}

const fn noise(amplitude: f32, ramp: f32) -> Sound {
    Sound {
        amplitude,
        tone: 0.0,
        ramp,
    }
}

const fn tone(amplitude: f32, tone: f32, ramp: f32) -> Sound {
    Sound {
        amplitude,
        tone,
        ramp,
    }
}

/// Speech behind a noise gate, as meetings and muted microphones give it.
const GATED: [&str; 2] = ["gated speech", "gated speech with hard edges"];

/// Kinds of recordings, each with how many are made of it.
#[expect(
    clippy::type_complexity,
    clippy::too_many_lines,
    reason = "a table of functions"
)]
fn kinds() -> Vec<(&'static str, u32, fn(Recording) -> Recording)> {
    const SPEECH: (f32, f32) = (0.8, 4.0);
    const GATE: (f32, f32) = (0.6, 2.5);

    vec![
        (GATED[0], 8, |own| {
            own.phrases(noise(0.17, 0.005), SPEECH, GATE)
        }),
        (GATED[1], 6, |own| {
            own.phrases(noise(0.17, 0.0), SPEECH, GATE)
        }),
        ("gated speech with short pauses", 3, |own| {
            own.phrases(noise(0.3, 0.002), (0.1, 1.0), (0.1, 0.7))
        }),
        ("gated speech with long pauses", 3, |own| {
            own.phrases(noise(0.1, 0.005), (0.3, 2.0), (5.0, 60.0))
        }),
        ("single words", 3, |own| {
            own.phrases(noise(0.1, 0.01), (0.1, 0.3), (1.0, 9.0))
        }),
        ("very quiet speech", 3, |own| {
            own.phrases(noise(0.005, 0.005), SPEECH, GATE)
        }),
        ("speech that can hardly be heard", 2, |own| {
            own.phrases(noise(0.0025, 0.005), SPEECH, GATE)
        }),
        ("speech on the right alone", 2, |own| {
            own.phrases(noise(0.12, 0.005), SPEECH, GATE)
        }),
        ("clipped speech", 2, |own| {
            own.phrases(noise(3.0, 0.0), SPEECH, GATE).clipped()
        }),
        ("DTX with comfort noise", 3, |own| {
            own.phrases(noise(0.1, 0.02), SPEECH, GATE).phrases(
                noise(0.0004, 0.0),
                (0.02, 0.1),
                (0.1, 0.5),
            )
        }),
        ("packet loss", 2, |own| {
            own.phrases(noise(0.1, 0.0), (0.02, 0.2), (0.02, 0.4))
        }),
        ("music with rests", 4, |own| own.music(0.5, 0.2)),
        ("slow music with rests", 2, |own| own.music(1.7, 0.3)),
        ("fades", 3, |own| {
            own.phrases(tone(0.5, 220.0, 0.3), (5.0, 20.0), (0.0, 2.0))
                .shaped(|t| (t / 9.0).sin().abs().powi(3))
        }),
        ("one long fade", 2, |own| {
            own.phrases(noise(0.5, 0.0), (90.0, 99.0), (0.0, 0.1))
                .shaped(|t| (1.0 - t / LENGTH).powi(4))
        }),
        ("beeps that end at the edge of a block", 1, |own| {
            own.every(1.0, -0.1, 0.1, tone(0.3, 440.0, 0.0))
        }),
        ("beeps that begin at the edge of a block", 1, |own| {
            own.every(1.5, 0.0, 0.08, tone(0.3, 440.0, 0.0))
        }),
        ("beeps over the edge of a block", 1, |own| {
            own.every(2.5, -0.01, 0.02, tone(0.3, 300.0, 0.0))
        }),
        ("beeps with a sample behind the edge", 1, |own| {
            own.every(3.0, -0.05, 0.0507, tone(0.3, 440.0, 0.0))
        }),
        ("beeps a frame behind the edge", 1, |own| {
            own.every(2.0, 0.0213, 0.5, tone(0.3, 440.0, 0.0))
        }),
        ("beeps of a whole block", 1, |own| {
            own.every(2.0, 0.5, 0.5, tone(0.3, 440.0, 0.0))
        }),
        ("single clicks", 3, |own| {
            own.phrases(tone(1.0, 370.0, 0.0), (0.002, 0.003), (3.0, 40.0))
        }),
        ("a metronome", 2, |own| {
            own.every(0.6, 0.0, 0.005, tone(0.8, 500.0, 0.0))
        }),
        ("knocks", 2, |own| {
            own.phrases(noise(0.5, 0.04), (0.08, 0.1), (0.2, 6.0))
        }),
        ("a telephone", 1, |own| {
            own.every(5.0, 0.13, 2.0, tone(0.2, 425.0, 0.0))
        }),
        ("noise", 1, |own| {
            own.phrases(noise(0.3, 0.0), (899.0, 900.0), (0.0, 0.0))
        }),
        ("faint noise below gated speech", 2, |own| {
            own.phrases(noise(0.0006, 0.0), (890.0, 893.0), (0.0, 0.0))
                .phrases(noise(0.1, 0.005), SPEECH, GATE)
        }),
        ("a hum", 1, |own| {
            own.phrases(tone(0.01, 50.0, 0.0), (899.0, 900.0), (0.0, 0.0))
        }),
        ("sound that begins late", 1, |own| {
            own.phrases(noise(0.2, 0.005), SPEECH, GATE)
                .shaped(|t| if t < 181.3 { 0.0 } else { 1.0 })
        }),
        ("sound that ends early", 1, |own| {
            own.phrases(noise(0.2, 0.005), SPEECH, GATE)
                .shaped(|t| if t > 402.7 { 0.0 } else { 1.0 })
        }),
        ("silence", 1, |own| own),
        ("all but silence", 1, |own| {
            own.phrases(noise(0.0003, 0.0), (899.0, 900.0), (0.0, 0.0))
        }),
    ]
}

/// The output of an encoder: as loud or a little quieter, frame by frame, with noise that follows
/// the sound over the surrounding frames.
fn coded(given: &[f32], dice: &mut Dice) -> Vec<f32> {
    let power = |frame: &[f32]| frame.iter().map(|sample| sample * sample).sum::<f32>();
    let powers: Vec<f32> = given.chunks(AAC_FRAME).map(power).collect();

    let mut made = Vec::with_capacity(given.len());
    for (i, frame) in given.chunks(AAC_FRAME).enumerate() {
        // The window of AAC spans two frames, so noise reaches into the frames next to the sound.
        let around = &powers[i.saturating_sub(1)..(i + 2).min(powers.len())];
        let level = (around.iter().sum::<f32>() / (AAC_FRAME * around.len()) as f32).sqrt();
        let gain = dice.between(QUIETER, 1.02);
        made.extend(
            frame
                .iter()
                .map(|sample| sample * gain + dice.noise() * level * NOISE),
        );
    }

    made
}

/// The levels of its blocks, which begin `shift` samples after whole half seconds.
fn measured(samples: &[f32], shift: usize) -> Vec<Level> {
    let decibels = |amplitude: f32| (20.0 * amplitude.log10()).max(SILENCE_DB as f32);
    let blocks = samples[shift..].chunks(BLOCK).zip(0..);
    let level = |(block, number): (&[f32], u32)| {
        let (mut power, mut peak) = (0.0, 0.0_f32);
        for sample in block {
            power += sample * sample;
            peak = peak.max(sample.abs());
        }
        Level {
            number,
            peak: decibels(peak),
            rms: decibels((power / BLOCK as f32).sqrt()),
        }
    };

    blocks.map(level).collect()
}

/// The levels that are left where a track is decoded in pieces of a minute.
fn in_pieces(levels: &[Level]) -> Vec<Level> {
    let (piece, end) = (15 * 188 * 1024, 48_000 * LENGTH as u64);
    let starts = (0..end).step_by(piece as usize);
    let blocks = starts.map(|start| {
        whole_blocks(
            start..(start + piece).min(end),
            start + piece >= end,
            48_000,
        )
    });
    blocks
        .flat_map(|blocks| within(levels.to_vec(), &blocks))
        .collect()
}

fn is_refused(made: &[f32], source: &[Level]) -> bool {
    let heard = compare(&in_pieces(&measured(made, 0)), source).unwrap();
    is_lost(&heard)
}

/// The place, out of twenty, where two seconds have the most audible blocks; none if nothing is
/// audible anywhere.
fn place_of_loss(source: &[Level], dice: &mut Dice) -> Option<usize> {
    let audible = |sample: &usize| {
        let blocks = sample.div_ceil(BLOCK)..(sample + 2 * RATE) / BLOCK;
        source[blocks]
            .iter()
            .filter(|level| f64::from(level.rms) > AUDIBLE_DB)
            .count()
    };

    let loud: Vec<u32> = source
        .iter()
        .filter(|level| f64::from(level.rms) > AUDIBLE_DB)
        .map(|level| level.number)
        .collect();

    let places = (0..20).filter_map(|_| {
        let near = *loud.get(dice.next() as usize % loud.len().max(1))? as usize * BLOCK;
        let last = (LENGTH as usize - 2) * RATE;
        Some(
            (near + dice.next() as usize % BLOCK)
                .saturating_sub(dice.next() as usize % (2 * RATE))
                .min(last),
        )
    });

    places
        .filter(|place| audible(place) > 0)
        .max_by_key(audible)
}

#[test]
fn a_quarter_of_an_hour_of_anything_passes_and_two_lost_seconds_of_it_do_not() {
    let mut faults = Vec::new();
    let (mut recordings, mut losses, mut shifted) = (0, 0, 0);
    for (kind, count, make) in kinds() {
        for seed in 0..count {
            recordings += 1;
            let given = make(Recording::new(recordings)).given();
            let source = measured(&given, 0);
            let mut dice = Dice(recordings | 1);
            let mut made = coded(&given, &mut dice);

            if is_refused(&made, &source) {
                faults.push(format!(
                    "{kind} {seed} is refused: {:?}",
                    compare(&measured(&made, 0), &source)
                ));
            }

            // Measured on a grid that lies a frame behind, most speech with pauses would be
            // refused.
            shifted +=
                u32::from(GATED.contains(&kind) && is_refused(&made, &measured(&given, AAC_FRAME)));

            if let Some(place) = place_of_loss(&source, &mut dice) {
                losses += 1;
                made[place..place + 2 * RATE].fill(0.0);
                if !is_refused(&made, &source) {
                    faults.push(format!(
                        "{kind} {seed}: two seconds from sample {place} on may be lost"
                    ));
                }
                made.fill(0.0);
                if !is_refused(&made, &source) {
                    faults.push(format!("{kind} {seed}: all of it may be lost"));
                }
            }
        }
    }

    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    // Silence and what is next to it have nothing to lose.
    assert!(
        recordings >= 60 && losses == recordings - 2,
        "{losses} of {recordings}"
    );
    assert!(
        shifted >= 10,
        "only {shifted} are refused when they are measured out of step"
    );
}
