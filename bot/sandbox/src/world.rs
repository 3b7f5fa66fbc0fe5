//! The world: users, servers, members, roles. Whatever changes in it is told to the gateway.

mod members;
mod news;
mod roles;
mod shapes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::{
    news::{Named, News, What},
    shapes::{role_json, timestamp},
};
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
    /// What happened lately, for people to read.
    pub(crate) news: VecDeque<News>,
    /// Set before each change, so that the world itself reads no clock.
    pub(crate) now: DateTime<Utc>,
    next_id: u64,
    ids: u64,
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
            news: VecDeque::new(),
            now,
            next_id: 1_000_000_000_000_000_000,
            ids: 0,
        }
    }

    /// A new id, in the form of a Discord snowflake. As many milliseconds lie between two as chance would have it, so that
    /// servers spread over all shards; the same ids come in the same order every time.
    pub fn make_id(&mut self) -> u64 {
        /// Multiples of 2^64 by the golden ratio are spread evenly.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        self.ids += 1;
        let milliseconds = 1 + (self.ids.wrapping_mul(GOLDEN) >> 61);
        self.next_id += milliseconds << 22;
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

    /// Starts or ends an outage of a server.
    pub fn set_unavailable(&mut self, guild: u64, unavailable: bool) {
        if let Some(known) = self.guilds.get_mut(&guild) {
            let changed = std::mem::replace(&mut known.unavailable, unavailable) != unavailable;
            if changed {
                self.note(guild, What::Outage { begins: unavailable });
            }
            let (kind, told) = if unavailable {
                ("GUILD_DELETE", json!({ "id": guild.to_string(), "unavailable": true }))
            } else {
                ("GUILD_CREATE", self.guild_create_json(guild))
            };
            self.tell(kind, guild, told);
        }
    }

    pub(crate) fn audit(&mut self, guild: u64, action: u16, target: u64, reason: Option<String>) {
        let at = self.now;
        if let Some(guild) = self.guilds.get_mut(&guild) {
            guild.audit_log.push(AuditEntry { action, target, reason, at });
        }
    }

    fn tell(&mut self, kind: &'static str, guild: u64, data: Value) {
        self.tell_bot(Event { kind, guild, of_members: false, data });
    }

    fn tell_of_members(&mut self, kind: &'static str, guild: u64, data: Value) {
        self.tell_bot(Event { kind, guild, of_members: true, data });
    }

    /// A bot hears of the servers that it is in, and of no others.
    fn tell_bot(&mut self, event: Event) {
        if self.member(event.guild, self.bot_user).is_some() {
            self.told.push(event);
        }
    }

    /// The servers where somebody may add the bot.
    pub(crate) fn managed_by(&self, user: u64) -> impl Iterator<Item = &Guild> {
        self.guilds.values().filter(move |guild| {
            let member = guild.members.get(&user);
            member
                .is_some_and(|member| permissions::allows(guild, member, permissions::MANAGE_GUILD))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_hears_of_a_server_only_while_it_is_in_it() {
        let mut world = World::new(9, DateTime::default());
        let owner = world.add_user(None, "kim");
        let ada = world.add_user(None, "ada");
        let new = NewGuild { name: "Club".into(), owner, ..NewGuild::default() };
        let guild = world.add_guild(new);
        let heard = |world: &mut World| -> Vec<_> {
            std::mem::take(&mut world.told).into_iter().map(|event| event.kind).collect()
        };
        assert_eq!(heard(&mut world), [""; 0]);
        world.add_bot(guild, 0);
        world.add_member(guild, ada);
        assert_eq!(heard(&mut world), ["GUILD_CREATE", "GUILD_MEMBER_ADD"]);
        world.remove_member(guild, 9);
        world.remove_member(guild, ada);
        world.add_role(guild, NewRole::default());
        world.set_unavailable(guild, true);
        assert_eq!(heard(&mut world), ["GUILD_DELETE"]);
    }
}
