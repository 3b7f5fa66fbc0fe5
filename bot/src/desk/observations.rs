//! What becomes of things that were seen on Discord beside the answers to calls.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{
    DiscordUserId, FanId, GuildId, IntegrationId, RoleId, StreamName,
    access::{self, Access, Holder, Sighting, Standing},
    account::{self, AccountKey, DiscordAccount},
    discord::RoleList,
    integration::{self, Integration},
};
use eventstore::HandleError;
use projections::{CATCH_UP, View, ViewError};

use super::{Desk, DeskError};
use crate::{
    reconciler::connected,
    wire::{Noted, Observation, StillThere},
};

/// What was seen of a member.
struct Seen {
    guild: GuildId,
    user: DiscordUserId,
    roles: Option<BTreeSet<RoleId>>,
    joined_at: Option<DateTime<Utc>>,
    confirmed: bool,
    since: Option<u64>,
    still_there: Option<StillThere>,
}

impl Desk {
    pub async fn observe(&self, bot: &str, observation: Observation) -> Result<Noted, DeskError> {
        match observation {
            Observation::Server { guild, roles, since } => {
                self.outages.end(|one| one == guild);
                return self.see_server(bot, guild, roles, since, false).await;
            }
            Observation::Outage { guild } => self.outages.begin(guild, self.now()),
            Observation::BotRemoved { guild } => {
                self.outages.end(|one| one == guild);
                let gone = [integration::Command::ObserveBot { present: false }];
                let integrations = self.views.integrations().by_guild(guild).await?;
                let news = integrations.iter().any(|row| !row.state.bot_missing);
                for row in integrations {
                    self.observe_server(bot, row.id, &gone).await?;
                }
                // It may have come back before this was told, and then nobody else tells.
                if news {
                    self.look_over(guild);
                }
            }
            Observation::Missed { guild, roles: true } => self.look_over(guild),
            Observation::Missed { guild, roles: false } => self.compare_members(guild),
            // A server that the session does not name is looked at: the session alone is no proof.
            Observation::Session { shard, of, guilds } => {
                self.outages.end(|guild| guild.shard(of) == shard);
                let mine = connected(&self.views).await?.into_iter();
                mine.filter(|guild| guild.shard(of) == shard && !guilds.contains(guild))
                    .for_each(|guild| self.look_over(guild));
            }
            Observation::Member {
                guild,
                user,
                roles,
                joined_at,
                confirmed,
                since,
                still_there,
            } => {
                let seen = Seen { guild, user, roles, joined_at, confirmed, since, still_there };
                return self.observe_member(bot, seen).await;
            }
        }
        Ok(self.noted(false))
    }

    fn noted(&self, confirm: bool) -> Noted {
        Noted { confirm, position: self.store.log().head().0 }
    }

    /// Whether anything came to a stream after a position of the log.
    async fn moved_on(
        &self,
        stream: &StreamName,
        version: u64,
        since: u64,
    ) -> Result<bool, DeskError> {
        let last = self.store.log().read_stream(stream, version.saturating_sub(1)).await?;
        Ok(last.last().is_some_and(|last| last.position.0 > since))
    }

    /// Whether anything was recorded of a server after a position of the log.
    async fn server_moved_on(&self, guild: GuildId, since: u64) -> Result<bool, DeskError> {
        for row in self.views.integrations().by_guild(guild).await? {
            let stream = integration::stream(row.id);
            let version = self.store.load::<Integration>(&stream).await?.version;
            if self.moved_on(&stream, version, since).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes in a server's roles. `again`: what waits there for somebody is tried again even where they are as before.
    pub(crate) async fn see_server(
        &self,
        bot: &str,
        guild: GuildId,
        roles: RoleList,
        since: Option<u64>,
        again: bool,
    ) -> Result<Noted, DeskError> {
        if let Some(since) = since
            && self.server_moved_on(guild, since).await?
        {
            return Ok(self.noted(true));
        }
        for row in self.views.integrations().by_guild(guild).await? {
            let (roles, again) = (roles.clone(), again && self.waits_for_a_try(row.id).await?);
            let seen = [
                integration::Command::ObserveBot { present: true },
                integration::Command::RefreshRoles { roles, again },
            ];
            self.observe_server(bot, row.id, &seen).await?;
        }
        Ok(self.noted(false))
    }

    /// Whether somebody in an integration waits for what may be over without the server's roles telling it.
    pub async fn waits_for_a_try(&self, id: IntegrationId) -> Result<bool, ViewError> {
        let waiting = self.views.fan_access().troubles(id).await?;
        Ok(waiting.keys().any(|(trouble, _)| trouble.is_tried_again() && !trouble.is_decision()))
    }

    async fn observe_server(
        &self,
        bot: &str,
        id: IntegrationId,
        seen: &[integration::Command],
    ) -> Result<(), DeskError> {
        let (stream, mut attempts) = (integration::stream(id), self.store.attempts());
        loop {
            let mut decision = self.store.begin(self.metadata(bot), None);
            for command in seen {
                match decision.handle::<Integration>(&stream, command.clone().to(id)).await {
                    // One that is not connected there any more has nothing to learn.
                    Ok(_) | Err(HandleError::Refused(_)) => {}
                    Err(HandleError::Store(error)) => return Err(error.into()),
                }
            }
            if decision.commit(&mut attempts).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// The roles among `seen` that somebody had taken away, as far as the fan should have them still: any other is a gift
    /// of whoever gave it.
    async fn given_again(
        &self,
        guild: GuildId,
        fan: &FanId,
        account: &AccountKey,
        standing: &Standing,
        seen: &BTreeSet<RoleId>,
    ) -> Result<BTreeSet<RoleId>, DeskError> {
        let back: BTreeSet<_> = standing.missing.intersection(seen).copied().collect();
        if back.is_empty() {
            return Ok(back);
        }
        self.views.seen_by(&[View::FanAccess], self.store.log().head(), CATCH_UP).await?;
        let facts = self.views.fan_access().facts(fan).await?.unwrap_or_default();
        let place = facts.standings.get(&guild).and_then(|places| places.get(account));
        let desired = place.map(|place| &place.decided.desired.roles);
        Ok(desired.map(|desired| &back & desired).unwrap_or_default())
    }

    /// What a member's roles, or a member's absence, mean for the fan whose account it is.
    async fn observe_member(&self, bot: &str, seen: Seen) -> Result<Noted, DeskError> {
        let Seen { guild, user, roles, joined_at, confirmed, since, still_there } = seen;
        // Read first, so that whatever is read for it is newer than all that counts here.
        let (nothing, confirm) = (self.noted(false), self.noted(true));
        let account_key = self.store.vault().account_key(user);
        let account =
            self.store.load::<DiscordAccount>(&account::stream(&account_key)).await?.state;
        // Whoever let the account go may still be owed a removal that Discord lost.
        let let_go = account.holder.is_none();
        let Some(fan) = account.holder.or(account.last) else { return Ok(nothing) };
        let stream = access::stream(guild, &fan);
        let loaded = self.store.load::<Access>(&stream).await?;
        let Some(standing) = loaded.state.standings.get(&account_key) else { return Ok(nothing) };
        // While calls of ours are on their way, what is seen may be their doing.
        let unsettled = standing.removal_attempted.is_some()
            || standing.join_attempted.is_some()
            || !standing.maybe_given.is_empty();
        // Who was removed from the server and is there since the same time never left it.
        let removed = standing.removed.as_ref().filter(|removed| removed.member);
        let undone = removed.zip(roles.as_ref());
        let undone = undone.and_then(|(removed, roles)| removed.left(joined_at, roles, self.now()));
        let still_there = still_there.map(|StillThere { roles, member }| (roles, member));
        let sightings = match (roles, still_there.or(undone)) {
            _ if unsettled => return Ok(nothing),
            (Some(_), Some((roles, brought_in))) => {
                vec![Sighting::StillThere { roles, brought_in }]
            }
            _ if let_go => return Ok(nothing),
            (None, _) if standing.present == Some(true) => vec![Sighting::Left],
            (None, _) => return Ok(nothing),
            (Some(_), None) if standing.is_outside() => vec![Sighting::Returned],
            (Some(_), None) if standing.joined_anew(joined_at) => vec![Sighting::Rejoined],
            (Some(roles), None) => {
                let had = standing.given.union(&standing.kept);
                let missing: BTreeSet<RoleId> =
                    had.filter(|role| !roles.contains(role)).copied().collect();
                let back = self.given_again(guild, &fan, &account_key, standing, &roles).await?;
                if missing.is_empty() && back.is_empty() {
                    return Ok(nothing);
                }
                vec![Sighting::Missing(missing), Sighting::There(back)]
            }
        };
        let stale = match since {
            Some(since) => self.moved_on(&stream, loaded.version, since).await?,
            None => false,
        };
        if !confirmed || stale {
            return Ok(confirm);
        }
        let holder = Holder { guild, fan, account: standing.account.clone(), account_key };
        let mut attempts = self.store.attempts();
        loop {
            let mut decision = self.store.begin(self.metadata(bot), None);
            for sighting in &sightings {
                let (holder, sighting) = (holder.clone(), sighting.clone());
                let command = access::Command::Observe { holder, sighting };
                match decision.handle::<Access>(&stream, command).await {
                    Ok(_) | Err(HandleError::Refused(_)) => {}
                    Err(HandleError::Store(error)) => return Err(error.into()),
                }
            }
            if decision.commit(&mut attempts).await?.is_some() {
                return Ok(nothing);
            }
        }
    }
}
