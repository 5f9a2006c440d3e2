//! The rows of both tables, as `dev` shows them at the end.

use std::time::Duration;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use streams::fact::{Ended, FactKind};
use streams::{subject, topology};

use super::stack::Stack;
use crate::cli::jobs::jobs_table;
use crate::cli::terminal::plain;
use crate::pipeline::project::jobs::{File, Filter, files, list};

/// Prints the rows of both tables, after the projector has applied the last `ended` facts.
pub(super) async fn print(stack: &Stack, ended: &[Ended]) -> anyhow::Result<()> {
    let log = &stack.service.jobs.log;
    let mut last = 0;
    for ended in ended {
        let subject = subject::fact(&ended.head.job_id, FactKind::Ended);
        last = log
            .last(topology::JOBS, &subject)
            .await
            .map_or(last, |recorded| last.max(recorded.seq));
    }

    if let Some(mut projected) = stack.service.projected.clone() {
        let caught_up = projected.wait_for(|position| position.seq >= last);
        let caught_up = tokio::time::timeout(Duration::from_secs(30), caught_up).await;
        caught_up.context("the tables do not follow the job log; see --verbose")??;
    }

    let tables = stack.database.read().await?;
    println!(
        "\ntranscoding_jobs\n{}",
        jobs_table(&list(&tables, &Filter::default()).await?)
    );
    println!("\nfiles\n{}\n", files_table(&files(&tables, 50).await?));
    Ok(())
}

/// Rows of `files` as a table for people.
fn files_table(files: &[File]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["file", "name", "type", "bytes", "status", "hls"]);

    for file in files {
        table.add_row([
            file.file_id.clone(),
            plain(&file.name),
            plain(&file.mime_type),
            file.size.to_string(),
            file.transcoding_status.clone().unwrap_or_default(),
            file.hls_manifest_url.clone().unwrap_or_default(),
        ]);
    }
    table
}
