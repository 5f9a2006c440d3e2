//! What the tables answer, on both databases.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::facts::{accepted, accepted_with, canceled, completed, failed, planned, time};
use super::tables::Tables;
use crate::pipeline::project::jobs::{self, Filter, Job};

fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.job_id.as_str()).collect()
}

async fn filled() -> [Tables; 2] {
    let both = Tables::both().await;
    for tables in &both {
        tables
            .apply(&[
                accepted(1, "a", "f"),
                accepted_with(2, "b", "g", &serde_json::json!({"name": "b.mov"})),
                accepted(3, "c", "f"),
                planned(4, "a", "f"),
                completed(11, "a", "f", false),
                failed(12, "b", "g"),
                accepted(13, "d", "g"),
                planned(14, "d", "g"),
                accepted(15, "e", "g"),
                completed(18, "e", "g", false),
                canceled(19, "c", "f"),
            ])
            .await;
    }
    both
}

#[tokio::test]
async fn jobs_are_listed_by_age_status_and_file() {
    for tables in filled().await {
        let all = jobs::list(&tables.db, &Filter::default()).await.unwrap();
        assert_eq!(ids(&all), ["e", "d", "c", "b", "a"]);

        let completed = Filter {
            status: Some("completed".to_owned()),
            limit: Some(1),
            ..Filter::default()
        };
        assert_eq!(
            ids(&jobs::list(&tables.db, &completed).await.unwrap()),
            ["e"]
        );
        let of_file = Filter {
            file_id: Some("f".parse().unwrap()),
            ..Filter::default()
        };
        assert_eq!(
            ids(&jobs::list(&tables.db, &of_file).await.unwrap()),
            ["c", "a"]
        );

        assert_eq!(ids(&jobs::active(&tables.db, None).await.unwrap()), ["d"]);
        assert_eq!(
            ids(&jobs::history(&tables.db, 2).await.unwrap()),
            ["c", "e"]
        );
    }
}

#[tokio::test]
async fn one_job_is_shown_with_the_name_of_its_file_and_times_in_utc() {
    for tables in filled().await {
        let job = jobs::show(&tables.db, &"b".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(job.file_name.as_deref(), Some("b.mov"));
        assert_eq!(
            job.error_message.as_deref(),
            Some("truncated_upload: It ends early.")
        );
        let json = serde_json::to_value(&job).unwrap();
        assert_eq!(json["created_at"], "2026-11-22T10:00:02.123456Z");
        assert_eq!(
            jobs::show(&tables.db, &"x".parse().unwrap()).await.unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn statistics_are_those_of_the_last_seven_days() {
    for tables in filled().await {
        let week_after_first = time(2) + TimeDelta::days(7) - TimeDelta::milliseconds(1);
        let stats = jobs::stats(&tables.db, week_after_first).await.unwrap();
        let counts = [
            ("canceled", 1),
            ("completed", 1),
            ("failed", 1),
            ("processing", 1),
        ];
        let counts: BTreeMap<String, u64> = counts.map(|(status, n)| (status.to_owned(), n)).into();
        assert_eq!(stats.jobs, counts);
        let seconds = stats.mean_seconds.unwrap();
        assert!((seconds - 3.0).abs() < 1e-3, "{seconds}");

        let all = jobs::stats(&tables.db, time(20)).await.unwrap();
        assert_eq!(all.jobs["completed"], 2);
        assert!((all.mean_seconds.unwrap() - 6.5).abs() < 1e-3);

        let none = jobs::stats(&tables.db, time(0) + TimeDelta::days(30))
            .await
            .unwrap();
        assert!(none.jobs.is_empty() && none.mean_seconds.is_none());
    }
}
