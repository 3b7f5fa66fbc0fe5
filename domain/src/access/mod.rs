//! One fan's access to one server: what was attempted on Discord, what Discord accepted or refused, and
//! what was seen there since.
//!
//! A fan may have used several Discord accounts, so each account has a standing of its own. An attempt
//! is recorded before Discord is called; whatever became of it, the Hub then knows what it may have given.
//!
//! `standing` folds what happened to one account; this file has the events and decides what is recorded.

mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Decider, Event as AnyEvent, StreamName,
    account::AccountKey,
    ids::{FanId, GuildId, RoleId},
    personal::{Account, Personal, Subject},
    trouble::Trouble,
};

pub use standing::{Found, Gone, Removed, Seen, Standing, joined_anew};

pub fn stream(guild: GuildId, fan: &FanId) -> StreamName {
    StreamName::new(Access::CATEGORY, format_args!("{guild}/{fan}"))
}

pub enum Access {}

/// What somebody should have in a server: the union of all their reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Desired {
    pub present: bool,
    pub roles: BTreeSet<RoleId>,
}

/// Whose access in which server an event speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub guild: GuildId,
    pub fan: FanId,
    pub account: Personal<Account>,
    pub account_key: AccountKey,
}

/// A call to Discord that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub holder: Holder,
    /// The version of the command that is executed.
    pub command: u64,
    pub at: DateTime<Utc>,
    /// The roles that the calls may give.
    pub roles: BTreeSet<RoleId>,
    /// The roles that the calls may take away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub removes: BTreeSet<RoleId>,
    /// What the account had, where it was looked at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// What executing a command came to, with the desired access that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub holder: Holder,
    pub command: u64,
    pub desired: Desired,
    /// The roles that the account has from the Hub now.
    pub given: BTreeSet<RoleId>,
    /// Desired roles that the account had before the Hub came: they are not the Hub's to take.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kept: BTreeSet<RoleId>,
    /// Whether the account is in the server, as far as Discord told.
    pub present: Option<bool>,
    /// Whether the Hub brought the account into the server.
    pub brought_in: bool,
    /// Since when the account is in the server, by Discord's clock: who came anew has another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<DateTime<Utc>>,
    /// The account could not be looked at: what was not known of it before is not known now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// The role that the trouble is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Discord's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    JoinAttempted(Attempt),
    RolesAttempted(Attempt),
    RemovalAttempted(Attempt),
    AccessGranted(Report),
    AccessChanged(Report),
    AccessRevoked(Report),
    AccessBlocked(Report),
    RevokeBlocked(Report),
    DriftObserved {
        holder: Holder,
        missing: BTreeSet<RoleId>,
    },
    /// Roles that somebody had taken away are there again, by somebody else's doing.
    DriftMended {
        holder: Holder,
        /// What the Hub had given: it is the Hub's to take again.
        roles: BTreeSet<RoleId>,
        /// What was there from elsewhere.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        kept: BTreeSet<RoleId>,
    },
    /// Discord had accepted a removal and went on showing what it should have taken.
    RemovalFoundUndone {
        holder: Holder,
        roles: BTreeSet<RoleId>,
        brought_in: bool,
    },
    MemberLeft {
        holder: Holder,
    },
    MemberReturned {
        holder: Holder,
    },
    MemberBanned {
        holder: Holder,
    },
}

impl Event {
    pub fn holder(&self) -> &Holder {
        match self {
            Self::JoinAttempted(attempt)
            | Self::RolesAttempted(attempt)
            | Self::RemovalAttempted(attempt) => &attempt.holder,
            Self::AccessGranted(report)
            | Self::AccessChanged(report)
            | Self::AccessRevoked(report)
            | Self::AccessBlocked(report)
            | Self::RevokeBlocked(report) => &report.holder,
            Self::DriftObserved { holder, .. }
            | Self::DriftMended { holder, .. }
            | Self::RemovalFoundUndone { holder, .. }
            | Self::MemberLeft { holder }
            | Self::MemberReturned { holder }
            | Self::MemberBanned { holder } => holder,
        }
    }

    /// The attempt that this is.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::JoinAttempted(attempt)
            | Self::RolesAttempted(attempt)
            | Self::RemovalAttempted(attempt) => Some(attempt),
            Self::AccessGranted(_)
            | Self::AccessChanged(_)
            | Self::AccessRevoked(_)
            | Self::AccessBlocked(_)
            | Self::RevokeBlocked(_)
            | Self::DriftObserved { .. }
            | Self::DriftMended { .. }
            | Self::RemovalFoundUndone { .. }
            | Self::MemberLeft { .. }
            | Self::MemberReturned { .. }
            | Self::MemberBanned { .. } => None,
        }
    }

    /// What Discord answered, where this is an answer.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::AccessGranted(report)
            | Self::AccessChanged(report)
            | Self::AccessRevoked(report)
            | Self::AccessBlocked(report)
            | Self::RevokeBlocked(report) => Some(report),
            Self::JoinAttempted(_)
            | Self::RolesAttempted(_)
            | Self::RemovalAttempted(_)
            | Self::DriftObserved { .. }
            | Self::DriftMended { .. }
            | Self::RemovalFoundUndone { .. }
            | Self::MemberLeft { .. }
            | Self::MemberReturned { .. }
            | Self::MemberBanned { .. } => None,
        }
    }

    pub(crate) fn subject(&mut self) -> Subject<'_> {
        let holder = match self {
            Self::JoinAttempted(attempt)
            | Self::RolesAttempted(attempt)
            | Self::RemovalAttempted(attempt) => &mut attempt.holder,
            Self::AccessGranted(report)
            | Self::AccessChanged(report)
            | Self::AccessRevoked(report)
            | Self::AccessBlocked(report)
            | Self::RevokeBlocked(report) => &mut report.holder,
            Self::DriftObserved { holder, .. }
            | Self::DriftMended { holder, .. }
            | Self::RemovalFoundUndone { holder, .. }
            | Self::MemberLeft { holder }
            | Self::MemberReturned { holder }
            | Self::MemberBanned { holder } => holder,
        };
        Subject { fan: &holder.fan, account: &mut holder.account }
    }
}

/// Which calls an attempt announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// To bring the account in and give roles.
    Join,
    /// To give or take roles of a member.
    Roles,
    /// To take everything away.
    Removal,
}

/// What was seen on Discord beside the answers to the Hub's own calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    Missing(BTreeSet<RoleId>),
    /// Roles that are there; those among them that were missing are there again.
    There(BTreeSet<RoleId>),
    /// What the last report says was taken away; `brought_in`: the account itself among it.
    StillThere {
        roles: BTreeSet<RoleId>,
        brought_in: bool,
    },
    Left,
    Returned,
    /// They left and joined again by themselves, and nobody saw them gone.
    Rejoined,
    Banned,
}

#[derive(Debug, Clone)]
pub enum Command {
    Start { attempt: Attempt, calls: Calls },
    Report(Report),
    Observe { holder: Holder, sighting: Sighting },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a newer command was executed already; drop this one")]
    Superseded,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub standings: BTreeMap<AccountKey, Standing>,
    last: Option<(AccountKey, Event)>,
}

impl State {
    fn last_of(&self, account: &AccountKey) -> Option<&Event> {
        self.last.as_ref().filter(|(key, _)| key == account).map(|(_, event)| event)
    }
}

impl Decider for Access {
    const CATEGORY: &'static str = "access";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Start { attempt, calls } => {
                let standing = state.standings.get(&attempt.holder.account_key);
                if standing.is_some_and(|standing| standing.command > attempt.command) {
                    return Err(Refusal::Superseded);
                }
                let event = match calls {
                    Calls::Join => Event::JoinAttempted(attempt),
                    Calls::Roles => Event::RolesAttempted(attempt),
                    Calls::Removal => Event::RemovalAttempted(attempt),
                };
                // The first attempt is the one that counts: only what Discord shows from then on can be
                // the Hub's doing. One whose outcome is known, or that finds something else, is a new attempt.
                let running = standing.is_some_and(|known| known.is_attempting(&event));
                Ok(if running { vec![] } else { vec![event] })
            }
            Command::Report(report) => {
                let standing = state.standings.get(&report.holder.account_key);
                if standing.is_some_and(|standing| standing.command > report.command) {
                    return Err(Refusal::Superseded);
                }
                let nothing = !report.desired.present && report.desired.roles.is_empty();
                let before = standing
                    .is_some_and(|standing| standing.reported || !standing.given.is_empty());
                let event = match (report.trouble.is_some(), nothing) {
                    (true, true) => Event::RevokeBlocked(report),
                    (true, false) => Event::AccessBlocked(report),
                    (false, true) => Event::AccessRevoked(report),
                    (false, false) if before => Event::AccessChanged(report),
                    (false, false) => Event::AccessGranted(report),
                };
                // The bot may report twice; nobody is waiting for the second report.
                Ok(if said_before(state, &event) { vec![] } else { vec![event] })
            }
            Command::Observe { holder, sighting } => {
                let Some(standing) = state.standings.get(&holder.account_key) else {
                    return Ok(vec![]);
                };
                Ok(match sighting {
                    Sighting::Missing(missing) => {
                        let has = |role: &RoleId| {
                            standing.given.contains(role) || standing.kept.contains(role)
                        };
                        let missing: BTreeSet<_> = missing.into_iter().filter(has).collect();
                        if missing.is_empty() {
                            vec![]
                        } else {
                            vec![Event::DriftObserved { holder, missing }]
                        }
                    }
                    Sighting::There(there) => {
                        let back = standing.missing.intersection(&there).copied();
                        let (kept, roles): (BTreeSet<_>, BTreeSet<_>) =
                            back.partition(|role| standing.missing_kept.contains(role));
                        if roles.is_empty() && kept.is_empty() {
                            vec![]
                        } else {
                            vec![Event::DriftMended { holder, roles, kept }]
                        }
                    }
                    Sighting::StillThere { roles, brought_in } => {
                        let roles: BTreeSet<_> =
                            roles.difference(&standing.roles()).copied().collect();
                        let brought_in = brought_in && !standing.brought_in;
                        if roles.is_empty() && !brought_in {
                            vec![]
                        } else {
                            vec![Event::RemovalFoundUndone { holder, roles, brought_in }]
                        }
                    }
                    Sighting::Left if standing.gone.is_none() => vec![Event::MemberLeft { holder }],
                    Sighting::Banned if standing.gone != Some(Gone::Banned) => {
                        vec![Event::MemberBanned { holder }]
                    }
                    Sighting::Returned if standing.is_outside() => {
                        vec![Event::MemberReturned { holder }]
                    }
                    Sighting::Rejoined if standing.present == Some(true) => {
                        vec![Event::MemberReturned { holder }]
                    }
                    Sighting::Left | Sighting::Banned | Sighting::Returned | Sighting::Rejoined => {
                        vec![]
                    }
                })
            }
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        let holder = event.holder();
        let standing = state
            .standings
            .entry(holder.account_key.clone())
            .or_insert_with(|| Standing::new(holder.account.clone()));
        standing.apply(event);
        state.last = Some((holder.account_key.clone(), event.clone()));
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Access(event) = event { Some(event) } else { None }
    }
}

/// Whether the last thing that happened to the account is this very report.
fn said_before(state: &State, event: &Event) -> bool {
    let last = state.last_of(&event.holder().account_key).and_then(Event::report);
    last.is_some() && last == event.report()
}
