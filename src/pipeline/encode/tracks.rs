//! Tracks tasks: all audio, subtitles and the cover, from one reading of the source.

use std::collections::BTreeMap;
use std::path::Path;

use ffmpeg::argv::{self, Options, TrackSelection};
use ffmpeg::{Input, loudness};
use media::cmaf::{self, FragmentInfo, InitInfo};
use media::webvtt::{self, Cue, Document};
use storage::ObjectKind;
use streams::plan::{Planned, SubtitleRendition};
use streams::work::{SubtitleOutput, TaskOutput};
use streams::{Code, RenditionName};
use tempfile::TempDir;

use super::evidence::AudioSamples;
use super::failures::no_command_line;
use super::ffmpeg_run::{EncodedOutput, FfmpegRun};
use super::progress::ProgressMode;
use super::segments::RenditionDir;
use super::task::EncodeTask;
use crate::crash;
use crate::job::failure::Failure;

/// Bytes of the longest file of subtitles that is read; a film's has a hundredth of it.
const MAX_SUBTITLE_BYTES: u64 = 32 << 20;

/// What of the tracks is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// All audio, subtitles and the cover.
    Everything,
    /// All audio, and nothing else.
    AudioAlone,
}

/// Makes all audio, subtitles and the cover, uploads them, and compares what is in the bucket with
/// the encoder's input.
pub(super) async fn encode_tracks(task: &EncodeTask<'_>) -> Result<TaskOutput, Failure> {
    let plan = task.plan;
    let mut output = task.empty_output();
    let Some(encoded) = encode_or_drop_extras(task, &mut output.warnings).await? else {
        return Ok(output);
    };
    let task_dir = encoded.task_dir.path();

    for (audio, rendition) in plan.audios().zip(&encoded.renditions) {
        let gate = |init: &InitInfo, fragments: &[(u32, FragmentInfo)]| {
            cmaf::track(plan, audio, init, fragments)
        };
        output
            .renditions
            .push(encoded.check_rendition(task, rendition, gate).await?);
    }
    for subtitles in &plan.subtitles {
        upload_subtitles(task, task_dir, subtitles, &mut output).await?;
    }
    if plan.cover.is_some() {
        upload_cover(task, task_dir, &mut output).await?;
    }
    crash::point("encode.uploaded");

    let samples = AudioSamples::select(plan, &output.renditions);
    let readback = task.readback(task_dir);
    output.evidence = samples
        .verify_and_compare(&readback, task.uploaded_objects(&output))
        .await?;
    crash::point("encode.verified");
    Ok(output)
}

/// Encodes everything. If ffmpeg crashes in a run that also makes subtitles or a cover, these may
/// be the cause: the audio is then encoded without them. None if nothing can be made.
async fn encode_or_drop_extras(
    task: &EncodeTask<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<EncodedOutput>, Failure> {
    let plan = task.plan;
    let has_extras = !plan.subtitles.is_empty() || plan.cover.is_some();
    match encode(task, Scope::Everything).await {
        Err(failure) if has_extras && failure.code == Code::FfmpegCrashed => {
            let job_id = &task.task_context.state.job_id;
            tracing::warn!(job.id = %job_id, %failure, "encoding audio without subtitles and cover");
        }
        encoded => return encoded.map(Some),
    }

    if plan.audios().next().is_none() {
        warnings.push("subtitles_failed".to_owned());
        return Ok(None);
    }
    encode(task, Scope::AudioAlone).await.map(Some)
}

/// Runs ffmpeg as often as the audio of the plan takes. All runs share a directory: each reads what
/// those before it wrote.
async fn encode(task: &EncodeTask<'_>, scope: Scope) -> Result<EncodedOutput, Failure> {
    let plan = task.plan;
    let dirs = plan.audios().map(|rendition| RenditionDir {
        name: rendition.name.clone(),
        kind: ObjectKind::Audio,
        first_segment: 0,
        expected_start: None,
        last_segment: Some(plan.segment.last()),
        has_iframe_playlist: false,
    });
    let dirs: Vec<RenditionDir> = dirs.collect();

    let task_dir = task.create_dir(&dirs)?;
    let task_dir = decode_changing_audio(task, task_dir).await?;
    let (task_dir, gains) = measure_gains(task, task_dir).await?;

    let choice = TrackSelection {
        gains,
        sound_alone: scope == Scope::AudioAlone,
    };
    let source = task.open_source().await?;
    let argv = argv::tracks(plan, &source.input, Options::default(), &choice)
        .ok_or_else(no_command_line)?;
    let run = FfmpegRun {
        task,
        source,
        argv,
        renditions: &dirs,
        progress: ProgressMode::Published,
        earlier_passes: 0,
    };
    Ok(run.run(task_dir).await?)
}

/// Decodes the audio that changes its form on the way to one form.
async fn decode_changing_audio(
    task: &EncodeTask<'_>,
    task_dir: TempDir,
) -> Result<TempDir, Failure> {
    if task.plan.audios().all(|rendition| !rendition.changes) {
        return Ok(task_dir);
    }
    run_preparation(task, task_dir, argv::uniform).await
}

/// Runs ffmpeg for files in `task_dir` that a later run needs.
async fn run_preparation(
    task: &EncodeTask<'_>,
    task_dir: TempDir,
    argv: impl FnOnce(&Planned, &Input, Options) -> Option<Vec<String>>,
) -> Result<TempDir, Failure> {
    let source = task.open_source().await?;
    let argv = argv(task.plan, &source.input, Options::default()).ok_or_else(no_command_line)?;
    let run = FfmpegRun {
        task,
        source,
        argv,
        renditions: &[],
        // The run that makes segments goes over the same media, and publishes it.
        progress: ProgressMode::Hidden,
        earlier_passes: 0,
    };
    Ok(run.run(task_dir).await?.task_dir)
}

/// The gain of each rendition with a target loudness: measured in a separate pass, because a whole
/// track must be read before its first sample can be changed.
async fn measure_gains(
    task: &EncodeTask<'_>,
    task_dir: TempDir,
) -> Result<(TempDir, BTreeMap<RenditionName, f64>), Failure> {
    let plan = task.plan;
    let mut gains = BTreeMap::new();
    if plan.audios().all(|rendition| rendition.loudness.is_none()) {
        return Ok((task_dir, gains));
    }

    let task_dir = run_preparation(task, task_dir, argv::loudness).await?;
    for rendition in plan.audios() {
        let file = task_dir.path().join(argv::loudness_file(&rendition.name));
        let gain = match rendition.loudness {
            Some(target) => loudness::gain(&file, target).await,
            None => None,
        };
        gains.extend(gain.map(|gain| (rendition.name.clone(), gain)));
    }
    Ok((task_dir, gains))
}

/// Uploads one track of subtitles. What is wrong with it is a warning, never a failure.
async fn upload_subtitles(
    task: &EncodeTask<'_>,
    task_dir: &Path,
    rendition: &SubtitleRendition,
    output: &mut TaskOutput,
) -> Result<(), Failure> {
    let mut warn = |word: &str| {
        if !output.warnings.iter().any(|warning| warning == word) {
            output.warnings.push(word.to_owned());
        }
    };
    let Some(bytes) = read_subtitles(&task_dir.join(argv::subtitle_file(&rendition.name))).await
    else {
        warn("subtitles_failed");
        return Ok(());
    };

    let decoded = webvtt::charset::decode(&bytes, rendition.language.as_deref());
    if decoded.guessed {
        warn("subtitles_charset_guessed");
    }
    let cues = webvtt::align_to_timeline(
        &webvtt::read(&decoded.text),
        cue_shift(task.plan, rendition),
    );
    let Some(end) = cues.iter().map(|cue| cue.end).max() else {
        warn("empty_subtitles_left_out");
        return Ok(());
    };
    output
        .subtitles
        .push(upload_cues(task, rendition, &cues, end).await?);
    Ok(())
}

/// Uploads cues; the last one ends `end` milliseconds from zero.
async fn upload_cues(
    task: &EncodeTask<'_>,
    rendition: &SubtitleRendition,
    cues: &[Cue],
    end: i64,
) -> Result<SubtitleOutput, Failure> {
    let key = task
        .keys
        .subtitles(rendition.name.as_str(), task.task_context.attempt);
    let text = Document(cues).to_string();
    let object = task
        .upload_object(&key, text.into(), ObjectKind::Vtt)
        .await?;
    Ok(SubtitleOutput {
        name: rendition.name.clone(),
        object,
        cues: u32::try_from(cues.len()).unwrap_or(u32::MAX),
        #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52 ms")]
        end: end as f64 / 1000.0,
    })
}

/// Uploads the cover as the poster. A missing one is a warning, never a failure.
async fn upload_cover(
    task: &EncodeTask<'_>,
    task_dir: &Path,
    output: &mut TaskOutput,
) -> Result<(), Failure> {
    match tokio::fs::read(task_dir.join(argv::COVER_FILE)).await {
        Ok(bytes) if !bytes.is_empty() => {
            let key = task.keys.poster(task.task_context.attempt);
            output.poster = Some(
                task.upload_object(&key, bytes.into(), ObjectKind::Jpeg)
                    .await?,
            );
        }
        _ => output.warnings.push("no_poster".to_owned()),
    }
    Ok(())
}

/// A file of subtitles that ffmpeg made, unless it is missing or too long.
async fn read_subtitles(file: &Path) -> Option<Vec<u8>> {
    let length = tokio::fs::metadata(file).await.ok()?.len();
    if length > MAX_SUBTITLE_BYTES {
        return None;
    }
    tokio::fs::read(file).await.ok()
}

/// From the times in ffmpeg's file to the output's.
fn cue_shift(plan: &Planned, rendition: &SubtitleRendition) -> webvtt::TimeOffset {
    let track = plan
        .source
        .tracks
        .iter()
        .find(|track| track.index == rendition.track);
    #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
    webvtt::TimeOffset {
        zero: (plan.timeline.zero.as_f64() + f64::from(argv::TIME_OFFSET_SECONDS)) * 1000.0,
        programme: (plan.programme * 1000.0) as i64,
        drawings: track.is_some_and(|track| matches!(track.codec.as_str(), "ass" | "ssa")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams::testing::planned;

    #[test]
    fn zero_of_the_plan_is_zero_of_the_cues() {
        let mut planned = planned();
        let track = serde_json::json!({"index": 3, "kind": "subtitle", "codec": "ass"});
        planned.source.tracks = vec![serde_json::from_value(track).unwrap()];
        let rendition = serde_json::json!({"name": "0", "track": 3, "label": "English", "default": false, "reason": ""});
        let rendition = serde_json::from_value(rendition).unwrap();

        let shift = cue_shift(&planned, &rendition);
        assert_eq!(
            (shift.zero, shift.programme, shift.drawings),
            (3_602_500.0, 15_015, true)
        );
    }
}
