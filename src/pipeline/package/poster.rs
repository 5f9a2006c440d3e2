//! Which of the pictures that chunks offered becomes the poster. Pure.

use media::image::MIN_POSTER_SCORE;
use streams::task::TaskName;
use streams::work::ObjectRef;

use crate::job::receipt::TaskResult;

/// The first good picture, in the order of the plan; else the one with most to see in it. A picture
/// that no one looked at counts as good.
pub(super) fn choose_poster(made: &[TaskResult]) -> Option<(TaskName, ObjectRef)> {
    let mut offered: Vec<(TaskName, &ObjectRef, f64)> = Vec::new();
    for made in made {
        let score = made.output.poster_score.unwrap_or(MIN_POSTER_SCORE);
        let Some(picture) = &made.output.poster else {
            continue;
        };
        let offer = (made.task, picture, score);
        // Objects of a repair replace those of its task.
        match offered.iter_mut().find(|(task, ..)| *task == made.task) {
            Some(before) => *before = offer,
            None => offered.push(offer),
        }
    }

    let good = offered
        .iter()
        .find(|(.., score)| *score >= MIN_POSTER_SCORE);
    // Of equal ones the first.
    let best = || {
        offered
            .iter()
            .reduce(|best, next| if next.2 > best.2 { next } else { best })
    };
    good.or_else(best)
        .map(|(task, poster, _)| (*task, (*poster).clone()))
}

#[cfg(test)]
mod tests {
    use streams::work::TaskOutput;

    use super::*;

    fn chosen(offers: &[Option<Option<f64>>]) -> Option<String> {
        let made: Vec<TaskResult> = (0..)
            .zip(offers)
            .map(|(k, offer)| TaskResult {
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
                repair: false,
            })
            .collect();
        choose_poster(&made).map(|(_, poster)| poster.key)
    }

    #[test]
    fn the_first_good_picture_wins_and_else_the_best() {
        let offer = |score: f64| Some(Some(score));
        assert_eq!(chosen(&[offer(40.0), offer(90.0)]), Some("0".to_owned()));
        assert_eq!(
            chosen(&[offer(0.0), None, offer(30.0), offer(50.0)]),
            Some("2".to_owned())
        );
        assert_eq!(
            chosen(&[offer(0.5), offer(2.0), offer(2.0)]),
            Some("1".to_owned())
        );
        assert_eq!(chosen(&[offer(0.0), offer(0.0)]), Some("0".to_owned()));

        // An older build says nothing of its one poster.
        assert_eq!(chosen(&[Some(None), offer(90.0)]), Some("0".to_owned()));
        assert_eq!(chosen(&[None]), None);
    }
}
