//! What is left to do on Discord.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Rules;
use crate::{
    access::{Desired, Standing},
    ids::RoleId,
    integration::Drift,
};

/// What is left to do on Discord to get from a standing to the desired access.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub join: bool,
    pub grant: BTreeSet<RoleId>,
    pub remove: BTreeSet<RoleId>,
    /// Remove the account from the server, if the Hub is found to have brought it in.
    pub kick: bool,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every call of this plan is one of another.
    pub(super) fn is_part_of(&self, other: &Self) -> bool {
        (other.join || !self.join)
            && (other.kick || !self.kick)
            && self.grant.is_subset(&other.grant)
            && self.remove.is_subset(&other.remove)
    }
}

/// The way from `standing` to `desired`; none in a server that was let go.
pub fn plan(standing: &Standing, desired: &Desired, rules: &Rules) -> Plan {
    if rules.let_go { Plan::default() } else { owed(standing, desired, rules) }
}

/// The way from `standing` to `desired`, whoever holds the server.
pub(super) fn owed(standing: &Standing, desired: &Desired, rules: &Rules) -> Plan {
    let withheld = withheld(standing, rules);
    let ours = standing.brought_in || standing.join_attempted.is_some();
    Plan {
        join: desired.present && standing.present != Some(true) && standing.gone.is_none(),
        grant: if standing.gone.is_some() {
            BTreeSet::new()
        } else {
            let has = |role: &RoleId| {
                standing.given.contains(role)
                    || standing.kept.contains(role)
                    || withheld.contains(role)
                    // What was tried is not known to be refused before its report.
                    || (rules.refused.contains_key(role) && !standing.maybe_given.contains(role))
            };
            desired.roles.iter().filter(|role| !has(role)).copied().collect()
        },
        remove: standing.roles().difference(&desired.roles).copied().collect(),
        kick: !desired.present && rules.kick && ours && standing.present != Some(false),
    }
}

/// How often a role may be taken away before it is no longer given again.
pub(crate) const CONTESTED: u32 = 3;

/// The roles that somebody took away and that are not given again by themselves.
pub(crate) fn withheld(standing: &Standing, rules: &Rules) -> BTreeSet<RoleId> {
    if rules.drift == Drift::Repair && standing.drifts < CONTESTED {
        BTreeSet::new()
    } else {
        standing.missing.clone()
    }
}
