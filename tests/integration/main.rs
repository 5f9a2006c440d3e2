//! The behaviour of the program, as scenarios against real services: nats-server, PostgreSQL and
//! SQLite, S3 over HTTP, ffmpeg, Node.js and Chromium. Each scenario has its own services and stops
//! them at its end.

#[cfg(test)]
mod able;
#[cfg(test)]
mod adopting;
#[cfg(test)]
mod bad_inputs;
#[cfg(test)]
mod births;
#[cfg(test)]
mod canceling;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod database;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod deleting;
#[cfg(test)]
mod denied_sources;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod faulty_encoders;
#[cfg(test)]
mod growing;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod killers;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod long_events;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod newer_releases;
#[cfg(test)]
mod odd_events;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod players;
#[cfg(test)]
mod playing;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod projection;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod provisioning;
#[cfg(test)]
mod pruning;
#[cfg(test)]
mod real_clips;
#[cfg(test)]
mod receipts;
#[cfg(test)]
mod reconnects;
#[cfg(test)]
mod retrying;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod secure_links;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod soundtracks;
#[cfg(test)]
mod source_faults;
#[cfg(test)]
mod source_names;
#[cfg(test)]
mod storage_faults;
#[cfg(test)]
mod sweeping;
#[cfg(test)]
mod titles;
#[cfg(test)]
mod topology;
#[cfg(feature = "otel")]
#[cfg(test)]
mod traces;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod work_folder;
#[cfg(test)]
mod zombies;
