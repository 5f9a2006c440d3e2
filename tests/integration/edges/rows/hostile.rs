//! Files that would have a decoder read something else: another file, or another host.

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use streams::Code;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::edges::input::Input;
use crate::edges::row::{Row, fails};
use crate::harness::clip::make_from;

/// A text is no film, whatever else it is taken for.
const REFUSED: &[Code] = &[Code::ForbiddenContainer, Code::NotMedia, Code::TruncatedUpload];

/// What nobody may touch: a host that counts its callers, and a film that notices readers.
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

    /// Makes the film look as if it was last read two days ago: so the next reader changes that (`relatime`).
    fn forget(&self) {
        let past = SystemTime::now() - Duration::from_secs(48 * 3600);
        let times = FileTimes::new().set_accessed(past).set_modified(SystemTime::now());
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

    /// Panics if somebody called or read since the start, or if nobody could have noticed.
    pub(crate) async fn is_untouched(&mut self) {
        assert_eq!(*self.callers.borrow(), 0, "somebody called the canary's host");
        assert!(!self.was_read(), "somebody read the canary's film");
        std::fs::read(&self.film).unwrap();
        assert!(self.was_read(), "this file system does not tell who reads");
        tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        self.callers.wait_for(|callers| *callers == 1).await.unwrap();
    }

    /// Texts that name the film and the host, each in a language some demuxer understands.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let (film, port) = (self.film.display(), self.port);
        let segments = format!(
            "#EXTINF:2,\nfile://{film}\n#EXTINF:2,\n{film}\n#EXTINF:2,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"
        );
        let playlist = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{segments}");
        let concat = format!("ffconcat version 1.0\nfile '{film}'\nfile 'http://127.0.0.1:{port}/a.ts'\n");
        let dash = format!(
            "<?xml version=\"1.0\"?><MPD><Period><AdaptationSet><Representation><BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
        );
        let session = format!(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        );
        let picture = format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file://{film}\"/></svg>");
        let text = |name, text: String| fails(name, Input::Bytes(text.into_bytes()).named("film.mp4"), REFUSED);
        vec![
            text("an HLS playlist", playlist.clone()),
            text("an HLS playlist behind blanks", format!("\u{feff}\r\n  {playlist}")),
            text("an HLS playlist behind junk", format!("\0\0\0\x18junk\n{playlist}")),
            text("a concatenation script", concat.clone()),
            text(
                "a concatenation script behind a comment",
                format!("# a comment\n{concat}"),
            ),
            text("a DASH manifest", dash),
            text("a session description", session),
            text("a vector picture", picture),
            text("subtitles", format!("1\n00:00:01,000 --> 00:00:02,000\n{film}\n")),
        ]
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
