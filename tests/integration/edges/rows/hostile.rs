//! Files that would have a decoder read something else: another file, or another host.

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use streams::Code;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::edges::check::Check::{Pictures, Sound, Warns};
use crate::edges::input::{H264, Input, made, moving, tone};
use crate::edges::mp4::{
    claim_samples, claim_size, multiply_tracks, refer_to_file, refer_to_url, title,
};
use crate::edges::row::{Row, completes, fails};
use crate::harness::clip::make_from;

/// A text is no film, whatever else it is taken for.
const REFUSED: &[Code] = &[
    Code::ForbiddenContainer,
    Code::NotMedia,
    Code::TruncatedUpload,
];

/// What no one may touch: a host that counts its callers, and a film that notices readers.
pub(crate) struct Canary {
    port: u16,
    callers: watch::Receiver<u32>,
    film: PathBuf,
    listening: tokio::task::JoinHandle<()>,
}

impl Canary {
    /// Sets them up; the film lies in `folder`.
    pub(crate) async fn new(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (count, callers) = watch::channel(0);
        let listening = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.send_modify(|callers| *callers += 1);
            }
        });
        let clip = make_from("-f lavfi -i testsrc2=s=320x180:d=2 -c:v mpeg2video", "ts").await;
        let film = folder.join("private.ts");
        std::fs::copy(&clip.path, &film).unwrap();
        let canary = Self {
            port,
            callers,
            film,
            listening,
        };
        canary.forget();
        canary
    }

    /// Makes the film look as if it was last read two days ago: so the next reader changes that
    /// (`relatime`).
    fn forget(&self) {
        let past = SystemTime::now() - Duration::from_secs(48 * 3600);
        let times = FileTimes::new()
            .set_accessed(past)
            .set_modified(SystemTime::now());
        File::options()
            .write(true)
            .open(&self.film)
            .unwrap()
            .set_times(times)
            .unwrap();
    }

    fn was_read(&self) -> bool {
        let read = self.film.metadata().unwrap().accessed().unwrap();
        SystemTime::now()
            .duration_since(read)
            .is_ok_and(|ago| ago < Duration::from_secs(24 * 3600))
    }

    /// Panics if someone called or read since the start, or if no one could have noticed.
    pub(crate) async fn is_untouched(&mut self) {
        assert_eq!(
            *self.callers.borrow(),
            0,
            "someone called the canary's host"
        );
        assert!(!self.was_read(), "someone read the canary's film");
        std::fs::read(&self.film).unwrap();
        assert!(self.was_read(), "this file system does not tell who reads");
        tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .unwrap();
        self.callers
            .wait_for(|callers| *callers == 1)
            .await
            .unwrap();
    }

    /// Files that name the film and the host, each in a way some demuxer understands.
    pub(crate) fn rows(&self) -> Vec<Row> {
        [self.lists(), self.texts(), self.media()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Films whose pictures are said to be elsewhere.
    fn media(&self) -> Vec<Row> {
        let (film, port) = (self.film.display(), self.port);
        let (http, file) = (
            format!("http://127.0.0.1:{port}/a.ts"),
            format!("file://{film}"),
        );
        let path = self.film.to_str().unwrap().to_owned();
        vec![
            completes(
                "media said to be at a host",
                small("mov").changed(move |bytes| refer_to_url(bytes, &http)),
                [Pictures(Some(2.0))],
            ),
            completes(
                "media said to be in a file by its URL",
                small("mov").changed(move |bytes| refer_to_url(bytes, &file)),
                [Pictures(Some(2.0))],
            ),
            fails(
                "media said to be in a file by an alias",
                small("mov").changed(move |bytes| refer_to_file(bytes, &path)),
                &[Code::NoTracks, Code::TruncatedUpload, Code::NotMedia],
            ),
        ]
    }

    fn texts(&self) -> Vec<Row> {
        let (film, port) = (self.film.display(), self.port);
        vec![
            text("a metadata script", format!(";FFMETADATA1\ntitle={film}\n")),
            text(
                "an index of DVD subtitles",
                format!("# VobSub index file, v7 (do not modify this line!)\n# {film}\n"),
            ),
            text(
                "a cue sheet",
                format!("FILE \"{film}\" MP3\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n"),
            ),
            text(
                "a list of a player's",
                format!("[playlist]\nFile1={film}\nFile2=http://127.0.0.1:{port}/a.ts\n"),
            ),
            text(
                "a reference of a player's",
                format!("[Reference]\nRef1=http://127.0.0.1:{port}/a.ts\n"),
            ),
            text(
                "a list of edits",
                format!("<SMIL><body><video src=\"file://{film}\"/></body></SMIL>"),
            ),
            text(
                "a composition of digital cinema",
                format!(
                    "<?xml version=\"1.0\"?><CompositionPlaylist xmlns=\"http://www.smpte-ra.org/schemas/2067-3/2016\"><Id>{film}</Id></CompositionPlaylist>"
                ),
            ),
            text("an address", format!("http://127.0.0.1:{port}/a.ts\n")),
            text("an Avisynth script", format!("AviSource(\"{film}\")\n")),
            text(
                "a script of styled subtitles",
                format!(
                    "[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,,,0,0,0,,{film}\n"
                ),
            ),
        ]
    }

    /// What lists media, or describes a session.
    fn lists(&self) -> Vec<Row> {
        let (film, port) = (self.film.display(), self.port);
        let segments = format!(
            "#EXTINF:2,\nfile://{film}\n#EXTINF:2,\n{film}\n#EXTINF:2,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"
        );
        let playlist = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{segments}");
        let concat =
            format!("ffconcat version 1.0\nfile '{film}'\nfile 'http://127.0.0.1:{port}/a.ts'\n");
        let dash = format!(
            "<?xml version=\"1.0\"?><MPD><Period><AdaptationSet><Representation><BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
        );
        let session = format!(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        );
        let picture = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file://{film}\"/></svg>"
        );
        vec![
            text("an HLS playlist", playlist.clone()),
            text(
                "an HLS playlist behind blanks",
                format!("\u{feff}\r\n  {playlist}"),
            ),
            text(
                "an HLS playlist behind junk",
                format!("\0\0\0\x18junk\n{playlist}"),
            ),
            text("a concatenation script", concat.clone()),
            text(
                "a concatenation script behind a comment",
                format!("# a comment\n{concat}"),
            ),
            text("a DASH manifest", dash),
            text("a session description", session),
            text("a vector picture", picture),
            text(
                "subtitles",
                format!("1\n00:00:01,000 --> 00:00:02,000\n{film}\n"),
            ),
        ]
    }
}

fn text(name: &'static str, text: String) -> Row {
    fails(
        name,
        Input::Bytes(text.into_bytes()).named("film.mp4"),
        REFUSED,
    )
}

/// Two seconds of a small picture, its index behind the media.
fn small(extension: &'static str) -> Input {
    made(format!("{} {H264}", moving("128x72", "25", 2.0)), extension)
}

/// Small files that would be large when they are unpacked, and files that claim more than anybody
/// has.
#[expect(clippy::too_many_lines, reason = "a table, one row after the other")]
pub(crate) fn bombs() -> Vec<Row> {
    const TOO_MUCH: &[Code] = &[Code::ExceedsPolicy];
    // A little over 8K, and of one colour: half a megabyte that takes more than a hundred.
    let large = || {
        made(
            "-f lavfi -i color=c=red:s=8200x4400 -frames:v 2 -c:v png -pix_fmt rgb24",
            "mov",
        )
    };
    let long = made(
        format!("-f lavfi -i testsrc2=s=64x36:r=1/3600:d=180000 {H264}"),
        "mp4",
    );
    let canvas = made("-f lavfi -i testsrc2=s=32x32:r=10:d=1", "gif")
        .changed(|bytes| bytes[6..10].fill(0xff));
    let cover = made(
        "-f lavfi -i color=c=red:s=9000x5000 -frames:v 1 -c:v png",
        "png",
    );
    let covered = made(tone(440, 2.0), "mp3").with(
        vec![cover],
        "",
        "-map 0 -map 1 -c copy -disposition:v attached_pic",
        "mp3",
    );
    let nested: Vec<u8> = (0..200_000_u32)
        .flat_map(|depth| {
            [
                (1_600_000 - 8 * depth).to_be_bytes(),
                if depth == 0 { *b"moov" } else { *b"udta" },
            ]
        })
        .flatten()
        .collect();
    vec![
        fails("a picture over the limit", large(), TOO_MUCH),
        fails(
            "a picture over the limit that its container calls small",
            large().changed(|bytes| claim_size(bytes, b"png ", 320, 180)),
            TOO_MUCH,
        ),
        fails(
            "a film over the limit",
            made(
                format!("-f lavfi -i color=c=red:s=9000x5000:r=25 -frames:v 2 {H264}"),
                "mp4",
            ),
            TOO_MUCH,
        ),
        fails("a canvas of four thousand million pixels", canvas, TOO_MUCH),
        fails("two days and two hours", long, TOO_MUCH),
        fails(
            "forty tracks",
            small("mp4").changed(|bytes| multiply_tracks(bytes, 39)),
            TOO_MUCH,
        ),
        fails(
            "three thousand tracks",
            small("mp4").changed(|bytes| multiply_tracks(bytes, 2999)),
            TOO_MUCH,
        ),
        completes(
            "a title of 10 MB",
            small("mp4").changed(|bytes| title(bytes, 10_000_000)),
            [Pictures(Some(2.0))],
        ),
        completes(
            "a cover over the limit",
            covered,
            [Sound(Some(2.0)), Warns("no_poster")],
        ),
        fails(
            "boxes in boxes without end",
            Input::Bytes([b"\0\0\0\x14ftypisom\0\0\x02\0isom".to_vec(), nested].concat())
                .named("film.mp4"),
            &[Code::NotMedia, Code::NoTracks],
        ),
        fails(
            "an index that claims 40 million pictures",
            small("mp4").changed(|bytes| claim_samples(bytes, 40_000_000)),
            &[
                Code::NoTracks,
                Code::NotMedia,
                Code::TruncatedUpload,
                Code::ExceedsPolicy,
                Code::DecodeErrors,
            ],
        ),
        fails(
            "an index that claims 2000 million pictures",
            small("mp4").changed(|bytes| claim_samples(bytes, 2_000_000_000)),
            &[
                Code::NoTracks,
                Code::NotMedia,
                Code::TruncatedUpload,
                Code::ExceedsPolicy,
                Code::DecodeErrors,
            ],
        ),
    ]
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
