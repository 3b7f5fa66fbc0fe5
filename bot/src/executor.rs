//! Brings one account in one server to the desired access: the attempt is recorded, then Discord is called.
//!
//! Every call is safe to repeat except the removal from a server, which is checked against what Discord shows
//! whenever an earlier one may have happened.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{GuildId, RoleId, Trouble, discord::RoleList};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    discord::{Answer, Discord, Joined, Refusal, Seen},
    hub::{Hub, HubError},
    wire::{Calls, Command, Known, Observed, OutcomeResult, SeenMember, StartRequest, Started},
};

/// How the execution of a command ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ended {
    /// To be reported to the Hub.
    Report {
        result: OutcomeResult,
        refused: Option<Refused>,
        observed: Observed,
        /// The server's roles, where they were read to find out why something was refused.
        roles: Option<RolesRead>,
        /// Whether Discord accepted anything that changes the member.
        changed: bool,
        took: Took,
        /// Since when the account was in the server before, as far as was known.
        joined: Option<DateTime<Utc>>,
    },
    /// What became of it is not known; to be tried again.
    Later { why: String, after: Option<std::time::Duration> },
    /// A newer decision came meanwhile.
    Superseded,
    /// Discord does not take the bot's token any more.
    TokenDead,
}

/// A server's roles, and where the log stood before they were read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RolesRead {
    pub(crate) list: RoleList,
    pub(crate) since: u64,
}

/// What Discord says was taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Took {
    pub(crate) roles: BTreeSet<RoleId>,
    /// The account itself, from the server.
    pub(crate) member: bool,
}

/// What Discord refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) trouble: Trouble,
    pub(crate) role: Option<RoleId>,
    pub(crate) http_status: u16,
    pub(crate) detail: String,
}

/// Why the rest of a command is not executed.
enum Stop {
    Now(Box<Ended>),
    /// The account is not in the server.
    Gone,
    /// Discord refused everything that is left.
    Refused,
    /// The Hub did not take a step.
    Hub(HubError),
}

impl Stop {
    fn now(ended: Ended) -> Self {
        Self::Now(Box::new(ended))
    }
}

impl<T> Answer<T> {
    /// The value or the refusal; anything else ends the execution.
    fn settled(self) -> Result<Result<T, Refusal>, Stop> {
        match self {
            Self::Done(value) => Ok(Ok(value)),
            Self::Refused(refusal) => Ok(Err(refusal)),
            Self::Later { why, after } => Err(Stop::now(Ended::Later { why, after })),
            Self::TokenDead => Err(Stop::now(Ended::TokenDead)),
            Self::Unwanted => Err(Stop::now(Ended::Superseded)),
        }
    }
}

/// Where attempts are announced.
#[derive(Clone, Copy)]
pub(crate) struct Announcing<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) bot: &'a str,
    pub(crate) epoch: u64,
}

/// One command on its way.
struct Execution<'a> {
    announcing: Announcing<'a>,
    discord: &'a Discord,
    command: &'a Command,
    /// As they stood when it was started last.
    calls: Calls,
    token: Option<SecretString>,
    give: BTreeSet<RoleId>,
    known: Known,
    /// The reason that stands in the server's own audit log.
    reason: String,
    present: Option<bool>,
    brought_in: bool,
    joined_at: Option<DateTime<Utc>>,
    given: BTreeSet<RoleId>,
    kept: BTreeSet<RoleId>,
    /// Given by attempts whose outcome is not known.
    unsure: BTreeSet<RoleId>,
    refused: Option<Refused>,
    /// Discord refused to show the account, of which something is not known.
    unseen: bool,
    /// The server's roles, read once something is refused.
    roles: Option<RolesRead>,
    /// Whether Discord accepted anything that changes the member.
    changed: bool,
    took: Took,
}

/// Nobody can be brought in without their token.
fn no_token() -> Refusal {
    let detail =
        "Discord gives no token for this account any more; its fan has to connect Discord again";
    Refusal { trouble: Trouble::LinkBroken, http_status: 0, code: 0, detail: detail.to_owned() }
}

/// Executes a command: every attempt is recorded before Discord is called.
pub(crate) async fn execute(
    announcing: Announcing<'_>,
    discord: &Discord,
    command: &Command,
) -> Result<Ended, HubError> {
    let known = command.known.clone();
    let mut execution = Execution {
        announcing,
        discord,
        command,
        calls: command.calls.clone(),
        token: None,
        give: BTreeSet::new(),
        known: known.clone(),
        reason: format!("Integrations Hub, command {}", command.id),
        present: known.present,
        brought_in: known.brought_in,
        joined_at: known.joined_at,
        given: known.given,
        kept: known.kept,
        unsure: known.maybe_given,
        refused: None,
        unseen: false,
        roles: None,
        changed: false,
        took: Took::default(),
    };
    let ended =
        if command.desired.present { execution.grant().await } else { execution.revoke().await };
    let left = match ended {
        Ok(()) | Err(Stop::Refused) => false,
        Err(Stop::Gone) => {
            execution.is_gone();
            true
        }
        Err(Stop::Now(ended)) => return Ok(*ended),
        Err(Stop::Hub(error)) => return Err(error),
    };
    Ok(execution.report(left && command.desired.present))
}

impl Execution<'_> {
    fn guild(&self) -> GuildId {
        self.command.guild
    }

    /// Announces the calls that can be made now. `seen`: the member, who was looked at.
    async fn start(&mut self, seen: Option<Seen>) -> Result<(), Stop> {
        let join_attempted = self.known.join_attempted;
        let seen = seen.map(|Seen { joined_at, roles }| {
            let roles = roles.into_iter().collect();
            SeenMember { joined_at, roles, join_attempted }
        });
        self.announce(seen, None).await
    }

    async fn announce(
        &mut self,
        seen: Option<SeenMember>,
        refused_token: Option<&SecretString>,
    ) -> Result<(), Stop> {
        let Announcing { hub, bot, epoch } = self.announcing;
        let refused_token = refused_token.map(|token| token.expose_secret().to_owned());
        let request = StartRequest { epoch, seen, refused_token };
        let started = hub.start(bot, &self.command.id, request).await.map_err(Stop::Hub)?;
        let Started { access_token, calls, give, known, .. } = started;
        (self.token, self.calls, self.give) = (access_token.map(Into::into), calls, give);
        self.known.clone_from(&known);
        let Known { present, brought_in, joined_at, given, kept, maybe_given, .. } = known;
        (self.present, self.brought_in, self.joined_at) = (present, brought_in, joined_at);
        (self.given, self.kept, self.unsure) = (given, kept, maybe_given);
        Ok(())
    }

    /// Looks at the member before anything is given or taken, and announces that.
    async fn look(&mut self) -> Result<(), Stop> {
        match self.member().await? {
            Some(seen) => self.start(Some(seen)).await,
            None => Err(Stop::Gone),
        }
    }

    fn is_gone(&mut self) {
        (self.present, self.brought_in, self.joined_at) = (Some(false), false, None);
        self.given.clear();
        self.kept.clear();
        self.unsure.clear();
    }

    fn report(self, left: bool) -> Ended {
        let observed = Observed {
            present: self.present,
            brought_in: Some(self.brought_in),
            joined_at: self.joined_at,
            given: Some(self.given.union(&self.unsure).copied().collect()),
            kept: self.kept,
            left,
            unseen: self.unseen,
        };
        let result =
            if self.refused.is_some() { OutcomeResult::Refused } else { OutcomeResult::Done };
        Ended::Report {
            result,
            refused: self.refused,
            observed,
            roles: self.roles,
            changed: self.changed,
            took: self.took,
            joined: self.known.joined_at,
        }
    }

    /// Keeps the first refusal: it is the one to mend first.
    fn refuse(&mut self, trouble: Trouble, role: Option<RoleId>, refusal: Refusal) {
        let Refusal { http_status, detail, .. } = refusal;
        self.refused.get_or_insert(Refused { trouble, role, http_status, detail });
    }

    async fn grant(&mut self) -> Result<(), Stop> {
        // What somebody has from elsewhere is not the Hub's to take later, so it is looked at before giving.
        if self.calls.join || self.calls.grant.is_empty() {
            self.start(None).await?;
        }
        if !self.calls.join && !self.calls.grant.is_empty() {
            self.look().await?;
        } else if self.calls.join {
            self.join().await?;
        }
        // First what is given, then what is taken: nobody stands without access in between.
        let missing: Vec<_> = self.give.iter().copied().collect();
        for role in missing {
            self.give(role).await?;
        }
        for role in self
            .started_roles()
            .difference(&self.command.desired.roles)
            .copied()
            .collect::<Vec<_>>()
        {
            self.take(role).await?;
        }
        Ok(())
    }

    /// Every role that the account has, or may have, from the Hub.
    fn started_roles(&self) -> BTreeSet<RoleId> {
        self.given.union(&self.unsure).copied().collect()
    }

    /// Brings the account in. A token may die before its time and have a living successor: it is renewed once.
    async fn join(&mut self) -> Result<(), Stop> {
        let (guild, user) = (self.guild(), self.command.user);
        let Some(token) = self.token.take() else {
            return self.only_if_member(no_token()).await;
        };
        let mut joined = self.discord.join(guild, user, &token).await.settled()?;
        if let Err(refusal) = &joined
            && refusal.trouble == Trouble::LinkBroken
        {
            self.announce(None, Some(&token)).await?;
            if let Some(renewed) = self.token.take() {
                joined = self.discord.join(guild, user, &renewed).await.settled()?;
            }
        }
        match joined {
            Ok(Joined::Added(at)) => {
                self.is_gone();
                (self.present, self.brought_in, self.joined_at) = (Some(true), true, at);
                self.changed = true;
                Ok(())
            }
            Ok(Joined::Already) => self.look().await,
            Err(refusal)
                if matches!(refusal.trouble, Trouble::LinkBroken | Trouble::MissingScope) =>
            {
                self.only_if_member(refusal).await
            }
            Err(refusal) if refusal.trouble == Trouble::BotMissing => {
                self.unseen = self.is_unsure();
                self.bot_missing(refusal).await
            }
            Err(mut refusal) => {
                if refusal.trouble == Trouble::MissingPermissions {
                    refusal.trouble = self.diagnose(None).await?;
                }
                // An earlier join that was not answered may have brought them in.
                if self.is_unsure() {
                    return self.only_if_member(refusal).await;
                }
                self.refuse(refusal.trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }

    /// Whether something that was tried before is not known to have had its effect.
    fn is_unsure(&self) -> bool {
        let Known { join_attempted, removal_attempted, maybe_given, .. } = &self.known;
        join_attempted.is_some() || removal_attempted.is_some() || !maybe_given.is_empty()
    }

    /// Nobody can be brought in; whoever is in the server already can be given roles all the same.
    async fn only_if_member(&mut self, refusal: Refusal) -> Result<(), Stop> {
        if let Some(seen) = self.member().await? {
            self.start(Some(seen)).await
        } else {
            self.is_gone();
            self.refuse(refusal.trouble, None, refusal);
            Err(Stop::Refused)
        }
    }

    async fn revoke(&mut self) -> Result<(), Stop> {
        self.start(None).await?;
        // Where it is not known what became of a join or a removal, neither is what of the member is the Hub's doing.
        let unsure = self.known.join_attempted.is_some()
            || (self.calls.kick && self.known.removal_attempted.is_some());
        if unsure {
            self.look().await?;
        }
        if self.calls.kick && self.brought_in && self.kick().await? {
            return Ok(());
        }
        for role in self.started_roles() {
            self.take(role).await?;
        }
        Ok(())
    }

    /// Removes the account from the server, and its roles with it; false where only the roles can be taken.
    async fn kick(&mut self) -> Result<bool, Stop> {
        let refusal = match self
            .discord
            .kick(self.guild(), self.command.user, &self.reason)
            .await
            .settled()?
        {
            Ok(()) => {
                self.took = Took { roles: self.started_roles(), member: true };
                self.changed = true;
                self.is_gone();
                return Ok(true);
            }
            Err(refusal) => refusal,
        };
        match refusal.trouble {
            _ if refusal.not_a_member() => Err(Stop::Gone),
            Trouble::BotMissing => self.bot_missing(refusal).await.map(|()| false),
            Trouble::MissingPermissions => {
                let guild = self.guild();
                let missing = self
                    .role_list()
                    .await?
                    .map(|list| list.missing_permissions(guild))
                    .unwrap_or_default();
                // A bot that may remove members is refused those who stand above it.
                let trouble = match (&self.roles, missing.contains(&Trouble::MissingKickMembers)) {
                    (None, _) => Trouble::MissingPermissions,
                    (Some(_), true) => Trouble::MissingKickMembers,
                    (Some(_), false) => Trouble::FanAboveBot,
                };
                self.refuse(trouble, None, refusal);
                Ok(false)
            }
            trouble => {
                self.refuse(trouble, None, refusal);
                Ok(false)
            }
        }
    }

    async fn give(&mut self, role: RoleId) -> Result<(), Stop> {
        if self.would_be_refused(role) {
            return Ok(());
        }
        let (guild, user) = (self.guild(), self.command.user);
        let mut given = self.discord.add_role(guild, user, role, &self.reason).await.settled()?;
        if let Err(refusal) = &given
            && self.is_healed(role, refusal).await?
        {
            given = self.discord.add_role(guild, user, role, &self.reason).await.settled()?;
        }
        match given {
            Ok(()) => {
                self.unsure.remove(&role);
                self.given.insert(role);
                (self.present, self.changed) = (Some(true), true);
                Ok(())
            }
            Err(refusal) => self.role_refused(role, refusal).await,
        }
    }

    async fn take(&mut self, role: RoleId) -> Result<(), Stop> {
        let deleted = self.roles.as_ref().is_some_and(|read| read.list.role(role).is_none());
        if !deleted && self.would_be_refused(role) {
            return Ok(());
        }
        let (guild, user) = (self.guild(), self.command.user);
        let mut taken =
            self.discord.remove_role(guild, user, role, &self.reason).await.settled()?;
        if let Err(refusal) = &taken
            && self.is_healed(role, refusal).await?
        {
            taken = self.discord.remove_role(guild, user, role, &self.reason).await.settled()?;
        }
        match taken {
            Ok(()) => {
                self.took.roles.insert(role);
                self.changed = true;
                self.is_nobody_s(role);
                Ok(())
            }
            // A role that is gone is nobody's any more.
            Err(refusal) if refusal.trouble == Trouble::RoleDeleted => {
                self.is_deleted(role).await?;
                self.is_nobody_s(role);
                Ok(())
            }
            Err(refusal) => self.role_refused(role, refusal).await,
        }
    }

    fn is_nobody_s(&mut self, role: RoleId) {
        self.given.remove(&role);
        self.unsure.remove(&role);
    }

    /// One such answer is no proof: the server's roles must not show the role either.
    async fn is_deleted(&mut self, role: RoleId) -> Result<(), Stop> {
        match self.role_list().await? {
            Some(list) if list.role(role).is_none() => Ok(()),
            Some(_) | None => Err(Stop::now(Ended::Later {
                why: "Discord did not know a role, and does not show that it is gone".to_owned(),
                after: None,
            })),
        }
    }

    /// Whether the server's roles, read after a refusal, tell that this one would be refused too; that counts as its
    /// refusal.
    fn would_be_refused(&mut self, role: RoleId) -> bool {
        let guild = self.guild();
        let why = self.roles.as_ref().and_then(|read| read.list.why_not(guild, role));
        let Some(trouble) = why else { return false };
        let detail = "the server's roles show that Discord would refuse it".to_owned();
        self.refuse(trouble, Some(role), Refusal { trouble, http_status: 0, code: 0, detail });
        true
    }

    /// Whether a role was refused that the server's roles, read after it, show nothing against: what stood in the way
    /// may be over, and then one more call tells.
    async fn is_healed(&mut self, role: RoleId, refusal: &Refusal) -> Result<bool, Stop> {
        let asked = refusal.trouble == Trouble::MissingPermissions && refusal.http_status > 0;
        let unread = self.roles.is_none();
        Ok(asked && unread && self.diagnose(Some(role)).await? == Trouble::MissingPermissions)
    }

    async fn role_refused(&mut self, role: RoleId, refusal: Refusal) -> Result<(), Stop> {
        match refusal.trouble {
            _ if refusal.not_a_member() => Err(Stop::Gone),
            Trouble::BotMissing => self.bot_missing(refusal).await,
            Trouble::MissingPermissions => {
                let trouble = self.diagnose(Some(role)).await?;
                let shown = trouble != Trouble::MissingPermissions;
                if shown {
                    self.discord.refuses_role(self.guild(), role, &refusal);
                } else if refusal.http_status == 0 {
                    let why = "the server's roles have changed since it was refused".to_owned();
                    return Err(Stop::now(Ended::Later { why, after: None }));
                }
                self.refuse(trouble, Some(role), refusal);
                Ok(())
            }
            Trouble::RoleDeleted => {
                self.is_deleted(role).await?;
                self.refuse(refusal.trouble, Some(role), refusal);
                Ok(())
            }
            Trouble::RoleInvalid => {
                let guild = self.guild();
                let list = self.role_list().await?;
                let trouble = list.and_then(|list| list.why_not(guild, role));
                self.refuse(trouble.unwrap_or(refusal.trouble), Some(role), refusal);
                Ok(())
            }
            trouble => {
                self.refuse(trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }

    /// What exactly stands behind a 50013.
    async fn diagnose(&mut self, role: Option<RoleId>) -> Result<Trouble, Stop> {
        let guild = self.guild();
        let Some(list) = self.role_list().await? else { return Ok(Trouble::MissingPermissions) };
        let missing = list.missing_permissions(guild);
        Ok(match role {
            Some(role) => list.why_not(guild, role).unwrap_or(Trouble::MissingPermissions),
            None if missing.contains(&Trouble::MissingCreateInvite) => Trouble::MissingCreateInvite,
            None => Trouble::MissingPermissions,
        })
    }

    /// The server's roles as they are now; `None` where Discord does not show them.
    async fn role_list(&mut self) -> Result<Option<&RoleList>, Stop> {
        if self.roles.is_none() {
            let since = self.announcing.hub.position();
            let read = self.discord.role_list(self.guild()).await.settled()?.ok();
            self.roles = read.map(|(_, list)| RolesRead { list, since });
        }
        Ok(self.roles.as_ref().map(|read| &read.list))
    }

    /// One such answer is no proof that the bot is gone: Discord gives it in outages too.
    async fn bot_missing(&mut self, refusal: Refusal) -> Result<(), Stop> {
        if self.discord.is_out(self.guild()) {
            let why = "the server is out of order".to_owned();
            return Err(Stop::now(Ended::Later { why, after: None }));
        }
        match self.discord.role_list(self.guild()).await.settled()? {
            Ok(_) => Err(Stop::now(Ended::Later {
                why: "Discord said that the bot is not in the server, and then that it is"
                    .to_owned(),
                after: None,
            })),
            Err(second) => {
                let trouble = if second.trouble == Trouble::BotMissing {
                    Trouble::BotMissing
                } else {
                    refusal.trouble
                };
                self.refuse(trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }

    /// The member as Discord shows them; `None` where they are not in the server.
    async fn member(&mut self) -> Result<Option<Seen>, Stop> {
        match self.discord.member(self.guild(), self.command.user).await.settled()? {
            Ok(seen) => Ok(Some(seen)),
            Err(refusal) if refusal.not_a_member() => Ok(None),
            Err(refusal) if refusal.trouble == Trouble::BotMissing => {
                self.unseen = self.is_unsure();
                self.bot_missing(refusal).await.map(|()| None)
            }
            Err(refusal) => {
                self.unseen = self.is_unsure();
                self.refuse(refusal.trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }
}
