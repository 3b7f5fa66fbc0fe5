//! Stories: a whole hub, a whole Discord beside it, and what people do with them.

mod support;

mod access;
mod bot_process;
mod contract;
mod fans;
mod main_job;
mod setup;
