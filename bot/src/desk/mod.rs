//! What a bot process asks of the Hub: leases, commands, leave to call Discord, and to take its reports.
//!
//! This file has leases and commands. `start` records attempts, `tokens` keeps fans' tokens alive and `renewals` lets one
//! command at a time renew a fan's, `outcome` takes reports. `observations` takes what was seen beside the answers to
//! calls, `outages` knows which servers are out of order, `comparisons` how far the looks at servers are. `shares` divides
//! the calls among processes, `turns` their sessions.

mod comparisons;
mod observations;
mod outages;
mod outcome;
mod renewals;
mod shares;
mod start;
mod tokens;
mod turns;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    DiscordUserId, GuildId,
    guild::{self, Guild},
};
use eventstore::{Actor, Metadata, Position, Store, StoreError};
use projections::{Behind, CATCH_UP, CommandCursor, CommandRow, View, ViewError, Views};
use tokio::sync::mpsc;
use uuid::Uuid;

use self::{comparisons::Comparisons, outages::Outages, renewals::Renewals, turns::Turns};
pub use self::{comparisons::Progress, shares::Budget};
use crate::{
    oauth::OAuth,
    wire::{self, Lease},
};

/// How long a lease lasts without being renewed.
pub const LEASE: TimeDelta = TimeDelta::seconds(30);

/// The most shards that servers can be divided into.
pub const MAX_SHARDS: u32 = 4_096;

/// Why the Hub does not do what a bot process asks.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(
        "there is no such command any more: it is done, or a newer one has taken its place; drop it"
    )]
    Superseded,
    #[error("there is no command with this id and never was; take ids from the command stream")]
    Unknown,
    #[error("the lease of this command's shard is not held under this epoch; acquire it again")]
    Fenced,
    #[error("other bot processes divide the servers into {0} shards; use the same number")]
    OtherShards(u32),
    #[error("servers are divided into 1 to {MAX_SHARDS} shards")]
    InvalidShards,
    #[error("a process wants at least one shard")]
    NoShards,
    #[error("the fan's token cannot be renewed now ({0}); try again later")]
    TokenLater(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    Behind(#[from] Behind),
}

/// The Hub's side of the bot. Cloning is cheap.
#[derive(Clone)]
pub struct Desk {
    pub(crate) store: Store,
    pub(crate) views: Views,
    oauth: OAuth,
    renewals: Renewals,
    /// Calls a second that all processes have together.
    calls_per_second: u32,
    /// Servers that are to be compared with Discord.
    compare: mpsc::UnboundedSender<Comparison>,
    pub(crate) comparisons: Comparisons,
    turns: Turns,
    outages: Outages,
}

/// A server that is to be compared with Discord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    pub guild: GuildId,
    /// Whether its roles are read.
    pub roles: bool,
    /// Whether everybody in it is looked at who has something from the Hub.
    pub members: bool,
    /// Whether somebody asked, so that what waits there for somebody is tried again.
    pub again: bool,
}

/// What the names of the shards' leases begin with.
const SHARDS: &str = "shard:";

fn lease_name(shard: u32, of: u32) -> String {
    format!("{SHARDS}{shard}/{of}")
}

fn shard_of(name: &str) -> Option<(u32, u32)> {
    let (shard, of) = name.strip_prefix(SHARDS)?.split_once('/')?;
    Some((shard.parse().ok()?, of.parse().ok()?))
}

fn lease(held: &eventstore::leases::Lease) -> Option<Lease> {
    let (shard, of) = shard_of(&held.name)?;
    Some(Lease { shard, of, epoch: held.epoch, until: held.until })
}

impl Desk {
    /// A desk, and what it asks to be compared with Discord. `calls_per_second`: what all processes of the bot's
    /// token may make together.
    pub fn new(
        store: Store,
        views: Views,
        oauth: OAuth,
        calls_per_second: u32,
    ) -> (Self, mpsc::UnboundedReceiver<Comparison>) {
        let (compare, asked) = mpsc::unbounded_channel();
        let desk = Self {
            store,
            views,
            oauth,
            renewals: Renewals::default(),
            calls_per_second,
            compare,
            comparisons: Comparisons::default(),
            turns: Turns::default(),
            outages: Outages::default(),
        };
        (desk, asked)
    }

    /// Whether a process that listens has told that a server is out of order.
    pub fn is_out(&self, guild: GuildId) -> bool {
        self.outages.is_out(guild, self.now())
    }

    /// Compares a server with Discord because somebody asks for it.
    pub fn compare(&self, guild: GuildId) {
        self.comparisons.begin(guild);
        self.ask(Comparison { guild, roles: true, members: true, again: true });
    }

    /// Compares a server with Discord; nothing of it was heard lately.
    pub(crate) fn look_over(&self, guild: GuildId) {
        self.ask(Comparison { guild, roles: true, members: true, again: false });
    }

    /// Compares the members of a server with Discord; its roles have just been seen.
    pub(crate) fn compare_members(&self, guild: GuildId) {
        self.ask(Comparison { guild, roles: false, members: true, again: false });
    }

    fn ask(&self, comparison: Comparison) {
        if comparison.members {
            self.comparisons.miss(comparison.guild);
        }
        // Where nobody compares any more, the process is ending.
        let _ = self.compare.send(comparison);
    }

    /// How far the last comparison of a server is that this process made.
    pub fn progress(&self, guild: GuildId) -> Option<Progress> {
        self.comparisons.of(guild)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn views(&self) -> &Views {
        &self.views
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.store.clock().now()
    }

    pub(crate) fn metadata(&self, bot: &str) -> Metadata {
        Metadata { at: self.now(), actor: Actor::Bot(bot.to_owned()), correlation: Uuid::now_v7() }
    }

    /// The shards that processes hold, and who holds each.
    pub async fn held(&self) -> Result<Vec<(Lease, String)>, DeskError> {
        let held = self.store.leases().held(SHARDS, self.now()).await?;
        Ok(held.iter().filter_map(|(held, holder)| Some((lease(held)?, holder.clone()))).collect())
    }

    /// How many shards nobody holds beside those that are `held`; how many there are is known once one is.
    pub fn free(held: &[(Lease, String)]) -> u64 {
        let all = held.first().map_or(0, |(lease, _)| u64::from(lease.of));
        all.saturating_sub(u64::try_from(held.len()).unwrap_or_default())
    }

    /// Takes shards that are free, up to `want` with those that the process holds already.
    pub async fn acquire(&self, bot: &str, of: u32, want: u32) -> Result<Vec<Lease>, DeskError> {
        if !(1..=MAX_SHARDS).contains(&of) {
            return Err(DeskError::InvalidShards);
        }
        if want == 0 {
            return Err(DeskError::NoShards);
        }
        let now = self.now();
        let held = self.store.leases().held(SHARDS, now).await?;
        let other = held.iter().find_map(|(lease, _)| {
            shard_of(&lease.name).map(|(_, other)| other).filter(|n| *n != of)
        });
        if let Some(other) = other {
            return Err(DeskError::OtherShards(other));
        }
        // The ones that it holds come first, so that asking again never exchanges one for another.
        let mine: BTreeSet<String> = held
            .into_iter()
            .filter(|(_, holder)| holder == bot)
            .map(|(lease, _)| lease.name)
            .collect();
        let all = (0..of).map(|shard| lease_name(shard, of)).filter(|name| !mine.contains(name));
        let mut got = vec![];
        for name in mine.iter().cloned().chain(all) {
            if got.len() >= usize::try_from(want).unwrap_or(usize::MAX) {
                break;
            }
            got.extend(
                self.store.leases().acquire(&name, bot, now, LEASE).await?.as_ref().and_then(lease),
            );
        }
        Ok(got)
    }

    /// Keeps a lease; `None` where it was lost.
    pub async fn renew(&self, bot: &str, epoch: u64) -> Result<Option<Lease>, DeskError> {
        let Some(name) = self.lease_of(bot, epoch).await? else { return Ok(None) };
        Ok(self
            .store
            .leases()
            .renew(&name, bot, epoch, self.now(), LEASE)
            .await?
            .as_ref()
            .and_then(lease))
    }

    /// Gives a lease back; answers whether it was held.
    pub async fn release(&self, bot: &str, epoch: u64) -> Result<bool, DeskError> {
        let Some(name) = self.lease_of(bot, epoch).await? else { return Ok(false) };
        Ok(self.store.leases().release(&name, bot, epoch).await?)
    }

    /// The name of a lease that is held under this epoch by `bot`, or by a process of it.
    async fn lease_of(&self, bot: &str, epoch: u64) -> Result<Option<String>, DeskError> {
        let held = self.store.leases().held(SHARDS, self.now()).await?;
        let mine = |holder: &str| {
            holder.strip_prefix(bot).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let lease = held.into_iter().find(|(lease, holder)| lease.epoch == epoch && mine(holder));
        Ok(lease.map(|(lease, _)| lease.name))
    }

    /// The open commands of some shards after a version, oldest first.
    pub async fn open_commands(
        &self,
        shards: &[u32],
        of: u32,
        after: &CommandCursor,
        limit: u32,
    ) -> Result<Vec<wire::Command>, DeskError> {
        let rows = self.views.fan_access().commands(shards, of, after, limit).await?;
        Ok(rows.iter().filter_map(|row| wire::Command::of(row, of)).collect())
    }

    /// The command, if it stands and its shard's lease is held under `epoch`.
    async fn command(
        &self,
        bot: &str,
        id: &str,
        epoch: u64,
    ) -> Result<(CommandRow, DiscordUserId), DeskError> {
        // A decision or report that the view has not seen yet may have closed it, and what the server shows answers it.
        let asked = [View::FanAccess, View::Integrations];
        self.views.seen_by(&asked, self.store.log().head(), CATCH_UP).await?;
        let Some(row) = self.views.fan_access().command(id).await? else {
            let known = self.may_have_stood(id).await?;
            return Err(if known { DeskError::Superseded } else { DeskError::Unknown });
        };
        let name = self.lease_of(bot, epoch).await?.ok_or(DeskError::Fenced)?;
        let (shard, of) = shard_of(&name).ok_or(DeskError::Fenced)?;
        if row.guild.shard(of) != shard {
            return Err(DeskError::Fenced);
        }
        let user = row.account.known().ok_or(DeskError::Superseded)?.id;
        Ok((row, user))
    }

    /// Whether a command of this id can have stood: it names a position of the log, and a server that was connected.
    async fn may_have_stood(&self, id: &str) -> Result<bool, DeskError> {
        let mut parts = id.split('-');
        let version = parts.next().and_then(|version| version.parse().ok()).map(Position);
        let server = parts.next().and_then(|guild| guild.parse::<GuildId>().ok());
        let (Some(version), Some(server)) = (version, server) else { return Ok(false) };
        let reserved = self.store.load::<Guild>(&guild::stream(server)).await?.version > 0;
        Ok(reserved && version <= self.store.log().head())
    }
}
