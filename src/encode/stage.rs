//! The handlers of chunk and tracks tasks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};
use streams::plan::{AudioRendition, Planned, VideoPlan, VideoRendition};
use streams::task::{Duty, TaskName};
use streams::work::{DoneOutput, ObjectRef, RenditionOutput, TaskOutput};
use streams::{Code, RenditionName};
use tempfile::TempDir;

use super::evidence::{self, Readback, Sent};
use super::images;
use super::production::{Made, Order, Plant, View};
use super::shipping::{Shelf, Shipped, Shipper, disk, or_full};
use crate::admission::{Admission, Ledger, Need, Resource};
use crate::cmaf::{self, FragmentInfo, InitInfo};
use crate::config::cores;
use crate::crash;
use crate::failure::Failure;
use crate::ffmpeg::argv::{self, Options, Pass};
use crate::ffmpeg::{Input, Tool};
use crate::job::{Assignment, JobState, Jobs, Product, Readiness, Stage};
use crate::ladder::Limits;
use crate::storage::{BlockCache, Digest, JobKeys, ObjectKind, Storage};
use crate::workshop::Workshop;

/// Longest list of segments that travels in `done` itself, in bytes; longer ones become an object.
const INLINE: usize = 48 * 1024;

/// Encodes chunks and tracks.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// The jobs.
    pub jobs: Jobs,
    /// Where sources are.
    pub storage: Storage,
    /// Blocks of sources, shared by all tasks of this process.
    pub cache: BlockCache,
    /// ffmpeg.
    pub tool: Tool,
    /// Its version.
    pub ffmpeg: String,
    /// Where work is done.
    pub workshop: Arc<Workshop>,
    /// What room there is.
    pub ledger: Ledger,
    /// What sources are accepted.
    pub limits: Limits,
}

/// Segments of the longest first chunk whose lowest rung is made before the others. It is decoded twice.
const PREVIEW: u64 = 5;

/// How long a task waits that does not fit beside those in work, which take some seconds each.
const LATER: Duration = Duration::from_secs(5);

/// How long a task waits that is too large for this worker: so long it is for others to take alone.
const ELSEWHERE: Duration = Duration::from_secs(20);

impl Stage for Encoder {
    async fn readiness(&self, state: &JobState, task: TaskName) -> Readiness {
        let need = state.plan().map(|plan| self.need(plan, task)).unwrap_or_default();
        match self.ledger.admit(&format!("{}/{task}", state.job_id), need) {
            Admission::Granted(room) => Readiness::Ready(room),
            Admission::Later => Readiness::Wait(LATER),
            Admission::Elsewhere => Readiness::Wait(ELSEWHERE),
        }
    }

    async fn work(&self, assignment: Assignment) -> Result<Product, Failure> {
        let started = std::time::Instant::now();
        let plan = assignment
            .state
            .plan()
            .ok_or_else(|| Failure::plain(Code::TooManyAttempts))?
            .clone();
        let keys = self
            .jobs
            .keys(&assignment.state.accepted.fact.output_prefix, &assignment.state.job_id);
        let shift = Shift {
            encoder: self,
            assignment: &assignment,
            plan: &plan,
            keys: &keys,
        };
        let (output, stage) = match assignment.task.duty {
            Duty::Video(chunk) => (Box::pin(shift.video(chunk)).await?, "encode"),
            _ => (Box::pin(shift.tracks()).await?, "tracks"),
        };
        let done = shift.list(output).await?;
        histogram!("fluxhls_stage_duration_seconds", "stage" => stage).record(started.elapsed());
        Ok(Product::Output(Box::new(done)))
    }
}

impl Encoder {
    /// What a task takes, as this worker does it.
    fn need(&self, plan: &Planned, task: TaskName) -> Need {
        if self.is_tight(plan, task) {
            Need::of_one_rung(plan, task)
        } else {
            Need::of_task(plan, task, cores())
        }
    }

    /// Whether the rungs of a task together take more memory than there is on this worker.
    fn is_tight(&self, plan: &Planned, task: TaskName) -> bool {
        let need = Need::of_task(plan, task, cores());
        matches!(task.duty, Duty::Video(_))
            && self
                .ledger
                .room()
                .is_ok_and(|room| room.too_small_for(need) == Some(Resource::Memory))
    }
}

/// One task in work.
pub(super) struct Shift<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) assignment: &'a Assignment,
    pub(super) plan: &'a Planned,
    pub(super) keys: &'a JobKeys,
}

impl Shift<'_> {
    #[expect(clippy::cast_precision_loss, reason = "frame counts stay far below 2^52")]
    async fn video(&self, chunk: u32) -> Result<TaskOutput, Failure> {
        let video = self.plan.video.as_ref().ok_or_else(|| Failure::plain(Code::NoTracks))?;
        let (first, end) = video.chunk_frames(chunk).ok_or_else(|| no_such_chunk(chunk))?;
        let seconds = (end - first) as f64 / video.frame_rate.as_f64();
        let rungs: Vec<&VideoRendition> = self.plan.videos().collect();
        let shelves: Vec<Shelf> = rungs.iter().map(|rung| shelf(rung, video, chunk)).collect();
        let mut output = TaskOutput {
            ffmpeg: self.encoder.ffmpeg.clone(),
            ..TaskOutput::default()
        };
        let mut folder = self.bench(&shelves)?;
        let passes = self.passes(video, chunk, rungs.len());
        for (n, pass) in passes.iter().enumerate() {
            let shelves = shelves[pass.rungs.clone()].to_vec();
            let view = View {
                // Each pass goes over all of the chunk: its own progress is told by the last one alone.
                is_told: n + 1 == passes.len(),
                is_preview: n == 0 && previews(video, chunk, rungs.len()),
            };
            let made = self
                .produce(folder, shelves, seconds, view, &self.pass(chunk, pass))
                .await?;
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
        self.verify(&output, &readback, &pictures.wanted()).await?;
        output.evidence = pictures.compare(&readback).await?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive length in seconds"
        )]
        counter!("fluxhls_media_seconds_total").increment(seconds as u64);
        Ok(output)
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
    fn pass(&self, chunk: u32, pass: &Pass) -> impl Fn(&Input) -> Option<Vec<String>> + Sync {
        let threads = self.encoder.is_tight(self.plan, self.assignment.task).then_some(1);
        move |input| argv::video_pass(self.plan, chunk, pass, input, Options { threads })
    }

    /// A folder for what is made.
    pub(super) fn bench(&self, shelves: &[Shelf]) -> Result<TempDir, Failure> {
        let folder = self
            .encoder
            .workshop
            .bench(shelves.iter().map(|shelf| shelf.name.as_str()));
        folder.map_err(|error| disk(Path::new("task"), &error))
    }

    pub(super) async fn produce(
        &self,
        folder: TempDir,
        shelves: Vec<Shelf>,
        seconds: f64,
        view: View,
        argv: &(dyn Fn(&Input) -> Option<Vec<String>> + Sync),
    ) -> Result<Made, Failure> {
        let encoder = self.encoder;
        let plant = Plant {
            jobs: &encoder.jobs,
            storage: &encoder.storage,
            cache: &encoder.cache,
            tool: &encoder.tool,
            keys: self.keys,
            limits: &encoder.limits,
        };
        // On the heap: it is large, and one task may hold two.
        Box::pin(plant.produce(
            Order {
                plan: self.plan,
                assignment: self.assignment,
                argv,
                shelves,
                seconds,
                view,
            },
            folder,
        ))
        .await
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

    pub(super) async fn audio_rendition(
        &self,
        rendition: &AudioRendition,
        made: &Made,
        i: usize,
    ) -> Result<RenditionOutput, Failure> {
        let shipped = &made.shipped[i];
        let (init, object) = self.init(&rendition.name, made, i, ObjectKind::Audio).await?;
        let gated = cmaf::track(rendition, &init, &fragments(shipped));
        let units = gated.map_err(|failure| gate_failed(&rendition.name, &failure, made))?;
        Ok(output(&rendition.name, init, object, units, shipped))
    }

    async fn init(
        &self,
        name: &RenditionName,
        made: &Made,
        i: usize,
        kind: ObjectKind,
    ) -> Result<(InitInfo, ObjectRef), Failure> {
        let shipper = self.shipper(made.folder.path());
        let (init, bytes) = shipper.init(name).await?;
        if let Some(object) = made.inits.get(i) {
            return Ok((init, object.clone()));
        }
        let key = self.keys.init(name.as_str(), self.assignment.attempt);
        Ok((init, shipper.put(&key, bytes, kind).await?))
    }

    /// Only bytes that were read back from the bucket are done. `wanted` segments are kept, to be looked into.
    pub(super) async fn verify(
        &self,
        output: &TaskOutput,
        readback: &Readback<'_>,
        wanted: &BTreeMap<RenditionName, Vec<u32>>,
    ) -> Result<(), Failure> {
        crash::point("encode.uploaded");
        let attempt = self.assignment.attempt;
        let sent = |object: &ObjectRef, part| Sent {
            key: object.key.clone(),
            digest: Digest {
                size: object.size,
                sha256: object.sha256.clone(),
            },
            part,
        };
        let mut objects: Vec<Sent> = Vec::new();
        for rendition in &output.renditions {
            let name = &rendition.name;
            objects.push(sent(&rendition.init, Some((name.clone(), None))));
            objects.extend(rendition.segments.iter().map(|segment| Sent {
                key: self.keys.segment(name.as_str(), u64::from(segment.n), attempt),
                digest: Digest {
                    size: segment.size,
                    sha256: segment.sha256.clone(),
                },
                part: Some((name.clone(), Some(segment.n))),
            }));
        }
        let others = output.poster.iter().chain(&output.tiles);
        let others = others.chain(output.subtitles.iter().map(|subtitles| &subtitles.object));
        objects.extend(others.map(|object| sent(object, None)));
        readback.read(objects, wanted).await?;
        crash::point("encode.verified");
        Ok(())
    }

    /// The list as it travels: in the message, or as an object when it is long.
    async fn list(&self, output: TaskOutput) -> Result<DoneOutput, Failure> {
        let bytes = serde_json::to_vec(&output).unwrap_or_default();
        if bytes.len() <= INLINE {
            return Ok(DoneOutput::Inline(Box::new(output)));
        }
        let key = self
            .keys
            .parts(&self.assignment.task.to_string(), self.assignment.attempt);
        let kind = ObjectKind::private("application/json");
        Ok(DoneOutput::Object(
            self.shipper(Path::new("")).put(&key, bytes.into(), kind).await?,
        ))
    }

    pub(super) fn readback<'b>(&'b self, folder: &'b Path) -> Readback<'b> {
        Readback {
            jobs: &self.encoder.jobs,
            tool: &self.encoder.tool,
            folder,
            pulse: &self.assignment.pulse,
        }
    }

    pub(super) fn shipper<'b>(&'b self, folder: &'b Path) -> Shipper<'b> {
        let Assignment { attempt, pulse, .. } = self.assignment;
        Shipper {
            jobs: &self.encoder.jobs,
            keys: self.keys,
            attempt: *attempt,
            folder,
            pulse,
        }
    }
}

/// Where a rung's segments of a chunk go.
fn shelf(rung: &VideoRendition, video: &VideoPlan, chunk: u32) -> Shelf {
    Shelf {
        name: rung.name.clone(),
        kind: ObjectKind::Video,
        first: video.chunks.get(chunk as usize).copied().unwrap_or(0),
    }
}

/// Whether the lowest rung of a chunk is made before the others: of the first one, where that is short.
fn previews(video: &VideoPlan, chunk: u32, rungs: usize) -> bool {
    let (first, end) = video.chunk_frames(chunk).unwrap_or_default();
    chunk == 0 && rungs > 1 && end - first <= PREVIEW * u64::from(video.segment_frames)
}

fn fragments(shipped: &[Shipped]) -> Vec<(u32, FragmentInfo)> {
    shipped
        .iter()
        .map(|segment| (segment.output.n, segment.fragment.clone()))
        .collect()
}

/// What is told of a rendition.
pub(super) fn output(
    name: &RenditionName,
    init: InitInfo,
    object: ObjectRef,
    units: u64,
    shipped: &[Shipped],
) -> RenditionOutput {
    RenditionOutput {
        name: name.clone(),
        init: object,
        init_match: init.match_hash(),
        codecs: init.codec.text,
        timescale: init.timescale,
        units,
        segments: shipped.iter().map(|segment| segment.output.clone()).collect(),
    }
}

fn gate_failed(name: &RenditionName, failure: &cmaf::GateFailure, made: &Made) -> Failure {
    let failure = Failure::new(Code::VerificationFailed, format!("{name}: {failure}."));
    or_full(made.folder.path(), failure.with_evidence(made.evidence.clone()))
}

fn no_such_chunk(chunk: u32) -> Failure {
    Failure::new(Code::VerificationFailed, format!("The plan has no chunk {chunk}."))
}
