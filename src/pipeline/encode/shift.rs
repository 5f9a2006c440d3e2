//! One task in work, and what the making of chunks and of tracks have in common.

use std::path::Path;

use ffmpeg::Input;
use media::cmaf::{self, FragmentInfo, InitInfo};
use storage::{Digest, JobKeys, ObjectKind};
use streams::plan::Planned;
use streams::work::{DoneOutput, ObjectRef, RenditionOutput, TaskOutput};
use streams::{Code, RenditionName};
use tempfile::TempDir;

use super::evidence::{Readback, Sent};
use super::production::{Made, Order, Plant, View};
use super::shipping::{Shelf, Shipped, Shipper, Stopped, disk, or_full};
use super::stage::Encoder;
use crate::job::Assignment;
use crate::job::failure::Failure;

/// Longest list of segments that travels in `done` itself, in bytes; longer ones become an object.
const INLINE: usize = 48 * 1024;

/// One task in work.
pub(super) struct Shift<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) assignment: &'a Assignment,
    pub(super) plan: &'a Planned,
    pub(super) keys: &'a JobKeys,
}

impl Shift<'_> {
    /// A folder for what is made.
    pub(super) fn bench(&self, shelves: &[Shelf]) -> Result<TempDir, Failure> {
        let folder = self
            .encoder
            .context
            .work_dir
            .create_task_dir(shelves.iter().map(|shelf| shelf.name.as_str()));
        folder.map_err(|error| disk(Path::new("task"), &error))
    }

    pub(super) async fn produce(
        &self,
        folder: TempDir,
        shelves: Vec<Shelf>,
        seconds: f64,
        view: View,
        argv: &(dyn Fn(&Input) -> Option<Vec<String>> + Sync),
    ) -> Result<Made, Stopped> {
        let context = &self.encoder.context;
        let plant = Plant {
            jobs: &context.jobs,
            storage: &context.storage,
            cache: &context.cache,
            tool: &context.tool,
            keys: self.keys,
            limits: &context.limits,
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

    pub(super) async fn init(
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

    /// What was sent of an output, to be read back: only bytes that were seen in the bucket are done.
    pub(super) fn sent(&self, output: &TaskOutput) -> Vec<Sent> {
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
        objects
    }

    /// The list as it travels: in the message, or as an object when it is long.
    pub(super) async fn list(&self, output: TaskOutput) -> Result<DoneOutput, Failure> {
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
            jobs: &self.encoder.context.jobs,
            tool: &self.encoder.context.tool,
            folder,
            pulse: &self.assignment.pulse,
        }
    }

    pub(super) fn shipper<'b>(&'b self, folder: &'b Path) -> Shipper<'b> {
        let Assignment { attempt, pulse, .. } = self.assignment;
        Shipper {
            jobs: &self.encoder.context.jobs,
            keys: self.keys,
            attempt: *attempt,
            folder,
            pulse,
        }
    }
}

/// What the segments of one rendition hold, with their numbers.
pub(super) fn fragments(shipped: &[Shipped]) -> Vec<(u32, FragmentInfo)> {
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

/// The failure of a rendition that does not pass its gate.
pub(super) fn gate_failed(name: &RenditionName, failure: &cmaf::GateFailure, made: &Made) -> Failure {
    let failure = Failure::new(Code::VerificationFailed, format!("{name}: {failure}."));
    or_full(made.folder.path(), failure.with_evidence(made.evidence.clone()))
}
