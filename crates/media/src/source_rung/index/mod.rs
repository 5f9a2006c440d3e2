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

/// Bytes of a `moov` box at most. Two hours at 60 frames a second need 10 MB with all their sound;
/// this is [`MAX_SECONDS`] of them with room for pictures of covers.
pub const MAX_MOOV_BYTES: u64 = 64 << 20;

/// Samples of a track at most: [`MAX_SECONDS`] at 60 a second, which is the highest rate that is
/// copied. An index takes 16 bytes for each of them, so 41 MB.
pub const MAX_SAMPLES: u32 = 60 * MAX_SECONDS;

/// Seconds of a track at most. No film is longer, and what is may as well be encoded.
pub const MAX_SECONDS: u32 = 12 * 3600;

/// Bytes of a sample entry at most: a decoder's parameters are a hundred bytes, and each set of them
/// has at most 64 KiB.
const MAX_SAMPLE_ENTRY_BYTES: u64 = 1 << 20;

/// A picture may be shown beside its place on the grid by a frame divided by this. Rounded clocks
/// are a tenth of a frame off; pictures half a frame off would be another frame of the rungs that
/// are encoded.
const FRAME_ERROR_DIVISOR: i128 = 4;

/// Why a file has no index that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Something that has to be there is not.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// The samples are indexed in fragments all over the file.
    #[error("the file is fragmented")]
    Fragmented,
    /// Several tracks might be the one that is asked for.
    #[error("{0} video tracks have the size that is asked for")]
    Ambiguous(usize),
    /// The index is larger than any that is read.
    #[error("there are more than {limit} {what}")]
    TooLarge {
        /// Of what there are too many.
        what: &'static str,
        /// The most that are read.
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

    /// The reason that is reported to publishers.
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
    /// Its first byte in the file.
    pub offset: u64,
    /// Its bytes, at least one.
    pub bytes: u32,
    /// When it is decoded, in ticks from the first sample.
    pub decode_time: u64,
    /// When it is shown, in ticks on the same clock, before any edit.
    pub composition_time: i64,
    /// Whether the index calls it a key frame.
    pub is_sync: bool,
}

/// The samples of one video track, in the order they are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleIndex {
    /// Ticks per second.
    timescale: u32,
    /// What the first sample entry says of H.264; nothing for any other codec.
    avc: Option<AvcConfiguration>,
    /// Sample entries.
    descriptions: u32,
    has_plain_edits: bool,
    offsets: Vec<u64>,
    sizes: Vec<u32>,
    decode_runs: Vec<DecodeRun>,
    /// Ticks from decoding to showing, for each sample; empty where all are shown at once.
    composition_offsets: Vec<i32>,
    /// Numbers of the samples that are called key frames, ascending.
    key_frames: Vec<u32>,
}

/// Samples that follow each other by the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DecodeRun {
    /// Number of the first one.
    first: u32,
    /// When that is decoded, in ticks.
    time: u64,
    /// Ticks from one to the next.
    delta: u32,
}

impl SampleIndex {
    /// Reads the index of the video track whose stored pictures have the size `stored`, or of the
    /// only one there is, from a whole `moov` box. `object_bytes` is the size of the file.
    ///
    /// # Errors
    /// [`IndexError`] where there is no complete index, one that is too large, or a damaged one.
    pub fn read(moov: &[u8], stored: Size, object_bytes: u64) -> Result<Self, IndexError> {
        if moov.len() as u64 > MAX_MOOV_BYTES {
            return Err(IndexError::too_large(
                "bytes of the moov box",
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

    /// Ticks per second of its times.
    #[must_use]
    pub const fn timescale(&self) -> u32 {
        self.timescale
    }

    /// What it says of the decoder; nothing where its pictures are not H.264 with all parameters in
    /// one place.
    #[must_use]
    pub const fn avc(&self) -> Option<&AvcConfiguration> {
        self.avc.as_ref()
    }

    /// How often a decoder is set up, by the index.
    #[must_use]
    pub const fn descriptions(&self) -> u32 {
        self.descriptions
    }

    /// Samples, at least one.
    #[must_use]
    pub fn samples(&self) -> u32 {
        // No more than MAX_SAMPLES were read.
        self.sizes.len() as u32
    }

    /// Sample number `n`, counted from zero in the order of decoding.
    #[must_use]
    pub fn sample(&self, n: u32) -> Option<Sample> {
        let at = n as usize;
        let decode_time = self.decode_time(n)?;
        let offset = self.composition_offsets.get(at).copied().unwrap_or(0);

        Some(Sample {
            offset: *self.offsets.get(at)?,
            bytes: *self.sizes.get(at)?,
            decode_time,
            // Twelve hours of any clock are far from the end of 64 bits.
            composition_time: decode_time as i64 + i64::from(offset),
            is_sync: self.key_frames.binary_search(&n).is_ok(),
        })
    }

    /// The samples of a range of numbers; those that do not exist are left out.
    pub fn samples_in(&self, range: Range<u32>) -> impl Iterator<Item = Sample> + '_ {
        let end = range.end.min(self.samples());
        (range.start..end).filter_map(|n| self.sample(n))
    }

    /// The numbers of the samples that the index calls key frames, ascending.
    #[must_use]
    pub fn key_frames(&self) -> &[u32] {
        &self.key_frames
    }

    /// At most `count` key frames spread over the track, the first and the last one among them: a
    /// look at all would read the whole file.
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
    /// picture, and when.
    #[must_use]
    pub const fn has_plain_edits(&self) -> bool {
        self.has_plain_edits
    }

    /// Whether the first sample is a key frame, and each key frame parts those before it from those
    /// behind it in the order of showing as it does in the order of decoding. Then the n-th sample
    /// of a key frame is the n-th picture, too. Of an instantaneous decoder refresh this always
    /// holds (ITU-T H.264 section 3.69); where it does not, pictures around the key frame are of an
    /// open group.
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

    /// Mean frames per second from the first picture to the last; nothing where there is one only.
    #[must_use]
    pub fn mean_rate(&self) -> Option<f64> {
        let times = self.composition_times();
        let (first, last) = (times.first()?, times.last()?);
        let ticks = (last - first) as f64;
        let intervals = (times.len() - 1) as f64;
        (ticks > 0.0).then(|| intervals * f64::from(self.timescale) / ticks)
    }

    /// Whether the n-th picture, in the order of showing, is shown n frames of `rate` after the
    /// first one, for all of them and never more than a quarter of a frame beside it.
    #[must_use]
    pub fn keeps_rate(&self, rate: Rational) -> bool {
        let (num, den) = (i128::from(rate.num()), i128::from(rate.den()));
        let frame = i128::from(self.timescale) * den;
        let times = self.composition_times();
        let first = times.first().copied().unwrap_or(0);

        // All in ticks times the numerator of the rate, which is exact.
        times.iter().zip(0_i128..).all(|(time, n)| {
            let off = i128::from(time - first) * num - n * frame;
            off.abs() * FRAME_ERROR_DIVISOR <= frame
        })
    }

    /// The frames of `rate` that the key frames are, by when they are shown; ascending, and the
    /// numbers of the samples where the track keeps the rate in closed groups.
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

    /// Bytes of all samples.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sizes.iter().copied().map(u64::from).sum()
    }

    /// When pictures are shown, in that order.
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
            // Nothing but an empty edit shows nothing.
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

        // No duration is all of it. The last picture has to begin within the edit.
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
    /// The video track of a `moov` box whose pictures have the size `stored`, or the only one.
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
            0 => Err(IndexError::Missing("video track of that size")),
            1 => Ok(tracks.remove(0)),
            several => Err(IndexError::Ambiguous(several)),
        }
    }

    /// Opens a `trak` box; nothing where it holds something else than pictures.
    fn open_video(trak: &'a [u8]) -> Result<Option<Self>, IndexError> {
        let mdia = find(trak, b"mdia")?.ok_or(IndexError::Missing("mdia box"))?;
        // The handler is behind the version and a field of QuickTime (section 8.4.3).
        let handler = find(mdia, b"hdlr")?.and_then(|body| body.get(8..12));
        if handler != Some(b"vide") {
            return Ok(None);
        }

        let minf = find(mdia, b"minf")?.ok_or(IndexError::Missing("minf box"))?;
        let stbl = find(minf, b"stbl")?.ok_or(IndexError::Missing("stbl box"))?;
        let stsd = find(stbl, b"stsd")?.ok_or(IndexError::Missing("stsd box"))?;
        // Behind version, flags and the number of entries (section 8.5.2).
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

    /// Whether its sample entry, of any codec, names this size (section 12.1.3).
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

    /// Decodes its sample entry; nothing where that is not H.264 with all parameters in it.
    fn read_avc(&self) -> Result<Option<AvcConfiguration>, IndexError> {
        let (kind, mut body) = self.entry;
        if kind != Avc1::KIND {
            return Ok(None);
        }
        if body.len() as u64 > MAX_SAMPLE_ENTRY_BYTES {
            return Err(IndexError::too_large(
                "bytes of a sample entry",
                MAX_SAMPLE_ENTRY_BYTES,
            ));
        }

        // The parser goes down the stack for each level, so the depth is checked first.
        nesting::check(kind, body).map_err(|error| IndexError::Damaged(error.to_string()))?;
        let entry = Avc1::decode_body(&mut body)
            .map_err(|error| IndexError::Damaged(format!("avc1: {error}")))?;
        AvcConfiguration::read(&entry).map(Some)
    }

    /// Reads all tables. One is dropped before the next is read, since each is as large as what is
    /// made of it.
    fn read_samples(&self, object_bytes: u64) -> Result<SampleIndex, IndexError> {
        let header: Mdhd = require(self.mdia, "mdhd")?;
        if header.timescale == 0 {
            return Err(IndexError::damaged("its clock stands still"));
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

/// Decodes the first box of a kind in `body`. What follows its content in the box is padding.
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

/// Decodes the first box of a kind in `body`, which must be there.
fn require<T: Atom>(body: &[u8], kind: &'static str) -> Result<T, IndexError> {
    decode(body, kind)?.ok_or(IndexError::Missing(kind))
}

/// Bytes of each sample (section 8.7.3).
fn read_sizes(stbl: &[u8], object_bytes: u64) -> Result<Vec<u32>, IndexError> {
    let table: Stsz = require(stbl, "stsz")?;
    let samples = match &table.samples {
        StszSamples::Identical { count, .. } => *count as usize,
        StszSamples::Different { sizes } => sizes.len(),
    };
    if samples == 0 {
        return Err(IndexError::Missing("sample"));
    }
    // A box of a few bytes can claim any number of equal samples, so the count is checked before
    // there is room for them.
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
        return Err(IndexError::damaged("samples have more bytes than the file"));
    }
    Ok(sizes)
}

/// When samples are decoded (section 8.6.1.2).
fn read_decode_times(
    stbl: &[u8],
    samples: u32,
    timescale: u32,
) -> Result<Vec<DecodeRun>, IndexError> {
    let table: Stts = require(stbl, "stts")?;
    let mut runs: Vec<DecodeRun> = Vec::new();
    let (mut first, mut time) = (0_u32, 0_u64);

    for entry in &table.entries {
        // Some writers mean a negative time by such a number, which no clock has.
        if entry.sample_delta > i32::MAX as u32 {
            return Err(IndexError::damaged(
                "a sample lasts longer than any clock runs",
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
        // Both factors have 31 bits at most, and the sum is checked below each time.
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

/// Ticks from decoding to showing, for each sample (section 8.6.1.3).
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
        // Version 0 has no negative numbers, but its writers do, and all readers take them so.
        offsets.extend(std::iter::repeat_n(entry.sample_offset as i32, count));
    }

    if offsets.len() < samples as usize {
        return Err(IndexError::damaged("there are more samples than offsets"));
    }
    Ok(offsets)
}

/// Numbers of the key frames, from zero (section 8.6.2). Without a table all samples are such.
fn read_key_frames(stbl: &[u8], samples: u32) -> Result<Vec<u32>, IndexError> {
    let Some(table) = decode::<Stss>(stbl, "stss")? else {
        return Ok((0..samples).collect());
    };

    let is_ascending = table.entries.is_sorted_by(|a, b| a < b);
    let is_within = |n: &u32| (1..=samples).contains(n);
    if !is_ascending || !table.entries.iter().all(is_within) {
        return Err(IndexError::damaged("key frames are not in their order"));
    }
    Ok(table.entries.into_iter().map(|n| n - 1).collect())
}

/// Where each sample begins (sections 8.7.4 and 8.7.5): samples lie in chunks, without gaps.
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
            .ok_or_else(|| IndexError::damaged("chunks have more samples than there are"))?;

        for size in inside {
            offsets.push(at);
            at = at
                .checked_add(u64::from(*size))
                .filter(|end| *end <= object_bytes)
                .ok_or_else(|| IndexError::damaged("a sample ends behind the end of the file"))?;
        }
    }

    if offsets.len() < sizes.len() {
        return Err(IndexError::damaged(
            "chunks have fewer samples than there are",
        ));
    }
    Ok(offsets)
}

/// Runs of chunks begin with the first chunk, each behind the one before it.
fn check_chunk_runs(runs: &[StscEntry]) -> Result<(), IndexError> {
    let is_ascending = runs.is_sorted_by(|a, b| a.first_chunk < b.first_chunk);
    let has_samples = runs.iter().all(|run| run.samples_per_chunk > 0);
    if runs.first().is_some_and(|run| run.first_chunk == 1) && is_ascending && has_samples {
        return Ok(());
    }
    Err(IndexError::damaged("chunks are not in their order"))
}

#[cfg(test)]
mod tests;
