//! On a real nats-server.

#[cfg(test)]
mod conformance;
