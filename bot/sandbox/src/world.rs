//! The world: users, servers, members, roles. Whatever changes in it is told to the gateway.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{gateway::Event, permissions};

#[derive(Debug, Clone, Serialize)]
pub struct User {
    #[serde(with = "crate::ids")]
    pub id: u64,
    pub username: String,
    pub bot: bool,
    /// Joining another server is answered with 30001.
    pub at_guild_limit: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Role {
    #[serde(with = "crate::ids")]
    pub id: u64,
    pub name: String,
    pub position: i64,
    pub permissions: u64,
    pub color: u32,
    pub managed: bool,
    #[serde(skip)]
    pub bot: Option<u64>,
    /// What else marks it as given by Discord alone: `premium_subscriber`, `guild_connections`.
    #[serde(skip)]
    pub mark: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Member {
    #[serde(with = "crate::ids")]
    pub user: u64,
    #[serde(with = "crate::ids::many")]
    pub roles: BTreeSet<u64>,
    pub joined_at: DateTime<Utc>,
    /// Has not accepted the server's rules yet.
    pub pending: bool,
}

/// A line of a server's audit log.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    /// Discord's number of the action: 20 kick, 22 ban, 25 roles, 28 bot added.
    pub action: u16,
    #[serde(with = "crate::ids")]
    pub target: u64,
    pub reason: Option<String>,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Guild {
    #[serde(with = "crate::ids")]
    pub id: u64,
    pub name: String,
    #[serde(with = "crate::ids")]
    pub owner: u64,
    pub roles: BTreeMap<u64, Role>,
    pub members: BTreeMap<u64, Member>,
    #[serde(with = "crate::ids::many")]
    pub bans: BTreeSet<u64>,
    pub member_limit: Option<usize>,
    /// New members must accept rules first.
    pub screening: bool,
    /// 1: whoever moderates needs two-factor authentication.
    pub mfa_level: u8,
    pub unavailable: bool,
    pub audit_log: Vec<AuditEntry>,
}

/// A server to be made. Ids are made up where they are not given.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NewGuild {
    #[serde(default, with = "crate::ids::optional")]
    pub id: Option<u64>,
    pub name: String,
    #[serde(with = "crate::ids")]
    pub owner: u64,
    #[serde(default)]
    pub roles: Vec<NewRole>,
    #[serde(default)]
    pub member_limit: Option<usize>,
    #[serde(default)]
    pub screening: bool,
    #[serde(default)]
    pub mfa_level: u8,
}

/// A role to be made.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NewRole {
    #[serde(default, with = "crate::ids::optional")]
    pub id: Option<u64>,
    pub name: String,
    #[serde(default)]
    pub position: i64,
    #[serde(default)]
    pub permissions: u64,
    #[serde(default)]
    pub color: u32,
    #[serde(default)]
    pub managed: bool,
    #[serde(default)]
    pub mark: Option<String>,
}

/// Everything there is. All changes go through its methods, so that the gateway hears of them.
#[derive(Debug)]
pub struct World {
    pub users: BTreeMap<u64, User>,
    pub guilds: BTreeMap<u64, Guild>,
    pub(crate) bot_user: u64,
    /// What the gateway has not been told yet.
    pub(crate) told: Vec<Event>,
    /// Set before each change, so that the world itself reads no clock.
    pub(crate) now: DateTime<Utc>,
    next_id: u64,
}

impl World {
    pub(crate) fn new(bot_user: u64, now: DateTime<Utc>) -> Self {
        let bot =
            User { id: bot_user, username: "hub-bot".into(), bot: true, at_guild_limit: false };
        Self {
            users: [(bot_user, bot)].into(),
            guilds: BTreeMap::new(),
            bot_user,
            told: vec![],
            now,
            next_id: 1_000_000_000_000_000_000,
        }
    }

    /// A new id, in the form of a Discord snowflake: guilds made one after the other fall in different shards.
    pub fn make_id(&mut self) -> u64 {
        self.next_id += 1 << 22;
        self.next_id
    }

    pub fn add_user(&mut self, id: Option<u64>, username: &str) -> u64 {
        let id = id.unwrap_or_else(|| self.make_id());
        self.users.insert(
            id,
            User { id, username: username.to_owned(), bot: false, at_guild_limit: false },
        );
        id
    }

    /// Deletes an account: it leaves every server.
    pub fn delete_user(&mut self, user: u64) {
        let guilds: Vec<_> = self.guilds.keys().copied().collect();
        for guild in guilds {
            self.remove_member(guild, user);
        }
        self.users.remove(&user);
    }

    /// Makes a server with its owner in it.
    pub fn add_guild(&mut self, new: NewGuild) -> u64 {
        let id = new.id.unwrap_or_else(|| self.make_id());
        let everyone = Role {
            id,
            name: "@everyone".into(),
            position: 0,
            permissions: 0,
            color: 0,
            managed: false,
            bot: None,
            mark: None,
        };
        let guild = Guild {
            id,
            name: new.name,
            owner: new.owner,
            roles: [(id, everyone)].into(),
            members: BTreeMap::new(),
            bans: BTreeSet::new(),
            member_limit: new.member_limit,
            screening: new.screening,
            mfa_level: new.mfa_level,
            unavailable: false,
            audit_log: vec![],
        };
        self.guilds.insert(id, guild);
        for role in new.roles {
            self.add_role(id, role);
        }
        self.add_member(id, new.owner);
        id
    }

    pub fn guild(&self, guild: u64) -> Option<&Guild> {
        self.guilds.get(&guild)
    }

    pub fn member(&self, guild: u64, user: u64) -> Option<&Member> {
        self.guilds.get(&guild)?.members.get(&user)
    }

    /// Whether somebody is in a server with a role.
    pub fn has_role(&self, guild: u64, user: u64, role: u64) -> bool {
        self.member(guild, user).is_some_and(|member| member.roles.contains(&role))
    }

    pub fn add_role(&mut self, guild: u64, new: NewRole) -> Option<u64> {
        let id = new.id.unwrap_or_else(|| self.make_id());
        let role = Role {
            id,
            name: new.name,
            position: new.position,
            permissions: new.permissions,
            color: new.color,
            managed: new.managed,
            bot: None,
            mark: new.mark,
        };
        self.guilds.get_mut(&guild)?.roles.insert(id, role.clone());
        self.tell(
            "GUILD_ROLE_CREATE",
            guild,
            json!({ "guild_id": guild.to_string(), "role": role_json(&role) }),
        );
        Some(id)
    }

    /// Changes a role; whoever made the change is not asked for permission.
    pub fn edit_role(&mut self, guild: u64, role: u64, edit: impl FnOnce(&mut Role)) -> bool {
        let Some(known) = self.guilds.get_mut(&guild).and_then(|guild| guild.roles.get_mut(&role))
        else {
            return false;
        };
        edit(known);
        let role = role_json(known);
        self.tell(
            "GUILD_ROLE_UPDATE",
            guild,
            json!({ "guild_id": guild.to_string(), "role": role }),
        );
        true
    }

    pub fn delete_role(&mut self, guild: u64, role: u64) -> bool {
        let Some(known) = self.guilds.get_mut(&guild) else { return false };
        let gone = known.roles.remove(&role).is_some();
        for member in known.members.values_mut() {
            member.roles.remove(&role);
        }
        let told = json!({ "guild_id": guild.to_string(), "role_id": role.to_string() });
        self.tell("GUILD_ROLE_DELETE", guild, told);
        gone
    }

    /// Deletes a role and leaves its id with its members, as Discord does on large servers.
    pub fn delete_role_leaving_ghosts(&mut self, guild: u64, role: u64) {
        let Some(known) = self.guilds.get_mut(&guild) else { return };
        known.roles.remove(&role);
        let told = json!({ "guild_id": guild.to_string(), "role_id": role.to_string() });
        self.tell("GUILD_ROLE_DELETE", guild, told);
    }

    /// Tells of a member as if they had just come, as Discord sometimes does of those who are there.
    pub fn tell_of_member_again(&mut self, guild: u64, user: u64) {
        let mut told = self.member_json(guild, user);
        told["guild_id"] = json!(guild.to_string());
        self.tell_of_members("GUILD_MEMBER_ADD", guild, told);
    }

    /// Lets somebody join by themselves. Whoever is there already stays as they are.
    pub fn add_member(&mut self, guild: u64, user: u64) -> bool {
        let now = self.now;
        let Some(known) = self.guilds.get_mut(&guild) else { return false };
        if known.members.contains_key(&user) {
            return false;
        }
        let pending = known.screening && user != known.owner;
        known
            .members
            .insert(user, Member { user, roles: BTreeSet::new(), joined_at: now, pending });
        let mut told = self.member_json(guild, user);
        told["guild_id"] = json!(guild.to_string());
        self.tell_of_members("GUILD_MEMBER_ADD", guild, told);
        true
    }

    pub fn remove_member(&mut self, guild: u64, user: u64) -> bool {
        let gone =
            self.guilds.get_mut(&guild).and_then(|guild| guild.members.remove(&user)).is_some();
        if gone {
            let told = json!({ "guild_id": guild.to_string(), "user": self.user_json(user) });
            self.tell_of_members("GUILD_MEMBER_REMOVE", guild, told);
            if user == self.bot_user {
                self.tell("GUILD_DELETE", guild, json!({ "id": guild.to_string() }));
            }
        }
        gone
    }

    /// Removes somebody and keeps them out.
    pub fn ban(&mut self, guild: u64, user: u64) {
        self.remove_member(guild, user);
        self.audit(guild, 22, user, None);
        if let Some(guild) = self.guilds.get_mut(&guild) {
            guild.bans.insert(user);
        }
    }

    pub fn unban(&mut self, guild: u64, user: u64) {
        if let Some(guild) = self.guilds.get_mut(&guild) {
            guild.bans.remove(&user);
        }
    }

    /// Gives or takes a role by a moderator's hand.
    pub fn set_role(&mut self, guild: u64, user: u64, role: u64, held: bool) -> bool {
        let member = self.guilds.get_mut(&guild).and_then(|guild| guild.members.get_mut(&user));
        let Some(member) = member else { return false };
        let changed = if held { member.roles.insert(role) } else { member.roles.remove(&role) };
        if changed {
            self.member_updated(guild, user);
        }
        true
    }

    /// Lets a new member accept the server's rules.
    pub fn accept_rules(&mut self, guild: u64, user: u64) {
        if let Some(member) =
            self.guilds.get_mut(&guild).and_then(|guild| guild.members.get_mut(&user))
        {
            member.pending = false;
            self.member_updated(guild, user);
        }
    }

    /// Starts or ends an outage of a server.
    pub fn set_unavailable(&mut self, guild: u64, unavailable: bool) {
        if let Some(known) = self.guilds.get_mut(&guild) {
            known.unavailable = unavailable;
            let (kind, told) = if unavailable {
                ("GUILD_DELETE", json!({ "id": guild.to_string(), "unavailable": true }))
            } else {
                ("GUILD_CREATE", self.guild_create_json(guild))
            };
            self.tell(kind, guild, told);
        }
    }

    /// Brings the bot into a server with a role of its own that holds `granted`, below every other role.
    pub fn add_bot(&mut self, guild: u64, granted: u64) {
        let bot = self.bot_user;
        let id = self.make_id();
        let name = self.users.get(&bot).map(|user| user.username.clone()).unwrap_or_default();
        let Some(known) = self.guilds.get_mut(&guild) else { return };
        let own = known.roles.values().find(|role| role.bot == Some(bot)).map(|role| role.id);
        let own = own.unwrap_or_else(|| {
            // Discord puts a new app's role at the bottom, above @everyone.
            for role in known.roles.values_mut().filter(|role| role.position > 0) {
                role.position += 1;
            }
            let role = Role {
                id,
                name,
                position: 1,
                permissions: 0,
                color: 0,
                managed: true,
                bot: Some(bot),
                mark: None,
            };
            known.roles.insert(id, role);
            id
        });
        if let Some(role) = known.roles.get_mut(&own) {
            role.permissions = granted;
        }
        self.add_member(guild, bot);
        if let Some(member) =
            self.guilds.get_mut(&guild).and_then(|guild| guild.members.get_mut(&bot))
        {
            member.roles.insert(own);
        }
        self.audit(guild, 28, bot, None);
        let told = self.guild_create_json(guild);
        self.tell("GUILD_CREATE", guild, told);
    }

    /// The role that belongs to the bot in a server.
    pub fn bot_role(&self, guild: u64) -> Option<u64> {
        self.guilds
            .get(&guild)?
            .roles
            .values()
            .find(|role| role.bot == Some(self.bot_user))
            .map(|role| role.id)
    }

    pub(crate) fn audit(&mut self, guild: u64, action: u16, target: u64, reason: Option<String>) {
        let at = self.now;
        if let Some(guild) = self.guilds.get_mut(&guild) {
            guild.audit_log.push(AuditEntry { action, target, reason, at });
        }
    }

    pub(crate) fn member_updated(&mut self, guild: u64, user: u64) {
        let mut told = self.member_json(guild, user);
        told["guild_id"] = json!(guild.to_string());
        self.tell_of_members("GUILD_MEMBER_UPDATE", guild, told);
    }

    fn tell(&mut self, kind: &'static str, guild: u64, data: Value) {
        self.told.push(Event { kind, guild, of_members: false, data });
    }

    fn tell_of_members(&mut self, kind: &'static str, guild: u64, data: Value) {
        self.told.push(Event { kind, guild, of_members: true, data });
    }

    /// The servers where somebody may add the bot.
    pub(crate) fn managed_by(&self, user: u64) -> impl Iterator<Item = &Guild> {
        self.guilds.values().filter(move |guild| {
            let member = guild.members.get(&user);
            member
                .is_some_and(|member| permissions::allows(guild, member, permissions::MANAGE_GUILD))
        })
    }

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
