//! What the scenarios are written with.
//!
//! [`World`](world::World) is everything one test has to itself: a nats-server ([`nats`]), S3 over
//! HTTP behind a fault proxy ([`proxy`]), a database ([`database`], [`migration::testing`]) and processes of
//! the program ([`worker`]). [`clip`] makes uploads, [`certificates`] what TLS needs, [`streams`]
//! reads the log, [`output`] judges what came out.

pub(crate) mod accounts;
pub(crate) mod certificates;
pub(crate) mod clip;
pub(crate) mod database;
pub(crate) mod encoder;
pub(crate) mod fault;
pub(crate) mod machine_lock;
pub(crate) mod made;
pub(crate) mod nats;
pub(crate) mod output;
pub(crate) mod players;
pub(crate) mod pooler;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod sources;
pub(crate) mod stand_in;
pub(crate) mod streams;
pub(crate) mod wire;
pub(crate) mod worker;
pub(crate) mod world;

use std::time::Duration;

/// How long anything may take that a test waits for. Far more than it takes: a wait ends with its
/// event.
pub(crate) const DEADLINE: Duration = Duration::from_secs(240);

/// Waits for what tells no one that it happened, such as a row in a table: it is asked again and
/// again.
pub(crate) async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let waiting = async {
        while !happened().await {
            ticks.tick().await;
        }
    };

    assert!(
        tokio::time::timeout(DEADLINE, waiting).await.is_ok(),
        "waited {DEADLINE:?} in vain until {what}"
    );
}

/// Runs a scenario, an `async fn(World)`, on each database.
macro_rules! on_each_database {
    ($($scenario:ident,)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(crate::harness::world::World::new(crate::harness::database::Engine::Sqlite).await).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(crate::harness::world::World::new(crate::harness::database::Engine::Postgresql).await).await;
            })*
        }
    };
}
pub(crate) use on_each_database;
