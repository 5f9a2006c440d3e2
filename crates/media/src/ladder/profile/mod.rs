//! Profiles: the policy a plan follows, from a file that comes with the program and one of the
//! operator's.
//!
//! In reading order: [`policy`] (a profile as values), [`encoder`] (the encoders a profile may
//! name), [`mod@file`] (profiles as TOML, and what is wrong with it), [`catalogue`] (all profiles
//! of an installation).

pub mod catalogue;
pub mod encoder;
pub mod file;
pub mod policy;

pub use catalogue::{Profiles, UnknownProfile};
pub use encoder::{Codec, Encoder};
pub use file::ProfileError;
pub use policy::{Profile, Rung};
