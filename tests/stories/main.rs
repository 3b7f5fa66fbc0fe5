//! Stories: a whole hub, a whole Discord beside it, and what people do with them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a story that cannot go on has failed"
)]

mod support;

mod audit;
mod bad_input;
mod behind;
mod bot_process;
mod by_hand;
mod chaos;
mod contract;
mod doctor;
mod edge_cases;
mod fans;
mod gateway;
mod holds;
mod main_job;
mod meanwhile;
mod metrics;
mod notices;
mod observed;
mod pages_audit;
mod pages_fan;
mod pages_live;
mod pages_manage;
mod pages_setup;
mod pages_sign_in;
mod reference;
mod repeated;
mod setup;
mod simcord;
mod streams;
mod way_back;
mod webhooks;
mod webhooks_discord;
mod webhooks_out;
mod whom;
