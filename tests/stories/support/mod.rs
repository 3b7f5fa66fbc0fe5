//! The world of a story: a node on a clock of its own, a sandbox, and people who act through HTTP.

mod answer;
mod browser;
mod contract;
mod discord;
mod failures;
mod moderators;
mod receiver;
mod road;
mod world;

pub(crate) use answer::Answer;
pub(crate) use browser::Browser;
pub(crate) use failures::failures;
pub(crate) use receiver::{Got, Receiver};
pub(crate) use road::Road;
pub(crate) use world::{Club, INBOUND, STRIPE, World};
