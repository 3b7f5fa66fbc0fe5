//! What is read from Discord's JSON, and nothing more of it.

use chrono::{DateTime, Utc};
use domain::{
    DiscordUserId, RoleId,
    discord::{Permissions, Role},
};
use serde::Deserialize;

/// A member as Discord shows them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    #[serde(default)]
    pub joined_at: Option<DateTime<Utc>>,
    pub roles: Vec<RoleId>,
}

/// What is read of a server. Whatever else Discord tells, or may tell one day, is nobody's business here.
#[derive(Deserialize)]
pub(super) struct GuildSeen {
    pub(super) name: String,
    #[serde(default)]
    pub(super) icon: Option<String>,
    pub(super) roles: Vec<RoleSeen>,
    /// 1: whoever moderates needs two-factor authentication, for a bot its owner.
    #[serde(default)]
    pub(super) mfa_level: u8,
}

#[derive(Deserialize)]
pub(crate) struct RoleSeen {
    id: RoleId,
    name: String,
    position: i64,
    #[serde(default)]
    managed: bool,
    permissions: Permissions,
    /// Superseded by `colors`, which a server that stands in for Discord may not have.
    #[serde(default)]
    color: u32,
    #[serde(default)]
    colors: Option<ColorsSeen>,
    #[serde(default)]
    tags: serde_json::Map<String, serde_json::Value>,
}

impl From<RoleSeen> for Role {
    fn from(role: RoleSeen) -> Self {
        Self {
            id: role.id,
            name: role.name,
            position: role.position,
            color: role.colors.map_or(role.color, |colors| colors.primary_color),
            managed: role.managed || OWNED.iter().any(|tag| role.tags.contains_key(*tag)),
            permissions: role.permissions,
        }
    }
}

/// The tags of roles that only their owner gives: an app, boosting, a subscription, linked accounts. A tag that has no
/// value is there.
const OWNED: [&str; 5] = [
    "bot_id",
    "integration_id",
    "premium_subscriber",
    "subscription_listing_id",
    "guild_connections",
];

#[derive(Deserialize)]
struct ColorsSeen {
    primary_color: u32,
}

#[derive(Deserialize)]
pub(crate) struct UserSeen {
    pub(crate) id: DiscordUserId,
    /// Of a bot it tells whether its owner has two-factor authentication.
    #[serde(default)]
    pub(super) mfa_enabled: Option<bool>,
}

/// The application's flags that allow to hear of members: for many servers, and for few.
pub(super) const MEMBERS_INTENT: u64 = 1 << 14 | 1 << 15;

#[derive(Deserialize)]
pub(super) struct ApplicationSeen {
    #[serde(default)]
    pub(super) flags: Option<u64>,
}

/// Where the gateway is, and how it wants to be used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Gateway {
    pub(crate) url: String,
    /// Into how many shards Discord would divide the servers of this bot.
    pub(crate) shards: u32,
    pub(crate) session_start_limit: SessionStartLimit,
}

/// How often sessions may be started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SessionStartLimit {
    pub(crate) total: u32,
    pub(crate) remaining: u32,
    /// Milliseconds.
    pub(crate) reset_after: u64,
    pub(crate) max_concurrency: u16,
}

#[derive(Deserialize)]
pub(super) struct MemberSeen {
    pub(super) user: UserSeen,
    #[serde(flatten)]
    pub(super) seen: Seen,
}
