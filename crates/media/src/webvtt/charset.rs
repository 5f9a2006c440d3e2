//! Text in the character sets that were usual before UTF-8.

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};

/// Text, and whether its character set had to be guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text.
    pub text: String,
    /// Whether the bytes are not UTF-8.
    pub guessed: bool,
}

/// Reads bytes as UTF-8; where they are not, in the character set that was usual for `language`, an
/// RFC 5646 tag. Each line is read separately, because some files mix character sets.
#[must_use]
pub fn decode(bytes: &[u8], language: Option<&str>) -> Decoded {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded {
            text: text.to_owned(),
            guessed: false,
        };
    }

    let usual = usual_charset(language.unwrap_or_default());
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| match std::str::from_utf8(line) {
            Ok(text) => text.to_owned(),
            Err(_) => usual.decode_without_bom_handling(line).0.into_owned(),
        });

    Decoded {
        text: lines.collect::<Vec<_>>().join("\n"),
        guessed: true,
    }
}

fn usual_charset(language: &str) -> &'static Encoding {
    // Traditional Chinese is the one case where the region or the script decides, not the language.
    if matches!(language, "zh-TW" | "zh-HK" | "zh-Hant") {
        return BIG5;
    }

    match language.split('-').next().unwrap_or_default() {
        "bs" | "cs" | "hr" | "hu" | "pl" | "ro" | "sk" | "sl" | "sq" => WINDOWS_1250,
        "be" | "bg" | "mk" | "ru" | "sr" | "uk" => WINDOWS_1251,
        "el" => WINDOWS_1253,
        "tr" => WINDOWS_1254,
        "he" => WINDOWS_1255,
        "ar" | "fa" | "ur" => WINDOWS_1256,
        "et" | "lt" | "lv" => WINDOWS_1257,
        "vi" => WINDOWS_1258,
        "th" => WINDOWS_874,
        "ja" => SHIFT_JIS,
        "ko" => EUC_KR,
        "zh" => GBK,
        _ => WINDOWS_1252,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_in_any_language(bytes: Vec<u8>, language in prop::option::of("(zh(-TW)?|ja|ko|he|ru|th|\\PC{0,6})")) {
            let decoded = decode(&bytes, language.as_deref());

            prop_assert_eq!(decoded.guessed, std::str::from_utf8(&bytes).is_err());
            let _ = crate::webvtt::read(&decoded.text);
        }
    }

    #[test]
    fn utf_8_is_read_as_it_is_and_the_rest_by_language() {
        for (bytes, language, text, guessed) in [
            ("čaj".as_bytes(), Some("cs"), "čaj", false),
            (b"caf\xe9", None, "café", true),
            (b"\xe8aj", Some("cs"), "čaj", true),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", Some("ru"), "Привет", true),
            (b"caf\xe9\ncaf\xc3\xa9", Some("fr"), "café\ncafé", true),
        ] {
            let wanted = Decoded {
                text: text.to_owned(),
                guessed,
            };

            assert_eq!(decode(bytes, language), wanted);
        }
    }
}
