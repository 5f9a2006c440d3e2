//! `fluxhls plan`: shows the plan for a file, with reasons, without any service.

mod command;
mod report;

pub(super) use command::{PlanArgs, plan};
