//! What is wrong with the audio of an output.

use super::output::Output;
use super::{equal, fault_unless};
use crate::edges::measure::{hearing, loudest_tone, moments};
use crate::harness::output::sound::sound;

/// Every tone that any test input hums, in Hz.
const TONES: [u32; 10] = [60, 300, 400, 440, 500, 660, 700, 800, 880, 1000];

pub(super) async fn in_sync(output: &Output, wanted: &[f64]) -> Vec<String> {
    let mut faults = Vec::new();
    let sounds = output.sounds();
    let Some((_, sound)) = sounds.first() else {
        return vec!["there is no sound".to_owned()];
    };
    for head in &output.heads {
        let found = moments(&head.url, sound).await;
        faults.extend(
            found
                .faults(wanted, 1.0 / head.stream.rate())
                .into_iter()
                .map(|fault| format!("{}: {fault}", head.name)),
        );
    }
    faults
}

/// How a track of unknown language is listed (BCP 47); audio without video is not listed.
pub(super) const UNKNOWN: &str = "und";

pub(super) async fn tones(output: &Output, wanted: &[(Option<&str>, u32)]) -> Vec<String> {
    let sounds = output.sounds();
    let mut found = Vec::new();
    for (listing, url) in &sounds {
        let tone = loudest_tone(&hearing(url, 0.5).await[0], &TONES);
        found.push((
            listing.map_or(UNKNOWN, |listing| {
                listing.language.as_deref().unwrap_or("none")
            }),
            tone.unwrap_or(0),
        ));
    }
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(language, tone)| (language.unwrap_or(UNKNOWN), *tone))
        .collect();
    let mut faults = equal("tracks", found, wanted);
    let is_default = |listing: &Option<_>| {
        listing.is_none_or(|listing: &crate::harness::output::Listing| listing.default)
    };
    let first = sounds
        .first()
        .is_none_or(|(listing, _)| is_default(listing));
    faults.extend(fault_unless(first, || {
        format!(
            "the first track is not the default one: {}",
            output.published.text
        )
    }));
    let mut names: Vec<_> = sounds
        .iter()
        .filter_map(|(listing, _)| listing.map(|listing| &listing.name))
        .collect();
    names.sort_unstable();
    faults.extend(fault_unless(
        names.windows(2).all(|pair| pair[0] != pair[1]),
        || format!("two tracks share a name: {names:?}"),
    ));
    faults
}

pub(super) async fn tones_at(output: &Output, channels: u32, wanted: &[(f64, u32)]) -> Vec<String> {
    let listed = output.published.audio.iter();
    let of_channels = listed.filter(|audio| audio.listing.channels == Some(u64::from(channels)));
    // Audio without video is not listed.
    let mut urls: Vec<_> = of_channels
        .map(|audio| audio.track.url.to_string())
        .collect();
    urls.extend(
        output
            .sounds()
            .into_iter()
            .map(|(_, url)| url)
            .filter(|_| channels == 2),
    );
    let Some(url) = urls.first() else {
        return vec![format!(
            "there is no rendition of {channels} channels: {}",
            output.published.text
        )];
    };
    let mut found = Vec::new();
    for (moment, _) in wanted {
        let heard = hearing(url, *moment).await;
        found.push((*moment, loudest_tone(&heard[0], &TONES).unwrap_or(0)));
    }
    equal("tones by moment", found.as_slice(), wanted)
}

pub(super) async fn sides(output: &Output, wanted: [u32; 2]) -> Vec<String> {
    let sounds = output.sounds();
    let [(_, url)] = sounds.as_slice() else {
        return vec![format!(
            "there are {} tracks of sound and not one",
            sounds.len()
        )];
    };
    let heard = hearing(url, 0.5).await;
    let found: Vec<_> = heard
        .iter()
        .map(|channel| loudest_tone(channel, &TONES).unwrap_or(0))
        .collect();
    equal("left and right", found.as_slice(), &wanted)
}

pub(super) async fn surround(output: &Output, wanted: [u32; 6]) -> Vec<String> {
    let six = output
        .published
        .audio
        .iter()
        .find(|audio| audio.listing.channels == Some(6));
    let Some(six) = six else {
        return vec![format!(
            "there is no rendition of six channels: {}",
            output.published.text
        )];
    };
    let heard = hearing(six.track.url.as_str(), 0.5).await;
    let found: Vec<_> = heard
        .iter()
        .map(|channel| loudest_tone(channel, &TONES).unwrap_or(0))
        .collect();
    let mut faults = equal("channels", found.as_slice(), &wanted);
    // Every rung twice: all with stereo first, then all with 5.1.
    let groups: Vec<_> = output
        .published
        .variants
        .iter()
        .map(|variant| variant.group.as_deref())
        .collect();
    let (stereo, surround) = groups.split_at(output.heads.len().min(groups.len()));
    let own = Some(six.listing.group.as_str());
    let apart = stereo.len() == surround.len()
        && stereo.iter().all(|group| *group != own)
        && surround.iter().all(|group| *group == own);
    faults.extend(fault_unless(apart, || {
        format!("the variants are not there for both groups in turn: {groups:?}")
    }));
    faults
}

pub(super) async fn mixed(output: &Output, wanted: &[u32]) -> Vec<String> {
    let sounds = output.sounds();
    let Some((_, url)) = sounds.first() else {
        return vec!["there is no sound".to_owned()];
    };
    let heard = hearing(url, 0.5).await;
    let audible = |tone: u32| {
        heard
            .iter()
            .any(|channel| loudest_tone(channel, &[tone]).is_some())
    };
    let missing: Vec<_> = wanted.iter().filter(|tone| !audible(**tone)).collect();
    fault_unless(missing.is_empty() && heard.len() == 2, || {
        format!(
            "{missing:?} Hz cannot be heard in {} channels of {url}",
            heard.len()
        )
    })
}

pub(super) async fn together(output: &Output, wanted: f64) -> Vec<String> {
    let mut faults = Vec::new();
    for track in output.published.tracks() {
        let listed = track.seconds();
        faults.extend(fault_unless((listed - wanted).abs() <= 0.05, || {
            format!("{} lists {listed:.3} s and not {wanted:.3} s", track.url)
        }));
    }
    for (_, url) in output.sounds() {
        let found = sound(&url).await;
        let end = found.start + found.seconds();
        faults.extend(fault_unless((end - wanted).abs() <= 0.05, || {
            format!("{url} ends at {end:.3} s and not at {wanted:.3} s")
        }));
    }
    faults.extend(
        super::picture::length(output, Some(wanted).filter(|_| !output.heads.is_empty())).await,
    );
    faults
}

pub(super) async fn length(output: &Output, wanted: Option<f64>) -> Vec<String> {
    let sounds = output.sounds();
    let (Some(wanted), Some((_, url))) = (wanted, sounds.first()) else {
        return equal("has sound", !sounds.is_empty(), wanted.is_some());
    };
    let found = sound(url).await;
    let end = found.start + found.seconds();
    fault_unless((end - wanted).abs() <= 0.05, || {
        format!("the sound ends at {end:.3} s and not at {wanted:.3} s")
    })
}
