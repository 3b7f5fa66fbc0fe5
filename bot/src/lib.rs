//! The bot: executes commands on Discord, and the two other things that speak to Discord beside it.
//!
//! `desk` is what a bot process asks of the Hub, `remote` asks the same over REST, `hub` is either of them.
//! `worker` follows the command stream, `work` takes one from its attempt to its report, `executor` brings one
//! account to its desired access. `gateway` hears what others change on Discord, `echoes` tells their doing from
//! ours, `members` reads members, `reconciler` looks for what was missed, `doctor` says what stands in the way of
//! an integration. Only `discord`, `gateway` and `oauth` speak to Discord; `pacing` decides when calls may be made,
//! and `budget` how many of them are this process's; `patience` waits out hiccups while a person waits, and
//! `renewals` lets one command at a time renew a fan's token.

pub mod budget;
pub mod desk;
pub mod discord;
pub mod doctor;
mod echoes;
mod executor;
pub mod gateway;
mod heard;
pub mod http;
pub mod hub;
mod members;
pub mod oauth;
mod observations;
mod pacing;
pub mod patience;
pub mod policies;
mod progress;
mod queue;
pub mod reconciler;
pub mod remote;
mod renewals;
mod settings;
mod turns;
pub mod wire;
mod work;
pub mod worker;

pub use desk::{Desk, DeskError};
pub use discord::Discord;
pub use hub::{Hub, HubError};
pub use oauth::OAuth;
pub use pacing::CALLS_PER_SECOND;
pub use policies::Policies;
pub use progress::Progress;
pub use reconciler::{Reconciler, Rhythm};
pub use remote::Remote;
pub use settings::DiscordSettings;
pub use worker::{Worker, WorkerSettings};
