//! Changes to MP4 files that no ffmpeg of Debian writes (ISO/IEC 14496-12).

/// Where the content of the first box of this kind begins, anywhere in the file.
fn content_of(bytes: &[u8], kind: &[u8; 4]) -> usize {
    let at = bytes.windows(4).position(|four| four == kind);
    at.unwrap_or_else(|| panic!("the file has no box {}", String::from_utf8_lossy(kind))) + 4
}

/// Turns and mirrors the picture of the first track: `[a, b, c, d]` sends the point (x, y) to (ax +
/// cy, bx + dy), y downwards.
pub(crate) fn orient(bytes: &mut [u8], [a, b, c, d]: [i32; 4]) {
    // Version 0 of `tkhd`: 40 bytes before the matrix, whose members are a, b, u, c, d, v, x, y, w.
    let matrix = content_of(bytes, b"tkhd") + 40;
    for (member, value) in [(0, a), (1, b), (3, c), (4, d)] {
        bytes[matrix + member * 4..][..4].copy_from_slice(&(value << 16).to_be_bytes());
    }
}

/// Calls the `n`th sample entry of a kind by another name, which no program knows (ISO/IEC 14496-12
/// section 8.5.2), and its configuration too.
pub(crate) fn rename_sample_entry(bytes: &mut [u8], kind: &[u8; 4], n: usize, name: &[u8; 4]) {
    let entries = bytes
        .windows(10)
        .enumerate()
        .filter(|(_, window)| &window[..4] == kind && window[4..] == [0; 6]);
    let at = entries
        .map(|(at, _)| at)
        .nth(n)
        .expect("the file has such a track");
    bytes[at..at + 4].copy_from_slice(name);
    let configuration = bytes[at..]
        .windows(4)
        .position(|four| four == b"esds" || four == b"avcC");
    let at = at + configuration.expect("the track has a configuration");
    bytes[at..at + 4].copy_from_slice(b"xxxC");
}

/// Says that the picture is Dolby Vision of profile 5, which has no standard picture in it. The
/// index has to be behind the media.
pub(crate) fn claim_dolby_vision_5(bytes: &mut Vec<u8>) {
    let mut record = vec![0_u8; 32];
    record[..4].copy_from_slice(&32_u32.to_be_bytes());
    record[4..8].copy_from_slice(b"dvcC");
    // Version 1.0, profile 5 in seven bits, level 1 in six, then: reference processing, no
    // enhancement layer, a base layer.
    record[8..12].copy_from_slice(&[1, 0, 5 << 1, (1 << 3) | 0b101]);
    insert_into(
        bytes,
        &[
            *b"moov", *b"trak", *b"mdia", *b"minf", *b"stbl", *b"stsd", *b"hvc1",
        ],
        &record,
    );
}

/// The boxes around what says where the media of the first track is.
const REFERENCE: [[u8; 4]; 7] = [
    *b"moov", *b"trak", *b"mdia", *b"minf", *b"dinf", *b"dref", *b"url ",
];

/// Where the content of the first track's reference begins. Handlers of MOV files have the same
/// four letters before it.
fn reference_of(bytes: &[u8]) -> usize {
    let list = content_of(bytes, b"dref");
    list + content_of(&bytes[list..], b"url ")
}

/// Says that the media of the first track is at `url`. The index has to be behind the media.
pub(crate) fn refer_to_url(bytes: &mut Vec<u8>, url: &str) {
    insert_into(bytes, &REFERENCE, format!("{url}\0").as_bytes());
    // Not in this file (section 8.7.2).
    let flags = reference_of(bytes);
    bytes[flags..flags + 4].fill(0);
}

/// Says that the media of the first track is in the file at `path`, as the alias record of a MOV
/// file does. The index has to be behind the media.
pub(crate) fn refer_to_file(bytes: &mut Vec<u8>, path: &str) {
    let mut record = vec![0; 10];
    // Volume and file name with their lengths, and what demuxers skip between.
    record.extend(
        [
            vec![27; 1],
            vec![b'v'; 27],
            vec![0; 12],
            vec![63; 1],
            vec![b'n'; 63],
            vec![0; 16],
        ]
        .concat(),
    );
    record.extend([0, 1, 0, 1]);
    record.extend([0; 16]);
    record.extend([0, 2]);
    record.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
    record.extend(path.as_bytes());
    record.extend(vec![0; path.len() % 2]);
    record.extend([0xff, 0xff, 0, 0]);
    insert_into(bytes, &REFERENCE, &record);
    let flags = reference_of(bytes);
    bytes[flags - 4..flags + 4].copy_from_slice(b"alis\0\0\0\0");
}

/// Gives the first track `more` twins. The index has to be behind the media.
pub(crate) fn multiply_tracks(bytes: &mut Vec<u8>, more: usize) {
    let track = content_of(bytes, b"trak") - 8;
    let length = u32::from_be_bytes(bytes[track..track + 4].try_into().unwrap()) as usize;
    let twins = bytes[track..track + length].repeat(more);
    insert_into(bytes, &[*b"moov"], &twins);
}

/// Gives the file a title of this many bytes. The index has to be after the media.
pub(crate) fn title(bytes: &mut Vec<u8>, length: usize) {
    let boxed = |kind: &[u8; 4], content: Vec<u8>| {
        let length = u32::try_from(content.len() + 8).unwrap();
        [length.to_be_bytes().to_vec(), kind.to_vec(), content].concat()
    };
    let data = boxed(
        b"data",
        [vec![0, 0, 0, 1, 0, 0, 0, 0], vec![b'x'; length]].concat(),
    );
    let list = boxed(b"ilst", boxed(b"\xa9nam", data));
    let handler = boxed(
        b"hdlr",
        [vec![0; 8], b"mdirappl".to_vec(), vec![0; 9]].concat(),
    );
    let meta = boxed(b"meta", [vec![0; 4], handler, list].concat());
    insert_into(bytes, &[*b"moov"], &boxed(b"udta", meta));
}

/// Claims that the first track has this many samples of one byte, all equal: a table without
/// entries.
pub(crate) fn claim_samples(bytes: &mut [u8], count: u32) {
    let sizes = content_of(bytes, b"stsz") + 4;
    bytes[sizes..sizes + 4].copy_from_slice(&1_u32.to_be_bytes());
    bytes[sizes + 4..sizes + 8].copy_from_slice(&count.to_be_bytes());
    let times = content_of(bytes, b"stts") + 8;
    bytes[times..times + 4].copy_from_slice(&count.to_be_bytes());
    // All of them in one chunk.
    let chunks = content_of(bytes, b"stsc") + 12;
    bytes[chunks..chunks + 4].copy_from_slice(&count.to_be_bytes());
}

/// Says that pictures of the first track, whose codec is `kind`, have another size than they have.
pub(crate) fn claim_size(bytes: &mut [u8], kind: &[u8; 4], width: u16, height: u16) {
    let at = content_of(bytes, b"stsd") + 12;
    assert_eq!(&bytes[at..at + 4], kind);
    bytes[at + 28..at + 30].copy_from_slice(&width.to_be_bytes());
    bytes[at + 30..at + 32].copy_from_slice(&height.to_be_bytes());
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

/// Damages the media: of every `step` bytes in `from..to` (shares of the media), `run` become
/// others.
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
