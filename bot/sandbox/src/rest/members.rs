//! Members: bringing in, giving and taking roles, removing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Ask, Reply};
use crate::{
    permissions::{self, CREATE_INSTANT_INVITE, MANAGE_ROLES},
    server::{State, lock},
    world::World,
};

fn missing_permissions() -> Reply {
    Reply::error(403, 50013, "Missing Permissions")
}

pub(super) fn get(world: &World, guild: u64, user: u64) -> Reply {
    if world.member(guild, user).is_some() {
        return Reply::json(200, world.member_json(guild, user));
    }
    if world.users.contains_key(&user) {
        Reply::error(404, 10007, "Unknown Member")
    } else {
        Reply::error(404, 10013, "Unknown User")
    }
}

pub(super) fn list(world: &World, state: &State, guild: u64, ask: &Ask) -> Reply {
    if !state.config.members_intent {
        return Reply::error(403, 50001, "Missing Access");
    }
    let number = |name: &str, default: u64| {
        let given = ask.query.iter().find(|(key, _)| key == name);
        given.map_or(Some(default), |(_, value)| value.parse().ok())
    };
    let (Some(limit @ 1..=1000), Some(after)) = (number("limit", 1), number("after", 0)) else {
        return Reply::invalid_form("limit", "int value should be between 1 and 1000.");
    };
    let members =
        world.guild(guild).map(|guild| guild.members.range(after + 1..)).into_iter().flatten();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Reply::json(200, members.take(limit).map(|(user, _)| world.member_json(guild, *user)).collect())
}

/// Adds the user of an access token to a server. Whoever is there already is left as they are.
pub(super) fn add(world: &mut World, state: &State, guild: u64, user: u64, ask: &Ask) -> Reply {
    let body = ask.body.as_ref();
    let Some(token) = body.and_then(|body| body.get("access_token")).and_then(Value::as_str) else {
        return Reply::invalid_form("access_token", "This field is required");
    };
    let roles = match body.and_then(|body| body.get("roles")).map(ids) {
        Some(None) => return Reply::invalid_form("roles", "Only lists of snowflakes may be sent."),
        Some(Some(roles)) => roles,
        None => BTreeSet::new(),
    };
    match lock(&state.oauth).who(token, world.now) {
        Some((owner, _)) if owner != user => {
            return Reply::error(403, 50025, "Invalid OAuth2 access token");
        }
        Some((_, scopes)) if !scopes.iter().any(|scope| scope == "guilds.join") => {
            return Reply::error(403, 50026, "Missing required OAuth2 scope");
        }
        Some(_) => {}
        None => return Reply::error(403, 50025, "Invalid OAuth2 access token"),
    }
    let Some(known) = world.guild(guild) else { return Reply::error(404, 10004, "Unknown Guild") };
    let Some(bot) = known.members.get(&world.bot_user) else {
        return Reply::error(403, 50001, "Missing Access");
    };
    let wanted =
        if roles.is_empty() { CREATE_INSTANT_INVITE } else { CREATE_INSTANT_INVITE | MANAGE_ROLES };
    let given = roles.iter().filter_map(|role| known.roles.get(role));
    if !permissions::allows(known, bot, wanted)
        || !given.clone().all(|role| permissions::can_give(known, bot, role))
    {
        return missing_permissions();
    }
    if !world.users.contains_key(&user) {
        return Reply::error(404, 10013, "Unknown User");
    }
    if known.members.contains_key(&user) {
        return Reply::empty();
    }
    if known.bans.contains(&user) {
        return Reply::error(403, 40007, "The user is banned from this guild.");
    }
    if world.users.get(&user).is_some_and(|user| user.at_guild_limit) {
        return Reply::error(400, 30001, "Maximum number of guilds reached (100)");
    }
    if known.member_limit.is_some_and(|limit| known.members.len() >= limit) {
        return Reply::error(400, 30019, "Maximum number of server members reached");
    }
    let roles: Vec<u64> = given.map(|role| role.id).collect();
    world.add_member(guild, user);
    for role in roles {
        world.set_role(guild, user, role, true);
    }
    Reply::json(201, world.member_json(guild, user))
}

pub(super) fn set_role(
    world: &mut World,
    state: &State,
    guild: u64,
    user: u64,
    role: u64,
    held: bool,
    ask: &Ask,
) -> Reply {
    let Some(known) = world.guild(guild) else { return Reply::error(404, 10004, "Unknown Guild") };
    let Some(bot) = known.members.get(&world.bot_user) else {
        return Reply::error(403, 50001, "Missing Access");
    };
    let Some(wanted) = known.roles.get(&role).filter(|role| role.id != guild) else {
        return Reply::error(404, 10011, "Unknown Role");
    };
    if !permissions::can_give(known, bot, wanted) || wanted.managed {
        return missing_permissions();
    }
    if known.mfa_level == 1 && !state.config.owner_mfa {
        return Reply::error(403, 60003, "Two factor is required for this operation");
    }
    if !known.members.contains_key(&user) {
        return get(world, guild, user);
    }
    world.set_role(guild, user, role, held);
    world.audit(guild, 25, user, ask.reason.clone());
    Reply::empty()
}

/// Replaces what is named of a member; the whole list of roles is one thing.
pub(super) fn edit(world: &mut World, guild: u64, user: u64, ask: &Ask) -> Reply {
    let Some(roles) = ask.body.as_ref().and_then(|body| body.get("roles")) else {
        return Reply::json(200, world.member_json(guild, user));
    };
    let Some(roles) = ids(roles) else {
        return Reply::invalid_form("roles", "Only lists of snowflakes may be sent.");
    };
    let Some(known) = world.guild(guild) else { return Reply::error(404, 10004, "Unknown Guild") };
    let Some(bot) = known.members.get(&world.bot_user) else {
        return Reply::error(403, 50001, "Missing Access");
    };
    let Some(member) = known.members.get(&user) else { return get(world, guild, user) };
    let changed: Vec<u64> = member.roles.symmetric_difference(&roles).copied().collect();
    for role in &changed {
        match known.roles.get(role) {
            None => return Reply::error(404, 10011, "Unknown Role"),
            Some(role) if role.managed || !permissions::can_give(known, bot, role) => {
                return missing_permissions();
            }
            Some(_) => {}
        }
    }
    for role in changed {
        world.set_role(guild, user, role, roles.contains(&role));
    }
    world.audit(guild, 25, user, ask.reason.clone());
    Reply::json(200, world.member_json(guild, user))
}

pub(super) fn remove(world: &mut World, state: &State, guild: u64, user: u64, ask: &Ask) -> Reply {
    let Some(known) = world.guild(guild) else { return Reply::error(404, 10004, "Unknown Guild") };
    let Some(bot) = known.members.get(&world.bot_user) else {
        return Reply::error(403, 50001, "Missing Access");
    };
    if !permissions::allows(known, bot, permissions::KICK_MEMBERS) {
        return missing_permissions();
    }
    let Some(member) = known.members.get(&user) else { return get(world, guild, user) };
    if !permissions::can_kick(known, bot, member) {
        return missing_permissions();
    }
    if known.mfa_level == 1 && !state.config.owner_mfa {
        return Reply::error(403, 60003, "Two factor is required for this operation");
    }
    world.kick(guild, user, ask.reason.clone());
    Reply::empty()
}

fn ids(value: &Value) -> Option<BTreeSet<u64>> {
    let id = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    value.as_array()?.iter().map(id).collect()
}
