//! The URIs a playlist leads to (RFC 8216bis section 4.1).

/// Every URI of a playlist: its lines that are no tags, and the `URI` attributes of its tags, as
/// they are written.
pub fn uris(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.starts_with('#') {
            let value = line.split_once("URI=\"")?.1;
            value.split('"').next()
        } else {
            Some(line).filter(|line| !line.is_empty())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_playlist_makes_it_panic_and_every_uri_stands_in_it(text in "(#EXTM3U|#EXT-X-MAP:|URI=\"?|\"|,|\\.\\./|\n|\\PC{0,9}){0,20}") {
            prop_assert!(uris(&text).all(|uri| text.contains(uri)));
        }
    }

    #[test]
    fn lines_and_attributes_are_uris_and_tags_are_not() {
        let text = "#EXTM3U\n#EXT-X-MAP:URI=\"init-1.mp4\"\n#EXTINF:4,\n0-1.m4s\n\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a/index.m3u8\",NAME=\"x\"\n";
        assert_eq!(
            uris(text).collect::<Vec<_>>(),
            ["init-1.mp4", "0-1.m4s", "a/index.m3u8"]
        );
    }
}
