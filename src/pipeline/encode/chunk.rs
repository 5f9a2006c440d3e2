//! Chunk tasks: all rungs of a piece of the video, from one decode where that is possible.

use ffmpeg::argv::{self, Entry, Options, Pass};
use media::cmaf::{self, FragmentInfo, InitInfo};
use metrics::counter;
use storage::ObjectKind;
use streams::plan::{Planned, VideoPlan, VideoRendition};
use streams::work::{RenditionOutput, TaskOutput};
use streams::{Code, Rational};
use tempfile::TempDir;

use super::evidence::VideoSamples;
use super::failures::{RunError, no_command_line};
use super::ffmpeg_run::FfmpegRun;
use super::images::upload_images;
use super::progress::ProgressMode;
use super::segments::RenditionDir;
use super::task::{EncodeTask, RungsAtOnce};
use crate::crash;
use crate::job::classify::classify_output_error;
use crate::job::failure::Failure;

/// Segments of the longest first chunk whose lowest rung is encoded before the others. Such a chunk
/// is decoded twice.
const MAX_PREVIEW_SEGMENTS: u64 = 5;

/// Encodes all rungs of a chunk, uploads them with poster and storyboard tiles, and compares what
/// is in the bucket with the encoder's input.
pub(super) async fn encode_chunk(task: &EncodeTask<'_>, chunk: u32) -> Result<TaskOutput, Failure> {
    let video = task
        .plan
        .video
        .as_ref()
        .ok_or_else(|| Failure::from_code(Code::NoTracks))?;
    if video.chunk_frames(chunk).is_none() {
        let text = format!("The plan has no chunk {chunk}.");
        return Err(Failure::new(Code::VerificationFailed, text));
    }
    let (task_dir, renditions) = encode_rungs(task, video, chunk).await?;
    let mut output = TaskOutput {
        renditions,
        ..task.empty_output()
    };

    // What follows waits for the storage more than it computes: the next chunk is encoded
    // meanwhile.
    task.task_context.slot.free();
    upload_images(task, task_dir.path(), &mut output).await?;
    crash::point("encode.uploaded");

    let samples = VideoSamples::select(task.plan, chunk);
    let readback = task.readback(task_dir.path());
    readback
        .verify_objects(task.uploaded_objects(&output), &samples.segments())
        .await?;
    crash::point("encode.verified");
    output.evidence = samples.compare(&readback).await?;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive length in seconds"
    )]
    counter!("fluxhls_media_seconds_total").increment(task.media_seconds() as u64);
    Ok(output)
}

/// Encodes all rungs in as many passes as it takes. Returns them from the top down, and the
/// directory with what is no segment.
async fn encode_rungs(
    task: &EncodeTask<'_>,
    video: &VideoPlan,
    chunk: u32,
) -> Result<(TempDir, Vec<RenditionOutput>), Failure> {
    let plan = task.plan;
    let rungs: Vec<&VideoRendition> = plan.videos().collect();
    let dirs: Vec<RenditionDir> = rungs
        .iter()
        .map(|rung| rung_dir(plan, rung, video, chunk))
        .collect();
    let rungs_at_once = RungsAtOnce::for_task(&task.context.budget, plan, task.task_context.task);
    let passes = plan_passes(rungs_at_once, video, chunk, rungs.len());
    let threads = (rungs_at_once == RungsAtOnce::One).then_some(1);

    let job_id = &task.task_context.state.job_id;
    let mut task_dir = task.create_dir(&dirs)?;
    let mut entry = Entry::Planned;
    let mut renditions = Vec::new();

    for (n, pass) in (0..).zip(&passes) {
        let pass_dirs = &dirs[pass.rungs.clone()];
        let encoded = loop {
            let source = task.open_source().await?;
            let options = Options { threads, entry };
            let argv = argv::video_pass(plan, chunk, pass, &source.input, options)
                .ok_or_else(no_command_line)?;
            let run = FfmpegRun {
                task,
                source,
                argv,
                renditions: pass_dirs,
                progress: ProgressMode::of_pass(n, passes.len()),
                earlier_passes: n,
            };
            match (run.run(task_dir).await, entry.earlier()) {
                // The first pass finds where the source can be entered. What it left is not needed
                // any more; what later passes leave would be.
                (Err(RunError::EnteredLate), Some(earlier)) if n == 0 => {
                    tracing::info!(job.id = %job_id, chunk, ?earlier, "decoding started too late in the source");
                    entry = earlier;
                    task_dir = task.create_dir(&dirs)?;
                    remove_uploaded(task, pass_dirs).await?;
                }
                (encoded, _) => break encoded?,
            }
        };

        let mut of_pass = Vec::new();
        for (rung, rendition) in rungs[pass.rungs.clone()].iter().zip(&encoded.renditions) {
            let gate = |init: &InitInfo, fragments: &[(u32, FragmentInfo)]| {
                cmaf::video_chunk(plan, rung, chunk, init, fragments)
            };
            of_pass.push(encoded.check_rendition(task, rendition, gate).await?);
        }
        // From the top down, whichever pass they come from.
        renditions.splice(0..0, of_pass);
        task_dir = encoded.task_dir;
    }
    Ok((task_dir, renditions))
}

/// Removes what an entry that was too late may have uploaded of other rungs: under the same attempt
/// the next one makes something else.
async fn remove_uploaded(task: &EncodeTask<'_>, dirs: &[RenditionDir]) -> Result<(), Failure> {
    let attempt = task.task_context.attempt;
    let mut keys = Vec::new();
    for dir in dirs {
        let name = dir.name.as_str();
        let end = dir.first_segment + dir.segment_count(task.plan, task.task_context.task);
        keys.push(task.keys.init(name, attempt));
        keys.extend(
            (dir.first_segment..end).map(|n| task.keys.segment(name, u64::from(n), attempt)),
        );
    }

    let jobs = &task.context.jobs;
    match jobs.output.delete(&keys).await {
        Ok(()) => Ok(()),
        Err(error) => Err(classify_output_error(jobs, &error).await),
    }
}

/// The passes in which a chunk is encoded. The lowest rung of a short first chunk is encoded first
/// and published at once: it takes a fraction of the total time.
fn plan_passes(
    rungs_at_once: RungsAtOnce,
    video: &VideoPlan,
    chunk: u32,
    rungs: usize,
) -> Vec<Pass> {
    match rungs_at_once {
        RungsAtOnce::One => Pass::one_by_one(rungs),
        RungsAtOnce::All if has_preview(video, chunk, rungs) => Pass::preview(rungs),
        RungsAtOnce::All => Pass::whole(rungs),
    }
}

/// Whether the lowest rung of a chunk is encoded before the others: that of the first chunk, if the
/// chunk is short.
fn has_preview(video: &VideoPlan, chunk: u32, rungs: usize) -> bool {
    let (first, end) = video.chunk_frames(chunk).unwrap_or_default();
    chunk == 0 && rungs > 1 && end - first <= MAX_PREVIEW_SEGMENTS * u64::from(video.segment_frames)
}

/// Where the segments of a rung of a chunk are written.
fn rung_dir(plan: &Planned, rung: &VideoRendition, video: &VideoPlan, chunk: u32) -> RenditionDir {
    let first_frame = video
        .chunk_frames(chunk)
        .and_then(|(first, _)| i64::try_from(first).ok());
    let start = first_frame.and_then(|first| Rational::whole(first).checked_div(video.frame_rate));
    RenditionDir {
        name: rung.name.clone(),
        kind: ObjectKind::Video,
        first_segment: video.chunks.get(chunk as usize).copied().unwrap_or(0),
        // The first chunk begins where the source does, and so does one that reads all of it.
        expected_start: start.filter(|_| chunk > 0 && video.seekable),
        last_segment: video.is_last(chunk).then(|| plan.segment.last()),
        has_iframe_playlist: plan
            .videos()
            .last()
            .is_some_and(|lowest| lowest.name == rung.name),
    }
}
