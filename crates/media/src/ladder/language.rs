//! Languages of tracks: from whatever a container writes to tags for playlists (RFC 5646) and words
//! for people.

use isolang::Language;

/// ISO 639-2 knows two codes for these; Matroska writes the first, everything else the second.
const BIBLIOGRAPHIC_CODES: [(&str, &str); 20] = [
    ("alb", "sqi"),
    ("arm", "hye"),
    ("baq", "eus"),
    ("bur", "mya"),
    ("chi", "zho"),
    ("cze", "ces"),
    ("dut", "nld"),
    ("fre", "fra"),
    ("geo", "kat"),
    ("ger", "deu"),
    ("gre", "ell"),
    ("ice", "isl"),
    ("mac", "mkd"),
    ("mao", "mri"),
    ("may", "msa"),
    ("per", "fas"),
    ("rum", "ron"),
    ("slo", "slk"),
    ("tib", "bod"),
    ("wel", "cym"),
];

/// A known language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// RFC 5646 tag with the shortest code, e.g. `de` or `pt-BR`.
    pub tag: String,
    /// English name, e.g. `German`.
    pub name: String,
}

/// The language a container names; nothing for codes that are not assigned and for those that mean
/// "none" or "unknown".
#[must_use]
pub fn known(written: &str) -> Option<Known> {
    let written = written.trim().replace('_', "-");
    let (primary, rest) = written.split_once('-').unwrap_or((&written, ""));
    let primary = primary.to_ascii_lowercase();

    if matches!(primary.as_str(), "und" | "mis" | "mul" | "zxx") {
        return None;
    }

    let terminological = BIBLIOGRAPHIC_CODES
        .iter()
        .find(|(bibliographic, _)| *bibliographic == primary)
        .map_or(primary.as_str(), |(_, code)| code);
    let language =
        Language::from_639_3(terminological).or_else(|| Language::from_639_1(terminological))?;

    let mut tag = language
        .to_639_1()
        .unwrap_or_else(|| language.to_639_3())
        .to_owned();
    // The rest goes into a playlist as it is, so it must be made of RFC 5646 subtags (section 2.1).
    let valid = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if !rest.is_empty() && rest.split('-').all(valid) {
        tag = format!("{tag}-{rest}");
    }

    let name = language.to_name();
    // Registered names carry remarks, as in "Modern Greek (1453-)".
    Some(Known {
        tag,
        name: name.split(" (").next().unwrap_or(name).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_of_every_container_become_the_same_tag() {
        for (written, tag, name) in [
            ("eng", "en", "English"),
            ("ger", "de", "German"),
            ("deu", "de", "German"),
            ("de", "de", "German"),
            ("pt-BR", "pt-BR", "Portuguese"),
            ("GRE", "el", "Modern Greek"),
            ("fil", "fil", "Filipino"),
        ] {
            let known = known(written).unwrap();
            assert_eq!(
                (known.tag.as_str(), known.name.as_str()),
                (tag, name),
                "{written}"
            );
        }

        for written in ["und", "", "qqq", "english", "mul", "zxx"] {
            assert_eq!(known(written), None, "{written}");
        }
    }

    proptest! {
        #[test]
        fn every_tag_is_letters_digits_and_hyphens(written in "([a-zA-Z]{2,3}([-_]\\PC{0,6})?|\\PC{0,12})") {
            if let Some(known) = known(&written) {
                prop_assert!(known.tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
                prop_assert!(!known.name.is_empty());
            }
        }
    }
}
