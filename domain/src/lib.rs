//! The rules of the Hub: what may happen, and what follows from what has happened.
//!
//! Nothing in here reads a clock, a file or a socket. A decider answers events or a refusal; folding
//! events into state cannot fail. Each aggregate has a room of its own, and `event` lists them all.

pub mod access;
pub mod account;
pub mod creator;
pub mod decider;
pub mod desired;
pub mod discord;
pub mod event;
pub mod fan;
pub mod guild;
pub mod hold;
pub mod ids;
pub mod integration;
pub mod kept;
pub mod membership;
pub mod name;
pub mod personal;
pub mod status;
pub mod stream;
pub mod tier;
pub mod trouble;
mod upcast;

pub use decider::{Decider, fold};
pub use event::{DecodeError, Event};
pub use ids::{
    CreatorId, DiscordUserId, FanId, GuildId, HoldId, IntegrationId, MembershipId, RoleId, TierId,
};
pub use name::DisplayName;
pub use personal::{Account, Personal, Subject};
pub use stream::StreamName;
pub use trouble::{Trouble, Who};
