//! The bot: executes commands on Discord, and the two other things that speak to Discord beside it.
//!
//! `desk` is what a bot process asks of the Hub, `remote` asks the same over REST, `hub` is either of them, `wire` what goes
//! between them. `worker` follows the command stream, `queue` says whose turn it is, `work` takes one command from its
//! attempt to its report, `executor` brings one account to its desired access. `gateway` hears what others change on
//! Discord (`heard` reads it), `echoes` tells their doing from ours, `members` reads members, `reconciler` looks for what was
//! missed, `doctor` says what stands in the way of an integration, `policies` appends what time brings.
//!
//! Only `discord`, `gateway` and `oauth` speak to Discord, over `http`; `pacing` decides when calls may be made, `budget`
//! keeps up this process's share of them, and `patience` waits out hiccups while a person waits.

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
mod pacing;
pub mod patience;
pub mod policies;
mod queue;
pub mod reconciler;
pub mod remote;
mod settings;
pub mod wire;
mod work;
pub mod worker;

pub use desk::{Budget, Desk, DeskError, Progress};
pub use discord::Discord;
pub use hub::{Hub, HubError};
pub use oauth::OAuth;
pub use pacing::CALLS_PER_SECOND;
pub use policies::Policies;
pub use reconciler::{Reconciler, Rhythm};
pub use remote::Remote;
pub use settings::DiscordSettings;
pub use worker::{Worker, WorkerSettings};
