//! Every video people upload comes out right: one generated input per row, judged on the finished
//! output.
//!
//! [`rows`] holds the tables: what is uploaded ([`input`]) and what has to come of it ([`check`]).
//! The rows of a table are uploaded to one worker, a few at a time ([`row`]); what they become is
//! got from where players get it, and measured by ffmpeg ([`measure`]).

mod captions;
mod check;
pub(crate) mod input;
mod measure;
pub(crate) mod mp4;
mod pending;
mod row;
pub(crate) mod rows;

use row::{run, run_in};
use rows::hostile::Canary;

use crate::harness::database::Engine;
use crate::harness::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_come_out_upright_square_and_no_larger() {
    run(rows::shape::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_come_out_as_a_screen_shows_them() {
    run(rows::colour::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_come_at_their_times() {
    run(rows::time::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_pictures_stay_together() {
    run(rows::sync::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_begins_anew_or_jumps_goes_on() {
    run(rows::sync::clocks()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_renditions_are_as_long_as_the_programme_and_no_segment_is_a_sliver() {
    run(rows::lengths::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_track_of_sound_comes_out() {
    run(rows::sound::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_that_changes_on_the_way_plays_throughout() {
    run(rows::sound::changing()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_that_changes_on_the_way_stays_with_its_pictures() {
    run(rows::sync::changing()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_together_is_heard_together_and_nothing_else() {
    run(rows::sound::together()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named_and_never_passed_over() {
    run(rows::damage::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_are_refused_before_they_go_off() {
    run(rows::hostile::bombs()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_makes_a_worker_read_another_file_or_call_a_host() {
    let world = World::new(Engine::Sqlite).await;
    let mut canary = Canary::new(world.folder()).await;
    let _worker = world.worker("one").start();
    run_in(&world, canary.rows()).await;
    canary.is_untouched().await;
}
