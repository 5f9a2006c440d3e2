//! What the evidence of the tasks says of the content. Pure.
//!
//! A picture that is black where its input is not, and audio that is silent where its input is not,
//! are faults of the task that made them. The similarity of the pictures is a figure and, below a
//! threshold, a warning.

use std::collections::BTreeMap;

use media::levels;
use streams::plan::{Planned, Rendition};
use streams::task::TaskName;
use streams::work::{Evidence, PictureSample};

use crate::job::receipt::{Check, TaskResult};

/// Median similarity below which an output carries [`LOW_SIMILARITY`].
const MIN_MEDIAN_SSIM: f64 = 0.8;

/// The warning of an output that is little like its source.
const LOW_SIMILARITY: &str = "low_similarity";

/// The warning of an output whose tasks brought no evidence.
const CONTENT_NOT_MEASURED: &str = "content_not_measured";

/// Mean luma of pictures that are black, at most; black is 16.
const MAX_BLACK_LUMA: f64 = 18.0;

/// How much brighter a picture must have been for its blackness to be a fault. Encoders hardly
/// touch the mean: of dark films, fades, flashes and stars no picture came out of x264 darker by
/// more than 0.4.
const MIN_LUMA_LOSS: f64 = 2.0;

/// What is said of the content.
#[derive(Debug, Default)]
pub(super) struct ContentJudgement {
    /// Tasks whose output is not what it should be, each with one sentence.
    pub(super) faults: Vec<(TaskName, String)>,
    /// A check for each rendition.
    pub(super) checks: Vec<Check>,
    /// Stable words.
    pub(super) warnings: Vec<&'static str>,
}

/// Judges what all tasks measured of their renditions.
pub(super) fn judge_content(plan: &Planned, made: &[TaskResult]) -> ContentJudgement {
    let mut judgement = ContentJudgement::default();
    for rendition in &plan.renditions {
        let evidence = last_evidence(rendition, made);
        let check = match rendition {
            Rendition::Video(_) => check_video(rendition, &evidence, &mut judgement),
            Rendition::Audio(_) => check_audio(rendition, &evidence, &mut judgement),
        };
        match check {
            Some(check) => judgement.checks.push(check),
            None => judgement.warnings.push(CONTENT_NOT_MEASURED),
        }
    }

    judgement.warnings.sort_unstable();
    judgement.warnings.dedup();
    // A task is done again as a whole, so one fault of each is enough.
    judgement.faults.sort_by_key(|(task, _)| *task);
    judgement.faults.dedup_by_key(|(task, _)| *task);
    judgement
}

/// What each task said last of a rendition.
fn last_evidence<'a>(
    rendition: &Rendition,
    made: &'a [TaskResult],
) -> BTreeMap<TaskName, &'a Evidence> {
    let of_rendition = |made: &'a TaskResult| {
        let evidence = made.output.evidence.iter();
        evidence
            .filter(|evidence| evidence.name == *rendition.name())
            .map(|evidence| (made.task, evidence))
    };
    // Repairs are last in `made`, and of equal keys a map keeps the last value.
    made.iter().flat_map(of_rendition).collect()
}

fn check_video(
    rendition: &Rendition,
    evidence: &BTreeMap<TaskName, &Evidence>,
    judgement: &mut ContentJudgement,
) -> Option<Check> {
    let name = rendition.name();
    let mut samples: Vec<PictureSample> = Vec::new();
    for (task, evidence) in evidence {
        if let Some(black) = evidence
            .pictures
            .iter()
            .find(|sample| is_wrongly_black(sample))
        {
            let reason = format!(
                "{name}: frame {} is black (mean luma {:.1}), but its input is not ({:.1}).",
                black.frame, black.luma, black.source_luma
            );
            judgement.faults.push((*task, reason));
        }
        samples.extend(&evidence.pictures);
    }

    let mut ssim: Vec<f64> = samples.iter().map(|sample| sample.ssim).collect();
    ssim.sort_by(f64::total_cmp);
    let (lowest, median) = (*ssim.first()?, median(&ssim));
    if median < MIN_MEDIAN_SSIM {
        judgement.warnings.push(LOW_SIMILARITY);
    }

    let luma = |of: fn(&PictureSample) -> f64| mean(samples.iter().map(of));
    let found = format!(
        "{} pictures from its whole length were compared with the frames that its encoder was given: the median similarity (SSIM of luma) is \
         {median:.4}, and none is wrongly black.",
        ssim.len()
    );

    let check = Check::new(format!("content_{name}"), found);
    Some(
        check
            .figure("pictures", count(ssim.len()))
            .figure("ssim_median", median)
            .figure("ssim_lowest", lowest)
            .figure("luma", luma(|sample| sample.luma))
            .figure("source_luma", luma(|sample| sample.source_luma)),
    )
}

fn is_wrongly_black(sample: &PictureSample) -> bool {
    sample.luma < MAX_BLACK_LUMA && sample.source_luma > sample.luma + MIN_LUMA_LOSS
}

fn check_audio(
    rendition: &Rendition,
    evidence: &BTreeMap<TaskName, &Evidence>,
    judgement: &mut ContentJudgement,
) -> Option<Check> {
    let name = rendition.name();
    let (task, sample) = evidence
        .iter()
        .find_map(|(task, evidence)| Some((*task, evidence.sound?)))?;

    if levels::is_lost(&sample) {
        let reason = format!(
            "{name}: it is silent for {:.1} s and has {:.1} dB overall, where its input is not silent ({:.1} dB).",
            sample.silent_seconds, sample.rms, sample.source_rms
        );
        judgement.faults.push((task, reason));
    }

    let found = format!(
        "Its mean level is {:.1} dB, that of its input {:.1} dB; it is silent only where its input is.",
        sample.rms, sample.source_rms
    );
    let check = Check::new(format!("content_{name}"), found);
    Some(
        check
            .figure("peak_db", sample.peak)
            .figure("source_peak_db", sample.source_peak)
            .figure("rms_db", sample.rms)
            .figure("source_rms_db", sample.source_rms)
            .figure("silent_seconds", sample.silent_seconds),
    )
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let number = count(values.len()).max(1.0);
    values.sum::<f64>() / number
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
const fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use streams::work::{SoundSample, TaskOutput};

    use super::*;
    use streams::testing::planned;

    fn picture(ssim: f64, luma: f64, source_luma: f64) -> PictureSample {
        PictureSample {
            frame: 7,
            ssim,
            luma,
            source_luma,
        }
    }

    fn sound_of(rms: f64, source_rms: f64, silent_seconds: f64) -> SoundSample {
        SoundSample {
            peak: rms + 3.0,
            source_peak: source_rms + 3.0,
            rms,
            source_rms,
            silent_seconds,
        }
    }

    fn made(
        task: TaskName,
        repair: bool,
        evidence: &[(&str, &[PictureSample], Option<SoundSample>)],
    ) -> TaskResult {
        let evidence = evidence.iter().map(|(name, pictures, sound)| Evidence {
            name: name.parse().unwrap(),
            pictures: pictures.to_vec(),
            sound: *sound,
        });

        TaskResult {
            task,
            attempt: 1,
            output: TaskOutput {
                evidence: evidence.collect(),
                ..TaskOutput::default()
            },
            list: None,
            repair,
        }
    }

    /// Good evidence for both rungs and tracks of the test plan, with these pictures in the top
    /// rung.
    fn all(pictures: &[PictureSample], sample: SoundSample) -> Vec<TaskResult> {
        let fine = [picture(0.97, 100.0, 100.0); 4];

        vec![
            made(
                TaskName::video(0),
                false,
                &[("1080p", &fine, None), ("480p", &fine, None)],
            ),
            made(
                TaskName::video(1),
                false,
                &[("1080p", pictures, None), ("480p", &fine, None)],
            ),
            made(
                TaskName::TRACKS,
                false,
                &[
                    ("audio-0", &[], Some(sample)),
                    ("audio-1", &[], Some(sound_of(-20.0, -20.0, 0.0))),
                ],
            ),
        ]
    }

    #[test]
    fn what_is_like_its_source_passes_with_its_figures() {
        let judgement = judge_content(
            &planned(),
            &all(&[picture(0.91, 90.0, 91.0)], sound_of(-20.4, -20.0, 0.0)),
        );

        assert!(
            judgement.faults.is_empty() && judgement.warnings.is_empty(),
            "{judgement:?}"
        );
        assert_eq!(judgement.checks.len(), 4);

        let figures = &judgement.checks[0].figures;
        assert_eq!(
            (
                figures["pictures"],
                figures["ssim_median"],
                figures["ssim_lowest"]
            ),
            (5.0, 0.97, 0.91)
        );
    }

    #[test]
    fn one_black_picture_is_the_fault_of_the_task_that_made_it() {
        let black = [picture(0.97, 100.0, 100.0), picture(0.02, 16.1, 60.0)];
        let judgement = judge_content(&planned(), &all(&black, sound_of(-20.0, -20.0, 0.0)));

        assert_eq!(judgement.faults.len(), 1);
        assert_eq!(judgement.faults[0].0, TaskName::video(1));
        assert!(
            judgement.faults[0].1.starts_with("1080p: frame 7 is black"),
            "{}",
            judgement.faults[0].1
        );
    }

    /// Mean luma of the pictures of dark and flickering films, by number. Black with noise lies a
    /// little below 16.
    #[expect(clippy::type_complexity, reason = "a table of functions")]
    fn films() -> Vec<(&'static str, fn(u32) -> f64)> {
        vec![
            ("black", |_| 16.0),
            ("black with noise", |n| 15.8 + f64::from(n % 7) / 20.0),
            ("a starry sky", |n| 16.7 + f64::from(n % 3) / 10.0),
            ("a night", |n| 18.4 + f64::from(n % 9) / 9.0),
            ("a lighter night", |n| 21.7 + f64::from(n % 5) / 5.0),
            ("a line of text on black", |_| 17.1),
            ("a fade from black", |n| 16.0 + f64::from(n.min(60)) * 1.5),
            ("a fade to black", |n| 106.0 - f64::from(n.min(60)) * 1.5),
            ("a slow fade to black", |n| {
                25.0 - f64::from(n.min(450)) / 50.0
            }),
            ("flashes", |n| if n % 23 == 11 { 235.0 } else { 16.0 }),
            ("faint flashes", |n| if n % 7 == 3 { 18.2 } else { 16.0 }),
            ("a strobe", |n| if n % 2 == 0 { 235.0 } else { 16.0 }),
            ("a film with black between", |n| {
                if n % 5 < 2 { 16.0 } else { 90.0 }
            }),
            ("a bright film", |n| 120.0 + f64::from(n % 50)),
        ]
    }

    #[test]
    fn no_dark_picture_is_taken_for_a_lost_one_and_every_lost_one_is_found_that_was_not_dark() {
        for (film, luma) in films() {
            for n in 0..500 {
                let source = luma(n);
                for error in [-0.4, -0.1, 0.0, 0.4] {
                    let made = picture(0.9, source + error, source);
                    assert!(
                        !is_wrongly_black(&made),
                        "{film}: picture {n}, {source} became {}",
                        made.luma
                    );
                }

                for black in [15.8, 16.0, 16.1] {
                    let is_found = is_wrongly_black(&picture(0.5, black, source));
                    assert_eq!(
                        is_found,
                        source > black + MIN_LUMA_LOSS,
                        "{film}: picture {n} of {source}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_source_that_is_black_itself_and_one_that_is_silent_are_no_faults() {
        let judgement = judge_content(
            &planned(),
            &all(&[picture(0.99, 16.0, 16.4)], sound_of(-120.0, -90.0, 0.0)),
        );
        assert!(judgement.faults.is_empty(), "{judgement:?}");
    }

    #[test]
    fn sound_that_is_gone_as_a_whole_or_for_seconds_is_a_fault() {
        for sample in [sound_of(-120.0, -30.0, 1.0), sound_of(-21.0, -20.0, 5.0)] {
            let judgement = judge_content(&planned(), &all(&[], sample));
            assert_eq!(
                judgement
                    .faults
                    .iter()
                    .map(|(task, _)| *task)
                    .collect::<Vec<_>>(),
                [TaskName::TRACKS]
            );
        }
    }

    #[test]
    fn little_likeness_and_missing_evidence_are_warnings() {
        let mut tasks = all(
            &[picture(0.3, 100.0, 100.0); 9],
            sound_of(-20.0, -20.0, 0.0),
        );
        assert_eq!(judge_content(&planned(), &tasks).warnings, [LOW_SIMILARITY]);
        tasks.pop();
        assert_eq!(
            judge_content(&planned(), &tasks).warnings,
            [CONTENT_NOT_MEASURED, LOW_SIMILARITY]
        );
    }

    #[test]
    fn what_a_repair_measured_replaces_what_its_task_had_measured() {
        let mut tasks = all(&[picture(0.02, 16.0, 90.0)], sound_of(-20.0, -20.0, 0.0));
        tasks.push(made(
            TaskName::video(1),
            true,
            &[("1080p", &[picture(0.96, 90.0, 90.0)], None)],
        ));
        assert!(judge_content(&planned(), &tasks).faults.is_empty());
    }
}
