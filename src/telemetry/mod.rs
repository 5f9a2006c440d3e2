//! What the program says of itself: log lines for people or machines, and Prometheus metrics.

mod logs;
mod metric;
pub mod trace;

pub use logs::{LogFormat, init as init_logs};
pub use metric::{DESCRIPTIONS, Metric, install as install_metrics};
