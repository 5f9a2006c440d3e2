//! Handmade boxes for tests.

use mp4_atom::{Avc1, Avcc, Encode, Visual};

use super::index::{IndexError, SampleIndex};
use crate::ladder::size::Size;

/// A video track for a `moov` box to describe. By default it has 25 pictures per second of 1000
/// bytes each, a key frame every 100 pictures, and no picture shown out of order.
#[derive(Debug, Clone)]
pub(super) struct Clip {
    pub(super) timescale: u32,
    /// The duration of each sample in ticks.
    pub(super) deltas: Vec<u32>,
    /// The version of the `ctts` box, and the ticks from decoding to display; `None` omits the box.
    pub(super) composition: Option<(u8, Vec<i32>)>,
    pub(super) sizes: Vec<u32>,
    /// The key frames, counted from zero; `None` omits the box.
    pub(super) key_frames: Option<Vec<u32>>,
    pub(super) chunk_samples: u32,
    /// The bytes between the end of one chunk and the start of the next.
    pub(super) chunk_gap: u64,
    pub(super) first_offset: u64,
    /// Whether offsets have 64 bits.
    pub(super) has_long_offsets: bool,
    /// Edits: duration in ticks of the movie (1000 per second), media time, rate.
    pub(super) edits: Vec<(u32, i32, i16)>,
    pub(super) is_fragmented: bool,
    /// The sample entries, as whole boxes.
    pub(super) entries: Vec<Vec<u8>>,
}

impl Clip {
    pub(super) fn new(samples: u32) -> Self {
        Self {
            timescale: 12_800,
            deltas: vec![512; samples as usize],
            composition: None,
            sizes: vec![1000; samples as usize],
            key_frames: Some((0..samples).step_by(100).collect()),
            chunk_samples: 12,
            chunk_gap: 0,
            first_offset: 48,
            has_long_offsets: false,
            edits: Vec::new(),
            is_fragmented: false,
            entries: vec![encoded(&avc1(&Sps::default()))],
        }
    }

    /// The minimum size of the file: where the last sample ends.
    pub(super) fn file_bytes(&self) -> u64 {
        let bytes: u64 = self.sizes.iter().map(|size| u64::from(*size)).sum();
        let chunks = (self.sizes.len() as u64).div_ceil(self.chunk_samples.into());
        self.first_offset + bytes + chunks * self.chunk_gap
    }

    pub(super) fn index(&self) -> Result<SampleIndex, IndexError> {
        SampleIndex::read(&self.moov(), SIZE, self.file_bytes())
    }

    pub(super) fn moov(&self) -> Vec<u8> {
        self.movie(&[self.trak()])
    }

    /// A `moov` box with these tracks.
    pub(super) fn movie(&self, traks: &[Vec<u8>]) -> Vec<u8> {
        let mvex = self.is_fragmented.then(|| boxed(b"mvex", &[]));
        let parts = [vec![mvhd()], traks.to_vec(), mvex.into_iter().collect()];
        boxed(b"moov", &parts.concat().concat())
    }

    pub(super) fn trak(&self) -> Vec<u8> {
        let mdhd = full(
            b"mdhd",
            0,
            &[&[0; 8][..], &self.timescale.to_be_bytes(), &[0; 8]].concat(),
        );
        let hdlr = full(b"hdlr", 0, b"\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let minf = boxed(b"minf", &boxed(b"stbl", &self.tables().concat()));
        let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());

        let entries = self.edits.iter().flat_map(|(duration, time, rate)| {
            [
                &duration.to_be_bytes()[..],
                &time.to_be_bytes(),
                &rate.to_be_bytes(),
                &[0; 2],
            ]
            .concat()
        });
        let elst = listed(b"elst", 0, self.edits.len(), &entries.collect::<Vec<u8>>());
        let edts = (!self.edits.is_empty()).then(|| boxed(b"edts", &elst));

        boxed(b"trak", &[edts.unwrap_or_default(), mdia].concat())
    }

    fn tables(&self) -> Vec<Vec<u8>> {
        let stts = self.deltas.iter().flat_map(|delta| words(&[1, *delta]));
        let stsz = words(&[0, self.sizes.len() as u32])
            .into_iter()
            .chain(words(&self.sizes));

        let mut tables = vec![
            listed(b"stsd", 0, self.entries.len(), &self.entries.concat()),
            listed(b"stts", 0, self.deltas.len(), &stts.collect::<Vec<u8>>()),
            full(b"stsz", 0, &stsz.collect::<Vec<u8>>()),
        ];
        if let Some((version, offsets)) = &self.composition {
            let entries = offsets
                .iter()
                .flat_map(|offset| words(&[1, *offset as u32]));
            let entries: Vec<u8> = entries.collect();
            tables.push(listed(b"ctts", *version, offsets.len(), &entries));
        }
        if let Some(keys) = &self.key_frames {
            let numbers: Vec<u32> = keys.iter().map(|key| key + 1).collect();
            tables.push(listed(b"stss", 0, keys.len(), &words(&numbers)));
        }
        tables.extend(self.chunk_tables());
        tables
    }

    fn chunk_tables(&self) -> [Vec<u8>; 2] {
        let chunks: Vec<&[u32]> = self.sizes.chunks(self.chunk_samples as usize).collect();
        let mut runs = vec![1, self.chunk_samples, 1];
        let rest = self.sizes.len() as u32 % self.chunk_samples;
        if rest > 0 && chunks.len() > 1 {
            runs.extend([chunks.len() as u32, rest, 1]);
        } else if rest > 0 {
            runs[1] = rest;
        }

        let mut at = self.first_offset;
        let mut offsets = Vec::new();
        for chunk in &chunks {
            if self.has_long_offsets {
                offsets.extend(at.to_be_bytes());
            } else {
                offsets.extend((at as u32).to_be_bytes());
            }
            at += chunk.iter().map(|size| u64::from(*size)).sum::<u64>() + self.chunk_gap;
        }

        let kind = if self.has_long_offsets {
            b"co64"
        } else {
            b"stco"
        };
        [
            listed(b"stsc", 0, runs.len() / 3, &words(&runs)),
            listed(kind, 0, chunks.len(), &offsets),
        ]
    }
}

/// The size of the pictures of [`Sps::default`].
pub(super) const SIZE: Size = Size {
    width: 1920,
    height: 1080,
};

/// A box of this kind.
pub(super) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

/// A box with a version.
fn full(kind: &[u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, 0], body].concat())
}

/// A box with a version and a number of entries.
fn listed(kind: &[u8; 4], version: u8, count: usize, entries: &[u8]) -> Vec<u8> {
    full(
        kind,
        version,
        &[&(count as u32).to_be_bytes(), entries].concat(),
    )
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn mvhd() -> Vec<u8> {
    let body = [&[0; 8][..], &1000_u32.to_be_bytes(), &[0; 84]].concat();
    full(b"mvhd", 0, &body)
}

fn encoded(atom: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    atom.encode(&mut bytes).expect("memory writes cannot fail");
    bytes
}

/// A sequence parameter set; by default for 1080p in High at level 4.
#[derive(Debug, Clone)]
pub(super) struct Sps {
    pub(super) profile: u8,
    pub(super) constraints: u8,
    pub(super) level: u8,
    /// `chroma_format_idc`.
    pub(super) chroma: u32,
    pub(super) bits: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) is_progressive: bool,
    pub(super) aspect: Option<(u16, u16)>,
    pub(super) full_range: Option<bool>,
}

impl Default for Sps {
    fn default() -> Self {
        Self {
            profile: 100,
            constraints: 0,
            level: 40,
            chroma: 1,
            bits: 8,
            width: 1920,
            height: 1080,
            is_progressive: true,
            aspect: None,
            full_range: None,
        }
    }
}

impl Sps {
    /// The NAL unit (ITU-T H.264 section 7.3.2.1).
    fn encode(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.golomb(0);
        if matches!(self.profile, 100 | 110 | 122 | 244 | 44) {
            bits.golomb(self.chroma);
            bits.golomb(self.bits - 8);
            bits.golomb(self.bits - 8);
            bits.put(0, 2);
        }
        // 4-bit frame numbers and order counts, four reference pictures, no gaps.
        for value in [0, 0, 0, 4] {
            bits.golomb(value);
        }
        bits.put(0, 1);

        let across = self.width.div_ceil(16);
        let unit = if self.is_progressive { 16 } else { 32 };
        let down = self.height.div_ceil(unit);
        bits.golomb(across - 1);
        bits.golomb(down - 1);
        bits.put(self.is_progressive.into(), 1);
        if !self.is_progressive {
            bits.put(1, 1);
        }
        bits.put(1, 1);

        // Cropped on the right and at the bottom, in pairs of chroma samples as stored.
        bits.put(1, 1);
        let (step_x, step_y) = match self.chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let step_y = step_y * unit / 16;
        bits.golomb(0);
        bits.golomb((across * 16 - self.width) / step_x);
        bits.golomb(0);
        bits.golomb((down * unit - self.height) / step_y);

        self.encode_vui(&mut bits);
        [
            vec![0x67, self.profile, self.constraints, self.level],
            bits.finish(),
        ]
        .concat()
    }

    /// Appendix E.1.1.
    fn encode_vui(&self, bits: &mut Bits) {
        bits.put(1, 1);
        bits.put(self.aspect.is_some().into(), 1);
        if let Some((width, height)) = self.aspect {
            bits.put(255, 8);
            bits.put(width.into(), 16);
            bits.put(height.into(), 16);
        }
        bits.put(0, 1);
        bits.put(self.full_range.is_some().into(), 1);
        if let Some(full_range) = self.full_range {
            bits.put(5, 3);
            bits.put(full_range.into(), 1);
            bits.put(0, 1);
        }
        // No chroma positions, timing, buffers, structures or restrictions.
        bits.put(0, 6);
    }
}

/// The sample entry of a stream with this sequence parameter set.
pub(super) fn avc1(sps: &Sps) -> Avc1 {
    Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width: sps.width as u16,
            height: sps.height as u16,
            ..Visual::default()
        },
        avcc: Avcc::new(&sps.encode(), &[0x68, 0xce, 0x38, 0x80]).expect("a valid parameter set"),
        ..Avc1::default()
    }
}

/// The box of [`avc1`].
pub(super) fn entry(sps: &Sps) -> Vec<u8> {
    encoded(&avc1(sps))
}

/// Bits; the first one is the highest of its byte.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, bits: u32) {
        self.0
            .extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// An unsigned exponential Golomb code (ITU-T H.264 section 9.1).
    fn golomb(&mut self, value: u32) {
        let bits = (value + 1).ilog2();
        self.put(0, bits);
        self.put(value + 1, bits + 1);
    }

    /// Ends the bits with a one and zeros, and escapes three bytes that look like a start code.
    fn finish(mut self) -> Vec<u8> {
        self.put(1, 1);
        let bytes = self.0.chunks(8).map(|bits| {
            let byte = bits
                .iter()
                .fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
            byte << (8 - bits.len())
        });

        let mut escaped = Vec::new();
        for byte in bytes {
            if byte <= 3 && escaped.ends_with(&[0, 0]) {
                escaped.push(3);
            }
            escaped.push(byte);
        }
        escaped
    }
}
