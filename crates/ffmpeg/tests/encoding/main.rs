//! Whole command lines on real media: what is encoded is looked at, listened to and read.

#[cfg(test)]
mod looks;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod soundtracks;
#[cfg(test)]
mod whole;
