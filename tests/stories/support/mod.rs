//! The world of a story: a node on a clock of its own, a sandbox, and people who act through HTTP.

mod answer;
mod contract;
mod discord;
mod moderators;
mod world;

pub(crate) use answer::Answer;
pub(crate) use world::{Club, INBOUND, STRIPE, World};
