//! All profiles of an installation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::file::{ProfileError, parse};
use super::policy::Profile;

/// The profiles events may ask for, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiles(BTreeMap<String, Profile>);

/// No profile has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile {asked:?}; the profiles are {}", .known.join(", "))]
pub struct UnknownProfile {
    /// What was asked for.
    pub asked: String,
    /// Every name that exists.
    pub known: Vec<String>,
}

/// What the shipped file is called in errors.
const SHIPPED_FILE: &str = "profiles.toml";

static SHIPPED: LazyLock<Profiles> = LazyLock::new(|| {
    let profiles = parse(SHIPPED_FILE, include_str!("../profiles.toml"));
    Profiles(profiles.expect("the shipped profiles are valid, as a test shows"))
});

impl Profiles {
    /// The profiles that come with the program.
    #[must_use]
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// These profiles, with those of a file added; of two with one name the file's rules.
    ///
    /// # Errors
    /// [`ProfileError`] that names `file`, the profile, the field and the fix.
    pub fn with_file(&self, file: &str, text: &str) -> Result<Self, ProfileError> {
        let mut all = self.0.clone();
        all.extend(parse(file, text)?);
        Ok(Self(all))
    }

    /// The profile of a name.
    ///
    /// # Errors
    /// [`UnknownProfile`] with every name there is.
    pub fn get(&self, name: &str) -> Result<&Profile, UnknownProfile> {
        self.0.get(name).ok_or_else(|| UnknownProfile {
            asked: name.to_owned(),
            known: self.0.keys().cloned().collect(),
        })
    }

    /// Every profile, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.0.values()
    }
}

impl Profile {
    /// The name of the profile of events that ask for none.
    pub const STANDARD: &'static str = "standard";

    /// The shipped default.
    ///
    /// # Panics
    /// Never: a test shows that the shipped file holds it.
    #[must_use]
    pub fn standard() -> Self {
        Self::named(Self::STANDARD).expect("the shipped profiles hold the standard one")
    }

    /// The shipped profile of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Profiles::shipped().get(name).ok().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_holds_the_promised_profiles() {
        let names: Vec<&str> = Profiles::shipped()
            .iter()
            .map(|profile| profile.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["classic", "fast", "hevc", "hq", "mobile", "standard"]
        );

        let classic = Profile::named("classic").unwrap();
        assert_eq!(
            (classic.segment, classic.gop, classic.per_title),
            (6, 2, false)
        );
        let caps: Vec<(u32, u64)> = classic
            .rungs
            .iter()
            .map(|rung| (rung.short_side, rung.maxrate))
            .collect();
        assert_eq!(
            caps,
            [(1080, 5_000_000), (720, 3_000_000), (480, 1_500_000)]
        );

        assert_eq!(Profile::standard().gop, 4);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Profiles::shipped().get("apple").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no profile \"apple\"; the profiles are classic, fast, hevc, hq, mobile, standard"
        );
    }

    #[test]
    fn a_file_adds_and_replaces() {
        let file = "[profiles.tiny]\nabout = \"x\"\nsegment = 2\nencoder = \"libx264\"\npreset = \"fast\"\nrungs = [{ short_side = 240, crf = 23, maxrate = 300_000 }]\n";
        let profiles = Profiles::shipped().with_file("mine.toml", file).unwrap();
        assert_eq!(profiles.get("tiny").unwrap().rungs[0].crf, 23.0);
        let standard = file.replace("tiny", "standard");
        let profiles = Profiles::shipped()
            .with_file("mine.toml", &standard)
            .unwrap();
        assert_eq!(profiles.get("standard").unwrap().segment, 2);
        assert!(profiles.get("hevc").is_ok());
    }
}
