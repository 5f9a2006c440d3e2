//! The metrics that a worker reports.

use url::Url;

use crate::harness::output::http;
use crate::harness::process::Process;
use crate::harness::worker::address;

/// A page of metrics.
#[derive(Debug)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// The URL of a worker's page.
    pub(crate) async fn url(worker: &Process) -> Url {
        format!("http://{}/metrics", address(worker).await)
            .parse()
            .unwrap()
    }

    /// The current metrics at this URL.
    pub(crate) async fn at(url: &Url) -> Self {
        Self(String::from_utf8(http::get(url).await.body).unwrap())
    }

    /// The current metrics of a worker.
    pub(crate) async fn of(worker: &Process) -> Self {
        Self::at(&Self::url(worker).await).await
    }

    /// The sum of a metric's series; nothing yet is zero.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_it = |line: &&str| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        };
        let series = self.0.lines().filter(of_it);
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}
