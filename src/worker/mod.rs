//! What a process that does tasks has of its machine: [`admission`] gives out disk and memory,
//! [`work_dir`] holds the folders that tasks work in.

pub mod admission;
pub mod work_dir;
