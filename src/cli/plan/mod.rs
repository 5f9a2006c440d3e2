//! `fluxhls plan`: what would be made of a file, and why, without any service.

mod command;
mod report;

pub(super) use command::{PlanArgs, plan};
