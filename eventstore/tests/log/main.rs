//! The log: one conformance suite for every engine, and what SQLite alone must keep.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance;
mod crash;
mod decisions;
mod side;
mod sqlite;
