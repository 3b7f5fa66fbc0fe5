//! The world as Discord writes it: users, members, servers and roles in JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Guild, Role, World};

impl World {
    pub(crate) fn user_json(&self, user: u64) -> Value {
        let known = self.users.get(&user);
        json!({
            "id": user.to_string(),
            "username": known.map_or("deleted_user", |user| &user.username),
            "discriminator": "0",
            "global_name": null,
            "avatar": null,
            "avatar_decoration_data": null,
            "collectibles": null,
            "banner": null,
            "accent_color": null,
            "primary_guild": null,
            "bot": known.is_some_and(|user| user.bot),
            "flags": 0,
            "public_flags": 0,
        })
    }

    pub(crate) fn member_json(&self, guild: u64, user: u64) -> Value {
        let Some(member) = self.member(guild, user) else { return Value::Null };
        json!({
            "user": self.user_json(user),
            "nick": null,
            "avatar": null,
            "avatar_decoration_data": null,
            "banner": null,
            "collectibles": null,
            "roles": member.roles.iter().map(u64::to_string).collect::<Vec<_>>(),
            "joined_at": timestamp(member.joined_at),
            "premium_since": null,
            "communication_disabled_until": null,
            "deaf": false,
            "mute": false,
            "flags": 0,
            "pending": member.pending,
        })
    }

    pub(crate) fn guild_json(&self, guild: u64) -> Value {
        let Some(guild) = self.guilds.get(&guild) else { return Value::Null };
        json!({
            "id": guild.id.to_string(),
            "name": guild.name,
            "icon": null,
            "icon_hash": null,
            "description": null,
            "home_header": null,
            "splash": null,
            "discovery_splash": null,
            "features": [],
            "banner": null,
            "owner_id": guild.owner.to_string(),
            "application_id": null,
            "region": "deprecated",
            "afk_channel_id": null,
            "afk_timeout": 300,
            "system_channel_id": null,
            "system_channel_flags": 0,
            "widget_enabled": false,
            "widget_channel_id": null,
            "verification_level": 0,
            "roles": self.roles_json(guild),
            "default_message_notifications": 0,
            "mfa_level": guild.mfa_level,
            "explicit_content_filter": 0,
            "max_presences": null,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "vanity_url_code": null,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "rules_channel_id": null,
            "safety_alerts_channel_id": null,
            "public_updates_channel_id": null,
            "premium_progress_bar_enabled": false,
            "premium_progress_bar_enabled_user_updated_at": null,
            "nsfw": false,
            "nsfw_level": 0,
            "emojis": [],
            "stickers": [],
            "incidents_data": null,
        })
    }

    #[expect(clippy::unused_self, reason = "it stands beside the other shapes")]
    pub(crate) fn roles_json(&self, guild: &Guild) -> Value {
        guild.roles.values().map(role_json).collect()
    }

    pub(crate) fn guild_create_json(&self, guild: u64) -> Value {
        let mut json = self.guild_json(guild);
        let Some(known) = self.guilds.get(&guild) else { return json };
        json["joined_at"] =
            json!(known.members.get(&self.bot_user).map(|member| timestamp(member.joined_at)));
        json["large"] = json!(false);
        json["unavailable"] = json!(false);
        json["member_count"] = json!(known.members.len());
        json["members"] = json!([self.member_json(guild, self.bot_user)]);
        for empty in [
            "channels",
            "threads",
            "presences",
            "voice_states",
            "stage_instances",
            "guild_scheduled_events",
            "soundboard_sounds",
        ] {
            json[empty] = json!([]);
        }
        json
    }
}

pub(crate) fn role_json(role: &Role) -> Value {
    let mut json = json!({
        "id": role.id.to_string(),
        "name": role.name,
        "description": null,
        "permissions": role.permissions.to_string(),
        "position": role.position,
        "color": role.color,
        "colors": { "primary_color": role.color, "secondary_color": null, "tertiary_color": null },
        "hoist": false,
        "managed": role.managed,
        "mentionable": false,
        "icon": null,
        "unicode_emoji": null,
        "flags": 0,
    });
    if let Some(bot) = role.bot {
        json["tags"] = json!({ "bot_id": bot.to_string() });
    }
    if let Some(mark) = &role.mark {
        json["tags"][mark] = Value::Null;
    }
    json
}

/// A time as Discord writes it.
pub(crate) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}
