//! Closed captions written into an H.264 stream, which no filter and no option of ffmpeg does.

/// Two bytes of CEA-608 that a picture carries.
type Pair = [u8; 2];

/// Writes a caption into a raw stream of H.264 without B-frames: its pairs come with one picture
/// after the other, and pictures behind them carry padding, as those of television do.
pub(crate) fn write_captions(stream: &mut Vec<u8>, text: &str) {
    let mut pairs = pop_on(text).into_iter();
    let mut written = Vec::with_capacity(stream.len() * 2);
    let starts: Vec<usize> = (0..stream.len().saturating_sub(4))
        .filter(|at| stream[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let mut copied = 0;
    for start in starts {
        let kind = stream[start + 3] & 31;
        // A slice of a picture: IDR or not (ITU-T H.264 table 7-1). These pictures have one each.
        if kind == 1 || kind == 5 {
            written.extend(&stream[copied..start]);
            written.extend(message(pairs.next().unwrap_or([0x80, 0x80])));
            copied = start;
        }
    }
    written.extend(&stream[copied..]);
    assert!(
        pairs.next().is_none(),
        "there are too few pictures for the text"
    );
    *stream = written;
}

/// The NAL unit of a message (SEI) that carries a pair of the first field (ATSC A/53 part 4,
/// section 6.2.3).
fn message(pair: Pair) -> Vec<u8> {
    // The United States, ATSC, cc_data with one packet of three bytes, the end.
    let payload = [
        &[0xb5, 0, 0x31],
        &b"GA94"[..],
        &[3, 0xc1, 0xff, 0xfc],
        &pair,
        &[0xff],
    ]
    .concat();
    let head = [0, 0, 1, 6, 4, u8::try_from(payload.len()).unwrap()];
    [&head[..], &payload, &[0x80]].concat()
}

/// The pairs of a caption in pop-on mode on the lowest line (CEA-608 section 8.1): begin, erase,
/// place, the text, show; then clear.
fn pop_on(text: &str) -> Vec<Pair> {
    let mut pairs = vec![[0x14, 0x20], [0x14, 0x2e], [0x14, 0x70]];
    pairs.extend(
        text.as_bytes()
            .chunks(2)
            .map(|two| [two[0], two.get(1).copied().unwrap_or(0)]),
    );
    pairs.push([0x14, 0x2f]);
    pairs.extend([[0, 0]; 20]);
    pairs.push([0x14, 0x2c]);
    pairs.into_iter().map(|pair| pair.map(odd_parity)).collect()
}

/// Seven bits with an eighth that makes the number of ones odd.
const fn odd_parity(byte: u8) -> u8 {
    if byte.count_ones().is_multiple_of(2) {
        byte | 0x80
    } else {
        byte
    }
}
