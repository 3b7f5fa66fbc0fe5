//! How many fans a change would take access from, counted before it is made; and whether that has to wait for approval.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    CreatorId, HoldId, IntegrationId, RoleId,
    desired::Facts,
    hold::{Cause, Held},
    integration::State as Integration,
    kept::{Because, Known},
    membership::Event as MembershipEvent,
    status::Status,
};
use uuid::Uuid;

use crate::{fan_access::FanAccess, view::ViewError};

/// Counts what changes of memberships would take from their fans, through each integration.
pub struct Losing<'a> {
    access: &'a FanAccess,
    integrations: BTreeMap<CreatorId, Vec<(IntegrationId, Integration)>>,
    fans: BTreeMap<IntegrationId, u64>,
    held_until: BTreeMap<IntegrationId, DateTime<Utc>>,
}

impl<'a> Losing<'a> {
    pub fn new(access: &'a FanAccess) -> Self {
        Self {
            access,
            integrations: BTreeMap::new(),
            fans: BTreeMap::new(),
            held_until: BTreeMap::new(),
        }
    }

    /// Counts paid periods that ran out: those that a hold has taken in already are not counted again.
    pub async fn of_lapses(access: &'a FanAccess) -> Result<Self, ViewError> {
        let held_until = access.lapses_held_until().await?;
        Ok(Self { held_until, ..Self::new(access) })
    }

    /// Counts what one fan would lose by all these events together.
    pub async fn count(
        &mut self,
        mut facts: Facts,
        events: &[MembershipEvent],
    ) -> Result<(), ViewError> {
        for event in events {
            let creator = &event.terms().creator;
            if !self.integrations.contains_key(creator) {
                let all = self.access.integrations_of(creator).await?;
                self.integrations.insert(creator.clone(), all);
            }
        }
        let creators: BTreeSet<_> = events.iter().map(|event| &event.terms().creator).collect();
        let all = creators.into_iter().filter_map(|creator| self.integrations.get(creator));
        let known: Known<'_> = all.flatten().map(|(id, state)| (*id, state)).collect();
        let mut stakes: BTreeMap<IntegrationId, BTreeSet<RoleId>> = BTreeMap::new();
        for event in events {
            let because = Because::Membership(event.terms().membership.clone());
            for (id, integration) in &known {
                let ends_at = event.terms().ends_at;
                if ends_at.is_some_and(|ends_at| self.held_until.get(id) >= Some(&ends_at)) {
                    continue;
                }
                if let Some(roles) = facts.at_stake(*id, integration, &because) {
                    stakes.entry(*id).or_default().extend(roles);
                }
            }
            facts.report(event);
        }
        for (id, roles) in stakes {
            if facts.loses(id, &roles, &known).is_some() {
                *self.fans.entry(id).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The holds that have to be opened first.
    pub async fn holds(
        self,
        cause: Cause,
        until: Option<DateTime<Utc>>,
    ) -> Result<Vec<Held>, ViewError> {
        let mut holds = vec![];
        for (id, integration) in self.integrations.values().flatten() {
            let losing = self.fans.get(id).copied().unwrap_or_default();
            holds.extend(self.access.hold_for(*id, integration, losing, cause, until).await?);
        }
        Ok(holds)
    }
}

impl FanAccess {
    /// The hold that taking access from `losing` fans of an integration needs; `None` within its limit.
    pub async fn hold_for(
        &self,
        id: IntegrationId,
        integration: &Integration,
        losing: u64,
        cause: Cause,
        until: Option<DateTime<Utc>>,
    ) -> Result<Option<Held>, ViewError> {
        let Some(creator) = integration.creator.clone().filter(|_| losing > 0) else {
            return Ok(None);
        };
        let counts = self.counts(id).await?.into_iter();
        let having = counts
            .filter(|(status, _)| !matches!(status, Status::Available | Status::Revoked))
            .map(|(_, fans)| fans);
        let (of, limit) = (having.sum(), integration.removal_limit);
        let needed = || Held {
            hold: HoldId(Uuid::now_v7()),
            creator,
            integration: id,
            cause,
            losing,
            of,
            limit,
            until,
        };
        Ok(limit.is_exceeded(losing, of).then(needed))
    }
}
