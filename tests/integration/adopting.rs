//! A FluxStudio database, as its worker left it, is adopted: waiting rows become jobs, and old
//! queries still work.

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, FromQueryResult as _, JsonValue, Statement,
};
use serde_json::{Value, json};
use streams::fact::Outcome;
use streams::{FactKind, JobId, topology};

use crate::harness::clip::small;
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::world::World;

const TABLES: &str = include_str!("../../migration/tests/schema/fluxstudio.sql");
const ACCOUNTS: &str = include_str!("../../migration/tests/schema/fluxstudio_accounts.sql");

/// The old API's own question for the newest job of a file.
const STATUS: &str = "SELECT j.id, j.status, j.progress, j.error_message, f.hls_manifest_url, f.transcoding_status \
     FROM files f LEFT JOIN transcoding_jobs j ON j.file_id = f.id WHERE f.id = $1 ORDER BY j.created_at DESC LIMIT 1";
/// The old API's statistics.
const STATISTICS: &str = "SELECT status, COUNT(*) AS count FROM transcoding_jobs \
     WHERE created_at > NOW() - INTERVAL '7 days' GROUP BY status ORDER BY status";
/// All columns of the rows that fluxhls does not own.
const DONE: &str = "SELECT row_to_json(j) AS job, row_to_json(f) AS file FROM transcoding_jobs j \
     JOIN files f ON f.id = j.file_id WHERE j.id IN ('cljobdone', 'cljobfailed') ORDER BY j.id";

/// The old database, reached as the old API did.
struct Old {
    db: DatabaseConnection,
}

impl Old {
    async fn of(world: &World) -> Self {
        let db = sea_orm::Database::connect(&world.database.url)
            .await
            .unwrap();
        db.execute_unprepared(TABLES).await.unwrap();
        db.execute_unprepared(ACCOUNTS).await.unwrap();
        Self { db }
    }

    async fn rows(&self, sql: &str, values: &[&str]) -> Vec<Value> {
        let values: Vec<sea_orm::Value> = values.iter().map(|value| (*value).into()).collect();
        let statement = Statement::from_sql_and_values(self.db.get_database_backend(), sql, values);
        JsonValue::find_by_statement(statement)
            .all(&self.db)
            .await
            .unwrap()
    }

    /// A file and its job, as the old API wrote them.
    async fn insert(&self, id: &str, url: &str, status: &str, started: &str) {
        let sql = format!(
            "INSERT INTO files (id, name, mime_type, size, file_url, uploaded_by) \
             VALUES ('f-{id}', '{id}.mp4', 'video/mp4', 0, '{url}', 'cluser'); \
             INSERT INTO transcoding_jobs (id, file_id, status, input_url, output_prefix, started_at, settings) \
             VALUES ('{id}', 'f-{id}', '{status}', '{url}', 'hls/f-{id}/', {started}, '{{\"preset\": \"medium\"}}')"
        );
        self.db.execute_unprepared(&sql).await.unwrap();
    }
}

async fn adopt(world: &World, arguments: &[&str]) -> (Option<i32>, BTreeMap<String, String>) {
    let said = world.say(&[&["adopt", "--json"], arguments].concat()).await;
    let lines = said
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let fates = lines
        .map(|line| (word(&line, "job_id"), word(&line, "action")))
        .collect();
    (said.code, fates)
}

fn fates(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(job, fate)| ((*job).to_owned(), (*fate).to_owned()));
    owned.collect()
}

fn job(id: &str) -> JobId {
    id.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_old_worker_left_undone_becomes_jobs_and_old_queries_are_answered() {
    let world = World::bare(Engine::Postgresql).await;
    let old = Old::of(&world).await;
    let clip = small().make().await;
    let url = world.url(&world.upload(&clip).await);
    leave_undone(&world, &old, &url).await;
    let done = old.rows(DONE, &[]).await;
    for arguments in [&["provision"][..], &["migrate", "up"]] {
        assert_eq!(world.say(arguments).await.code, Some(0));
    }

    let wanted = fates(&[
        ("waits", "sent"),
        ("stuck", "sent"),
        ("gone", "sent"),
        ("foreign", "left"),
        // Its source is in a bucket that this installation does not serve.
        ("cljobrunning", "left"),
        ("erased", "deleted"),
    ]);
    assert_eq!(
        adopt(&world, &["--dry-run"]).await,
        (Some(4), wanted.clone())
    );
    assert_eq!(
        world.streams.counts(topology::UPLOADS, ">").await.len(),
        0,
        "a dry run sends nothing"
    );
    assert_eq!(adopt(&world, &[]).await, (Some(4), wanted));
    // Before any is accepted, all are sent again, and have one effect.
    adopt(&world, &[]).await;
    let _worker = world.worker("one").start();
    for id in ["waits", "stuck"] {
        let ended = world.completed(&job(id)).await;
        verify(&ended, &world.planned(&job(id)).await, &clip.path).await;
    }
    let gone = world.ended(&job("gone")).await;
    assert_eq!(
        (gone.outcome, gone.error.unwrap().code.as_str()),
        (Outcome::Failed, "source_not_found")
    );
    assert_eq!(
        world.jobs().await.len(),
        3,
        "one job for each row that was sent"
    );
    let seqs = ["waits", "stuck", "gone"].map(job);
    for id in &seqs {
        let seq = world.streams.fact(id, FactKind::Ended).await.seq;
        world.database.has_projected(seq).await;
    }

    old_queries_are_answered(&world, &old, &done).await;

    // Now that the old worker is stopped permanently.
    let again = adopt(&world, &["--stuck-after", "0"]).await.1;
    assert_eq!(
        again,
        fates(&[
            ("works", "sent"),
            ("foreign", "left"),
            ("cljobrunning", "left"),
            ("erased", "deleted")
        ])
    );
    world.completed(&job("works")).await;
}

/// What the old API asks.
async fn old_queries_are_answered(world: &World, old: &Old, done: &[Value]) {
    let status = old.rows(STATUS, &["f-waits"]).await;
    let playlist = world.completed(&job("waits")).await.manifest_url;
    assert_eq!(
        status,
        [
            json!({ "id": "waits", "status": "completed", "progress": 100, "error_message": null,
                 "hls_manifest_url": playlist, "transcoding_status": "completed" })
        ]
    );
    let failed = old.rows(STATUS, &["f-gone"]).await;
    assert!(
        failed[0]["error_message"]
            .as_str()
            .unwrap()
            .starts_with("source_not_found: "),
        "{failed:?}"
    );
    let history = old
        .rows(
            "SELECT file_name, user_email FROM transcoding_history WHERE id = 'waits'",
            &[],
        )
        .await;
    assert_eq!(
        history,
        [json!({ "file_name": "waits.mp4", "user_email": "ana@example.org" })]
    );
    let active = old
        .rows("SELECT id FROM active_transcoding_jobs ORDER BY id", &[])
        .await;
    let ids: Vec<&str> = active.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(
        ids,
        ["cljobrunning", "erased", "foreign", "works"],
        "what was left is as it was"
    );
    let counts = old.rows(STATISTICS, &[]).await;
    assert!(
        counts.contains(&json!({ "status": "completed", "count": 2 })),
        "{counts:?}"
    );
    // Rows that had ended gained columns, and lost nothing.
    let now = old.rows(DONE, &[]).await;
    for (before, now) in done.iter().zip(&now) {
        for table in ["job", "file"] {
            for (column, value) in before[table].as_object().unwrap() {
                assert_eq!(&now[table][column], value, "{table}.{column}");
            }
        }
    }
    let listed = world
        .told(&["jobs", "history", "--limit", "1", "--json"])
        .await;
    assert_eq!(listed[0]["user_email"], "ana@example.org");
}

/// Rows of every kind, as the old worker left them when it died.
async fn leave_undone(world: &World, old: &Old, url: &str) {
    old.insert("waits", url, "pending", "NULL").await;
    old.insert("stuck", url, "processing", "NOW() - INTERVAL '2 hours'")
        .await;
    old.insert("works", url, "processing", "NOW() - INTERVAL '1 minute'")
        .await;
    old.insert("gone", &world.url("uploads/gone.mp4"), "pending", "NULL")
        .await;
    old.insert(
        "foreign",
        "https://elsewhere.example/a.mp4",
        "pending",
        "NULL",
    )
    .await;
    old.insert("erased", url, "pending", "NULL").await;
    old.db
        .execute_unprepared("UPDATE files SET deleted_at = NOW() WHERE id = 'f-erased'")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adopting_needs_the_migrated_tables_and_says_so() {
    let world = World::bare(Engine::Postgresql).await;
    let _old = Old::of(&world).await;
    let said = world.say(&["adopt"]).await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("run `fluxhls migrate up`"),
        "{}",
        said.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_api_that_sends_retry_and_cancel_as_messages_keeps_its_rows() {
    let world = World::bare(Engine::Postgresql).await;
    let old = Old::of(&world).await;
    for arguments in [&["provision"][..], &["migrate", "up"]] {
        assert_eq!(world.say(arguments).await.code, Some(0));
    }
    let url = world.url(&world.upload(&small().make().await).await);
    old.insert("first", &url, "failed", "NULL").await;
    // The API inserts the new row as ever, then sends the event instead of leaving it to be polled
    // for.
    let insert = "INSERT INTO transcoding_jobs (id, file_id, input_url, output_prefix) \
                  SELECT 'second', file_id, input_url, output_prefix FROM transcoding_jobs WHERE id = 'first'";
    old.db.execute_unprepared(insert).await.unwrap();
    let event = json!({ "file_id": "f-first", "job_id": "second", "retry_of": "first", "name": "first.mp4", "file_url": url });
    world.streams.upload(&event).await;
    let _intake = world.worker("intake").roles("intake,project").start();
    world.streams.fact(&job("second"), FactKind::Accepted).await;
    assert_eq!(world.say(&["jobs", "cancel", "second"]).await.code, Some(0));
    let seq = world
        .streams
        .fact(&job("second"), FactKind::Ended)
        .await
        .seq;
    world.database.has_projected(seq).await;
    let status = old.rows(STATUS, &["f-first"]).await;
    assert_eq!(
        (&status[0]["id"], &status[0]["status"]),
        (&json!("second"), &json!("canceled"))
    );
}

#[test]
fn the_guide_maps_every_old_setting_to_one_there_is() {
    let guide = include_str!("../../docs/migration.md");
    let settings = include_str!("../../.env.example");
    let rows: Vec<(&str, &str)> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .take_while(|(old, _)| *old != "before")
        .collect();
    let ticked = |text: &'static str| {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(|word| word.split('=').next().unwrap())
    };
    let is_name = |word: &&str| {
        word.len() > 2
            && word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    for old in [
        "DATABASE_URL",
        "SPACES_ACCESS_KEY",
        "SPACES_SECRET_KEY",
        "SPACES_BUCKET",
        "SPACES_ENDPOINT",
        "SPACES_REGION",
        "SPACES_CDN",
        "WORK_DIR",
        "CONCURRENT_JOBS",
        "PORT",
        "NODE_ENV",
    ] {
        assert!(
            rows.iter()
                .any(|(before, _)| ticked(before).any(|word| word == old)),
            "{old}"
        );
    }
    for new in rows.iter().flat_map(|(_, now)| ticked(now)).filter(is_name) {
        assert!(settings.contains(&format!("{new}=")), "{new}");
    }
}
