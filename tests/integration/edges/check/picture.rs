//! What is wrong with the pictures of an output.

use super::output::Output;
use super::{equal, fault_unless};
use crate::edges::measure::{Colour, Place, changes, combed_share, image_at, picture_file};
use crate::harness::output::pictures::pictures;

/// The marks of corners are plain colours: this far from the right one they are still nearer to it
/// than to any other.
const MARK: u8 = 60;

pub(super) fn sizes(output: &Output, wanted: &[(u32, u32)]) -> Vec<String> {
    let found: Vec<_> = output
        .heads
        .iter()
        .map(|head| (head.stream.width, head.stream.height))
        .collect();
    equal("sizes", found.as_slice(), wanted)
}

pub(super) fn rates(output: &Output, wanted: &[&str]) -> Vec<String> {
    let found: Vec<_> = output
        .heads
        .iter()
        .map(|head| head.stream.r_frame_rate.as_str())
        .collect();
    equal("rates", found.as_slice(), wanted)
}

pub(super) async fn corners(output: &Output, wanted: &[Colour; 4]) -> Vec<String> {
    let mut faults = Vec::new();
    for head in &output.heads {
        let found = image_at(&head.url, 0.0).await.corners();
        faults.extend(alike(
            &format!("corners of {}", head.name),
            &found,
            wanted,
            MARK,
        ));
    }
    let poster = output
        .ended
        .thumbnail_url
        .as_deref()
        .expect("there is a poster");
    faults.extend(alike(
        "corners of the poster",
        &picture_file(poster).await.corners(),
        wanted,
        MARK,
    ));
    faults
}

pub(super) async fn bars(output: &Output, wanted: &[Colour], tolerance: u8) -> Vec<String> {
    let mut faults = Vec::new();
    for head in &output.heads {
        let found = bars_of(&head.url, wanted.len()).await;
        faults.extend(alike(
            &format!("bars of {}", head.name),
            &found,
            wanted,
            tolerance,
        ));
    }
    faults
}

pub(super) async fn ramp(
    output: &Output,
    bars: usize,
    grey: usize,
    range: (u8, u8),
) -> Vec<String> {
    let mut faults = Vec::new();
    for head in &output.heads {
        let found = bars_of(&head.url, bars).await;
        faults.extend(
            ramp_faults(&found, grey, range)
                .into_iter()
                .map(|fault| format!("{}: {fault}", head.name)),
        );
    }
    let poster = output
        .ended
        .thumbnail_url
        .as_deref()
        .expect("there is a poster");
    let poster = picture_file(poster).await;
    let found: Vec<_> = (0..bars)
        .map(|bar| poster.mean(Place::bar(bar, bars)))
        .collect();
    faults.extend(
        ramp_faults(&found, grey, range)
            .into_iter()
            .map(|fault| format!("poster: {fault}")),
    );
    faults
}

async fn bars_of(url: &str, bars: usize) -> Vec<Colour> {
    let image = image_at(url, 0.0).await;
    (0..bars)
        .map(|bar| image.mean(Place::bar(bar, bars)))
        .collect()
}

fn ramp_faults(found: &[Colour], grey: usize, (least, most): (u8, u8)) -> Vec<String> {
    let tinted = found
        .iter()
        .any(|bar| bar.iter().max().unwrap() - bar.iter().min().unwrap() > 6);
    let luma: Vec<u8> = found.iter().map(|bar| bar[1]).collect();
    let rises = luma.is_sorted() && luma[0] < 40 && luma[luma.len() - 1] > 150;
    let sane = (least..=most).contains(&luma[grey]);
    fault_unless(!tinted && rises && sane, || {
        format!("the grey bars are {found:?}; bar {grey} has to be within {least} and {most}")
    })
}

fn alike(what: &str, found: &[Colour], wanted: &[Colour], tolerance: u8) -> Vec<String> {
    let near = |(one, other): (&Colour, &Colour)| {
        one.iter()
            .zip(other)
            .all(|(one, other)| one.abs_diff(*other) <= tolerance)
    };
    fault_unless(
        found.len() == wanted.len() && found.iter().zip(wanted).all(near),
        || format!("{what}: {found:?} and not {wanted:?} (within {tolerance})"),
    )
}

pub(super) async fn not_combed(output: &Output) -> Vec<String> {
    let mut faults = Vec::new();
    for head in &output.heads {
        let share = combed_share(&head.url).await;
        faults.extend(fault_unless(share < 0.1, || {
            format!(
                "{:.0} % of the frames of {} are combed",
                share * 100.0,
                head.name
            )
        }));
    }
    faults
}

pub(super) async fn length_within(output: &Output, least: f64, most: f64) -> Vec<String> {
    let Some(head) = output.heads.first() else {
        return vec!["there are no pictures".to_owned()];
    };
    let times = pictures(&head.url).await.times;
    let found = times[times.len() - 1] + 1.0 / head.stream.rate();
    fault_unless((least..=most).contains(&found), || {
        format!("the pictures last {found:.3} s and not from {least:.3} to {most:.3} s")
    })
}

pub(super) async fn disc(output: &Output, at: f64) -> Vec<String> {
    let mut faults = Vec::new();
    for head in &output.heads {
        let (width, height) = image_at(&head.url, at).await.extent_of_white();
        let is_round = width > 20 && width.abs_diff(height) <= 2 + height / 50;
        faults.extend(fault_unless(is_round, || {
            format!(
                "the disc of {} is {width} wide and {height} high at {at} s",
                head.name
            )
        }));
    }
    faults
}

pub(super) async fn length(output: &Output, wanted: Option<f64>) -> Vec<String> {
    let (Some(wanted), Some(head)) = (wanted, output.heads.first()) else {
        return equal("has pictures", !output.heads.is_empty(), wanted.is_some());
    };
    let times = pictures(&head.url).await.times;
    let (frame, last) = (1.0 / head.stream.rate(), times[times.len() - 1]);
    let found = last + frame;
    fault_unless((found - wanted).abs() <= frame + 0.001, || {
        format!("the pictures last {found:.3} s and not {wanted:.3} s")
    })
}

pub(super) async fn moves(output: &Output, least: usize) -> Vec<String> {
    let Some(head) = output.heads.first() else {
        return vec!["there are no pictures".to_owned()];
    };
    let found = changes(&head.url).await;
    fault_unless(found >= least, || {
        format!(
            "{found} pictures of {} differ from the one before, and not {least}",
            head.name
        )
    })
}

pub(super) async fn poster(output: &Output, least: f64) -> Vec<String> {
    let Some(poster) = output.ended.thumbnail_url.as_deref() else {
        return vec!["there is no poster".to_owned()];
    };
    let found = picture_file(poster).await.brightness();
    fault_unless(found >= least, || {
        format!("the brightness of the poster is {found:.1} of 255")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_other_corners_are_not_alike() {
        let marks = [[250, 10, 5], [5, 250, 9], [3, 5, 240], [250, 250, 250]];
        let turned = [marks[2], marks[0], marks[3], marks[1]];
        assert!(
            alike(
                "",
                &marks,
                &[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]],
                MARK
            )
            .is_empty()
        );
        assert!(!alike("", &turned, &marks, MARK).is_empty());
        assert!(!alike("", &marks[..3], &marks, MARK).is_empty());
    }

    #[test]
    fn a_ramp_that_falls_or_is_tinted_or_washed_out_is_none() {
        let ramp = |values: [u8; 4]| values.map(|value| [value; 3]);
        assert!(ramp_faults(&ramp([5, 90, 160, 240]), 1, (60, 140)).is_empty());
        for wrong in [
            [5, 160, 90, 240],
            [60, 90, 160, 240],
            [5, 90, 100, 120],
            [5, 30, 160, 240],
        ] {
            assert!(
                !ramp_faults(&ramp(wrong), 1, (60, 140)).is_empty(),
                "{wrong:?}"
            );
        }
        let tinted = [[5; 3], [90, 90, 110], [160; 3], [240; 3]];
        assert!(!ramp_faults(&tinted, 1, (60, 140)).is_empty());
    }
}
