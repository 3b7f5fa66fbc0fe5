//! From facts to access: why a fan should have what, and what is left to do on Discord.
//!
//! A pure function of the facts: the order in which they became known does not matter.
//!
//! `plan` is what is left to do; `place` decides whether that makes a new command for one account.

mod place;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::Desired,
    account::AccountKey,
    fan::{BrokenBy, Grant, Link},
    ids::{CreatorId, GuildId, HoldId, IntegrationId, MembershipId, RoleId, TierId},
    integration::State as Integration,
    kept::Kept,
    membership::Status as MembershipStatus,
};

pub use place::{Decided, Place, Rules};
pub(crate) use plan::{CONTESTED, withheld};
pub use plan::{Plan, plan};

/// What is known of one fan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub link: Option<Link>,
    pub broken: Option<BrokenBy>,
    pub memberships: BTreeMap<MembershipId, Held>,
    /// Whether an integration is on for this fan; one that is not in here waits to be activated.
    pub active: BTreeMap<IntegrationId, bool>,
    pub standings: BTreeMap<GuildId, BTreeMap<AccountKey, Place>>,
    /// What creators gave by hand.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grants: BTreeMap<IntegrationId, Grant>,
    /// The integrations whose creator withholds all access.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<IntegrationId>,
    /// What is kept although what gave it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// A membership that a fan holds or held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub creator: CreatorId,
    pub tier: TierId,
    pub status: MembershipStatus,
    pub ends_at: Option<DateTime<Utc>>,
    pub live: bool,
}

/// What makes a reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A live membership, through an attachment of its tier.
    Membership(MembershipId, TierId),
    /// A creator, by hand.
    Hand,
    /// Its removal is held, or was rejected.
    Kept(HoldId),
}

/// Why a fan should be in a server with some roles.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason {
    pub guild: GuildId,
    pub integration: IntegrationId,
    pub cause: Cause,
    pub roles: BTreeSet<RoleId>,
}

/// Every reason that a fan has, through the integrations of the creators whose tiers they hold.
pub fn reasons<'a>(
    facts: &Facts,
    integrations: impl IntoIterator<Item = (IntegrationId, &'a Integration)>,
) -> Vec<Reason> {
    let mut reasons = vec![];
    if facts.link.is_none() {
        return reasons;
    }
    for (integration, state) in integrations {
        let Some(guild) = state.open_guild().filter(|_| is_on(facts, integration)) else {
            continue;
        };
        if let Some(grant) = facts.grants.get(&integration) {
            let roles = grant.roles.clone();
            reasons.push(Reason { guild, integration, cause: Cause::Hand, roles });
        }
        let kept = facts.kept.iter();
        for kept in kept.filter(|kept| kept.integration == integration && kept.guild == guild) {
            let cause = Cause::Kept(kept.hold);
            reasons.push(Reason { guild, integration, cause, roles: kept.roles.clone() });
        }
        if facts.active.get(&integration) != Some(&true) {
            continue;
        }
        for (membership, held) in offered(facts, state) {
            if let Some(roles) = state.attachments.get(&held.tier).filter(|_| held.live) {
                let cause = Cause::Membership(membership.clone(), held.tier.clone());
                reasons.push(Reason { guild, integration, cause, roles: roles.clone() });
            }
        }
    }
    reasons
}

/// Whether a fan may have access through an integration: nobody withholds it, and they want it. What is given by hand
/// needs no click of theirs where it comes from a creator of whom they hold or held a membership, and yields to their
/// no. Nobody is brought into a stranger's server without having said so.
pub(crate) fn is_on(facts: &Facts, integration: IntegrationId) -> bool {
    let given = || facts.grants.get(&integration).is_some_and(|grant| facts.knows(&grant.creator));
    let wanted = facts.active.get(&integration).copied().unwrap_or_else(given);
    wanted && !facts.withheld.contains(&integration)
}

/// The memberships, live or not, whose tier an integration gives access to.
pub fn offered<'a>(
    facts: &'a Facts,
    integration: &'a Integration,
) -> impl Iterator<Item = (&'a MembershipId, &'a Held)> {
    facts.memberships.iter().filter(|(_, held)| {
        integration.creator.as_ref() == Some(&held.creator)
            && integration.attachments.contains_key(&held.tier)
    })
}

/// The desired access in every server: the union of the reasons there.
pub fn desired<'a>(reasons: impl IntoIterator<Item = &'a Reason>) -> BTreeMap<GuildId, Desired> {
    let mut desired: BTreeMap<GuildId, Desired> = BTreeMap::new();
    for reason in reasons {
        let server = desired.entry(reason.guild).or_default();
        server.present = true;
        server.roles.extend(&reason.roles);
    }
    desired
}
