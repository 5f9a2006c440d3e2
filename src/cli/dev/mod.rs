//! `fluxhls dev`: everything on this machine; only ffmpeg and nats-server have to be installed.
//!
//! - `stack` starts the parts in order and stops them in reverse;
//! - `job_list` carries facts from the log to the page;
//! - `rows` prints the tables at the end;
//! - `page_handle` carries files and cancellations from the page to the service.

mod command;
mod job_list;
mod page_handle;
mod rows;
mod stack;

pub(in crate::cli) use command::{DevArgs, dev};
