//! The handler of tracks tasks: all sound, subtitles and the cover, from one reading of the source.

use std::collections::BTreeMap;
use std::path::Path;

use ffmpeg::argv::{self, Choice, Options};
use ffmpeg::{Input, loudness};
use media::cmaf;
use media::webvtt::{self, Cue, Document};
use storage::ObjectKind;
use streams::plan::{AudioRendition, Planned, SubtitleRendition};
use streams::work::{RenditionOutput, SubtitleOutput, TaskOutput};
use streams::{Code, RenditionName};
use tempfile::TempDir;

use super::evidence;
use super::production::{Made, View};
use super::shift::{Shift, fragments, gate_failed, output};
use super::shipping::Shelf;
use crate::crash;
use crate::job::failure::Failure;

/// Bytes of the longest file of subtitles that is read; a film's has a hundredth of it.
const LONGEST: u64 = 32 << 20;

impl Shift<'_> {
    /// Makes all sound, subtitles and the cover.
    pub(super) async fn tracks(&self) -> Result<TaskOutput, Failure> {
        let mut output = TaskOutput {
            ffmpeg: self.encoder.context.ffmpeg_version.clone(),
            ..TaskOutput::default()
        };
        let Some(made) = self.make_tracks(&mut output.warnings).await? else {
            return Ok(output);
        };
        for (i, rendition) in self.plan.audios().enumerate() {
            output.renditions.push(self.audio_rendition(rendition, &made, i).await?);
        }
        for rendition in &self.plan.subtitles {
            self.subtitles(rendition, &made, &mut output).await?;
        }
        if self.plan.cover.is_some() {
            self.cover(&made, &mut output).await?;
        }
        crash::point("encode.uploaded");
        let sound = evidence::sound(self.plan, &output.renditions);
        let readback = self.readback(made.folder.path());
        output.evidence = sound.read(&readback, self.sent(&output)).await?;
        crash::point("encode.verified");
        Ok(output)
    }

    async fn audio_rendition(
        &self,
        rendition: &AudioRendition,
        made: &Made,
        i: usize,
    ) -> Result<RenditionOutput, Failure> {
        let shipped = &made.shipped[i];
        let (init, object) = self.init(&rendition.name, made, i, ObjectKind::Audio).await?;
        let gated = cmaf::track(self.plan, rendition, &init, &fragments(shipped));
        let units = gated.map_err(|failure| gate_failed(&rendition.name, &failure, made))?;
        Ok(output(&rendition.name, init, object, units, shipped))
    }

    /// Runs ffmpeg. Where it breaks with subtitles or a cover in its hands, they may be to blame: sound is then made without them.
    /// Nothing when nothing can be made.
    async fn make_tracks(&self, warnings: &mut Vec<String>) -> Result<Option<Made>, Failure> {
        let has_extras = !self.plan.subtitles.is_empty() || self.plan.cover.is_some();
        match self.make_choice(false).await {
            Err(failure) if has_extras && failure.code == Code::FfmpegCrashed => {
                tracing::warn!(job.id = %self.assignment.state.job_id, %failure, "making sound without subtitles and cover");
            }
            made => return made.map(Some),
        }
        if self.plan.audios().next().is_none() {
            warnings.push("subtitles_failed".to_owned());
            return Ok(None);
        }
        self.make_choice(true).await.map(Some)
    }

    /// Makes all sound and, unless `sound_alone`, what else is no video. All runs share a folder: each reads what those before it wrote.
    async fn make_choice(&self, sound_alone: bool) -> Result<Made, Failure> {
        let shelves = self.plan.audios().map(|rendition| Shelf {
            name: rendition.name.clone(),
            kind: ObjectKind::Audio,
            first: 0,
            due: None,
            last: Some(self.plan.segment.last()),
            has_key_frames: false,
        });
        let shelves: Vec<Shelf> = shelves.collect();
        let folder = self.decode_changing(self.bench(&shelves)?).await?;
        let (folder, gains) = self.gains(folder).await?;

        let choice = Choice { gains, sound_alone };
        let argv = |input: &Input| argv::tracks(self.plan, input, Options::default(), &choice);
        let made = self.produce(folder, shelves, self.plan.source.duration, View::USUAL, &argv);
        Ok(made.await?)
    }

    /// Decodes the sound that changes its form on the way to one form.
    async fn decode_changing(&self, folder: TempDir) -> Result<TempDir, Failure> {
        if self.plan.audios().all(|rendition| !rendition.changes) {
            return Ok(folder);
        }
        let view = View {
            is_told: false,
            ..View::USUAL
        };
        let argv = |input: &Input| argv::uniform(self.plan, input, Options::default());
        let made = self.produce(folder, Vec::new(), self.plan.source.duration, view, &argv);
        Ok(made.await?.folder)
    }

    /// By how much each rendition is made louder that shall have a certain loudness: measured on a reading of its own, since a whole
    /// track must be heard before its first sample can be changed.
    async fn gains(&self, folder: TempDir) -> Result<(TempDir, BTreeMap<RenditionName, f64>), Failure> {
        let mut gains = BTreeMap::new();
        if self.plan.audios().all(|rendition| rendition.loudness.is_none()) {
            return Ok((folder, gains));
        }
        let argv = |input: &Input| argv::loudness(self.plan, input, Options::default());
        let made = self.produce(folder, Vec::new(), self.plan.source.duration, View::USUAL, &argv);
        let folder = made.await?.folder;
        for rendition in self.plan.audios() {
            let file = folder.path().join(argv::loudness_file(&rendition.name));
            let gain = match rendition.loudness {
                Some(target) => loudness::gain(&file, target).await,
                None => None,
            };
            gains.extend(gain.map(|gain| (rendition.name.clone(), gain)));
        }
        Ok((folder, gains))
    }

    /// Ships one track of subtitles. What is wrong with it is a warning, never a failure.
    async fn subtitles(
        &self,
        rendition: &SubtitleRendition,
        made: &Made,
        output: &mut TaskOutput,
    ) -> Result<(), Failure> {
        let mut warn = |word: &str| {
            if !output.warnings.iter().any(|warning| warning == word) {
                output.warnings.push(word.to_owned());
            }
        };
        let Some(bytes) = read(&made.folder.path().join(argv::subtitle_file(&rendition.name))).await else {
            warn("subtitles_failed");
            return Ok(());
        };
        let decoded = webvtt::charset::decode(&bytes, rendition.language.as_deref());
        if decoded.guessed {
            warn("subtitles_charset_guessed");
        }
        let cues = webvtt::lay(&webvtt::read(&decoded.text), shift(self.plan, rendition));
        let Some(last) = cues.iter().map(|cue| cue.end).max() else {
            warn("empty_subtitles_left_out");
            return Ok(());
        };
        output.subtitles.push(self.ship_cues(rendition, &cues, last).await?);
        Ok(())
    }

    /// Ships the cover as the poster. A missing one is a warning, never a failure.
    async fn cover(&self, made: &Made, output: &mut TaskOutput) -> Result<(), Failure> {
        match tokio::fs::read(made.folder.path().join(argv::COVER)).await {
            Ok(bytes) if !bytes.is_empty() => {
                let key = self.keys.poster(self.assignment.attempt);
                let shipper = self.shipper(Path::new(""));
                output.poster = Some(shipper.put(&key, bytes.into(), ObjectKind::Jpeg).await?);
            }
            _ => output.warnings.push("no_poster".to_owned()),
        }
        Ok(())
    }

    async fn ship_cues(
        &self,
        rendition: &SubtitleRendition,
        cues: &[Cue],
        last: i64,
    ) -> Result<SubtitleOutput, Failure> {
        let key = self.keys.subtitles(rendition.name.as_str(), self.assignment.attempt);
        let text = Document(cues).to_string();
        let object = self
            .shipper(Path::new(""))
            .put(&key, text.into(), ObjectKind::Vtt)
            .await?;
        Ok(SubtitleOutput {
            name: rendition.name.clone(),
            object,
            cues: u32::try_from(cues.len()).unwrap_or(u32::MAX),
            #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52 ms")]
            end: last as f64 / 1000.0,
        })
    }
}

/// A file ffmpeg made, unless it is missing or too long.
async fn read(file: &Path) -> Option<Vec<u8>> {
    let length = tokio::fs::metadata(file).await.ok()?.len();
    if length > LONGEST {
        return None;
    }
    tokio::fs::read(file).await.ok()
}

/// From the times in ffmpeg's file to the output's.
fn shift(plan: &Planned, rendition: &SubtitleRendition) -> webvtt::Shift {
    let track = plan.source.tracks.iter().find(|track| track.index == rendition.track);
    #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
    webvtt::Shift {
        zero: (plan.timeline.zero.as_f64() + f64::from(argv::LIFT)) * 1000.0,
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
        let rendition =
            serde_json::json!({"name": "0", "track": 3, "label": "English", "default": false, "reason": ""});
        let rendition = serde_json::from_value(rendition).unwrap();
        let shift = shift(&planned, &rendition);
        assert_eq!(
            (shift.zero, shift.programme, shift.drawings),
            (3_602_500.0, 15_015, true)
        );
    }
}
