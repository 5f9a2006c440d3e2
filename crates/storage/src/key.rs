//! Every object key, built here and nowhere else. Keys hold only characters that URLs carry
//! unescaped (RFC 3986 section 2.3), and `!`. Pure.

use std::fmt::Write as _;

/// Where the private objects of all jobs lie.
pub const SCRATCH_PREFIX: &str = "tmp/";

const BASE36_DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The keys of one job's output.
///
/// Names that fit the contract (output prefixes, job ids, rendition and task names) pass unchanged.
/// Anything else is escaped rather than trusted: no name can leave its place, and different names
/// stay different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobKeys {
    prefix: String,
    folder: String,
}

impl JobKeys {
    /// The keys of job `job_id`, whose output goes to `output_prefix` (folders, ending in `/`).
    #[must_use]
    pub fn new(output_prefix: &str, job_id: &str) -> Self {
        let parts = output_prefix.split('/').filter(|part| !part.is_empty());
        let prefix: String = parts.map(|part| format!("{}/", name(part))).collect();
        let folder = format!("{prefix}{}/", name(job_id));
        Self { prefix, folder }
    }

    /// The multivariant playlist, shared by all jobs of this prefix: the commit point.
    #[must_use]
    pub fn master(&self) -> String {
        format!("{}master.m3u8", self.prefix)
    }

    /// The folder that holds everything else of this job; ends in `/`.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The exact bytes this job wants as [`JobKeys::master`].
    #[must_use]
    pub fn commit(&self) -> String {
        format!("{}commit.m3u8", self.folder)
    }

    /// The live multivariant playlist.
    #[must_use]
    pub fn live_master(&self) -> String {
        format!("{}live.m3u8", self.folder)
    }

    /// The proof of what was written.
    #[must_use]
    pub fn receipt(&self) -> String {
        format!("{}receipt.json", self.folder)
    }

    /// A list too long for its fact: what `attempt` of `task` made.
    #[must_use]
    pub fn parts(&self, task: &str, attempt: u64) -> String {
        format!(
            "{}parts/{}-{}.json",
            self.folder,
            name(task),
            base36(attempt)
        )
    }

    /// The final media playlist of a rendition.
    #[must_use]
    pub fn media_playlist(&self, rendition: &str) -> String {
        self.of(rendition, "index.m3u8")
    }

    /// The live media playlist of a rendition.
    #[must_use]
    pub fn live_playlist(&self, rendition: &str) -> String {
        self.of(rendition, "live.m3u8")
    }

    /// The init segment that `attempt` made for a rendition.
    #[must_use]
    pub fn init(&self, rendition: &str, attempt: u64) -> String {
        self.of(rendition, &init_name(attempt))
    }

    /// Segment `n` of a rendition, counted from zero over the whole timeline, as `attempt` made it.
    #[must_use]
    pub fn segment(&self, rendition: &str, n: u64, attempt: u64) -> String {
        self.of(rendition, &segment_name(n, attempt))
    }

    /// The poster image.
    #[must_use]
    pub fn poster(&self, attempt: u64) -> String {
        format!("{}poster-{}.jpg", self.folder, base36(attempt))
    }

    /// The tiles of the storyboard that `attempt` of `task` made: working material, never public.
    #[must_use]
    pub fn tiles(&self, task: &str, attempt: u64) -> String {
        format!(
            "{}parts/{}-{}.rgb",
            self.folder,
            name(task),
            base36(attempt)
        )
    }

    /// Sheet `n` of the storyboard, counted from zero, whose bytes have this hexadecimal SHA-256.
    #[must_use]
    pub fn storyboard_sheet(&self, n: u32, sha256: &str) -> String {
        format!("{}storyboard-{n}-{}.jpg", self.folder, name(&short(sha256)))
    }

    /// The index of the storyboard, whose bytes have this hexadecimal SHA-256: it maps times to
    /// tiles of the sheets.
    #[must_use]
    pub fn storyboard_index(&self, sha256: &str) -> String {
        format!("{}storyboard-{}.vtt", self.folder, name(&short(sha256)))
    }

    /// The I-frame playlist over a rendition.
    #[must_use]
    pub fn iframe_playlist(&self, rendition: &str) -> String {
        format!("{}iframe-{}.m3u8", self.folder, name(rendition))
    }

    /// The subtitles of one rendition, whole.
    #[must_use]
    pub fn subtitles(&self, rendition: &str, attempt: u64) -> String {
        format!(
            "{}subs-{}-{}.vtt",
            self.folder,
            name(rendition),
            base36(attempt)
        )
    }

    /// The media playlist of one subtitle rendition.
    #[must_use]
    pub fn subtitles_playlist(&self, rendition: &str) -> String {
        format!("{}subs-{}.m3u8", self.folder, name(rendition))
    }

    fn of(&self, rendition: &str, file: &str) -> String {
        format!("{}{}/{file}", self.folder, name(rendition))
    }
}

/// The key under which repair `revision` replaces the object under `key`; `key` itself for revision
/// 0.
#[must_use]
pub fn revised(key: &str, revision: u64) -> String {
    if revision == 0 {
        return key.to_owned();
    }
    let stem = key
        .rfind('.')
        .filter(|dot| key.rfind('/').is_none_or(|slash| slash < *dot));
    let (stem, extension) = key.split_at(stem.unwrap_or(key.len()));
    format!("{stem}-{}{extension}", base36(revision))
}

/// The revision in the key of an object with which a repair replaced the one under `key`; 0 for
/// `key` itself, none for other keys.
#[must_use]
pub fn revision_of(key: &str, written: &str) -> Option<u64> {
    if key == written {
        return Some(0);
    }
    let common = key.rfind('.').unwrap_or(key.len());
    let middle = written
        .strip_prefix(&key[..common])?
        .strip_suffix(&key[common..])?;
    let revision = u64::from_str_radix(middle.strip_prefix('-')?, 36).ok()?;
    // Written again, so that another spelling of a number (`-01`) is no revision.
    (revised(key, revision) == written).then_some(revision)
}

/// The private copy of a source that has no index; removed when the job ends.
#[must_use]
pub fn source_copy(job_id: &str) -> String {
    format!("{}source.mkv", scratch(job_id))
}

/// The folder of a job's private objects, which is for its life only; ends in `/`.
#[must_use]
pub fn scratch(job_id: &str) -> String {
    format!("{SCRATCH_PREFIX}{}/", name(job_id))
}

/// A segment as its own media playlist names it.
#[must_use]
pub fn segment_name(n: u64, attempt: u64) -> String {
    format!("{n}-{}.m4s", base36(attempt))
}

/// An init segment as its own media playlist names it.
#[must_use]
pub fn init_name(attempt: u64) -> String {
    format!("init-{}.mp4", base36(attempt))
}

/// The beginning of a hash: it distinguishes the few contents that one key of one job could have.
fn short(sha256: &str) -> String {
    sha256.chars().take(12).collect()
}

/// A number in base 36 with lower-case letters, as keys contain the attempt.
#[must_use]
pub fn base36(mut number: u64) -> String {
    let mut text = Vec::new();
    loop {
        text.push(char::from(BASE36_DIGITS[(number % 36) as usize]));
        number /= 36;
        if number == 0 {
            return text.into_iter().rev().collect();
        }
    }
}

/// One part of a key, as it is or escaped: it is never empty, never starts with a dot, and has no
/// slash, no character that a URL would have to escape. `!` marks what was escaped, itself
/// included, so that no two names meet.
fn name(text: &str) -> String {
    if text.is_empty() {
        return "!".to_owned();
    }

    let mut safe = String::with_capacity(text.len());
    for (place, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'~')
            || (byte == b'.' && place > 0);
        if plain {
            safe.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(safe, "!{byte:02x}");
        }
    }

    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every_key(keys: &JobKeys, text: &str, n: u64, attempt: u64) -> Vec<String> {
        vec![
            keys.commit(),
            keys.live_master(),
            keys.receipt(),
            keys.parts(text, attempt),
            keys.media_playlist(text),
            keys.live_playlist(text),
            keys.init(text, attempt),
            keys.segment(text, n, attempt),
            keys.poster(attempt),
            keys.tiles(text, attempt),
            keys.storyboard_sheet(n as u32, text),
            keys.storyboard_index(text),
            keys.iframe_playlist(text),
            keys.subtitles(text, attempt),
            keys.subtitles_playlist(text),
        ]
    }

    #[test]
    fn keys_are_those_of_the_contract() {
        let keys = JobKeys::new("hls/f1/", "j1");
        assert_eq!(keys.master(), "hls/f1/master.m3u8");
        assert_eq!(keys.folder(), "hls/f1/j1/");
        assert_eq!(
            every_key(&keys, "1080p", 7, 36),
            [
                "hls/f1/j1/commit.m3u8",
                "hls/f1/j1/live.m3u8",
                "hls/f1/j1/receipt.json",
                "hls/f1/j1/parts/1080p-10.json",
                "hls/f1/j1/1080p/index.m3u8",
                "hls/f1/j1/1080p/live.m3u8",
                "hls/f1/j1/1080p/init-10.mp4",
                "hls/f1/j1/1080p/7-10.m4s",
                "hls/f1/j1/poster-10.jpg",
                "hls/f1/j1/parts/1080p-10.rgb",
                "hls/f1/j1/storyboard-7-1080p.jpg",
                "hls/f1/j1/storyboard-1080p.vtt",
                "hls/f1/j1/iframe-1080p.m3u8",
                "hls/f1/j1/subs-1080p-10.vtt",
                "hls/f1/j1/subs-1080p.m3u8",
            ]
        );

        assert_eq!(keys.parts("v12~1", 1), "hls/f1/j1/parts/v12~1-1.json");
        assert_eq!(source_copy("j1"), "tmp/j1/source.mkv");
        assert_eq!(revised(&keys.commit(), 36), "hls/f1/j1/commit-10.m3u8");
        assert_eq!(
            revised(&keys.media_playlist("720p"), 36),
            "hls/f1/j1/720p/index-10.m3u8"
        );
        assert_eq!(revised(&keys.receipt(), 36), "hls/f1/j1/receipt-10.json");
    }

    #[test]
    fn a_key_ends_with_the_name_its_playlist_uses() {
        let keys = JobKeys::new("hls/f1/", "j1");
        assert!(
            keys.segment("720p", 3, 99)
                .ends_with(&format!("/720p/{}", segment_name(3, 99)))
        );
        assert!(
            keys.init("720p", 99)
                .ends_with(&format!("/720p/{}", init_name(99)))
        );
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_job_folder(
            prefix in any::<String>(), job in any::<String>(), text in any::<String>(), n: u64, attempt: u64,
        ) {
            let keys = JobKeys::new(&prefix, &job);
            for key in every_key(&keys, &text, n, attempt) {
                prop_assert!(key.starts_with(keys.folder()), "{}", key);
                prop_assert!(key.split('/').all(|part| !part.is_empty() && !part.starts_with('.')), "{}", key);
                prop_assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{}", key);
            }
            prop_assert!(source_copy(&job).starts_with("tmp/"));
        }

        #[test]
        fn different_names_have_different_keys(a in any::<String>(), b in any::<String>()) {
            prop_assert_eq!(name(&a) == name(&b), a == b);
        }

        #[test]
        fn valid_names_pass_unchanged(text in "[A-Za-z0-9][A-Za-z0-9._~-]{0,127}") {
            prop_assert_eq!(name(&text), text);
        }

        #[test]
        fn a_revised_key_lies_beside_its_own_and_tells_its_revision(text in "[a-z0-9]{1,9}", revision: u64) {
            let keys = JobKeys::new("hls/f.1/", "j1");
            for key in [keys.commit(), keys.media_playlist(&text), keys.receipt()] {
                let written = revised(&key, revision);
                prop_assert_eq!(revision_of(&key, &written), Some(revision));
                prop_assert_eq!(written.rsplit_once('/').unwrap().0, key.rsplit_once('/').unwrap().0);
                prop_assert_eq!(revision_of(&written, &key).unwrap_or(0), 0);
            }
            prop_assert_eq!(revision_of(&keys.commit(), &keys.receipt()), None);
        }

        #[test]
        fn base36_reads_back_as_the_same_number(number: u64) {
            prop_assert_eq!(u64::from_str_radix(&base36(number), 36), Ok(number));
        }
    }
}
