//! The index of the pictures of an ISO file: its sample tables (ISO/IEC 14496-12 sections 8.6 and
//! 8.7), checked against each other and against the size of the object.

use std::ops::Range;

use mp4_atom::{
    Atom, Avc1, Co64, Ctts, Elst, FourCC, Mdhd, Mvhd, Stco, Stsc, StscEntry, Stss, Stsz,
    StszSamples, Stts,
};
use streams::Rational;

use super::avc::AvcConfiguration;
use super::boxes::{boxes, find};
use super::refusal::CopyRefusal;
use crate::cmaf::nesting;
use crate::ladder::size::Size;

/// The maximum length of a `moov` box in bytes. Two hours at 60 frames per second need 10 MB,
/// including all audio. This limit allows [`MAX_SECONDS`] of it, with room for cover pictures.
pub const MAX_MOOV_BYTES: u64 = 64 << 20;

/// The maximum number of samples in a track: [`MAX_SECONDS`] at 60 per second, the highest rate
/// that is copied. An index takes 16 bytes per sample, which is 41 MB in total.
pub const MAX_SAMPLES: u32 = 60 * MAX_SECONDS;

/// The maximum duration of a track in seconds. No film is longer, and anything that is can be
/// encoded instead.
pub const MAX_SECONDS: u32 = 12 * 3600;

/// The maximum length of a sample entry in bytes. The parameters of a decoder take a hundred bytes,
/// and each set of them has at most 64 KiB.
const MAX_SAMPLE_ENTRY_BYTES: u64 = 1 << 20;

/// A picture may be off the grid by at most one frame divided by this number. Rounded clocks are a
/// tenth of a frame off. A picture that is half a frame off would be a different frame in the
/// encoded rungs.
const FRAME_ERROR_DIVISOR: i128 = 4;

/// Why a file has no usable index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// A required part is missing.
    #[error("the file has no {0}")]
    Missing(&'static str),
    /// The samples are indexed in fragments throughout the file.
    #[error("the file is fragmented")]
    Fragmented,
    /// Several tracks match the request.
    #[error("{0} video tracks have the requested size")]
    Ambiguous(usize),
    /// The index is larger than the limit.
    #[error("there are more than {limit} {what}")]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// The maximum that is read.
        limit: u64,
    },
    /// Boxes are broken or contradict each other.
    #[error("the index is damaged: {0}")]
    Damaged(String),
}

impl IndexError {
    pub(super) const fn too_large(what: &'static str, limit: u64) -> Self {
        Self::TooLarge { what, limit }
    }

    fn damaged(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }

    /// The reason that publishers see.
    #[must_use]
    pub const fn refusal(&self) -> CopyRefusal {
        match self {
            Self::Damaged(_) => CopyRefusal::Damaged,
            _ => CopyRefusal::NoIndex,
        }
    }
}

/// One sample of a track: the data of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The offset of its first byte in the file.
    pub offset: u64,
    /// Its length in bytes, at least one.
    pub bytes: u32,
    /// When it is decoded, in ticks after the first sample.
    pub decode_time: u64,
    /// When it is shown, in ticks of the same clock, before any edit.
    pub composition_time: i64,
    /// Whether the index calls it a key frame.
    pub is_sync: bool,
}

/// The samples of one video track, in decoding order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleIndex {
    /// Ticks per second.
    timescale: u32,
    /// The H.264 configuration in the first sample entry; `None` for any other codec.
    avc: Option<AvcConfiguration>,
    /// The number of sample entries.
    descriptions: u32,
    has_plain_edits: bool,
    offsets: Vec<u64>,
    sizes: Vec<u32>,
    decode_runs: Vec<DecodeRun>,
    /// Ticks from decoding to display, for each sample; empty if all samples are shown immediately.
    composition_offsets: Vec<i32>,
    /// The numbers of the samples that the index calls key frames, ascending.
    key_frames: Vec<u32>,
}

/// Consecutive samples at equal intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DecodeRun {
    /// The number of the first sample.
    first: u32,
    /// When the first sample is decoded, in ticks.
    time: u64,
    /// Ticks from one sample to the next.
    delta: u32,
}

impl SampleIndex {
    /// Reads the index of a video track from a whole `moov` box. The track is the one whose stored
    /// pictures have the size `stored`, or the only video track. `object_bytes` is the size of the
    /// file.
    ///
    /// # Errors
    /// [`IndexError`] if the index is missing, incomplete, too large or damaged.
    pub fn read(moov: &[u8], stored: Size, object_bytes: u64) -> Result<Self, IndexError> {
        if moov.len() as u64 > MAX_MOOV_BYTES {
            return Err(IndexError::too_large(
                "bytes in the moov box",
                MAX_MOOV_BYTES,
            ));
        }
        let moov = find(moov, b"moov")?.ok_or(IndexError::Missing("moov box"))?;
        if find(moov, b"mvex")?.is_some() {
            return Err(IndexError::Fragmented);
        }

        let movie: Mvhd = require(moov, "mvhd")?;
        let track = Track::choose(moov, stored)?;
        let mut index = track.read_samples(object_bytes)?;
        index.has_plain_edits = index.judge_edits(track.edits()?.as_ref(), movie.timescale);
        Ok(index)
    }

    /// Ticks per second of all times in the index.
    #[must_use]
    pub const fn timescale(&self) -> u32 {
        self.timescale
    }

    /// The decoder configuration; `None` unless the pictures are H.264 with all parameters in one
    /// place.
    #[must_use]
    pub const fn avc(&self) -> Option<&AvcConfiguration> {
        self.avc.as_ref()
    }

    /// How many decoder configurations the index has.
    #[must_use]
    pub const fn descriptions(&self) -> u32 {
        self.descriptions
    }

    /// The number of samples, at least one.
    #[must_use]
    pub fn samples(&self) -> u32 {
        // At most MAX_SAMPLES were read.
        self.sizes.len() as u32
    }

    /// Sample number `n`, counted from zero in decoding order.
    #[must_use]
    pub fn sample(&self, n: u32) -> Option<Sample> {
        let at = n as usize;
        let decode_time = self.decode_time(n)?;
        let offset = self.composition_offsets.get(at).copied().unwrap_or(0);

        Some(Sample {
            offset: *self.offsets.get(at)?,
            bytes: *self.sizes.get(at)?,
            decode_time,
            // Twelve hours of any clock are far below the limit of 64 bits.
            composition_time: decode_time as i64 + i64::from(offset),
            is_sync: self.key_frames.binary_search(&n).is_ok(),
        })
    }

    /// The samples in a range of numbers. Numbers without a sample are skipped.
    pub fn samples_in(&self, range: Range<u32>) -> impl Iterator<Item = Sample> + '_ {
        let end = range.end.min(self.samples());
        (range.start..end).filter_map(|n| self.sample(n))
    }

    /// The numbers of the samples that the index calls key frames, ascending.
    #[must_use]
    pub fn key_frames(&self) -> &[u32] {
        &self.key_frames
    }

    /// At most `count` key frames spread over the track, including the first and the last. Looking
    /// at all key frames would read the whole file.
    #[must_use]
    pub fn spread_key_frames(&self, count: usize) -> Vec<u32> {
        let all = self.key_frames.len();
        if all <= count || count < 2 {
            return self.key_frames.iter().copied().take(count).collect();
        }
        (0..count)
            .map(|i| self.key_frames[i * (all - 1) / (count - 1)])
            .collect()
    }

    /// Whether the edit list, if there is one, only says that the track begins with its first
    /// picture, and when it begins.
    #[must_use]
    pub const fn has_plain_edits(&self) -> bool {
        self.has_plain_edits
    }

    /// Whether the first sample is a key frame, and each key frame separates the same earlier and
    /// later samples in display order as in decoding order. Then, if the n-th sample is a key
    /// frame, it is also the n-th picture. This is always true for an instantaneous decoder refresh
    /// (ITU-T H.264 section 3.69). If it is false, pictures around the key frame belong to an open
    /// group.
    #[must_use]
    pub fn has_closed_groups(&self) -> bool {
        if self.key_frames.first() != Some(&0) {
            return false;
        }

        let ends = self.key_frames[1..].iter().chain([&u32::MAX]);
        let mut latest = i64::MIN;
        self.key_frames.iter().zip(ends).all(|(first, end)| {
            let times = self.samples_in(*first..*end).map(|s| s.composition_time);
            let (least, most) = times.fold((i64::MAX, i64::MIN), |(least, most), time| {
                (least.min(time), most.max(time))
            });

            let is_closed = self
                .sample(*first)
                .is_some_and(|key| key.composition_time == least)
                && latest < least;
            latest = most;
            is_closed
        })
    }

    /// The mean rate from the first picture to the last, in frames per second; `None` if there is
    /// only one picture.
    #[must_use]
    pub fn mean_rate(&self) -> Option<f64> {
        let times = self.composition_times();
        let (first, last) = (times.first()?, times.last()?);
        let ticks = (last - first) as f64;
        let intervals = (times.len() - 1) as f64;
        (ticks > 0.0).then(|| intervals * f64::from(self.timescale) / ticks)
    }

    /// Whether the n-th picture in display order is shown n frames of `rate` after the first one,
    /// for all n, with an error of at most a quarter of a frame.
    #[must_use]
    pub fn keeps_rate(&self, rate: Rational) -> bool {
        let (num, den) = (i128::from(rate.num()), i128::from(rate.den()));
        let frame = i128::from(self.timescale) * den;
        let times = self.composition_times();
        let first = times.first().copied().unwrap_or(0);

        // All values are ticks times the numerator of the rate, which is exact.
        times.iter().zip(0_i128..).all(|(time, n)| {
            let off = i128::from(time - first) * num - n * frame;
            off.abs() * FRAME_ERROR_DIVISOR <= frame
        })
    }

    /// The key frames as frame numbers at `rate`, by display time, ascending. They equal the sample
    /// numbers if the track has this rate and closed groups.
    #[must_use]
    pub fn key_frames_at(&self, rate: Rational) -> Vec<u32> {
        let first = self.samples_in(0..u32::MAX).map(|s| s.composition_time);
        let first = first.min().unwrap_or(0);
        let frames_a_tick = rate.as_f64() / f64::from(self.timescale);

        let keys = self.key_frames.iter().filter_map(|n| self.sample(*n));
        let frames = keys.map(|key| (key.composition_time - first) as f64 * frames_a_tick);
        let mut frames: Vec<u32> = frames.map(|frame| frame.round() as u32).collect();
        frames.sort_unstable();
        frames.dedup();
        frames
    }

    /// The total bytes of all samples.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sizes.iter().copied().map(u64::from).sum()
    }

    /// The display times of all pictures, ascending.
    fn composition_times(&self) -> Vec<i64> {
        let times = self.samples_in(0..u32::MAX).map(|s| s.composition_time);
        let mut times: Vec<i64> = times.collect();
        times.sort_unstable();
        times
    }

    fn decode_time(&self, n: u32) -> Option<u64> {
        let behind = self.decode_runs.partition_point(|run| run.first <= n);
        let run = self.decode_runs.get(behind.checked_sub(1)?)?;
        Some(run.time + u64::from(n - run.first) * u64::from(run.delta))
    }

    fn judge_edits(&self, list: Option<&Elst>, movie_timescale: u32) -> bool {
        let entries = list.map_or(&[][..], |list| &list.entries[..]);
        let entries = match entries {
            // An empty edit says how much later the track begins.
            [first, rest @ ..] if first.media_time.is_none() => rest,
            all => all,
        };
        let [edit] = entries else {
            // A list of empty edits alone shows nothing.
            return list.is_none_or(|list| list.entries.is_empty());
        };

        let times = self.composition_times();
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return false;
        };
        let begins_with_first = edit
            .media_time
            .is_some_and(|t| i64::try_from(t) == Ok(*first));
        let is_at_full_rate = edit.media_rate.integer() == 1 && edit.media_rate.decimal() == 0;

        // An edit without a duration covers the whole track. Otherwise the last picture must begin
        // within the edit.
        let shown = u128::from(edit.segment_duration) * u128::from(self.timescale);
        let needed = u128::from(last.abs_diff(*first)) * u128::from(movie_timescale);
        let shows_last = edit.segment_duration == 0 || needed < shown;

        begins_with_first && is_at_full_rate && shows_last
    }
}

/// The boxes of one track.
struct Track<'a> {
    trak: &'a [u8],
    mdia: &'a [u8],
    stbl: &'a [u8],
    /// The first sample entry, with its kind.
    entry: (FourCC, &'a [u8]),
    descriptions: u32,
}

impl<'a> Track<'a> {
    /// Finds the video track of a `moov` box whose pictures have the size `stored`, or the only
    /// video track.
    fn choose(moov: &'a [u8], stored: Size) -> Result<Self, IndexError> {
        let mut tracks = Vec::new();
        for found in boxes(moov) {
            let (kind, body) = found?;
            if kind == FourCC::new(b"trak") {
                tracks.extend(Self::open_video(body)?);
            }
        }

        if tracks.len() > 1 {
            tracks.retain(|track| track.has_size(stored));
        }
        match tracks.len() {
            0 => Err(IndexError::Missing("video track of this size")),
            1 => Ok(tracks.remove(0)),
            several => Err(IndexError::Ambiguous(several)),
        }
    }

    /// Opens a `trak` box; `None` if it is not a video track.
    fn open_video(trak: &'a [u8]) -> Result<Option<Self>, IndexError> {
        let mdia = find(trak, b"mdia")?.ok_or(IndexError::Missing("mdia box"))?;
        // The handler follows the version and a QuickTime field (section 8.4.3).
        let handler = find(mdia, b"hdlr")?.and_then(|body| body.get(8..12));
        if handler != Some(b"vide") {
            return Ok(None);
        }

        let minf = find(mdia, b"minf")?.ok_or(IndexError::Missing("minf box"))?;
        let stbl = find(minf, b"stbl")?.ok_or(IndexError::Missing("stbl box"))?;
        let stsd = find(stbl, b"stsd")?.ok_or(IndexError::Missing("stsd box"))?;
        // The entries follow the version, the flags and the number of entries (section 8.5.2).
        let entries = boxes(stsd.get(8..).unwrap_or_default());
        let entries: Vec<(FourCC, &[u8])> = entries.collect::<Result<_, _>>()?;

        Ok(Some(Self {
            trak,
            mdia,
            stbl,
            entry: *entries.first().ok_or(IndexError::Missing("sample entry"))?,
            descriptions: entries.len() as u32,
        }))
    }

    /// Whether its sample entry, of any codec, has this size (section 12.1.3).
    fn has_size(&self, size: Size) -> bool {
        let field = |at: usize| {
            let bytes = self.entry.1.get(at..at + 2)?;
            Some(u32::from(u16::from_be_bytes(bytes.try_into().ok()?)))
        };
        (field(24), field(26)) == (Some(size.width), Some(size.height))
    }

    fn edits(&self) -> Result<Option<Elst>, IndexError> {
        match find(self.trak, b"edts")? {
            Some(edts) => decode(edts, "elst"),
            None => Ok(None),
        }
    }

    /// Decodes its sample entry; `None` unless it is H.264 with all parameters in it.
    fn read_avc(&self) -> Result<Option<AvcConfiguration>, IndexError> {
        let (kind, mut body) = self.entry;
        if kind != Avc1::KIND {
            return Ok(None);
        }
        if body.len() as u64 > MAX_SAMPLE_ENTRY_BYTES {
            return Err(IndexError::too_large(
                "bytes in a sample entry",
                MAX_SAMPLE_ENTRY_BYTES,
            ));
        }

        // The parser recurses into each level, so check the depth first.
        nesting::check(kind, body).map_err(|error| IndexError::Damaged(error.to_string()))?;
        let entry = Avc1::decode_body(&mut body)
            .map_err(|error| IndexError::Damaged(format!("avc1: {error}")))?;
        AvcConfiguration::read(&entry).map(Some)
    }

    /// Reads all tables. Each one is dropped before the next is read, because it is as large as the
    /// data made from it.
    fn read_samples(&self, object_bytes: u64) -> Result<SampleIndex, IndexError> {
        let header: Mdhd = require(self.mdia, "mdhd")?;
        if header.timescale == 0 {
            return Err(IndexError::damaged("the timescale is zero"));
        }

        let sizes = read_sizes(self.stbl, object_bytes)?;
        let samples = sizes.len() as u32;
        let decode_runs = read_decode_times(self.stbl, samples, header.timescale)?;
        let composition_offsets = read_composition_offsets(self.stbl, samples)?;
        let key_frames = read_key_frames(self.stbl, samples)?;
        let offsets = read_offsets(self.stbl, &sizes, object_bytes)?;

        Ok(SampleIndex {
            timescale: header.timescale,
            avc: self.read_avc()?,
            descriptions: self.descriptions,
            has_plain_edits: false,
            offsets,
            sizes,
            decode_runs,
            composition_offsets,
            key_frames,
        })
    }
}

/// Decodes the first box of this kind in `body`. Any bytes in the box after its content are
/// padding.
fn decode<T: Atom>(body: &[u8], kind: &'static str) -> Result<Option<T>, IndexError> {
    let name = kind
        .as_bytes()
        .try_into()
        .map_err(|_| IndexError::Missing(kind))?;
    let Some(mut inner) = find(body, name)? else {
        return Ok(None);
    };
    match T::decode_body(&mut inner) {
        Ok(atom) => Ok(Some(atom)),
        Err(error) => Err(IndexError::Damaged(format!("{kind}: {error}"))),
    }
}

/// Decodes the first box of this kind in `body`, which is required.
fn require<T: Atom>(body: &[u8], kind: &'static str) -> Result<T, IndexError> {
    decode(body, kind)?.ok_or(IndexError::Missing(kind))
}

/// Reads the bytes of each sample (section 8.7.3).
fn read_sizes(stbl: &[u8], object_bytes: u64) -> Result<Vec<u32>, IndexError> {
    let table: Stsz = require(stbl, "stsz")?;
    let samples = match &table.samples {
        StszSamples::Identical { count, .. } => *count as usize,
        StszSamples::Different { sizes } => sizes.len(),
    };
    if samples == 0 {
        return Err(IndexError::Missing("sample"));
    }
    // A box of a few bytes can claim any number of equal samples, so check the count before
    // allocating.
    if samples > MAX_SAMPLES as usize {
        return Err(IndexError::too_large("samples", MAX_SAMPLES.into()));
    }

    let sizes = match table.samples {
        StszSamples::Identical { size, .. } => vec![size; samples],
        StszSamples::Different { sizes } => sizes,
    };
    if sizes.contains(&0) {
        return Err(IndexError::damaged("a sample is empty"));
    }
    let total: u64 = sizes.iter().copied().map(u64::from).sum();
    if total > object_bytes {
        return Err(IndexError::damaged("samples are larger than the file"));
    }
    Ok(sizes)
}

/// Reads when samples are decoded (section 8.6.1.2).
fn read_decode_times(
    stbl: &[u8],
    samples: u32,
    timescale: u32,
) -> Result<Vec<DecodeRun>, IndexError> {
    let table: Stts = require(stbl, "stts")?;
    let mut runs: Vec<DecodeRun> = Vec::new();
    let (mut first, mut time) = (0_u32, 0_u64);

    for entry in &table.entries {
        // Some writers use such numbers for negative durations, which are invalid.
        if entry.sample_delta > i32::MAX as u32 {
            return Err(IndexError::damaged(
                "a sample duration is negative or too large",
            ));
        }

        let goes_on = runs
            .last()
            .is_some_and(|run| run.delta == entry.sample_delta);
        if entry.sample_count > 0 && !goes_on {
            runs.push(DecodeRun {
                first,
                time,
                delta: entry.sample_delta,
            });
        }
        first = first
            .checked_add(entry.sample_count)
            .filter(|first| *first <= samples)
            .ok_or_else(|| IndexError::damaged("there are more times than samples"))?;
        // Both factors have at most 31 bits, and the sum is checked below in each iteration.
        time += u64::from(entry.sample_count) * u64::from(entry.sample_delta);
        if time > u64::from(MAX_SECONDS) * u64::from(timescale) {
            return Err(IndexError::too_large("seconds", MAX_SECONDS.into()));
        }
    }

    if first < samples {
        return Err(IndexError::damaged("there are more samples than times"));
    }
    Ok(runs)
}

/// Reads the ticks from decoding to display of each sample (section 8.6.1.3).
fn read_composition_offsets(stbl: &[u8], samples: u32) -> Result<Vec<i32>, IndexError> {
    let Some(table) = decode::<Ctts>(stbl, "ctts")? else {
        return Ok(Vec::new());
    };

    let mut offsets = Vec::with_capacity(samples as usize);
    for entry in &table.entries {
        let count = entry.sample_count as usize;
        if count > samples as usize - offsets.len() {
            return Err(IndexError::damaged("there are more offsets than samples"));
        }
        // Version 0 has no negative numbers, but writers use them, and all readers accept them.
        offsets.extend(std::iter::repeat_n(entry.sample_offset as i32, count));
    }

    if offsets.len() < samples as usize {
        return Err(IndexError::damaged("there are more samples than offsets"));
    }
    Ok(offsets)
}

/// Reads the numbers of the key frames, from zero (section 8.6.2). Without a table, all samples are
/// key frames.
fn read_key_frames(stbl: &[u8], samples: u32) -> Result<Vec<u32>, IndexError> {
    let Some(table) = decode::<Stss>(stbl, "stss")? else {
        return Ok((0..samples).collect());
    };

    let is_ascending = table.entries.is_sorted_by(|a, b| a < b);
    let is_within = |n: &u32| (1..=samples).contains(n);
    if !is_ascending || !table.entries.iter().all(is_within) {
        return Err(IndexError::damaged("key frames are out of order or range"));
    }
    Ok(table.entries.into_iter().map(|n| n - 1).collect())
}

/// Reads where each sample begins (sections 8.7.4 and 8.7.5). Samples are stored in chunks, without
/// gaps.
fn read_offsets(stbl: &[u8], sizes: &[u32], object_bytes: u64) -> Result<Vec<u64>, IndexError> {
    let runs = require::<Stsc>(stbl, "stsc")?.entries;
    let chunks: Vec<u64> = match decode::<Co64>(stbl, "co64")? {
        Some(table) => table.entries,
        None => {
            let table: Stco = require(stbl, "stco")?;
            table.entries.into_iter().map(u64::from).collect()
        }
    };

    check_chunk_runs(&runs)?;
    let mut offsets = Vec::with_capacity(sizes.len());
    let mut run = 0;
    for (mut at, number) in chunks.into_iter().zip(1_u32..) {
        if runs
            .get(run + 1)
            .is_some_and(|next| next.first_chunk == number)
        {
            run += 1;
        }
        let count = runs[run].samples_per_chunk as usize;
        let inside = sizes[offsets.len()..]
            .get(..count)
            .ok_or_else(|| IndexError::damaged("chunks have more samples than the track"))?;

        for size in inside {
            offsets.push(at);
            at = at
                .checked_add(u64::from(*size))
                .filter(|end| *end <= object_bytes)
                .ok_or_else(|| IndexError::damaged("a sample ends after the end of the file"))?;
        }
    }

    if offsets.len() < sizes.len() {
        return Err(IndexError::damaged(
            "chunks have fewer samples than the track",
        ));
    }
    Ok(offsets)
}

/// Checks that the runs of chunks begin with the first chunk, and that each begins after the one
/// before it.
fn check_chunk_runs(runs: &[StscEntry]) -> Result<(), IndexError> {
    let is_ascending = runs.is_sorted_by(|a, b| a.first_chunk < b.first_chunk);
    let has_samples = runs.iter().all(|run| run.samples_per_chunk > 0);
    if runs.first().is_some_and(|run| run.first_chunk == 1) && is_ascending && has_samples {
        return Ok(());
    }
    Err(IndexError::damaged("chunk runs are empty or out of order"))
}

#[cfg(test)]
mod tests;
