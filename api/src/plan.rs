//! What a change of attachments would do, before it is made.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    CreatorId, IntegrationId, RoleId, TierId,
    access::Desired,
    desired::{Facts, desired, reasons},
    hold::{Cause, Held},
    integration::{self, State},
    kept::{Because, Known},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, error::ApiError, reason::Reason};

/// How many fans are looked at with one query.
const PAGE: u32 = 500;

/// How many fans gain or lose a role.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RoleCount {
    pub(crate) role: RoleId,
    pub(crate) fans: u64,
}

/// A role that cannot be given.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UnmanageableAnswer {
    pub(crate) tier: TierId,
    pub(crate) role: RoleId,
    pub(crate) why: Reason,
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Plan {
    /// How many fans something changes for.
    pub(crate) fans: u64,
    pub(crate) gain: Vec<RoleCount>,
    pub(crate) lose: Vec<RoleCount>,
    /// How many fans would be removed from the server.
    pub(crate) leave_server: u64,
    /// The roles that cannot be given: with one of them the change is refused.
    pub(crate) unmanageable: Vec<UnmanageableAnswer>,
    /// The roles to be given that bring power over the server with them.
    pub(crate) warnings: Vec<Reason>,
    /// Whether what it takes away would wait for approval: it is over the integration's removal limit.
    pub(crate) held: bool,
    /// The hold that it needs.
    #[serde(skip)]
    pub(crate) needs: Option<Held>,
}

/// What to think of before these roles are given.
pub(crate) fn warnings(state: &State, tiers: &BTreeMap<TierId, BTreeSet<RoleId>>) -> Vec<Reason> {
    let roles: BTreeSet<_> = tiers.values().flatten().copied().collect();
    let known = roles.into_iter().filter_map(|role| state.roles.as_ref()?.role(role));
    known.filter_map(Reason::of_powers).collect()
}

/// The difference between two states of an integration for everybody who holds one of `tiers`.
pub(crate) async fn plan(
    app: &App,
    creator: &CreatorId,
    id: IntegrationId,
    before: &State,
    after: &State,
    tiers: &BTreeMap<TierId, BTreeSet<RoleId>>,
) -> Result<Plan, ApiError> {
    app.caught_up().await?;
    let access = app.views.fan_access();
    let others = access.integrations_of(creator).await?;
    let (mut gain, mut lose) = (BTreeMap::<RoleId, u64>::new(), BTreeMap::<RoleId, u64>::new());
    let (mut changed, mut leave_server) = (0, 0);
    let mut counted = BTreeSet::new();
    let mut losing = 0;
    for tier in tiers.keys() {
        let mut last = None;
        loop {
            let fans = access.holders(creator, tier, last.as_ref(), PAGE).await?;
            let Some(end) = fans.last().cloned() else { break };
            for (fan, mut facts) in access.facts_of(&fans).await? {
                if !counted.insert(fan) {
                    continue;
                }
                let was = wanted(&facts, &others, id, before);
                let mut stake = BTreeSet::new();
                for because in tiers.keys().cloned().map(Because::Tier) {
                    stake.extend(facts.at_stake(id, before, &because).unwrap_or_default());
                    facts.decide_anew(id, &because);
                }
                losing += u64::from(facts.loses(id, &stake, &with(&others, id, after)).is_some());
                let will = wanted(&facts, &others, id, after);
                if was == will {
                    continue;
                }
                changed += 1;
                for role in will.roles.difference(&was.roles) {
                    *gain.entry(*role).or_default() += 1;
                }
                for role in was.roles.difference(&will.roles) {
                    *lose.entry(*role).or_default() += 1;
                }
                leave_server +=
                    u64::from(was.present && !will.present && is_kicked(&facts, before));
            }
            last = Some(end);
        }
    }
    let count = |roles: BTreeMap<RoleId, u64>| {
        roles.into_iter().map(|(role, fans)| RoleCount { role, fans }).collect()
    };
    let unmanageable = before.unmanageable(tiers).into_iter().map(|role| {
        let integration::Unmanageable { tier, role, why } = role;
        UnmanageableAnswer { tier, role, why: Reason::of((why, None)) }
    });
    let needs = access.hold_for(id, before, losing, Cause::Attachments, None).await?;
    Ok(Plan {
        fans: changed,
        gain: count(gain),
        lose: count(lose),
        leave_server,
        unmanageable: unmanageable.collect(),
        warnings: warnings(before, tiers),
        held: needs.is_some(),
        needs,
    })
}

/// How many former fans would be removed from the server if this were the integration's policy.
pub(crate) async fn losing_by_policy(
    app: &App,
    id: IntegrationId,
    after: &State,
) -> Result<u64, ApiError> {
    app.caught_up().await?;
    let access = app.views.fan_access();
    let Some(creator) = &after.creator else { return Ok(0) };
    let others = access.integrations_of(creator).await?;
    let known = with(&others, id, after);
    let (mut losing, mut last) = (0, None);
    loop {
        let rows = access.fans(id, None, last.as_ref(), PAGE).await?;
        let Some(end) = rows.last() else { return Ok(losing) };
        last = Some(end.fan.clone());
        let fans: Vec<_> = rows.into_iter().map(|row| row.fan).collect();
        for (_, mut facts) in access.facts_of(&fans).await? {
            facts.decide_anew(id, &Because::Policy);
            losing += u64::from(facts.loses(id, &BTreeSet::new(), &known).is_some());
        }
    }
}

/// A creator's integrations, one of them as it would be.
fn with<'a>(
    others: &'a [(IntegrationId, State)],
    id: IntegrationId,
    state: &'a State,
) -> Known<'a> {
    others.iter().map(|(other, known)| (*other, if *other == id { state } else { known })).collect()
}

/// What a fan should have in the integration's server, were it in this state.
fn wanted(
    facts: &Facts,
    others: &[(IntegrationId, State)],
    id: IntegrationId,
    state: &State,
) -> Desired {
    let wanted = desired(&reasons(facts, with(others, id, state)));
    state.open_guild().and_then(|guild| wanted.get(&guild).cloned()).unwrap_or_default()
}

/// Whether losing the last reason removes the fan from the server, and not their roles alone.
fn is_kicked(facts: &Facts, state: &State) -> bool {
    let (Some(guild), Some(link)) = (state.open_guild(), &facts.link) else { return false };
    let place = facts.standings.get(&guild).and_then(|places| places.get(&link.account_key));
    place.is_some_and(|place| {
        place.rules.kick && (place.standing.brought_in || place.standing.join_attempted.is_some())
    })
}
