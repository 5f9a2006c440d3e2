//! Per title: what a sample of the pictures changes in a plan.
//!
//! A ladder is made for typical video. Slides need a tenth of its bits, and a small film that was
//! scaled up to 1080 lines has no more detail there. So a few short windows of the source are
//! encoded at every rung, and the results decide which rungs add no visible detail and save no
//! bits, and how much lower the caps may be. A sample can only reduce the ladder: anything that it
//! does not prove unnecessary stays.

use streams::plan::{Complexity, LeftOut, Planned, Rendition, RungSample, VideoRendition};

use super::decide::estimate_cost;

/// What the sample shows of one rung.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Bits per second of each window at the rung's quality, as groups of pictures of the plan's
    /// length would need them.
    pub windows: Vec<f64>,
    /// How like each compared frame is to the next lower rung's, scaled up to it: the SSIM of their
    /// luma. Empty for the lowest rung.
    pub likeness: Vec<f64>,
}

/// What the sample shows of a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// One for each video rendition of the plan, in its order.
    pub rungs: Vec<Measured>,
    /// Seconds of media.
    pub seconds: f64,
    /// Processor seconds it took.
    pub cpu_seconds: f64,
}

/// Windows of a sample. Each opens the source again, which takes as long as the index of a long
/// film is, and its memory.
const WINDOWS: u32 = 4;

/// Seconds; a sample costs about as much as encoding one second of the source, which is less than a
/// thirtieth of longer ones.
const MIN_SAMPLED_SECONDS: f64 = 40.0;

/// If a rung has no more detail than the one below, the loss of a frame by scaling it down to the
/// lower rung and up again is at most this share of the loss of the next step down. Measured with
/// bicubic scaling: 0.13 to 0.28 for pictures that were scaled up from 720 to 1080 lines, 0.60 to
/// 0.79 for true ones, whatever they show.
const MAX_EMPTY_LOSS_SHARE: f64 = 0.4;

/// The next step down must lose at least this much SSIM on the mean: else the sampled pictures are
/// so plain that they prove nothing.
const MIN_STEP_LOSS: f64 = 0.002;

/// A rung that needs more than this share of the one above saves too little to be worth switching
/// to.
const MAX_RUNG_SHARE: f64 = 0.8;

/// Bits per second, at the peak. No rung below one that needs so little is useful: a network that
/// cannot carry it carries no video.
const LOWEST_USEFUL_BITRATE: f64 = 400_000.0;

/// Caps are this many times what the hardest window needs,
const CAP_HEADROOM: f64 = 4.0;

/// and never less than this share of the profile's: a film may lie between the slides, where no
/// window saw it.
const MIN_CAP_SHARE: f64 = 0.5;

/// Source times, in seconds from the start of the container, to sample at.
///
/// # Errors
/// Why sampling does not pay or is not possible, one sentence.
pub fn windows(plan: &Planned) -> Result<Vec<f64>, String> {
    let Some(video) = &plan.video else {
        return Err("There is no video to sample.".to_owned());
    };

    if !video.seekable {
        return Err(
            "No sample was taken: the source cannot be read from an arbitrary time.".to_owned(),
        );
    }

    let seconds = video.source_frames() as f64 / video.frame_rate.as_f64().max(1e-9);
    if seconds < MIN_SAMPLED_SECONDS {
        return Err(format!(
            "No sample was taken: the video lasts {seconds:.0} s, and below {MIN_SAMPLED_SECONDS:.0} s a sample costs more than it can save."
        ));
    }

    let start = plan.timeline.zero.as_f64() - plan.timeline.container_start.as_f64();
    let at = |i: u32| start + seconds * (f64::from(i) + 0.5) / f64::from(WINDOWS);
    Ok((0..WINDOWS).map(at).collect())
}

/// The plan with the reason why no sample changes it, one sentence.
#[must_use]
pub fn unsampled(mut plan: Planned, reason: String) -> Planned {
    plan.complexity = Some(Complexity {
        rungs: Vec::new(),
        sampled_seconds: 0.0,
        cpu_seconds: 0.0,
        not_sampled: Some(reason),
    });
    plan
}

/// What the samples make of a plan: the same one with rungs left out, caps lowered, and the
/// reasons written down. Equal arguments give equal plans. At least one rung stays, and without
/// samples of every rung all do.
#[must_use]
pub fn refine(mut plan: Planned, samples: &Samples) -> Planned {
    let ladder: Vec<VideoRendition> = plan
        .renditions
        .iter()
        .filter_map(Rendition::video)
        .cloned()
        .collect();
    let verdicts = judge(&ladder, samples);

    let mut rungs = Vec::new();
    for ((rung, measured), verdict) in ladder.iter().zip(&samples.rungs).zip(&verdicts) {
        let decision = match verdict {
            Verdict::Keep { cap } if *cap < rung.maxrate => format!(
                "Kept; its cap is lowered from {} to {} kb/s, which leaves room for {CAP_HEADROOM} times the hardest window.",
                rung.maxrate / 1000,
                cap / 1000
            ),
            Verdict::Keep { .. } => "Kept as the profile has it.".to_owned(),
            Verdict::Drop { reason } => {
                plan.left_out.push(LeftOut {
                    name: rung.name.to_string(),
                    reason: reason.clone(),
                });
                reason.clone()
            }
        };

        rungs.push(RungSample {
            name: rung.name.to_string(),
            bitrate: median(&measured.windows).min(rung.maxrate as f64).round() as u64,
            decision,
        });
    }

    let mut verdicts = verdicts.into_iter();
    plan.renditions.retain_mut(|rendition| {
        let Rendition::Video(rung) = rendition else {
            return true;
        };
        match verdicts.next() {
            Some(Verdict::Drop { .. }) => return false,
            Some(Verdict::Keep { cap }) => (rung.maxrate, rung.bufsize) = (cap, cap),
            // Without samples of every rung there are no verdicts, and all rungs stay.
            None => {}
        }
        true
    });

    plan.complexity = Some(Complexity {
        rungs,
        sampled_seconds: samples.seconds,
        cpu_seconds: samples.cpu_seconds,
        not_sampled: None,
    });

    estimate_cost(&mut plan);
    plan
}

/// What happens to a rung.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    Keep { cap: u64 },
    Drop { reason: String },
}

/// The verdicts on all rungs, from the top down; none where the samples do not fit the ladder.
fn judge(ladder: &[VideoRendition], samples: &Samples) -> Vec<Verdict> {
    if samples.rungs.len() != ladder.len()
        || samples.rungs.iter().any(|rung| rung.windows.is_empty())
    {
        return Vec::new();
    }

    let mut above: Option<(&VideoRendition, &Measured)> = None;
    let mut verdicts = Vec::new();
    for (i, (rung, measured)) in ladder.iter().zip(&samples.rungs).enumerate() {
        // The top rung has to show more than the next one; each other one has to save enough bits.
        let dropped = match (above, ladder.get(i + 1)) {
            (None, Some(next)) => empty_above(&samples.rungs[i..], next),
            (None, None) => None,
            (Some(above), next) => why_unneeded(above, (rung, measured), next.is_none()),
        };

        verdicts.push(dropped.map_or_else(
            || Verdict::Keep {
                cap: lowered_cap(rung, measured),
            },
            |reason| Verdict::Drop { reason },
        ));

        if matches!(verdicts.last(), Some(Verdict::Keep { .. })) {
            above = Some((rung, measured));
        }
    }

    verdicts
}

/// Why the top rung shows nothing that the next one does not.
fn empty_above(rungs: &[Measured], next: &VideoRendition) -> Option<String> {
    let [top, below, ..] = rungs else { return None };
    let losses = || {
        top.likeness
            .iter()
            .zip(&below.likeness)
            .map(|(top, below)| (1.0 - top, 1.0 - below))
    };

    let telling = mean(&losses().map(|(_, below)| below).collect::<Vec<_>>()) >= MIN_STEP_LOSS;
    let empty = losses().all(|(top, below)| top <= MAX_EMPTY_LOSS_SHARE * below);

    (telling && empty).then(|| {
        format!(
            "Its pictures have no more detail than those of {}: the source was scaled up before, and the smaller pictures, scaled up, match with an SSIM of {:.4}.",
            next.name,
            mean(&top.likeness)
        )
    })
}

/// Why a rung below a kept one is not needed.
fn why_unneeded(
    (above, measured_above): (&VideoRendition, &Measured),
    (rung, measured): (&VideoRendition, &Measured),
    lowest: bool,
) -> Option<String> {
    let peak = |rung: &VideoRendition, measured: &Measured| {
        largest(&measured.windows).min(rung.maxrate as f64)
    };
    // A cut in a window makes it look much too hard.
    let need = |rung: &VideoRendition, measured: &Measured| {
        median(&measured.windows).min(rung.maxrate as f64)
    };

    if peak(above, measured_above) <= LOWEST_USEFUL_BITRATE {
        return Some(format!(
            "{} needs at most {:.0} kb/s here, which every network that carries video can carry.",
            above.name,
            peak(above, measured_above) / 1000.0
        ));
    }

    let share = need(rung, measured) / need(above, measured_above).max(1.0);
    // The lowest rung is for bad networks: little help is better than none.
    (share > MAX_RUNG_SHARE && !lowest).then(|| {
        format!(
            "It needs {:.0} % of the rate of {}, which saves too little for fewer pixels.",
            share * 100.0,
            above.name
        )
    })
}

/// The cap of a rung that stays.
fn lowered_cap(rung: &VideoRendition, measured: &Measured) -> u64 {
    let cap = rung.maxrate as f64;
    let wanted = (largest(&measured.windows) * CAP_HEADROOM).clamp(cap * MIN_CAP_SHARE, cap);
    // In whole kilobits, and never above what was there.
    ((wanted / 1000.0).ceil() as u64 * 1000).min(rung.maxrate)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests;
