//! `fluxhls dev`: everything on this machine, and nothing to install but ffmpeg and nats-server.
//!
//! - `stack` starts the parts in order and stops them in reverse;
//! - `board` carries facts from the log to the page;
//! - `rows` prints the tables in the end;
//! - `desk` carries files and cancellations from the page to the service.

mod board;
mod command;
mod desk;
mod rows;
mod stack;

pub(in crate::cli) use command::{DevArgs, dev};
