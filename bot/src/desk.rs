//! What a bot process asks of the Hub: leases, commands, leave to call Discord, and to take its reports.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    DiscordUserId, GuildId, RoleId, Trouble,
    access::{self, Access, Attempt, Calls, Found, Holder, Report, Seen, Sighting, Standing},
    fan::{self, BrokenBy, Fan},
    guild::{self, Guild},
    trouble::{of_code, of_discord_code},
};
use eventstore::{
    Actor, AppendKey, HandleError, Metadata, Position, Store, StoreError, tokens::DiscordToken,
};
use projections::{Behind, CommandCursor, CommandKind, CommandRow, ViewError, Views};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    oauth::{OAuth, OAuthError},
    progress::{Comparisons, Progress},
    renewals::Renewals,
    turns::Turns,
    wire::{self, Known, Lease, Observed, Outcome, OutcomeResult, Recorded, StartRequest, Started},
};

/// How long a lease lasts without being renewed.
pub const LEASE: TimeDelta = TimeDelta::seconds(30);

/// A fan's token is renewed, if it can be, when it has less left than this.
const FRESH: TimeDelta = TimeDelta::minutes(5);

/// How long the views may take to see what the log holds.
const CATCH_UP: Duration = Duration::from_secs(2);

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
    pub(crate) calls_per_second: u32,
    /// Servers that are to be compared with Discord.
    compare: mpsc::UnboundedSender<Comparison>,
    pub(crate) comparisons: Comparisons,
    pub(crate) turns: Turns,
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

fn lease_name(shard: u32, of: u32) -> String {
    format!("shard:{shard}/{of}")
}

fn shard_of(name: &str) -> Option<(u32, u32)> {
    let (shard, of) = name.strip_prefix("shard:")?.split_once('/')?;
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
        };
        (desk, asked)
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

    /// Takes shards that are free, up to `want` with those that the process holds already.
    pub async fn acquire(&self, bot: &str, of: u32, want: u32) -> Result<Vec<Lease>, DeskError> {
        if !(1..=MAX_SHARDS).contains(&of) {
            return Err(DeskError::InvalidShards);
        }
        if want == 0 {
            return Err(DeskError::NoShards);
        }
        let now = self.now();
        let held = self.store.leases().held("shard:", now).await?;
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
        let held = self.store.leases().held("shard:", self.now()).await?;
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
        // A decision or report that the view has not seen yet may have closed it.
        self.views.seen(self.store.log().head(), CATCH_UP).await?;
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

    /// Records that Discord is about to be called, and answers what that needs.
    pub async fn start(
        &self,
        bot: &str,
        id: &str,
        request: StartRequest,
    ) -> Result<Started, DeskError> {
        let StartRequest { epoch, seen, refused_token } = request;
        let (row, _) = self.command(bot, id, epoch).await?;
        let joins = row.plan.join && seen.is_none();
        let refused = refused_token.map(SecretString::from);
        let token = if joins { self.token(bot, &row, refused.as_ref()).await? } else { None };
        let seen = seen.map(Seen::from);
        let calls = match row.kind {
            CommandKind::Revoke => Calls::Removal,
            CommandKind::Grant if token.is_some() => Calls::Join,
            // Without a token nobody can be brought in.
            CommandKind::Grant | CommandKind::Change => Calls::Roles,
        };
        let (now, stream) = (self.now(), access::stream(row.guild, &row.fan));
        let mut attempts = self.store.attempts();
        loop {
            let mut decision = self.store.begin(self.metadata(bot), None);
            let state = decision.load::<Access>(&stream).await?;
            let standing = state.standings.get(&row.account_key).unwrap_or(&row.standing);
            let found = seen.as_ref().map(|seen| standing.found(seen, &row.desired.roles, now));
            let attempt = attempt(&row, standing, calls, found.as_ref(), now);
            let give = attempt.roles.clone();
            if calls != Calls::Roles || !give.is_empty() || !attempt.removes.is_empty() {
                let start = access::Command::Start { attempt, calls };
                match decision.handle::<Access>(&stream, start).await {
                    Ok(_) => {}
                    Err(HandleError::Refused(access::Refusal::Superseded)) => {
                        return Err(DeskError::Superseded);
                    }
                    Err(HandleError::Store(error)) => return Err(error.into()),
                }
            }
            if decision.commit(&mut attempts).await?.is_some() {
                return Ok(Started {
                    attempted_at: now,
                    access_token: token.as_ref().map(|token| token.expose_secret().to_owned()),
                    calls: row.plan.clone().into(),
                    give,
                    known: found.map_or_else(|| Known::of(standing), Known::found),
                });
            }
        }
    }

    /// A token that brings the fan in; `None` where Discord gives none any more. `refused`: what Discord did not take.
    async fn token(
        &self,
        bot: &str,
        row: &CommandRow,
        refused: Option<&SecretString>,
    ) -> Result<Option<SecretString>, DeskError> {
        // Discord takes a refresh token once: of a fan's commands, one renews it, and the others find what it got.
        let _turn = self.renewals.turn(&row.fan).await;
        let (now, tokens) = (self.now(), self.store.tokens());
        let works = |token: &DiscordToken| {
            token.expires_at > now && refused.is_none_or(|refused| !token.is(refused))
        };
        let Some(held) = tokens.get(&row.fan).await? else {
            self.break_link(bot, row, BrokenBy::InvalidGrant).await?;
            return Ok(None);
        };
        if works(&held) && (held.refresh.is_none() || held.expires_at - now > FRESH) {
            return Ok(Some(held.access));
        }
        let Some(refresh) = held.refresh.clone() else {
            self.break_link(bot, row, BrokenBy::InvalidGrant).await?;
            return Ok(None);
        };
        // Before it is sent: should its answer never be stored, that is known.
        let sent = DiscordToken { sent: true, ..held.clone() };
        let renewed = if tokens.replace(&row.fan, &held, &sent).await? {
            self.oauth.refresh(&refresh).await
        } else {
            // The fan has connected anew, or disconnected, meanwhile: that counts.
            return Ok(tokens.get(&row.fan).await?.filter(works).map(|token| token.access));
        };
        match renewed {
            Ok(renewed) => {
                let lifetime =
                    TimeDelta::from_std(renewed.expires_in).unwrap_or(TimeDelta::days(7));
                let fresh = DiscordToken {
                    access: renewed.access,
                    refresh: renewed.refresh.or(Some(refresh)),
                    expires_at: now + lifetime,
                    sent: false,
                };
                if tokens.replace(&row.fan, &sent, &fresh).await? {
                    return Ok(Some(fresh.access));
                }
                Ok(tokens.get(&row.fan).await?.filter(works).map(|token| token.access))
            }
            Err(OAuthError::InvalidGrant) => {
                // What another process got, or the fan's new connection.
                let other = tokens.get(&row.fan).await?;
                let other = other.filter(|token| works(token) && !token.is(&held.access));
                if other.is_none() {
                    let reason =
                        if held.sent { BrokenBy::RenewalLost } else { BrokenBy::InvalidGrant };
                    self.break_link(bot, row, reason).await?;
                }
                Ok(other.map(|token| token.access))
            }
            Err(error) => {
                if error.is_answer() {
                    tokens.replace(&row.fan, &sent, &held).await?;
                }
                if works(&held) {
                    return Ok(Some(held.access));
                }
                Err(DeskError::TokenLater(error.to_string()))
            }
        }
    }

    /// Records that the link to a command's account is broken; answers how it is, where it is the fan's link still.
    async fn break_link(
        &self,
        bot: &str,
        row: &CommandRow,
        reason: BrokenBy,
    ) -> Result<Option<BrokenBy>, DeskError> {
        let (fan, stream) = (row.fan.clone(), fan::stream(&row.fan));
        let command = fan::Command::BreakLink { fan, account_key: row.account_key.clone(), reason };
        match self.store.handle::<Fan>(&stream, command, self.metadata(bot), None).await {
            Ok(_) | Err(HandleError::Refused(_)) => {}
            Err(HandleError::Store(error)) => return Err(error.into()),
        }
        let state = self.store.load::<Fan>(&stream).await?.state;
        let linked = state.link.is_some_and(|link| link.account_key == row.account_key);
        Ok(state.broken.filter(|_| linked))
    }

    /// Records what came of a command. Saying it twice records it once.
    pub async fn outcome(
        &self,
        bot: &str,
        id: &str,
        outcome: Outcome,
    ) -> Result<Recorded, DeskError> {
        let stands = |again| Recorded { position: self.store.log().head().0, again };
        // A command is done once, and may be refused many times.
        let key = format!("outcome:{id}:{}", outcome.epoch);
        let (row, _) = match self.command(bot, id, outcome.epoch).await {
            Ok(known) => known,
            // A repeated report finds its command closed by the first.
            Err(DeskError::Superseded) => {
                let said = self.store.answers().get(&key).await?;
                let done = |position: Position| Recorded { position: position.0, again: false };
                return said.map(|said| done(said.position)).ok_or(DeskError::Superseded);
            }
            Err(error) => return Err(error),
        };
        let (mut trouble, role) = match outcome.result {
            OutcomeResult::TryLater => return Ok(stands(true)),
            OutcomeResult::Superseded => return Ok(stands(false)),
            OutcomeResult::Done => (None, None),
            OutcomeResult::Refused => (Some(trouble(outcome.code.as_deref())), outcome.role),
        };
        let broken = match trouble {
            Some(Trouble::LinkBroken) => Some(BrokenBy::InvalidToken),
            Some(Trouble::MissingScope) => Some(BrokenBy::MissingScope),
            _ => None,
        };
        if let Some(reason) = broken {
            // It may have been known before, and better.
            let known = self.break_link(bot, &row, reason).await?;
            trouble = known.map(BrokenBy::trouble).or(trouble);
        }
        if let Some((trouble, role)) = trouble.zip(role)
            && trouble.is_fact_of_server()
            && self.is_healed(row.guild, role).await?
        {
            // It was refused, and what is known of the server shows nothing against it: one of both is out of date.
            self.look_over(row.guild);
            return Ok(stands(true));
        }
        let report = report(&row, &outcome, trouble, role);
        if trouble.is_none() && !all_done(&row, &report) {
            // It is said to be done and is not: it stays open, and is executed again.
            return Ok(stands(true));
        }
        let left = outcome.observed.as_ref().is_some_and(|observed| observed.left);
        let sighting = match trouble {
            Some(Trouble::Banned) => Some(Sighting::Banned),
            _ if left && row.desired.present => Some(Sighting::Left),
            _ => None,
        };
        let key = Some(key).filter(|_| trouble.is_none());
        let position = self.record(bot, &row, report, sighting, key).await?;
        Ok(Recorded { position: position.0, again: false })
    }

    /// Whether the newest roles of a server show nothing against giving or taking one.
    async fn is_healed(&self, guild: GuildId, role: RoleId) -> Result<bool, DeskError> {
        let integrations = self.views.integrations().by_guild(guild).await?;
        let mut lists = integrations.iter().filter_map(|row| row.state.roles.as_ref()).peekable();
        Ok(lists.peek().is_some() && lists.all(|list| list.why_not(guild, role).is_none()))
    }

    async fn record(
        &self,
        bot: &str,
        row: &CommandRow,
        report: Report,
        sighting: Option<Sighting>,
        key: Option<String>,
    ) -> Result<Position, DeskError> {
        let stream = access::stream(row.guild, &row.fan);
        let mut attempts = self.store.attempts();
        loop {
            let key = key.clone().map(|key| AppendKey { key, request_hash: [0; 32], answer: None });
            let mut decision = self.store.begin(self.metadata(bot), key);
            let mut commands = vec![access::Command::Report(report.clone())];
            commands.extend(
                sighting
                    .clone()
                    .map(|sighting| access::Command::Observe { holder: holder(row), sighting }),
            );
            for command in commands {
                match decision.handle::<Access>(&stream, command).await {
                    Ok(_) => {}
                    Err(HandleError::Refused(access::Refusal::Superseded)) => {
                        return Err(DeskError::Superseded);
                    }
                    Err(HandleError::Store(error)) => return Err(error.into()),
                }
            }
            if let Some(decided) = decision.commit(&mut attempts).await? {
                return Ok(decided.position);
            }
        }
    }
}

/// The calls of a command that can be made now, as they are announced.
fn attempt(
    row: &CommandRow,
    standing: &Standing,
    calls: Calls,
    found: Option<&Found>,
    at: DateTime<Utc>,
) -> Attempt {
    // A desired role that was neither there nor to be given is withheld for a reason.
    let wanted = row.desired.roles.iter().filter(|role| {
        row.plan.grant.contains(role)
            || standing.given.contains(role)
            || standing.kept.contains(role)
    });
    let roles = match (calls, found) {
        // Whoever is brought in has nothing yet.
        (Calls::Join, _) => wanted.copied().collect(),
        (Calls::Roles, Some(Found { given, kept, .. })) => {
            wanted.filter(|role| !given.contains(role) && !kept.contains(role)).copied().collect()
        }
        // What a member has from elsewhere is not the Hub's to take later, so they are looked at before giving.
        (Calls::Roles, None) | (Calls::Removal, _) => BTreeSet::new(),
    };
    let removes = match found {
        Some(found) => found.given.difference(&row.desired.roles).copied().collect(),
        None => row.plan.remove.clone(),
    };
    let found = found.filter(|_| calls == Calls::Roles).cloned();
    Attempt { holder: holder(row), command: row.version, at, roles, removes, found }
}

fn holder(row: &CommandRow) -> Holder {
    Holder {
        guild: row.guild,
        fan: row.fan.clone(),
        account: row.account.clone(),
        account_key: row.account_key.clone(),
    }
}

/// A refusal's code: one of the Hub's, or Discord's own number.
fn trouble(code: Option<&str>) -> Trouble {
    let Some(code) = code else { return Trouble::Refused };
    of_code(code).or_else(|| of_discord_code(code.parse().ok()?)).unwrap_or(Trouble::Refused)
}

/// What the command came to, in the domain's words. Without `observed`, a `done` had all its effects; that
/// the Hub brought somebody in is believed only where it is said.
fn report(
    row: &CommandRow,
    outcome: &Outcome,
    trouble: Option<Trouble>,
    role: Option<RoleId>,
) -> Report {
    let standing = &row.standing;
    let done = outcome.result == OutcomeResult::Done;
    let observed = outcome.observed.clone().unwrap_or_else(|| Observed {
        present: match (done, row.desired.present) {
            (true, true) => Some(true),
            (true, false) if row.plan.kick => Some(false),
            _ => standing.present,
        },
        given: done.then(|| row.desired.roles.difference(&standing.kept).copied().collect()),
        kept: standing.kept.clone(),
        ..Observed::default()
    });
    let present = observed.present.or(standing.present);
    let given = observed.given.unwrap_or_else(|| standing.roles());
    let unseen = observed.unseen && trouble.is_some();
    Report {
        holder: holder(row),
        command: row.version,
        desired: row.desired.clone(),
        given: if present == Some(false) { BTreeSet::new() } else { given },
        kept: observed.kept,
        present,
        joined_at: observed.joined_at.filter(|_| present != Some(false)),
        brought_in: present != Some(false) && observed.brought_in.unwrap_or(standing.brought_in),
        unseen,
        trouble,
        role,
        http_status: outcome.http_status,
        detail: outcome.detail.clone().map(|detail| detail.chars().take(500).collect()),
    }
}

/// Whether nothing would be left to do after this report, beyond what the bot found it must not do.
fn all_done(row: &CommandRow, report: &Report) -> bool {
    let has = |role: &RoleId| report.given.contains(role) || report.kept.contains(role);
    if row.desired.present {
        // Somebody who left meanwhile is reported as having left.
        let there = report.present == Some(true) && row.plan.grant.iter().all(has);
        let gone = report.present == Some(false);
        (there && report.given.iter().all(|role| row.desired.roles.contains(role))) || gone
    } else {
        report.given.is_empty()
    }
}
