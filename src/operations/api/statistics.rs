//! `hls.v1.api.stats`: counts and mean duration of the last seven days.

use chrono::Utc;

use super::Api;
use super::refusal::Refusal;
use crate::pipeline::project::jobs::{self, Stats};

impl Api {
    /// Answers from the tables, as `fluxhls jobs stats --json` does.
    pub(super) async fn statistics(&self) -> Result<Stats, Refusal> {
        Ok(jobs::stats(&self.database.read().await?, Utc::now()).await?)
    }
}
