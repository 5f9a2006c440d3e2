//! What the program says of itself: log lines for people or machines, and Prometheus metrics.

pub mod catalogue;
pub mod document;
mod logs;
mod recorder;
pub mod trace;

pub use logs::{LogFormat, init as init_logs};
pub use recorder::{describe_metrics, gauge_value, install as install_metrics};
