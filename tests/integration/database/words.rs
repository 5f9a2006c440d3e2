//! What commands say of a database that is not as they need it: once, with what to do.

use sea_orm::ConnectionTrait as _;

use crate::harness::database::Engine;
use crate::harness::worker::say_in;
use crate::harness::world::World;
use migration::testing::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_url_is_one_that_is_not_set() {
    let world = World::bare(Engine::Sqlite).await;
    let mut environment = world.environment();
    for empty in ["", " "] {
        environment.insert("DATABASE_URL", empty.to_owned());
        for arguments in [
            &["migrate", "up"][..],
            &["jobs", "list"],
            &["run", "--roles", "project"],
        ] {
            let said = say_in(environment.clone(), arguments).await;
            assert_eq!(said.code, Some(1), "{arguments:?}: {said:?}");
            assert!(
                said.err
                    .contains("set DATABASE_URL (postgres:// or sqlite://)"),
                "{said:?}"
            );
            assert!(said.err.matches("DATABASE_URL").count() == 1, "{said:?}");
        }
        let doctor = say_in(environment.clone(), &["doctor"]).await;
        assert!(doctor.out.contains("set DATABASE_URL"), "{doctor:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_before_the_first_migration_say_that_it_is_missing() {
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        let world = World::bare(engine).await;
        assert_eq!(world.say(&["provision"]).await.code, Some(0));
        for arguments in [
            &["jobs", "list"][..],
            &["jobs", "stats"],
            &["rebuild"],
            &["adopt"],
        ] {
            let said = world.say(arguments).await;
            assert_eq!(said.code, Some(1), "{arguments:?}: {said:?}");
            assert!(
                said.err.contains("run `fluxhls migrate up`"),
                "{arguments:?}: {said:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_refuses_is_told_once_with_the_fix_and_without_its_source() {
    let cluster = Cluster::start().await;
    let world = World::on(&cluster).await;
    let admin = sea_orm::Database::connect(cluster.url("postgres"))
        .await
        .unwrap();
    for sql in ["CREATE ROLE stranger LOGIN", "CREATE DATABASE strange"] {
        admin.execute_unprepared(sql).await.unwrap();
    }
    let mut environment = world.environment();
    environment.insert(
        "DATABASE_URL",
        cluster.url("strange").replace("fluxhls@", "stranger@"),
    );
    let said = say_in(environment, &["migrate", "up"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let denied = "permission denied for schema public";
    assert_eq!(said.err.matches(denied).count(), 1, "{said:?}");
    assert!(
        said.err
            .contains("grant its user USAGE and CREATE on that schema"),
        "{said:?}"
    );
    assert!(!said.err.contains("at line"), "{said:?}");
}
