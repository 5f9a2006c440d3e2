//! Which of the pictures that chunks offered becomes the poster. Pure.

use streams::work::ObjectRef;

use super::outputs::Made;
use crate::image::GOOD;

/// The first good picture, in the order of the plan; else the one with most to see in it. A picture nobody looked at counts as good.
pub(super) fn poster(made: &[Made]) -> Option<ObjectRef> {
    let offered = || {
        made.iter().filter_map(|made| {
            let score = made.output.poster_score.unwrap_or(GOOD);
            Some((made.output.poster.as_ref()?, score))
        })
    };
    let good = offered().find(|(_, score)| *score >= GOOD);
    // Of equal ones the first.
    let best = || offered().reduce(|best, next| if next.1 > best.1 { next } else { best });
    good.or_else(best).map(|(poster, _)| poster.clone())
}

#[cfg(test)]
mod tests {
    use streams::task::TaskName;
    use streams::work::TaskOutput;

    use super::*;

    fn chosen(offers: &[Option<Option<f64>>]) -> Option<String> {
        let made: Vec<Made> = (0..)
            .zip(offers)
            .map(|(k, offer)| Made {
                task: TaskName::video(k),
                attempt: 1,
                output: TaskOutput {
                    poster: offer.map(|_| ObjectRef {
                        key: k.to_string(),
                        size: 1,
                        sha256: String::new(),
                        etag: None,
                    }),
                    poster_score: offer.flatten(),
                    ..TaskOutput::default()
                },
                list: None,
            })
            .collect();
        poster(&made).map(|poster| poster.key)
    }

    #[test]
    fn the_first_good_picture_wins_and_else_the_best() {
        let offer = |score: f64| Some(Some(score));
        assert_eq!(chosen(&[offer(40.0), offer(90.0)]), Some("0".to_owned()));
        assert_eq!(
            chosen(&[offer(0.0), None, offer(30.0), offer(50.0)]),
            Some("2".to_owned())
        );
        assert_eq!(chosen(&[offer(0.5), offer(2.0), offer(2.0)]), Some("1".to_owned()));
        assert_eq!(chosen(&[offer(0.0), offer(0.0)]), Some("0".to_owned()));
        // An older build says nothing of its one poster.
        assert_eq!(chosen(&[Some(None), offer(90.0)]), Some("0".to_owned()));
        assert_eq!(chosen(&[None]), None);
    }
}
