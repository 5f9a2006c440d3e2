//! What is wrong with the playlists, subtitles and words of an output.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::output::Output;
use super::{Cue, equal, fault_unless};
use crate::edges::measure::{captions_of, picture_file};
use crate::harness::output::http::get;

pub(super) fn warns(output: &Output, word: &str) -> Vec<String> {
    let warnings = &output.ended.warnings;
    fault_unless(warnings.iter().any(|warning| warning == word), || {
        format!("it warns of {warnings:?} and not of {word}")
    })
}

pub(super) fn warns_not(output: &Output, word: &str) -> Vec<String> {
    let warnings = &output.ended.warnings;
    fault_unless(warnings.iter().all(|warning| warning != word), || {
        format!("it warns of {warnings:?}")
    })
}

pub(super) async fn captions(output: &Output, wanted: Option<&str>) -> Vec<String> {
    let playlist = &output.published.text;
    let variants = playlist.matches("#EXT-X-STREAM-INF").count();
    let media = r#"TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="Closed captions",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="CC1""#;
    let (lines, attribute) = if wanted.is_some() {
        (1, r#"CLOSED-CAPTIONS="cc""#)
    } else {
        (0, "CLOSED-CAPTIONS=NONE")
    };
    let declared =
        playlist.matches(media).count() == lines && playlist.matches(attribute).count() == variants;
    let mut faults = fault_unless(declared, || {
        format!("captions are not declared as {wanted:?}: {playlist}")
    });
    for head in &output.heads {
        let carried = captions_of(&head.url).await;
        let right = match wanted {
            Some(text) => carried.as_deref().is_some_and(|found| found.contains(text)),
            None => carried.is_none(),
        };
        faults.extend(fault_unless(right, || {
            format!(
                "{} carries the captions {carried:?} and not {wanted:?}",
                head.name
            )
        }));
    }
    faults
}

pub(super) fn segments(output: &Output, count: usize) -> Vec<String> {
    let found: Vec<_> = output
        .published
        .rungs()
        .iter()
        .map(|rung| rung.track.segments.len())
        .collect();
    fault_unless(
        !found.is_empty() && found.iter().all(|found| *found == count),
        || format!("the rungs have {found:?} segments and not {count}"),
    )
}

pub(super) fn chunks(output: &Output, least: usize) -> Vec<String> {
    let chunks = output
        .planned
        .video
        .as_ref()
        .map_or(0, |video| video.chunks.len());
    let mut faults = fault_unless(chunks >= least, || format!("it has {chunks} chunks"));
    let mut latest: BTreeMap<&str, f64> = BTreeMap::new();
    for (task, share) in &output.progress {
        let before = latest.insert(task, *share).unwrap_or(0.0);
        faults.extend(fault_unless((before..=1.0).contains(share), || {
            format!("progress of {task} goes from {before} to {share}")
        }));
    }
    faults.extend(fault_unless(!latest.is_empty(), || {
        "no progress was published".to_owned()
    }));
    faults
}

pub(super) fn subtitles(output: &Output, wanted: &[(Option<&str>, &[Cue])]) -> Vec<String> {
    let listed = &output.published.subtitles;
    let languages: Vec<_> = listed
        .iter()
        .map(|subtitles| subtitles.listing.language.as_deref())
        .collect();
    let mut faults = equal(
        "languages of subtitles",
        languages,
        wanted
            .iter()
            .map(|(language, _)| language.or(Some(super::sound::UNKNOWN)))
            .collect(),
    );
    for (subtitles, (_, cues)) in listed.iter().zip(wanted) {
        let text = &subtitles.text;
        let mapped = text.starts_with("WEBVTT")
            && text.contains("X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000");
        faults.extend(fault_unless(mapped && says(&cues_of(text), cues), || {
            format!("the cues {cues:?} are not in {text:?}")
        }));
    }
    faults
}

fn says(found: &[(f64, f64, String)], wanted: &[Cue]) -> bool {
    let same = |((begin, end, text), cue): (&(f64, f64, String), &Cue)| {
        (begin - cue.0).abs() < 0.05 && (end - cue.1).abs() < 0.05 && text.trim() == cue.2
    };
    found.len() == wanted.len() && found.iter().zip(wanted).all(same)
}

pub(super) async fn sheets(output: &Output, least: usize) -> Vec<String> {
    let Some(address) = output.ended.storyboard_url.as_deref() else {
        return vec!["there is no storyboard".to_owned()];
    };
    let index: Url = address.parse().unwrap();
    let cues = cues_of(&String::from_utf8(get(&index).await.body).unwrap());
    let joined = cues
        .windows(2)
        .all(|pair| (pair[0].1 - pair[1].0).abs() < 0.002);
    let (first, last) = (cues.first().map(|cue| cue.0), cues.last().map(|cue| cue.1));
    let whole = first == Some(0.0)
        && last.is_some_and(|last| (last - output.planned.source.duration).abs() < 1.0);
    let mut faults = fault_unless(joined && whole, || {
        format!("the tiles do not follow each other from 0 to the end: {first:?} to {last:?}")
    });
    let sheets: BTreeSet<&str> = cues
        .iter()
        .filter_map(|cue| cue.2.split('#').next())
        .collect();
    faults.extend(fault_unless(sheets.len() >= least, || {
        format!("the storyboard has {} sheets", sheets.len())
    }));
    for sheet in sheets {
        let image = picture_file(index.join(sheet).unwrap().as_str()).await;
        let inside = cues.iter().filter(|cue| cue.2.split('#').next() == Some(sheet)).all(|cue| {
            let numbers = cue.2.split("xywh=").nth(1).unwrap_or_default();
            let numbers: Vec<usize> = numbers.split(',').filter_map(|number| number.trim().parse().ok()).collect();
            matches!(numbers[..], [x, y, width, height] if x + width <= image.width && y + height <= image.height && width > 0)
        });
        faults.extend(fault_unless(inside, || {
            format!("a tile lies outside of {sheet}")
        }));
    }
    faults
}

/// The cues of a WebVTT text: begin and end in seconds, and the lines that follow.
fn cues_of(text: &str) -> Vec<(f64, f64, String)> {
    let blocks = text.split("\n\n").filter_map(|block| {
        let mut lines = block.lines().skip_while(|line| !line.contains("-->"));
        let (begin, rest) = lines.next()?.split_once("-->")?;
        let end = rest.split_whitespace().next()?;
        Some((
            seconds(begin.trim())?,
            seconds(end)?,
            lines.collect::<Vec<_>>().join("\n"),
        ))
    });
    blocks.collect()
}

/// Seconds of `hh:mm:ss.mmm` or `mm:ss.mmm`.
fn seconds(time: &str) -> Option<f64> {
    time.split(':').try_fold(0.0, |sum, part| {
        Some(sum * 60.0 + part.parse::<f64>().ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_that_are_late_or_say_something_else_are_noticed() {
        let text = "WEBVTT\n\n00:01.000 --> 00:02.500\nHello\n\n2\n01:00:03.000 --> 01:00:04.000 align:left\nBye\n";
        let found = cues_of(text);
        assert!(says(
            &found,
            &[(1.0, 2.5, "Hello"), (3603.0, 3604.0, "Bye")]
        ));
        for wrong in [
            &[(1.0, 2.5, "Hello")][..],
            &[(1.2, 2.5, "Hello"), (3603.0, 3604.0, "Bye")],
            &[(1.0, 2.5, "Hallo"), (3603.0, 3604.0, "Bye")],
        ] {
            assert!(!says(&found, wrong), "{wrong:?}");
        }
    }
}
