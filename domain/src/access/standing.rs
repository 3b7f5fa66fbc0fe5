//! Where one account stands in one server: what it has from the Hub, may have, and what was taken from it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Attempt, Event, Report};
use crate::{
    discord::RoleList,
    ids::RoleId,
    personal::{Account, Personal},
    trouble::Matter,
};

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

/// Tries of a removal that lie no further apart are one attempt: its time stays near enough to tell a fresh removal.
const SAME_ATTEMPT: TimeDelta = TimeDelta::minutes(1);

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
    /// Roles that it had when they were attempted to be taken: Discord has told nothing else yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub untaken: BTreeSet<RoleId>,
    /// Whether it was in the server, as Discord last told, while an attempt makes that unsure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_present: Option<bool>,
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
    /// Roles that the account had and somebody else took away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<RoleId>,
    /// Those among them that it had from elsewhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing_kept: BTreeSet<RoleId>,
    /// How often that happened since the desired access changed or somebody looked into it.
    #[serde(default)]
    pub drifts: u32,
    /// What Discord refused of the last command, and the role that it is about.
    pub trouble: Option<Matter>,
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
            untaken: BTreeSet::new(),
            was_present: None,
            join_attempted: None,
            removal_attempted: None,
            taking: None,
            removed: None,
            gone: None,
            missing: BTreeSet::new(),
            missing_kept: BTreeSet::new(),
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

    /// Every role that the account has from the Hub, by what Discord last told: what is being taken is there until it
    /// has accepted that.
    pub fn observed_roles(&self) -> BTreeSet<RoleId> {
        self.given.union(&self.untaken).copied().collect()
    }

    /// Whether the account is in the server, by what Discord last told.
    pub fn observed_present(&self) -> Option<bool> {
        self.present.or(self.was_present)
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

    /// Whether an attempt is under way of which this event would tell nothing new.
    pub(super) fn is_attempting(&self, event: &Event) -> bool {
        let mut after = self.clone();
        after.apply(event);
        if let (Some(first), Some(again)) = (&self.taking, &mut after.taking)
            && (again.roles.is_empty() || again.at - first.at < SAME_ATTEMPT)
        {
            again.at = first.at;
        }
        !self.reported && after == *self
    }

    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::JoinAttempted(attempt) => {
                self.with_join.extend(attempt.roles.difference(&self.roles()));
                self.start(attempt);
                self.join_attempted.get_or_insert(attempt.at);
                // Who was outside may be inside from here on.
                if self.present == Some(false) {
                    self.was_present = self.present.take();
                }
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
                    self.was_present = self.present.take().or(self.was_present);
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
                self.missing_kept.retain(|role| !missing.contains(role));
                self.missing_kept.extend(self.kept.intersection(missing));
                self.drifts += 1;
                self.given.retain(|role| !missing.contains(role));
                self.kept.retain(|role| !missing.contains(role));
                self.maybe_given.retain(|role| !missing.contains(role));
                self.with_join.retain(|role| !missing.contains(role));
                self.untaken.retain(|role| !missing.contains(role));
            }
            Event::DriftMended { roles, kept, .. } => {
                self.missing.retain(|role| !roles.contains(role) && !kept.contains(role));
                self.given.extend(roles);
                self.kept.extend(kept);
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
                self.untaken.clear();
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
        self.untaken.clear();
        self.was_present = None;
        self.join_attempted = None;
        self.removal_attempted = None;
    }

    fn start(&mut self, attempt: &Attempt) {
        self.account = attempt.holder.account.clone();
        self.maybe_given.extend(attempt.roles.difference(&self.given).copied());
        // What may be taken is held for certain no longer: should it be wanted again, it is given again.
        let unsure: Vec<_> = self.given.intersection(&attempt.removes).copied().collect();
        self.given.retain(|role| !attempt.removes.contains(role));
        self.untaken.extend(&unsure);
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

    /// The account is anybody's again: nothing that it has is the Hub's any more, but what a removal may not have taken.
    pub fn release(&mut self) {
        *self = Self {
            present: self.observed_present(),
            joined_at: self.joined_at,
            removed: self.removed.take(),
            gone: self.gone,
            command: self.command,
            reported: self.reported,
            ..Self::new(self.account.clone())
        };
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
