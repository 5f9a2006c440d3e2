//! What operators meet in their database: two versions of the program, a pooler, and a server that
//! takes no writes.

mod pooler;
mod unwritable;
mod versions;
mod words;
