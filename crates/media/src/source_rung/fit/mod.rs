//! Decides whether the pictures of a source can be a rung of its ladder without being encoded.

use std::collections::BTreeSet;

use streams::plan::{Picture, VideoRendition};
use streams::{Rational, RenditionName};

use super::avc::{AvcConfiguration, KeySample};
use super::boundaries::Boundaries;
use super::bytes::segment_bytes;
use super::cuts::cut;
use super::index::{IndexError, SampleIndex};
use super::refusal::CopyRefusal;
use crate::ladder::probe::{Stream, Video};
use crate::ladder::profile::{Codec, Encoder, Profile, Rung};
use crate::ladder::rungs;
use crate::ladder::size::Size;
use crate::ladder::timeline::{END_TOLERANCE_FRAMES, Grid};
use crate::playlist::bandwidth::Bandwidth;
use crate::playlist::media::MediaSegment;

/// The maximum mean rate of a copied rung, in tenths of its cap: a tenth above the cap.
const MAX_AVERAGE_TENTHS: u64 = 11;

/// The maximum peak rate of a copied rung, in tenths of its cap: half above the cap, because the
/// source was not made for our buffers.
const MAX_PEAK_TENTHS: u64 = 15;

/// 60 frames per second, plus the error of a camera's clock.
const MAX_FRAMES_PER_SECOND: f64 = 60.6;

/// A source whose plan encodes every rung, to be checked again.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The video stream.
    pub stream: &'a Stream,
    /// What the probe says about the pictures.
    pub video: &'a Video,
    /// The policy.
    pub profile: &'a Profile,
    /// The rungs as they would be encoded, from the highest to the lowest.
    pub ladder: &'a [VideoRendition],
    /// How the pictures would be processed before scaling.
    pub picture: &'a Picture,
    /// The frame rate of the output, and the segments that the profile requests.
    pub grid: Grid,
    /// The output frame that the first picture becomes.
    pub first_frame: u64,
    /// The length of the programme in frames.
    pub programme: u64,
    /// The index of the pictures.
    pub index: Result<&'a SampleIndex, &'a IndexError>,
    /// What a few key frames really are: one entry for each key frame that was read.
    pub key_samples: &'a [KeySample],
}

/// Whether a source can be a rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceRung {
    /// The source is copied.
    Copied(CopiedRung),
    /// The source is not copied, and its rung is encoded.
    Refused {
        /// All reasons, in the order of [`CopyRefusal`]; at least one.
        reasons: Vec<CopyRefusal>,
    },
}

/// A rung made of the source's own pictures. It is always the top rung, because no rung is larger
/// than the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedRung {
    /// The name and folder, e.g. `1080p-src`.
    pub name: RenditionName,
    /// The encoded rung that this one replaces. It is encoded after all if copying fails.
    pub instead_of: RenditionName,
    /// The size in pixels.
    pub size: Size,
    /// The frame rate of this rung and of all others, in frames per second.
    pub frame_rate: Rational,
    /// The RFC 6381 text, e.g. `avc1.640028`.
    pub codec: String,
    /// The profile's cap for a rung of this size and rate, in bits per second.
    pub maxrate: u64,
    /// The actual rates, in bits per second, without the boxes around the pictures.
    pub bandwidth: Bandwidth,
    /// Where the whole job is cut.
    pub boundaries: Boundaries,
    /// The target duration of the whole job, in seconds.
    pub target_duration: u32,
    /// The picture bytes of each segment.
    pub segment_bytes: Vec<u64>,
}

/// Decides whether a source is copied. Equal arguments give equal decisions.
#[must_use]
pub fn decide(candidate: &Candidate<'_>) -> SourceRung {
    let mut reasons = BTreeSet::new();
    judge_pictures(candidate, &mut reasons);

    let place = Place::of(candidate);
    let copied = match candidate.index {
        Ok(index) => judge_index(candidate, index, place.as_ref().ok(), &mut reasons),
        Err(error) => {
            reasons.insert(error.refusal());
            None
        }
    };
    reasons.extend(place.err());

    match copied.filter(|_| reasons.is_empty()) {
        Some(rung) => SourceRung::Copied(rung),
        None => SourceRung::Refused {
            reasons: reasons.into_iter().collect(),
        },
    }
}

/// Adds `reason` if the condition is true.
fn refuse_if(reasons: &mut BTreeSet<CopyRefusal>, holds: bool, reason: CopyRefusal) {
    if holds {
        reasons.insert(reason);
    }
}

/// Checks what the probe and the plan say about the pictures.
fn judge_pictures(candidate: &Candidate<'_>, reasons: &mut BTreeSet<CopyRefusal>) {
    let (video, picture) = (candidate.video, candidate.picture);
    let ladder_codec = Encoder::named(&candidate.profile.encoder).map(|encoder| encoder.codec);
    let is_other_codec = candidate.stream.codec != "h264" || ladder_codec != Some(Codec::H264);

    let mut refuse = |holds, reason| refuse_if(reasons, holds, reason);
    refuse(is_other_codec || picture.deinterlace, CopyRefusal::Codec);
    refuse(picture.turn != 0 || picture.mirror, CopyRefusal::Rotation);
    refuse(
        video.pixel_aspect != Rational::whole(1),
        CopyRefusal::PixelAspect,
    );
    refuse(is_converted(video, picture), CopyRefusal::Colour);
    let has_captions = video.captions || candidate.key_samples.iter().any(|key| key.has_captions);
    refuse(has_captions && !picture.captions, CopyRefusal::Captions);
    refuse(video.size_changes, CopyRefusal::SizeChanges);
    refuse(candidate.first_frame > 0, CopyRefusal::LatePicture);
}

/// Whether the pictures are processed in any way other than deinterlacing, rotation, mirroring and
/// pixel aspect correction.
fn is_converted(video: &Video, picture: &Picture) -> bool {
    let is_cut = (picture.width, picture.height) != (video.width, video.height);
    // ffmpeg uses this prefix for full-range formats.
    let is_full_range = video.pixel_format.starts_with("yuvj");
    picture.flatten || picture.color != Picture::default().color || is_cut || is_full_range
}

/// Checks the index. Returns the rung as it would be, if there is a place for it.
fn judge_index(
    candidate: &Candidate<'_>,
    index: &SampleIndex,
    place: Option<&Place>,
    reasons: &mut BTreeSet<CopyRefusal>,
) -> Option<CopiedRung> {
    let grid = &candidate.grid;
    judge_configuration(candidate, index, reasons);
    let keeps_rate = judge_times(candidate, index, reasons);
    let frames = judge_length(candidate, index, keeps_rate, reasons);

    let mut refuse = |holds, reason| refuse_if(reasons, holds, reason);
    let is_open = !index.has_closed_groups() || candidate.key_samples.iter().any(|key| !key.is_idr);
    refuse(is_open, CopyRefusal::OpenGop);
    refuse(!index.has_plain_edits(), CopyRefusal::EditList);

    let boundaries = cut(&index.key_frames_at(grid.rate), frames, grid).ok()?;
    refuse(
        boundaries.has_key_frame_gap(grid.rate),
        CopyRefusal::KeyFrameGap,
    );

    let place = place?;
    let target_duration = boundaries.target_duration(grid);
    // Only at a constant rate is each sample one frame, and the rate of a segment known.
    let segment_bytes = if keeps_rate {
        segment_bytes(index, &boundaries)
    } else {
        Vec::new()
    };
    let bandwidth = if keeps_rate {
        measure(&boundaries, &segment_bytes, grid.rate, target_duration)
    } else {
        let whole = Boundaries::new(vec![frames]).ok()?;
        measure(&whole, &[index.bytes()], grid.rate, target_duration)
    };
    refuse(place.is_exceeded_by(bandwidth), CopyRefusal::Bitrate);

    let avc = index.avc()?;
    Some(CopiedRung {
        name: place.name.clone(),
        instead_of: place.instead_of.clone(),
        size: avc.size,
        frame_rate: grid.rate,
        codec: avc.codec.clone(),
        maxrate: place.maxrate,
        bandwidth,
        boundaries,
        target_duration,
        segment_bytes,
    })
}

/// Checks the decoder configuration.
fn judge_configuration(
    candidate: &Candidate<'_>,
    index: &SampleIndex,
    reasons: &mut BTreeSet<CopyRefusal>,
) {
    let sets_of = |avc: &AvcConfiguration| avc.sequence_sets.len();
    let has_several_sets =
        index.descriptions() > 1 || index.avc().is_some_and(|avc| sets_of(avc) > 1);
    let changes = candidate
        .key_samples
        .iter()
        .any(|key| key.has_other_parameter_sets);
    let video = candidate.video;

    let mut refuse = |holds, reason| refuse_if(reasons, holds, reason);
    refuse(
        has_several_sets || changes,
        CopyRefusal::ParameterSetsChange,
    );

    let Some(avc) = index.avc() else {
        refuse(true, CopyRefusal::Codec);
        return;
    };
    refuse(!avc.is_common(), CopyRefusal::Codec);
    refuse(
        !avc.has_common_level(candidate.grid.rate),
        CopyRefusal::Level,
    );
    refuse(!avc.has_square_pixels, CopyRefusal::PixelAspect);
    refuse(avc.is_full_range, CopyRefusal::Colour);
    let is_other_size = (avc.size.width, avc.size.height) != (video.width, video.height);
    refuse(is_other_size, CopyRefusal::SizeChanges);
}

/// Checks when pictures are shown. Returns whether the n-th picture is the n-th output frame.
fn judge_times(
    candidate: &Candidate<'_>,
    index: &SampleIndex,
    reasons: &mut BTreeSet<CopyRefusal>,
) -> bool {
    let rate = candidate.grid.rate;
    let mean = index.mean_rate().unwrap_or(rate.as_f64());
    let is_fast = mean > MAX_FRAMES_PER_SECOND;
    // Faster sources are encoded at their rate divided by a whole number.
    let multiple = if is_fast {
        (mean / rate.as_f64()).round()
    } else {
        1.0
    };
    let own = Rational::whole(multiple as i64).checked_mul(rate);

    let is_even = own.is_some_and(|own| index.keeps_rate(own));
    refuse_if(reasons, is_fast, CopyRefusal::FrameRateHigh);
    refuse_if(reasons, !is_even, CopyRefusal::FrameRateVaries);
    is_even && !is_fast
}

/// Compares the length of the pictures with the programme. Returns the number of output frames.
fn judge_length(
    candidate: &Candidate<'_>,
    index: &SampleIndex,
    keeps_rate: bool,
    reasons: &mut BTreeSet<CopyRefusal>,
) -> u64 {
    let programme = candidate.programme;
    if !keeps_rate {
        return programme;
    }

    let pictures = candidate.first_frame.saturating_add(index.samples().into());
    // If the probe found fewer pictures than the index lists, some of them cannot be read.
    let missing = pictures.saturating_sub(programme);
    let held = programme.saturating_sub(pictures);
    let is_cut_short = missing as f64 > END_TOLERANCE_FRAMES;
    refuse_if(reasons, is_cut_short, CopyRefusal::Damaged);
    let is_long = held > u64::from(candidate.grid.segment);
    refuse_if(reasons, is_long, CopyRefusal::Length);

    programme.max(pictures)
}

/// Measures the rates of the segments.
fn measure(
    boundaries: &Boundaries,
    segment_bytes: &[u64],
    rate: Rational,
    target_duration: u32,
) -> Bandwidth {
    // The denominator of the rate is the number of ticks per frame.
    let ticks = u64::try_from(rate.den()).unwrap_or(1);
    let segments = boundaries.iter().zip(segment_bytes);
    let segments: Vec<MediaSegment> = segments
        .map(|(frames, bytes)| MediaSegment {
            uri: String::new(),
            duration: (frames.end - frames.start).saturating_mul(ticks),
            bytes: *bytes,
        })
        .collect();

    let timescale = u32::try_from(rate.num()).unwrap_or(u32::MAX);
    Bandwidth::measure(&segments, timescale, target_duration)
}

/// The place of the source in its ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    name: RenditionName,
    instead_of: RenditionName,
    maxrate: u64,
}

impl Place {
    /// Finds the place of the source. It is above all encoded rungs, because none of them is larger
    /// than the source, and replaces the highest one, which has the size of the source or is
    /// slightly smaller.
    fn of(candidate: &Candidate<'_>) -> Result<Self, CopyRefusal> {
        let size = candidate.video.upright_size();
        let side = size.short_side();
        let rungs = &candidate.profile.rungs;

        if rungs.first().is_none_or(|top| side > top.short_side) {
            return Err(CopyRefusal::NoRung);
        }
        let [top, _, ..] = candidate.ladder else {
            return Err(CopyRefusal::OnlyRung);
        };

        let rung = rung_of_size(rungs, side).ok_or(CopyRefusal::OnlyRung)?;
        let name = format!("{side}p-src").parse();
        Ok(Self {
            name: name.map_err(|_| CopyRefusal::NoRung)?,
            instead_of: top.name.clone(),
            maxrate: rungs::maxrate(&rung, size, candidate.grid.rate),
        })
    }
}

impl Place {
    /// Whether this many bits exceed what the place allows.
    fn is_exceeded_by(&self, bandwidth: Bandwidth) -> bool {
        let is_over = |rate: u64, tenths: u64| rate.saturating_mul(10) > self.maxrate * tenths;
        is_over(bandwidth.average, MAX_AVERAGE_TENTHS) || is_over(bandwidth.peak, MAX_PEAK_TENTHS)
    }
}

/// The profile's rung with a short side of `side` pixels, or a rung between two others, with a cap
/// between theirs according to its area. `None` if `side` is below the lowest rung or above the
/// top one.
fn rung_of_size(rungs: &[Rung], side: u32) -> Option<Rung> {
    let above = rungs.iter().rev().find(|rung| rung.short_side >= side)?;
    let below = rungs.iter().find(|rung| rung.short_side <= side)?;

    // Caps grow with a power of the area. The two rungs give the exponent.
    let part = |of: &Rung| f64::from(of.short_side) / f64::from(below.short_side);
    let exponent = (above.maxrate as f64 / below.maxrate as f64).ln() / part(above).ln();
    let own = f64::from(side) / f64::from(below.short_side);
    let maxrate = if above.short_side == below.short_side {
        above.maxrate
    } else {
        (below.maxrate as f64 * own.powf(exponent)) as u64
    };

    Some(Rung {
        short_side: side,
        maxrate,
        ..above.clone()
    })
}

#[cfg(test)]
mod tests;
