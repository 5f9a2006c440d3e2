//! Changes to MP4 files that no ffmpeg of Debian writes (ISO/IEC 14496-12).

/// Where the content of the first box of this kind begins, anywhere in the file.
fn content_of(bytes: &[u8], kind: &[u8; 4]) -> usize {
    let at = bytes.windows(4).position(|four| four == kind);
    at.unwrap_or_else(|| panic!("the file has no box {}", String::from_utf8_lossy(kind))) + 4
}

/// Turns and mirrors the picture of the first track: `[a, b, c, d]` sends the point (x, y) to (ax + cy, bx + dy), y downwards.
pub(crate) fn orient(bytes: &mut [u8], [a, b, c, d]: [i32; 4]) {
    // Version 0 of `tkhd`: 40 bytes before the matrix, whose members are a, b, u, c, d, v, x, y, w.
    let matrix = content_of(bytes, b"tkhd") + 40;
    for (member, value) in [(0, a), (1, b), (3, c), (4, d)] {
        bytes[matrix + member * 4..][..4].copy_from_slice(&(value << 16).to_be_bytes());
    }
}

/// Says that the picture is Dolby Vision of profile 5, which has no standard picture in it. The index has to be behind the media.
pub(crate) fn claim_dolby_vision_5(bytes: &mut Vec<u8>) {
    let mut record = vec![0_u8; 32];
    record[..4].copy_from_slice(&32_u32.to_be_bytes());
    record[4..8].copy_from_slice(b"dvcC");
    // Version 1.0, profile 5 in seven bits, level 1 in six, then: reference processing, no enhancement layer, a base layer.
    record[8..12].copy_from_slice(&[1, 0, 5 << 1, (1 << 3) | 0b101]);
    insert_into(
        bytes,
        &[*b"moov", *b"trak", *b"mdia", *b"minf", *b"stbl", *b"stsd", *b"hvc1"],
        &record,
    );
}

/// Appends a box to the innermost of nested boxes, all of which grow by it.
fn insert_into(bytes: &mut Vec<u8>, path: &[[u8; 4]], record: &[u8]) {
    let grown = u32::try_from(record.len()).unwrap();
    let (mut from, mut end) = (0, bytes.len());
    for kind in path {
        let at = from
            + bytes[from..end]
                .windows(4)
                .position(|four| four == kind)
                .expect("the path exists")
            - 4;
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        bytes[at..at + 4].copy_from_slice(&(length + grown).to_be_bytes());
        (from, end) = (at + 8, at + usize::try_from(length).unwrap());
    }
    bytes.splice(end..end, record.iter().copied());
}

/// Damages the media: of every `step` bytes in `from..to` (shares of the media), `run` become others.
pub(crate) fn damage(bytes: &mut [u8], (from, to): (f64, f64), step: usize, run: usize) {
    let begin = content_of(bytes, b"mdat");
    let length = u32::from_be_bytes(bytes[begin - 8..begin - 4].try_into().unwrap()) as usize - 8;
    let place = |share: f64| begin + (length as f64 * share) as usize;
    for at in (place(from)..place(to).saturating_sub(run)).step_by(step) {
        for (i, byte) in bytes[at..at + run].iter_mut().enumerate() {
            *byte ^= 0x5a_u8.rotate_left((at + i) as u32 % 8) | 1;
        }
    }
}
