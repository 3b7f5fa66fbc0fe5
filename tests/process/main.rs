//! The real binary: killed, misused, and worked with as its documentation says.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod command_line;
mod demo;
mod disk;
mod hub;
mod killed;
mod settings;
mod tutorial;
