//! One fan's access to one server: what was attempted on Discord, what Discord accepted or refused, and
//! what was seen there since.
//!
//! A fan may have used several Discord accounts, so each account has a standing of its own. An attempt
//! is recorded before Discord is called; whatever became of it, the Hub then knows what it may have given.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Decider, Event as AnyEvent, StreamName,
    account::AccountKey,
    discord::RoleList,
    ids::{FanId, GuildId, RoleId},
    personal::{Account, Personal, Subject},
    trouble::Trouble,
};

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

/// A member as Discord shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// By Discord's clock.
    pub joined_at: Option<DateTime<Utc>>,
    pub roles: BTreeSet<RoleId>,
    /// The first join whose answer is lost; `None` where all joins were answered, the last one with "already there".
    pub join_attempted: Option<DateTime<Utc>>,
}

/// What of a member is known to be the Hub's doing, and which desired roles they have from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<DateTime<Utc>>,
    pub brought_in: bool,
    pub given: BTreeSet<RoleId>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kept: BTreeSet<RoleId>,
}

/// How far Discord's clock and the Hub's may be apart. Whoever joins by themselves within it before a join whose answer
/// is lost counts as brought in, so it is no longer than clocks that are kept by NTP need.
const SKEW: TimeDelta = TimeDelta::seconds(2);

/// Two times at which somebody joined are the same join where no more is between them.
const SAME_JOIN: TimeDelta = TimeDelta::milliseconds(50);

/// Whether somebody who is now seen to have joined then has left since they were first seen; unknown times tell nothing.
pub fn joined_anew(before: Option<DateTime<Utc>>, now: Option<DateTime<Utc>>) -> bool {
    before.zip(now).is_some_and(|(before, now)| now - before > SAME_JOIN)
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

/// Why an account that should be in the server is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gone {
    /// They left or were kicked; Discord does not tell which.
    Left,
    Banned,
}

/// What an attempt takes, or took by Discord's answer. Discord loses some of what it accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// When it was attempted, by the Hub's clock.
    pub at: DateTime<Utc>,
    pub roles: BTreeSet<RoleId>,
    /// Whether the account itself was removed from the server.
    pub member: bool,
    /// Since when the account was in the server, by Discord's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<DateTime<Utc>>,
}

/// How long roles that a removal took and that are shown all the same count as its doing: after that, somebody else may
/// well have given them again.
const FRESH_REMOVAL: TimeDelta = TimeDelta::minutes(5);

impl Removed {
    /// Without roles that the server's list does not show any more: what is left of a deleted one is nobody's.
    #[must_use]
    pub fn of(mut self, list: Option<&RoleList>) -> Self {
        if let Some(list) = list {
            self.roles.retain(|role| list.role(*role).is_some());
        }
        self
    }

    /// Whether roles that are shown from now on may have been given again by somebody else.
    pub fn is_old(&self, now: DateTime<Utc>) -> bool {
        now - self.at >= FRESH_REMOVAL
    }

    /// What of it a member still has: roles, and whether the removal from the server itself had no effect. Who was
    /// removed and joined at another time came again by themselves.
    pub fn left(
        &self,
        joined_at: Option<DateTime<Utc>>,
        roles: &BTreeSet<RoleId>,
        now: DateTime<Utc>,
    ) -> Option<(BTreeSet<RoleId>, bool)> {
        let times = self.joined_at.zip(joined_at);
        let same = times.map(|(then, now)| (now - then).abs() <= SAME_JOIN);
        let counts =
            if self.member { same == Some(true) } else { same != Some(false) && !self.is_old(now) };
        let roles: BTreeSet<_> = self.roles.intersection(roles).copied().collect();
        (counts && (self.member || !roles.is_empty())).then_some((roles, self.member))
    }
}

/// Where one account stands in one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub account: Personal<Account>,
    pub present: Option<bool>,
    pub brought_in: bool,
    /// Since when the account is in the server, by Discord's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<DateTime<Utc>>,
    pub given: BTreeSet<RoleId>,
    /// Desired roles that the account had from elsewhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kept: BTreeSet<RoleId>,
    /// Roles of attempts whose outcome is not known: they may be held, by the Hub's doing.
    pub maybe_given: BTreeSet<RoleId>,
    /// Those among them that were only to be given if a join brought the account in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub with_join: BTreeSet<RoleId>,
    /// The first join whose outcome is not known.
    pub join_attempted: Option<DateTime<Utc>>,
    /// The first removal from the server whose outcome is not known.
    pub removal_attempted: Option<DateTime<Utc>>,
    /// What the attempt whose outcome is not known takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taking: Option<Removed>,
    /// What the last attempt took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    pub gone: Option<Gone>,
    /// Roles that the Hub gave and somebody else took away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<RoleId>,
    /// How often that happened since the desired access changed or somebody looked into it.
    #[serde(default)]
    pub drifts: u32,
    /// What Discord refused of the last command, and the role that it is about.
    pub trouble: Option<(Trouble, Option<RoleId>)>,
    /// The version of the last command that was started or reported.
    pub command: u64,
    pub reported: bool,
}

impl Standing {
    pub fn new(account: Personal<Account>) -> Self {
        Self {
            account,
            present: None,
            brought_in: false,
            joined_at: None,
            given: BTreeSet::new(),
            kept: BTreeSet::new(),
            maybe_given: BTreeSet::new(),
            with_join: BTreeSet::new(),
            join_attempted: None,
            removal_attempted: None,
            taking: None,
            removed: None,
            gone: None,
            missing: BTreeSet::new(),
            drifts: 0,
            trouble: None,
            command: 0,
            reported: false,
        }
    }

    /// Every role that the account has, or may have, from the Hub.
    pub fn roles(&self) -> BTreeSet<RoleId> {
        self.given.union(&self.maybe_given).copied().collect()
    }

    /// Whether the Hub may still owe the account a removal.
    pub fn holds_anything(&self) -> bool {
        !self.given.is_empty()
            || !self.maybe_given.is_empty()
            || self.brought_in
            || self.join_attempted.is_some()
    }

    /// Whether the account is outside, or came in without the Hub's doing: also who could not be brought in, or
    /// was removed. Of whom the Hub may have brought in, nothing is known until a command has looked.
    pub fn is_outside(&self) -> bool {
        match self.present {
            Some(present) => self.gone.is_some() || !present,
            None => self.gone.is_some() || !self.holds_anything(),
        }
    }

    /// Whether somebody who joined at this time, by Discord's clock, has left since they were seen inside.
    pub fn joined_anew(&self, joined_at: Option<DateTime<Utc>>) -> bool {
        self.present == Some(true) && joined_anew(self.joined_at, joined_at)
    }

    /// What a member whom no call of now brought in has from the Hub, and which of the `desired` roles from elsewhere.
    pub fn found(&self, seen: &Seen, desired: &BTreeSet<RoleId>, now: DateTime<Utc>) -> Found {
        let same_join = |joined: DateTime<Utc>| {
            self.joined_at.is_some_and(|before| joined - before <= SAME_JOIN)
        };
        let since = |attempted: DateTime<Utc>, slack: TimeDelta| {
            seen.joined_at.is_some_and(|joined| joined >= attempted + slack && !same_join(joined))
        };
        let joined_by_us = seen.join_attempted.is_some_and(|attempted| since(attempted, -SKEW));
        // They went, by an earlier removal of ours or otherwise, and came again by themselves.
        let came_back = match (self.joined_at, self.removal_attempted) {
            // Both times are of Discord's clock.
            (Some(_), _) => seen.joined_at.is_some_and(|joined| !same_join(joined)),
            (None, Some(removed)) => since(removed, SKEW),
            (None, None) => false,
        };
        let before = match (joined_by_us, came_back) {
            (true, _) => self.roles(),
            (false, true) => BTreeSet::new(),
            // Roles that were to follow a join were not given where it brought nobody in.
            (false, false) => self
                .given
                .iter()
                .chain(self.maybe_given.difference(&self.with_join))
                .copied()
                .collect(),
        };
        let undone = self.removed.as_ref();
        let undone = undone.and_then(|removed| removed.left(seen.joined_at, &seen.roles, now));
        let (left, stayed) = undone.unwrap_or_default();
        let given: BTreeSet<_> = before.union(&left).copied().collect();
        let given: BTreeSet<_> = given.intersection(&seen.roles).copied().collect();
        let from_elsewhere = |role: &&RoleId| seen.roles.contains(*role) && !given.contains(*role);
        Found {
            joined_at: seen.joined_at,
            brought_in: joined_by_us || stayed || (self.brought_in && !came_back),
            kept: desired.iter().filter(from_elsewhere).copied().collect(),
            given,
        }
    }

    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::JoinAttempted(attempt) => {
                self.with_join.extend(attempt.roles.difference(&self.roles()));
                self.start(attempt);
                self.join_attempted.get_or_insert(attempt.at);
                // Who was outside may be inside from here on.
                self.present = self.present.filter(|present| *present);
            }
            Event::RolesAttempted(attempt) => {
                if let Some(found) = &attempt.found {
                    self.find(found);
                }
                self.with_join.retain(|role| !attempt.roles.contains(role));
                self.start(attempt);
            }
            Event::RemovalAttempted(attempt) => {
                self.start(attempt);
                self.removal_attempted.get_or_insert(attempt.at);
                // The account may be outside from here on, and roles from elsewhere gone with it.
                if self.brought_in || self.join_attempted.is_some() {
                    self.present = None;
                    self.kept.clear();
                }
            }
            Event::AccessGranted(report)
            | Event::AccessChanged(report)
            | Event::AccessRevoked(report)
            | Event::AccessBlocked(report)
            | Event::RevokeBlocked(report) => self.report(report),
            Event::DriftObserved { missing, .. } => {
                self.missing.extend(missing);
                self.drifts += 1;
                self.given.retain(|role| !missing.contains(role));
                self.kept.retain(|role| !missing.contains(role));
                self.maybe_given.retain(|role| !missing.contains(role));
                self.with_join.retain(|role| !missing.contains(role));
            }
            Event::RemovalFoundUndone { roles, brought_in, .. } => {
                self.given.extend(roles);
                self.brought_in |= brought_in;
                self.present = Some(true);
                let removed = self.removed.take();
                self.joined_at = self.joined_at.or(removed.and_then(|removed| removed.joined_at));
            }
            Event::MemberLeft { .. } => self.leave(Gone::Left),
            Event::MemberBanned { .. } => self.leave(Gone::Banned),
            Event::MemberReturned { .. } => {
                self.present = Some(true);
                self.gone = None;
                // They came by themselves; what brought them in before has ended.
                self.brought_in = false;
                self.joined_at = None;
                self.join_attempted = None;
                // Roles are lost with leaving.
                self.given.clear();
                self.kept.clear();
                (self.taking, self.removed) = (None, None);
                // What stood in the way of bringing them in does not any more.
                self.trouble = None;
            }
        }
    }

    /// The account was looked at: of earlier attempts nothing is unknown any more.
    fn find(&mut self, found: &Found) {
        self.present = Some(true);
        (self.joined_at, self.brought_in) = (found.joined_at, found.brought_in);
        self.given.clone_from(&found.given);
        self.kept.clone_from(&found.kept);
        self.settle();
    }

    fn settle(&mut self) {
        self.maybe_given.clear();
        self.with_join.clear();
        self.join_attempted = None;
        self.removal_attempted = None;
    }

    fn start(&mut self, attempt: &Attempt) {
        self.account = attempt.holder.account.clone();
        self.maybe_given.extend(attempt.roles.difference(&self.given).copied());
        // What may be taken is held for certain no longer: should it be wanted again, it is given again.
        let unsure: Vec<_> = self.given.intersection(&attempt.removes).copied().collect();
        self.given.retain(|role| !attempt.removes.contains(role));
        self.maybe_given.extend(unsure);
        let (at, roles) = (attempt.at, attempt.removes.clone());
        self.taking = Some(Removed { at, roles, member: false, joined_at: self.joined_at });
        self.command = attempt.command;
        self.reported = false;
    }

    fn report(&mut self, report: &Report) {
        self.account = report.holder.account.clone();
        self.trouble = report.trouble.map(|trouble| (trouble, report.role));
        self.command = report.command;
        self.reported = true;
        if report.unseen {
            return;
        }
        if let Some(taken) = self.taking.take() {
            let mut roles: BTreeSet<_> = taken.roles.difference(&report.given).copied().collect();
            let ours = self.brought_in && !report.desired.present;
            let member = ours && report.present == Some(false);
            // What the removal before took may be there still, too.
            if let Some(before) = self.removed.take_if(|before| !before.is_old(taken.at)) {
                let gone =
                    |role: &RoleId| !report.given.contains(role) && !report.kept.contains(role);
                roles.extend(before.roles.into_iter().filter(gone));
            }
            let taken = Removed { roles, member, ..taken };
            self.removed = Some(taken).filter(|taken| taken.member || !taken.roles.is_empty());
        } else if report.desired.present {
            self.removed = None;
        }
        self.present = report.present;
        self.brought_in = report.brought_in;
        self.joined_at = report.joined_at.or(self.joined_at.filter(|_| self.present == Some(true)));
        self.given.clone_from(&report.given);
        self.kept.clone_from(&report.kept);
        self.missing.retain(|role| !report.given.contains(role) && !report.kept.contains(role));
        self.settle();
        if report.present == Some(true) {
            self.gone = None;
        }
    }

    fn leave(&mut self, gone: Gone) {
        *self = Self {
            present: Some(false),
            gone: Some(gone),
            command: self.command,
            reported: self.reported,
            ..Self::new(self.account.clone())
        };
    }
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
                let running = standing.is_some_and(|known| {
                    let mut after = known.clone();
                    after.apply(&event);
                    !known.reported && after == *known
                });
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Event::*, *};
    use crate::{DiscordUserId, decider::story::given};

    const VIP: RoleId = RoleId(10);
    const GOLD: RoleId = RoleId(11);

    fn holder(n: u64) -> Holder {
        Holder {
            guild: GuildId(1),
            fan: "ada".parse().unwrap(),
            account: Personal::Known(Account { id: DiscordUserId(n), username: "ada".into() }),
            account_key: AccountKey::new(format!("key{n}")),
        }
    }

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * n, 0).unwrap()
    }

    fn attempt(command: u64, roles: &[RoleId]) -> Attempt {
        Attempt {
            holder: holder(1),
            command,
            at: minute(i64::try_from(command).unwrap()),
            roles: roles.iter().copied().collect(),
            removes: BTreeSet::new(),
            found: None,
        }
    }

    fn seen(joined: i64, roles: &[RoleId]) -> Seen {
        Seen {
            joined_at: Some(minute(joined)),
            roles: roles.iter().copied().collect(),
            join_attempted: None,
        }
    }

    /// The same after a join at `attempted` whose answer is lost.
    fn seen_after(attempted: i64, joined: i64, roles: &[RoleId]) -> Seen {
        Seen { join_attempted: Some(minute(attempted)), ..seen(joined, roles) }
    }

    /// Where somebody stands after some events.
    fn standing(events: &[Event]) -> Standing {
        crate::fold::<Access>(events).standings.into_values().next().unwrap()
    }

    fn start(command: u64, calls: Calls, roles: &[RoleId]) -> Command {
        Command::Start { attempt: attempt(command, roles), calls }
    }

    fn report(command: u64, present: bool, roles: &[RoleId]) -> Report {
        Report {
            holder: holder(1),
            command,
            desired: Desired { present, roles: roles.iter().copied().collect() },
            given: roles.iter().copied().collect(),
            kept: BTreeSet::new(),
            present: Some(present),
            brought_in: present,
            joined_at: None,
            unseen: false,
            trouble: None,
            role: None,
            http_status: None,
            detail: None,
        }
    }

    fn refused(command: u64, given: &[RoleId]) -> Report {
        Report {
            given: given.iter().copied().collect(),
            present: Some(true),
            trouble: Some(Trouble::MissingPermissions),
            http_status: Some(403),
            ..report(command, false, &[])
        }
    }

    #[test]
    fn an_attempt_is_recorded_before_discord_is_called_and_once() {
        given::<Access>([])
            .when(start(5, Calls::Join, &[VIP]))
            .then([JoinAttempted(attempt(5, &[VIP]))]);
        given::<Access>([JoinAttempted(attempt(5, &[VIP]))])
            .when(start(5, Calls::Join, &[VIP]))
            .then_nothing();
    }

    #[test]
    fn what_was_attempted_counts_as_possibly_given_until_the_outcome_is_known() {
        let mut state = crate::fold::<Access>(&[JoinAttempted(attempt(5, &[VIP]))]);
        let standing = state.standings.values().next().unwrap();
        assert_eq!(standing.roles(), [VIP].into());
        assert!(standing.holds_anything());

        Access::evolve(&mut state, &AccessRevoked(report(9, false, &[])));
        assert!(!state.standings.values().next().unwrap().holds_anything());
    }

    #[test]
    fn who_was_removed_and_is_being_brought_in_again_may_be_inside() {
        let state = crate::fold::<Access>(&[
            AccessRevoked(report(5, false, &[])),
            JoinAttempted(attempt(9, &[VIP])),
        ]);
        let standing = state.standings.values().next().unwrap();
        let rules = crate::desired::Rules { kick: true, ..Default::default() };
        assert!(crate::desired::plan(standing, &Desired::default(), &rules).kick);
    }

    #[test]
    fn a_refusal_to_somebody_who_could_not_be_looked_at_settles_nothing() {
        let tried = [JoinAttempted(attempt(5, &[VIP]))];
        let unseen = Report { unseen: true, present: None, ..refused(5, &[]) };
        let before = standing(&tried);
        let after = standing(&[tried[0].clone(), AccessBlocked(unseen)]);
        assert_eq!(after.trouble, Some((Trouble::MissingPermissions, None)));
        assert!(after.reported);
        assert_eq!(Standing { trouble: None, reported: false, ..after }, before);
    }

    #[test]
    fn what_an_earlier_removal_took_is_looked_for_after_the_next_one_too() {
        let removal = |command, removes: &[RoleId]| Attempt {
            removes: removes.iter().copied().collect(),
            ..attempt(command, &[])
        };
        let member = |command, given: &[RoleId]| Report {
            brought_in: false,
            ..report(command, true, given)
        };
        let story = [
            AccessGranted(member(5, &[VIP, GOLD])),
            RolesAttempted(removal(6, &[GOLD])),
            AccessChanged(member(6, &[VIP])),
            RemovalAttempted(removal(7, &[VIP])),
            AccessRevoked(Report {
                present: Some(true),
                brought_in: false,
                ..report(7, false, &[])
            }),
        ];
        let removed = standing(&story).removed.unwrap();
        assert_eq!(removed.roles, [VIP, GOLD].into());
        let again = [&story[..], &[AccessChanged(member(8, &[GOLD]))]].concat();
        assert_eq!(standing(&again).removed, None, "gold is given again");
    }

    #[test]
    fn who_joined_again_unseen_has_nothing_from_the_hub() {
        let inside = Report { joined_at: Some(minute(0)), ..report(5, true, &[VIP]) };
        let inside = standing(&[AccessGranted(inside)]);
        assert!(inside.joined_anew(Some(minute(1))));
        assert!(!inside.joined_anew(Some(minute(0))) && !inside.joined_anew(None));
        let rejoined = Command::Observe { holder: holder(1), sighting: Sighting::Rejoined };
        given::<Access>([AccessGranted(report(5, true, &[VIP]))])
            .when(rejoined)
            .then([MemberReturned { holder: holder(1) }]);
        let after = standing(&[
            AccessGranted(report(5, true, &[VIP])),
            MemberReturned { holder: holder(1) },
        ]);
        assert_eq!((after.present, after.holds_anything()), (Some(true), false));
    }

    #[test]
    fn what_a_removal_may_have_taken_is_not_counted_as_held() {
        let removal = Attempt { removes: [VIP].into(), ..attempt(9, &[]) };
        let state = crate::fold::<Access>(&[
            AccessGranted(report(5, true, &[VIP])),
            RemovalAttempted(removal),
        ]);
        let standing = state.standings.values().next().unwrap();
        assert_eq!((standing.present, &standing.given), (None, &[].into()));
        assert_eq!(standing.roles(), [VIP].into());
        // Renewed before the outcome was known: both the server and the role are asked for again.
        let wanted = Desired { present: true, roles: [VIP].into() };
        let rules = crate::desired::Rules { kick: true, ..Default::default() };
        let plan = crate::desired::plan(standing, &wanted, &rules);
        assert!(plan.join && plan.grant == [VIP].into() && plan.remove.is_empty());
    }

    #[test]
    fn what_a_member_had_before_a_join_whose_answer_is_lost_stays_theirs() {
        let lost = standing(&[JoinAttempted(attempt(5, &[VIP, GOLD]))]);
        let found = |seen: &Seen| {
            let Found { brought_in, given, kept, .. } =
                lost.found(seen, &[VIP, GOLD].into(), minute(6));
            (brought_in, given, kept)
        };
        let theirs = (false, [].into(), [VIP].into());
        assert_eq!(found(&seen_after(5, 4, &[VIP])), theirs);
        // Whoever the lost join brought in has from the Hub what was to follow it.
        assert_eq!(found(&seen_after(5, 6, &[VIP])), (true, [VIP].into(), [].into()));
        let early = |ms| Some(minute(5) - TimeDelta::milliseconds(ms));
        let after = |joined_at| Seen { joined_at, ..seen_after(5, 0, &[VIP]) };
        assert!(found(&after(early(500))).0, "clocks differ a little");
        assert_eq!(found(&after(early(5_000))), theirs);
        // An answer is a better witness than any clock.
        assert_eq!(found(&seen(6, &[VIP])), theirs);
    }

    #[test]
    fn what_is_given_after_a_member_was_looked_at_is_the_hub_s_and_what_was_found_is_not() {
        let found = Found {
            joined_at: Some(minute(0)),
            brought_in: false,
            given: BTreeSet::new(),
            kept: [VIP].into(),
        };
        let looked = [
            JoinAttempted(attempt(5, &[VIP, GOLD])),
            RolesAttempted(Attempt { found: Some(found.clone()), ..attempt(5, &[GOLD]) }),
        ];
        let known = standing(&looked);
        assert_eq!((known.present, known.join_attempted), (Some(true), None));
        assert_eq!((known.roles(), &known.kept), ([GOLD].into(), &found.kept));
        // The process died while it gave Gold: it may be there, and is the Hub's then.
        let wanted = [VIP, GOLD].into();
        let again = known.found(&seen(0, &[VIP, GOLD]), &wanted, minute(6));
        assert_eq!((again.given, again.kept), ([GOLD].into(), [VIP].into()));
        given::<Access>(looked)
            .when(Command::Start {
                attempt: Attempt { found: Some(found), ..attempt(5, &[GOLD]) },
                calls: Calls::Roles,
            })
            .then_nothing();
    }

    #[test]
    fn roles_that_a_removal_may_have_taken_stay_the_hub_s_where_a_join_finds_them() {
        let removal = Attempt { removes: [VIP].into(), ..attempt(9, &[]) };
        let known = standing(&[
            AccessGranted(report(5, true, &[VIP])),
            RemovalAttempted(removal),
            JoinAttempted(attempt(12, &[VIP])),
        ]);
        let stayed = known.found(&seen_after(12, 1, &[VIP]), &[VIP].into(), minute(13));
        assert_eq!((stayed.brought_in, stayed.given), (true, [VIP].into()));
        let rejoined = known.found(&seen_after(12, 10, &[VIP]), &[VIP].into(), minute(13));
        assert_eq!((rejoined.brought_in, rejoined.kept), (false, [VIP].into()), "by themselves");
        let brought_back = known.found(&seen_after(12, 13, &[VIP]), &[VIP].into(), minute(13));
        assert_eq!((brought_back.brought_in, brought_back.given), (true, [VIP].into()));
    }

    #[test]
    fn a_grant_then_a_change_then_a_revocation() {
        given::<Access>([JoinAttempted(attempt(5, &[VIP]))])
            .when(Command::Report(report(5, true, &[VIP])))
            .then([AccessGranted(report(5, true, &[VIP]))]);
        let granted = [JoinAttempted(attempt(5, &[VIP])), AccessGranted(report(5, true, &[VIP]))];
        given::<Access>(granted.clone())
            .when(Command::Report(report(7, true, &[VIP, GOLD])))
            .then([AccessChanged(report(7, true, &[VIP, GOLD]))]);
        given::<Access>(granted)
            .when(Command::Report(report(8, false, &[])))
            .then([AccessRevoked(report(8, false, &[]))]);
    }

    #[test]
    fn a_failed_removal_is_never_written_down_as_done() {
        given::<Access>([AccessGranted(report(5, true, &[VIP]))])
            .when(Command::Report(refused(8, &[VIP])))
            .then([RevokeBlocked(refused(8, &[VIP]))]);
        let state = crate::fold::<Access>(&[
            AccessGranted(report(5, true, &[VIP])),
            RevokeBlocked(refused(8, &[VIP])),
        ]);
        assert!(state.standings.values().next().unwrap().holds_anything());
    }

    #[test]
    fn a_late_report_of_an_older_command_is_dropped() {
        given::<Access>([AccessRevoked(report(9, false, &[]))])
            .when(Command::Report(report(5, true, &[VIP])))
            .refused(Refusal::Superseded);
        given::<Access>([RemovalAttempted(attempt(9, &[]))])
            .when(start(5, Calls::Join, &[VIP]))
            .refused(Refusal::Superseded);
    }

    #[test]
    fn who_left_and_came_back_by_themselves_was_not_brought_in() {
        let state = crate::fold::<Access>(&[
            AccessGranted(report(5, true, &[VIP])),
            MemberLeft { holder: holder(1) },
            MemberReturned { holder: holder(1) },
        ]);
        let standing = state.standings.values().next().unwrap();
        assert_eq!(
            (standing.brought_in, standing.present, standing.gone),
            (false, Some(true), None)
        );
        assert!(standing.given.is_empty());
    }

    #[test]
    fn only_roles_that_the_hub_gave_can_drift() {
        let observe = |roles: &[RoleId]| Command::Observe {
            holder: holder(1),
            sighting: Sighting::Missing(roles.iter().copied().collect()),
        };
        given::<Access>([AccessGranted(report(5, true, &[VIP]))])
            .when(observe(&[VIP, GOLD]))
            .then([DriftObserved { holder: holder(1), missing: [VIP].into() }]);
        given::<Access>([AccessGranted(report(5, true, &[VIP]))])
            .when(observe(&[GOLD]))
            .then_nothing();
        given::<Access>([]).when(observe(&[VIP])).then_nothing();
    }

    #[test]
    fn a_removal_that_discord_lost_is_due_again() {
        let revoked = [
            AccessGranted(report(5, true, &[VIP])),
            AccessRevoked(Report { given: [].into(), ..report(8, false, &[]) }),
        ];
        let still = |roles: &[RoleId], brought_in| Command::Observe {
            holder: holder(1),
            sighting: Sighting::StillThere { roles: roles.iter().copied().collect(), brought_in },
        };
        let found = RemovalFoundUndone { holder: holder(1), roles: [VIP].into(), brought_in: true };
        given::<Access>(revoked.clone()).when(still(&[VIP], true)).then([found.clone()]);
        given::<Access>(revoked).when(still(&[], false)).then_nothing();
        let state = crate::fold::<Access>(&[AccessRevoked(report(8, false, &[])), found]);
        let rules = crate::desired::Rules { kick: true, ..Default::default() };
        let standing = state.standings.values().next().unwrap();
        let plan = crate::desired::plan(standing, &Desired::default(), &rules);
        assert!(plan.kick && plan.remove == [VIP].into());
    }

    #[test]
    fn what_a_removal_left_is_the_hub_s_still_and_what_was_given_since_is_not() {
        let left = |member: bool, brought_in: bool, joined: i64, now: i64| {
            let granted =
                Report { joined_at: Some(minute(0)), brought_in, ..report(5, true, &[VIP]) };
            let removal = Attempt { removes: [VIP].into(), ..attempt(8, &[]) };
            let revoked =
                Report { present: Some(!member), brought_in: false, ..report(8, false, &[]) };
            let events =
                [AccessGranted(granted), RemovalAttempted(removal), AccessRevoked(revoked)];
            let known = standing(&events);
            let seen = seen(joined, &[VIP, GOLD]);
            let undone = known.removed.as_ref().unwrap();
            let undone = undone.left(seen.joined_at, &seen.roles, minute(now));
            let found = known.found(&seen, &[VIP].into(), minute(now));
            let ours = |(roles, member): &(BTreeSet<RoleId>, bool)| (roles.clone(), *member);
            assert_eq!(
                undone.as_ref().map(ours),
                Some((found.given.clone(), found.brought_in)).filter(|_| undone.is_some())
            );
            assert!(undone.is_some() || found.kept == [VIP].into());
            undone
        };
        let (vip, nobody) = (BTreeSet::from([VIP]), None);
        assert_eq!(left(true, true, 0, 9), Some((vip.clone(), true)));
        assert_eq!(
            left(true, true, 0, 900),
            Some((vip.clone(), true)),
            "the time of joining is proof"
        );
        assert_eq!(left(true, true, 8, 9), nobody, "they came again by themselves");
        assert_eq!(left(false, false, 0, 9), Some((vip, false)));
        assert_eq!(left(false, false, 0, 13), nobody, "somebody may have given it again");
        assert_eq!(left(false, false, 8, 9), nobody, "they came again, and were given it");
    }

    #[test]
    fn who_could_not_be_brought_in_and_joins_by_themselves_is_there() {
        let outside = AccessBlocked(Report { present: Some(false), ..refused(5, &[]) });
        let observe = |sighting| Command::Observe { holder: holder(1), sighting };
        given::<Access>([outside.clone()])
            .when(observe(Sighting::Returned))
            .then([MemberReturned { holder: holder(1) }]);
        given::<Access>([outside, MemberReturned { holder: holder(1) }])
            .when(observe(Sighting::Returned))
            .then_nothing();
    }

    #[test]
    fn who_is_seen_while_a_removal_is_owed_has_not_returned() {
        let owed = RevokeBlocked(Report {
            present: None,
            brought_in: true,
            trouble: Some(Trouble::BotMissing),
            ..refused(8, &[VIP])
        });
        let seen = Command::Observe { holder: holder(1), sighting: Sighting::Returned };
        given::<Access>([AccessGranted(report(5, true, &[VIP])), owed]).when(seen).then_nothing();
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let roles = || prop::collection::vec(prop::sample::select(vec![VIP, GOLD]), 0..3);
        prop_oneof![
            (
                1u64..6,
                prop::sample::select(vec![Calls::Join, Calls::Roles, Calls::Removal]),
                roles()
            )
                .prop_map(|(command, calls, roles)| start(command, calls, &roles)),
            (1u64..6, any::<bool>(), roles()).prop_map(
                |(command, present, roles)| Command::Report(report(command, present, &roles))
            ),
            (1u64..6, roles())
                .prop_map(|(command, roles)| Command::Report(refused(command, &roles))),
            prop::sample::select(vec![
                Sighting::Left,
                Sighting::Returned,
                Sighting::Banned,
                Sighting::Missing([VIP].into()),
                Sighting::StillThere { roles: [VIP].into(), brought_in: true },
            ])
            .prop_map(|sighting| Command::Observe { holder: holder(1), sighting }),
        ]
    }

    proptest! {
        #[test]
        fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..12), command in any_command()) {
            let mut state = State::default();
            for command in before.into_iter().chain([command.clone()]) {
                for event in Access::decide(&state, command).unwrap_or_default() {
                    Access::evolve(&mut state, &event);
                }
            }
            prop_assert_eq!(Access::decide(&state, command).unwrap_or_default(), vec![]);
        }

        #[test]
        fn a_role_leaves_the_books_only_when_discord_confirmed_or_showed_it(
            before in prop::collection::vec(any_command(), 0..12),
            command in any_command(),
        ) {
            let mut state = State::default();
            for command in before {
                for event in Access::decide(&state, command).unwrap_or_default() {
                    Access::evolve(&mut state, &event);
                }
            }
            let held = |state: &State| state.standings.values().next().map(Standing::roles).unwrap_or_default();
            let had = held(&state);
            for event in Access::decide(&state, command).unwrap_or_default() {
                Access::evolve(&mut state, &event);
                let lost = !had.is_subset(&held(&state));
                prop_assert!(!lost || !matches!(event, JoinAttempted(_) | RolesAttempted(_) | RemovalAttempted(_)));
            }
        }
    }
}
