//! The composition root: wires the rooms into one process, and holds no rules.

pub mod cli;
pub mod config;
pub mod node;
pub mod telemetry;
