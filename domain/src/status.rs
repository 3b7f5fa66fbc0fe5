//! How a fan stands in an integration, and what the matter is: told from the facts alone.

use serde::{Deserialize, Serialize};

use crate::{
    access::Gone,
    desired::{CONTESTED, Facts, Place, Plan, is_on, offered, withheld},
    fan::BrokenBy,
    ids::{IntegrationId, RoleId},
    integration::{Drift, Phase, State as Integration},
    trouble::{Matter, Trouble, Who},
};

/// How a fan stands in an integration.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not linked, or not activated.
    Available,
    Pending,
    Connected,
    ActionRequired,
    Blocked,
    Revoking,
    RevokeBlocked,
    Revoked,
}

impl Status {
    pub const ALL: [Self; 8] = [
        Self::Available,
        Self::Pending,
        Self::Connected,
        Self::ActionRequired,
        Self::Blocked,
        Self::Revoking,
        Self::RevokeBlocked,
        Self::Revoked,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Pending => "pending",
            Self::Connected => "connected",
            Self::ActionRequired => "action_required",
            Self::Blocked => "blocked",
            Self::Revoking => "revoking",
            Self::RevokeBlocked => "revoke_blocked",
            Self::Revoked => "revoked",
        }
    }
}

/// What stands in the way of the current command of `place`, if anything does.
///
/// `broken`: how the fan's link is broken, if it is. A removal never needs the link.
pub fn obstacle(place: &Place, broken: Option<BrokenBy>) -> Option<Matter> {
    let standing = &place.standing;
    let plan = place.plan();
    match standing.gone {
        Some(Gone::Banned) if place.decided.desired.present => {
            return Some((Trouble::Banned, None));
        }
        Some(Gone::Left) if place.decided.desired.present => {
            return Some((Trouble::LeftServer, None));
        }
        Some(Gone::Banned | Gone::Left) | None => {}
    }
    if place.is_left_behind() {
        return Some((Trouble::LeftBehind, None));
    }
    if place.rules.bot_missing && !plan.is_empty() {
        return Some((Trouble::BotMissing, None));
    }
    let withheld = withheld(standing, &place.rules);
    let mut withheld = withheld.intersection(&place.decided.desired.roles);
    if let Some(role) = withheld.find(|role| !place.is_deleted(**role)) {
        if standing.drifts >= CONTESTED {
            return Some((Trouble::RoleContested, Some(*role)));
        }
        if place.rules.drift == Drift::Report {
            return Some((Trouble::RoleTakenAway, Some(*role)));
        }
    }
    if let Some(refused) = refused(place, &plan) {
        return Some(refused);
    }
    if plan.is_empty() {
        return None;
    }
    // What was refused of a role that is not tried any more does not stand in the way of the others.
    let concerns = |role: Option<RoleId>| {
        role.is_none_or(|role| plan.grant.contains(&role) || plan.remove.contains(&role))
    };
    standing.trouble.filter(|(_, role)| concerns(*role)).or_else(|| {
        // Whoever is inside already is given roles without it, so that is looked at first.
        let outside = plan.join && standing.present == Some(false);
        broken.filter(|_| outside).map(|reason| (reason.trouble(), None))
    })
}

/// A role that is all that is left, and that the bot is known not to be able to give or take.
fn refused(place: &Place, plan: &Plan) -> Option<Matter> {
    if plan.join || plan.kick || !plan.grant.is_empty() {
        return None;
    }
    let (standing, refused) = (&place.standing, &place.rules.refused);
    let why = |role: &RoleId| refused.get(role).map(|why| (*why, Some(*role)));
    let has = |role: &&RoleId| {
        (standing.given.contains(*role) || standing.kept.contains(*role))
            && !place.is_deleted(**role)
    };
    // A role that is gone is nobody's: there is nothing to take.
    let stays = |role: &RoleId| why(role).filter(|(why, _)| *why != Trouble::RoleDeleted);
    if plan.remove.is_empty() {
        place.decided.desired.roles.iter().filter(|role| !has(role)).find_map(why)
    } else if plan.remove.iter().all(|role| stays(role).is_some()) {
        plan.remove.iter().find_map(stays)
    } else {
        None
    }
}

/// Whether roles are being taken that an integration may have given, alone or beside others on its server.
fn is_taking(place: &Place, id: IntegrationId, integration: &Integration) -> bool {
    let alone = place.holding.iter().all(|other| *other == id);
    let ours = |role: &RoleId| integration.attachments.values().any(|roles| roles.contains(role));
    place.plan().remove.iter().any(|role| alone || ours(role))
}

/// How a fan stands in one integration, and what the matter is. `None` where the integration neither
/// offers the fan anything nor ever gave them anything.
pub fn status(
    facts: &Facts,
    id: IntegrationId,
    integration: &Integration,
) -> Option<(Status, Option<Matter>)> {
    let places =
        integration.server.iter().filter_map(|server| facts.standings.get(&server.id)).flatten();
    let by_hand = facts.grants.get(&id);
    let live = integration.phase == Phase::Connected
        && (by_hand.is_some() || offered(facts, integration).any(|(_, held)| held.live));
    let on = is_on(facts, id);
    // What waits for somebody comes before what is settled.
    let kept = facts.kept.iter().filter(|kept| kept.integration == id);
    let kept = kept.map(|kept| kept.rejected).min().map(|rejected| {
        if rejected {
            (Status::Connected, (Trouble::RemovalRejected, None))
        } else {
            (Status::Revoking, (Trouble::RemovalHeld, None))
        }
    });
    let linked = facts.link.as_ref().map(|link| &link.account_key);

    let mut leftover: Option<(Status, Option<Matter>)> = None;
    let mut known = false;
    for (account, place) in places {
        let standing = &place.standing;
        let touched = standing.observed_present().is_some() || standing.holds_anything();
        known |= place.contributors.contains(&id) && touched;
        let current = live && on && linked == Some(account);
        if current {
            let obstacle = obstacle(place, facts.broken);
            let roles = offered(facts, integration)
                .filter(|(_, held)| held.live)
                .filter_map(|(_, held)| integration.attachments.get(&held.tier))
                .filter(|_| facts.active.get(&id) == Some(&true))
                .chain(by_hand.map(|grant| &grant.roles));
            let standing = &place.standing;
            let respected = |role: &RoleId| {
                place.rules.drift == Drift::Respect && standing.missing.contains(role)
            };
            let has = roles.flatten().all(|role| {
                let has = standing.given.contains(role) || standing.kept.contains(role);
                (has || respected(role)) && !place.is_deleted(*role)
            });
            return Some(match obstacle {
                Some((trouble, _)) if trouble.who() == Who::Fan => {
                    (Status::ActionRequired, obstacle)
                }
                // Everything is there, and what should be gone is not.
                Some(_) if has && is_taking(place, id, integration) => {
                    (Status::RevokeBlocked, obstacle)
                }
                _ if has
                    && standing.present == Some(true)
                    && !is_taking(place, id, integration) =>
                {
                    (Status::Connected, kept.map(|(_, matter)| matter))
                }
                Some(_) => (Status::Blocked, obstacle),
                // Also while something is taken that should not be there any more.
                None => (Status::Pending, None),
            });
        }
        if place.holding.contains(&id) {
            let kept = kept.filter(|_| linked == Some(account));
            let this = match (obstacle(place, facts.broken), kept) {
                (Some(trouble), _) => (Status::RevokeBlocked, Some(trouble)),
                (None, Some((status, matter))) => (status, Some(matter)),
                (None, None) => (Status::Revoking, None),
            };
            // Of several accounts, the one that waits for somebody is told of, whatever their order.
            let urgent = |(status, matter): &(Status, Option<Matter>)| {
                (*status == Status::RevokeBlocked, matter.is_some())
            };
            leftover = leftover.into_iter().chain([this]).max_by_key(urgent);
        }
    }
    let withheld = (live && facts.withheld.contains(&id))
        .then_some((Status::Blocked, Some((Trouble::Withheld, None))));
    leftover.or(withheld).or(match (live, known) {
        (true, _) if on && linked.is_some() => Some((Status::Pending, None)),
        (true, _) => Some((Status::Available, None)),
        // What was never there was not taken either.
        (false, true) => Some((Status::Revoked, None)),
        (false, false) => None,
    })
}
