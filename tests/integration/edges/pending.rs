//! Rows that need features under development.

use super::row::run;
use super::rows;

/// Needs the sample of `idet`, and alpha laid on black.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_that_lie_are_seen_through_and_transparency_is_laid_on_black() {
    run(rows::time::interlaced_unsaid()
        .into_iter()
        .chain(rows::colour::transparent())
        .collect())
    .await;
}

/// Needs 5.1 in addition to stereo, and covers as posters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn surround_stands_beside_stereo_and_a_cover_becomes_the_poster() {
    run(rows::sound::surround()
        .into_iter()
        .chain(rows::sound::covered())
        .collect())
    .await;
}

/// Needs subtitles as WebVTT.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subtitles_become_text_that_players_show() {
    run(rows::subtitles::rows()).await;
}

/// Needs storyboards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn videos_have_preview_pictures() {
    run(rows::time::storyboards()).await;
}
