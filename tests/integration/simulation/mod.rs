//! The rules of the job log under every kind of misfortune: intake, the five steps, cancel and
//! sweep are those of production, the object store is a real one, and the streams are a model in
//! which any process can die, lose an answer or sleep at any request, messages are delivered
//! several times, and acknowledgements get lost.
//!
//! A seed decides everything, so that a failing one can be repeated:
//! `SIMULATION_SEED=7 make one T=simulation`.

mod actor;
mod behavior;
mod judge;
mod refusals;
mod world;

use storage::Bucket;
use storage::testing::TestS3;
use world::World;

/// How many seeds are tried where the environment does not say: `SIMULATIONS`. `make nightly` tries
/// thousands.
const SEEDS: u64 = 300;

#[expect(
    clippy::disallowed_methods,
    reason = "the environment sets how long a test may take"
)]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
}

/// Worlds that share a bucket: a listing of the store reads all of it, whatever its prefix.
const NEIGHBOURS: usize = 20;

/// Runs the simulations of every second seed from `first` on.
async fn simulate(first: u64) {
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATIONS").unwrap_or(SEEDS),
    };
    let seeds: Vec<u64> = seeds.filter(|seed| seed % 2 == first).collect();
    let mut told = judge::Tally::default();
    for seeds in seeds.chunks(NEIGHBOURS) {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        for seed in seeds {
            let world = live(*seed, &bucket).await;
            told.add(&world);
        }
    }
    println!("{told}");
}

/// Lets one world suffer and heal, and judges it.
async fn live(seed: u64, bucket: &Bucket) -> World {
    let mut world = World::new(seed, bucket.clone());
    world.suffer().await;
    let came_to_rest = world.heal().await;
    let mut violations = judge::judge(&world, bucket).await;
    if !came_to_rest {
        violations.push("the jobs do not come to rest".to_owned());
    }
    assert!(
        violations.is_empty(),
        "seed {seed}: {violations:#?}\nthe log:\n{}",
        world.log()
    );
    world
}

#[tokio::test]
async fn whatever_dies_wherever_every_event_has_one_end_and_master_is_the_newest_job_even_seeds() {
    simulate(0).await;
}

#[tokio::test]
async fn whatever_dies_wherever_every_event_has_one_end_and_master_is_the_newest_job_odd_seeds() {
    simulate(1).await;
}
