//! Brings one account in one server to the desired access: the attempt is recorded, then Discord is called.
//!
//! Every call is safe to repeat except the removal from a server, which is checked against what Discord shows
//! whenever an earlier one may have happened, or somebody may have left and come again unheard.
//!
//! `granting` brings in and gives, `taking` takes away, `diagnosis` finds out why something was refused.

mod diagnosis;
mod granting;
mod taking;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{GuildId, RoleId, Trouble, discord::RoleList};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    discord::{Answer, Discord, Refusal, Seen},
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

    /// Announces the calls that can be made now. `seen`: the member, who was looked at. Answers whether nothing that was
    /// missed of the server's members is left to find.
    async fn start(&mut self, seen: Option<Seen>) -> Result<bool, Stop> {
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
    ) -> Result<bool, Stop> {
        let Announcing { hub, bot, epoch } = self.announcing;
        let refused = refused_token.map(|token| token.expose_secret().to_owned());
        let request = StartRequest { epoch, seen, refused_token: refused };
        let started = hub.start(bot, &self.command.id, request).await.map_err(Stop::Hub)?;
        let Started { access_token, calls, give, known, compared, .. } = started;
        (self.token, self.calls, self.give) = (access_token.map(Into::into), calls, give);
        if refused_token.is_some() {
            // What the Hub does not know the outcome of now is this attempt, and Discord has refused that.
            return Ok(compared);
        }
        self.known.clone_from(&known);
        let Known { present, brought_in, joined_at, given, kept, maybe_given, .. } = known;
        (self.present, self.brought_in, self.joined_at) = (present, brought_in, joined_at);
        (self.given, self.kept, self.unsure) = (given, kept, maybe_given);
        Ok(compared)
    }

    /// Looks at the member before anything is given or taken, and announces that.
    async fn look(&mut self) -> Result<(), Stop> {
        match self.member().await? {
            Some(seen) => self.start(Some(seen)).await.map(|_| ()),
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

    /// Every role that the account has, or may have, from the Hub.
    fn started_roles(&self) -> BTreeSet<RoleId> {
        self.given.union(&self.unsure).copied().collect()
    }

    /// Whether something that was tried before is not known to have had its effect.
    fn is_unsure(&self) -> bool {
        let Known { join_attempted, removal_attempted, maybe_given, .. } = &self.known;
        join_attempted.is_some() || removal_attempted.is_some() || !maybe_given.is_empty()
    }
}
