//! Servers and their roles.

use serde_json::{Map, json};

use super::{Ask, Reply};
use crate::world::{World, role_json};

pub(super) fn get(world: &World, guild: u64, ask: &Ask) -> Reply {
    let mut json = world.guild_json(guild);
    if ask.query.iter().any(|(name, value)| name == "with_counts" && value == "true") {
        let members = world.guild(guild).map_or(0, |guild| guild.members.len());
        json["approximate_member_count"] = json!(members);
        json["approximate_presence_count"] = json!(members);
    }
    Reply::json(200, json)
}

pub(super) fn roles(world: &mut World, guild: u64) -> Reply {
    match world.guild(guild) {
        Some(known) => Reply::json(200, world.roles_json(known)),
        None => Reply::error(404, 10004, "Unknown Guild"),
    }
}

pub(super) fn role(world: &World, guild: u64, role: Option<u64>) -> Reply {
    match role.and_then(|role| world.guild(guild)?.roles.get(&role)) {
        Some(role) => Reply::json(200, role_json(role)),
        None => Reply::error(404, 10011, "Unknown Role"),
    }
}

pub(super) fn member_counts(world: &mut World, guild: u64) -> Reply {
    let mut counts = Map::new();
    if let Some(guild) = world.guild(guild) {
        for role in guild.roles.keys().filter(|role| **role != guild.id) {
            let held = guild.members.values().filter(|member| member.roles.contains(role)).count();
            counts.insert(role.to_string(), json!(held));
        }
    }
    Reply::json(200, counts.into())
}

pub(super) fn ban(world: &World, guild: u64, user: Option<u64>) -> Reply {
    let Some(known) = world.guild(guild) else { return Reply::error(404, 10004, "Unknown Guild") };
    let bot = known.members.get(&world.bot_user);
    if !bot
        .is_some_and(|bot| crate::permissions::allows(known, bot, crate::permissions::BAN_MEMBERS))
    {
        return Reply::error(403, 50013, "Missing Permissions");
    }
    match user.filter(|user| known.bans.contains(user)) {
        Some(user) => Reply::json(200, json!({ "user": world.user_json(user), "reason": null })),
        None => Reply::error(404, 10026, "Unknown Ban"),
    }
}
