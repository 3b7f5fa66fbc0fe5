//! Discord's rules of rank and permission.
//!
//! A higher position ranks higher; of equal positions the lower id does. An administrator has every
//! permission but no higher rank.

use std::cmp::Ordering;

use crate::world::{Guild, Member, Role};

pub(crate) const CREATE_INSTANT_INVITE: u64 = 1;
pub(crate) const KICK_MEMBERS: u64 = 1 << 1;
pub(crate) const BAN_MEMBERS: u64 = 1 << 2;
pub(crate) const ADMINISTRATOR: u64 = 1 << 3;
pub(crate) const MANAGE_GUILD: u64 = 1 << 5;
pub(crate) const MANAGE_ROLES: u64 = 1 << 28;

/// The permissions that matter to a bot for members, by the names that Discord shows.
pub(crate) const NAMED: [(u64, &str); 6] = [
    (ADMINISTRATOR, "Administrator"),
    (MANAGE_GUILD, "Manage Server"),
    (MANAGE_ROLES, "Manage Roles"),
    (KICK_MEMBERS, "Kick Members"),
    (BAN_MEMBERS, "Ban Members"),
    (CREATE_INSTANT_INVITE, "Create Invite"),
];

pub(crate) fn rank(a: &Role, b: &Role) -> Ordering {
    a.position.cmp(&b.position).then(b.id.cmp(&a.id))
}

/// A member's highest role; `@everyone` where they have no other.
pub(crate) fn top<'a>(guild: &'a Guild, member: &Member) -> Option<&'a Role> {
    let held = member.roles.iter().filter_map(|id| guild.roles.get(id));
    held.max_by(|a, b| rank(a, b)).or_else(|| guild.roles.get(&guild.id))
}

pub(crate) fn allows(guild: &Guild, member: &Member, wanted: u64) -> bool {
    let everyone = guild.roles.get(&guild.id);
    let held = member.roles.iter().filter_map(|id| guild.roles.get(id)).chain(everyone);
    let all = held.fold(0, |all, role| all | role.permissions);
    guild.owner == member.user || all & ADMINISTRATOR != 0 || all & wanted == wanted
}

/// Whether a member may give and take a role.
pub(crate) fn can_give(guild: &Guild, member: &Member, role: &Role) -> bool {
    let below = top(guild, member).is_some_and(|top| rank(role, top) == Ordering::Less);
    allows(guild, member, MANAGE_ROLES) && (below || guild.owner == member.user)
}

/// Whether a member may remove another one.
pub(crate) fn can_kick(guild: &Guild, member: &Member, other: &Member) -> bool {
    let below = match (top(guild, member), top(guild, other)) {
        (Some(mine), Some(theirs)) => rank(theirs, mine) == Ordering::Less,
        _ => false,
    };
    allows(guild, member, KICK_MEMBERS)
        && other.user != guild.owner
        && (below || guild.owner == member.user)
}
