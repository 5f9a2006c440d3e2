//! The handler of chunk tasks: all rungs of a piece of the video, from one reading of it.

use ffmpeg::Input;
use ffmpeg::argv::{self, Entry, Options, Pass};
use media::cmaf;
use metrics::counter;
use storage::ObjectKind;
use streams::plan::{Planned, VideoPlan, VideoRendition};
use streams::work::{RenditionOutput, TaskOutput};
use streams::{Code, Rational};

use super::parts::due;
use super::production::{Made, View};
use super::shift::{Shift, fragments, gate_failed, output};
use super::shipping::{Shelf, Stopped};
use super::{evidence, images};
use crate::crash;
use crate::job::failure::Failure;

/// Segments of the longest first chunk whose lowest rung is made before the others. It is decoded twice.
const PREVIEW: u64 = 5;

impl Shift<'_> {
    /// Makes all rungs of a chunk, with the previews and the evidence of it.
    #[expect(clippy::cast_precision_loss, reason = "frame counts stay far below 2^52")]
    pub(super) async fn video(&self, chunk: u32) -> Result<TaskOutput, Failure> {
        let video = self.plan.video.as_ref().ok_or_else(|| Failure::plain(Code::NoTracks))?;
        let (first, end) = video.chunk_frames(chunk).ok_or_else(|| no_such_chunk(chunk))?;
        let seconds = (end - first) as f64 / video.frame_rate.as_f64();
        let rungs: Vec<&VideoRendition> = self.plan.videos().collect();
        let shelves: Vec<Shelf> = rungs.iter().map(|rung| shelf(self.plan, rung, video, chunk)).collect();
        let mut output = TaskOutput {
            ffmpeg: self.encoder.context.ffmpeg_version.clone(),
            ..TaskOutput::default()
        };
        let mut folder = self.bench(&shelves)?;
        let passes = self.passes(video, chunk, rungs.len());
        let mut entry = Entry::Planned;
        for (n, pass) in (0..).zip(&passes) {
            let wanted = shelves[pass.rungs.clone()].to_vec();
            let view = View {
                // Each pass goes over all of the chunk: its own progress is told by the last one alone.
                is_told: n as usize + 1 == passes.len(),
                pass: n,
            };
            let made = loop {
                let argv = self.pass(chunk, pass, entry);
                let made = self.produce(folder, wanted.clone(), seconds, view, &argv).await;
                match (made, entry.earlier()) {
                    // The first pass finds where the source can be entered; what it left is needed no more, what later ones leave would be.
                    (Err(Stopped::EnteredLate), Some(earlier)) if n == 0 => {
                        tracing::info!(job.id = %self.assignment.state.job_id, chunk, ?earlier, "the source was entered too late");
                        entry = earlier;
                        folder = self.bench(&shelves)?;
                        self.remove_sent(&wanted).await?;
                    }
                    (made, _) => break made?,
                }
            };
            let mut renditions = Vec::new();
            for (i, rung) in rungs[pass.rungs.clone()].iter().enumerate() {
                renditions.push(self.video_rendition(rung, chunk, &made, i).await?);
            }
            // From the top down, whichever pass they come from.
            output.renditions.splice(0..0, renditions);
            folder = made.folder;
        }
        // What follows waits for the storage more than it computes: the next chunk is encoded meanwhile.
        self.assignment.slot.free();
        let shipper = self.shipper(folder.path());
        images::ship(&shipper, self.plan, self.assignment.task, &mut output).await?;
        let (pictures, readback) = (evidence::pictures(self.plan, chunk), self.readback(folder.path()));
        crash::point("encode.uploaded");
        readback.read(self.sent(&output), &pictures.wanted()).await?;
        crash::point("encode.verified");
        output.evidence = pictures.compare(&readback).await?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive length in seconds"
        )]
        counter!("fluxhls_media_seconds_total").increment(seconds as u64);
        Ok(output)
    }

    /// Removes what an entry that was too late may have sent of other rungs: under the same attempt the next one makes something else.
    async fn remove_sent(&self, shelves: &[Shelf]) -> Result<(), Failure> {
        let attempt = self.assignment.attempt;
        let mut keys = Vec::new();
        for shelf in shelves {
            let name = shelf.name.as_str();
            let end = shelf.first + due(self.plan, self.assignment.task, shelf);
            keys.push(self.keys.init(name, attempt));
            keys.extend((shelf.first..end).map(|n| self.keys.segment(name, u64::from(n), attempt)));
        }
        let output = &self.encoder.context.jobs.output;
        match output.delete(&keys).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.encoder.context.jobs.blame_output(&error).await),
        }
    }

    /// The runs a chunk is made in. The lowest rung of a short first chunk goes first and is told at once: it takes a fraction of the time of
    /// all. A worker without the memory for all rungs makes one after the other.
    fn passes(&self, video: &VideoPlan, chunk: u32, rungs: usize) -> Vec<Pass> {
        match () {
            () if self.encoder.is_tight(self.plan, self.assignment.task) => Pass::one_by_one(rungs),
            () if previews(video, chunk, rungs) => Pass::preview(rungs),
            () => Pass::whole(rungs),
        }
    }

    /// The command line of one pass over a chunk.
    fn pass(&self, chunk: u32, pass: &Pass, entry: Entry) -> impl Fn(&Input) -> Option<Vec<String>> + Sync {
        let threads = self.encoder.is_tight(self.plan, self.assignment.task).then_some(1);
        move |input| argv::video_pass(self.plan, chunk, pass, input, Options { threads, entry })
    }

    async fn video_rendition(
        &self,
        rendition: &VideoRendition,
        chunk: u32,
        made: &Made,
        i: usize,
    ) -> Result<RenditionOutput, Failure> {
        let shipped = &made.shipped[i];
        let (init, object) = self.init(&rendition.name, made, i, ObjectKind::Video).await?;
        let gated = cmaf::video_chunk(self.plan, rendition, chunk, &init, &fragments(shipped));
        let units = gated.map_err(|failure| gate_failed(&rendition.name, &failure, made))?;
        Ok(output(&rendition.name, init, object, units, shipped))
    }
}

/// Where a rung's segments of a chunk go.
fn shelf(plan: &Planned, rung: &VideoRendition, video: &VideoPlan, chunk: u32) -> Shelf {
    let first = video
        .chunk_frames(chunk)
        .and_then(|(first, _)| i64::try_from(first).ok());
    let due = first.and_then(|first| Rational::whole(first).checked_div(video.frame_rate));
    Shelf {
        name: rung.name.clone(),
        kind: ObjectKind::Video,
        first: video.chunks.get(chunk as usize).copied().unwrap_or(0),
        // The first chunk begins where the source does, and so does one that reads all of it.
        due: due.filter(|_| chunk > 0 && video.seekable),
        last: video.is_last(chunk).then(|| plan.segment.last()),
        has_key_frames: plan.videos().last().is_some_and(|lowest| lowest.name == rung.name),
    }
}

/// Whether the lowest rung of a chunk is made before the others: of the first one, where that is short.
fn previews(video: &VideoPlan, chunk: u32, rungs: usize) -> bool {
    let (first, end) = video.chunk_frames(chunk).unwrap_or_default();
    chunk == 0 && rungs > 1 && end - first <= PREVIEW * u64::from(video.segment_frames)
}

fn no_such_chunk(chunk: u32) -> Failure {
    Failure::new(Code::VerificationFailed, format!("The plan has no chunk {chunk}."))
}
