//! One account in one server: what was decided for it, and under which rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Plan, plan, plan::owed};
use crate::{
    access::{Desired, Standing},
    fan::BrokenBy,
    ids::{GuildId, IntegrationId, RoleId},
    integration::{Drift, OnEnd, State as Integration},
    personal::{Account, Personal},
    status::obstacle,
    trouble::Trouble,
};

/// One account in one server: where it stands, and through which integrations it has been given access.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub standing: Standing,
    /// Every integration that gave a reason since the account last came to have something.
    pub contributors: BTreeSet<IntegrationId>,
    /// Those through which something may still be held.
    pub holding: BTreeSet<IntegrationId>,
    pub rules: Rules,
    pub decided: Decided,
}

/// The desired access that was last decided.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    pub desired: Desired,
    /// The version of its command: the position of the event that made it due.
    pub version: u64,
    /// Whether something is left to do.
    pub open: bool,
    /// Whether that waits for somebody to mend something.
    pub parked: bool,
    /// The calls that its command was made for.
    #[serde(default, skip_serializing_if = "Plan::is_empty")]
    pub plan: Plan,
}

/// What the integrations on a server say together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Whether every contributor wants the fan removed from the server at the end.
    pub kick: bool,
    pub drift: Drift,
    /// Whether the bot was thrown out of the server.
    pub bot_missing: bool,
    /// Whether the server was let go: it may be another creator's by now, so nothing is done in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub let_go: bool,
    /// Roles that the bot is known not to be able to give or take: nobody is tried in vain.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<RoleId, Trouble>,
}

impl Rules {
    /// The rules in `guild` for somebody to whom `contributors` gave reasons, and whom `concerned` roles concern.
    pub fn of<'a>(
        guild: GuildId,
        contributors: impl IntoIterator<Item = &'a Integration>,
        concerned: &BTreeSet<RoleId>,
    ) -> Self {
        let contributors: Vec<_> = contributors.into_iter().collect();
        let any = !contributors.is_empty();
        // One that was let go hears nothing of the server any more, so the others know better.
        let held = contributors.iter().any(|one| one.held_guild() == Some(guild));
        let mut rules = Self { kick: any, let_go: any && !held, ..Self::default() };
        let (mut repair, mut report) = (!any, false);
        let mut lists = vec![];
        for integration in contributors {
            rules.kick &= integration.on_end == OnEnd::RemoveFromServer;
            // One that has moved to another server knows nothing of this one any more.
            if integration.server.as_ref().is_none_or(|server| server.id != guild)
                || (held && integration.held_guild().is_none())
            {
                continue;
            }
            repair |= integration.drift == Drift::Repair;
            report |= integration.drift == Drift::Report;
            rules.bot_missing |= integration.bot_missing;
            lists.extend(&integration.roles);
        }
        // They are read one after another: what one of them allows is tried.
        let refused = |role: &RoleId| {
            let whys: Option<Vec<_>> =
                lists.iter().map(|list| list.why_not(guild, *role)).collect();
            Some((*role, whys?.pop()?))
        };
        rules.refused = concerned.iter().filter_map(refused).collect();
        // The one that cares most decides.
        rules.drift = match (repair, report) {
            (true, _) => Drift::Repair,
            (false, true) => Drift::Report,
            (false, false) => Drift::Respect,
        };
        rules
    }
}

impl Place {
    pub fn new(account: Personal<Account>) -> Self {
        Self {
            standing: Standing::new(account),
            contributors: BTreeSet::new(),
            holding: BTreeSet::new(),
            rules: Rules::default(),
            decided: Decided::default(),
        }
    }

    /// Whether the server does not have a role any more: then nobody has it.
    pub fn is_deleted(&self, role: RoleId) -> bool {
        self.rules.refused.get(&role) == Some(&Trouble::RoleDeleted)
    }

    pub fn plan(&self) -> Plan {
        plan(&self.standing, &self.decided.desired, &self.rules)
    }

    /// Whether the server was let go while something was still to be taken away there.
    pub fn is_left_behind(&self) -> bool {
        self.rules.let_go
            && !self.holding.is_empty()
            && !owed(&self.standing, &self.decided.desired, &self.rules).is_empty()
    }

    /// Decides anew after the event at `position`. Another wish, calls that the open command does not make, or an
    /// obstacle that is gone makes a new command; anything else leaves the one that is open as it is.
    ///
    /// `through`: the integrations that give a reason now. `rules`: what some integrations together say.
    pub fn decide(
        &mut self,
        desired: Desired,
        through: &BTreeSet<IntegrationId>,
        rules: impl FnOnce(&BTreeSet<IntegrationId>, &BTreeSet<RoleId>) -> Rules,
        broken: Option<BrokenBy>,
        position: u64,
    ) {
        if !self.decided.open && !self.standing.holds_anything() && !through.is_empty() {
            self.contributors.clear();
        }
        self.contributors.extend(through);
        self.holding.extend(through);
        let concerned = desired.roles.union(&self.standing.roles()).copied().collect();
        self.rules = rules(&self.contributors, &concerned);
        let changed = self.decided.desired != desired;
        if changed {
            self.standing.trouble = None;
            self.standing.drifts = 0;
            self.decided.desired = desired;
        }
        let plan = self.plan();
        let open = !plan.is_empty();
        let parked = open && obstacle(self, broken).is_some();
        let more = !plan.is_part_of(&self.decided.plan);
        let due = changed || !self.decided.open || more || (self.decided.parked && !parked);
        if open && due {
            self.decided.version = position;
        }
        // What is only to be given may wait for long, and is held by nobody whose access has ended.
        if plan.remove.is_empty() && !plan.kick && !self.is_left_behind() {
            self.holding.clone_from(through);
        }
        // Also where it makes fewer calls now: whoever executes it may have taken it as it is from here on, so a call
        // that comes back needs a new one.
        self.decided.plan = plan;
        self.decided.open = open;
        self.decided.parked = parked;
    }
}
