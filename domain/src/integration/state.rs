//! Where an integration stands: its server, its attachments, and what is the matter with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Drift, Event, OnEnd, Refusal, Server};
use crate::{
    discord::RoleList,
    hold::RemovalLimit,
    ids::{CreatorId, FanId, GuildId, IntegrationId, RoleId, TierId},
    name::DisplayName,
    trouble::{Matter, Trouble},
};

/// The fans who keep something in a server that is let go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftBehind {
    pub fans: u64,
    /// The first of them.
    pub some: Vec<Left>,
}

/// What a fan keeps in a server that is let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub fan: FanId,
    pub roles: BTreeSet<RoleId>,
    /// Whether the Hub brought them into the server.
    pub brought_in: bool,
}

/// A role that a tier cannot be given, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmanageable {
    pub tier: TierId,
    pub role: RoleId,
    pub why: Trouble,
}

/// Where an integration is on its way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    #[default]
    NotConnected,
    Connected,
    /// Access is being taken away; `remove`: the integration goes after it.
    Removing {
        remove: bool,
    },
    Disconnected,
    Removed,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub creator: Option<CreatorId>,
    pub name: Option<DisplayName>,
    pub on_end: OnEnd,
    pub drift: Drift,
    #[serde(default)]
    pub removal_limit: RemovalLimit,
    pub phase: Phase,
    /// The server that is connected, or was last.
    pub server: Option<Server>,
    pub roles: Option<RoleList>,
    #[serde(default)]
    pub bot_missing: bool,
    pub attachments: BTreeMap<TierId, BTreeSet<RoleId>>,
}

impl State {
    /// The server in which this integration gives access now.
    pub fn open_guild(&self) -> Option<GuildId> {
        self.server.as_ref().filter(|_| self.phase == Phase::Connected).map(|server| server.id)
    }

    /// Whether this integration gives access in a server now, or has not taken it away yet.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Connected | Phase::Removing { .. })
    }

    /// The server in which this integration gives access now, or has not taken it away yet.
    pub fn held_guild(&self) -> Option<GuildId> {
        self.server.as_ref().filter(|_| self.is_held()).map(|server| server.id)
    }

    /// What is the matter with the server as it was last seen, and about which role.
    pub fn troubles(&self) -> Vec<Matter> {
        let (Some(guild), Some(list)) = (self.held_guild(), &self.roles) else { return vec![] };
        if self.bot_missing {
            return vec![(Trouble::BotMissing, None)];
        }
        let kicks = self.on_end == OnEnd::RemoveFromServer;
        let gives = self.phase == Phase::Connected;
        let mut troubles: Vec<_> = list
            .missing_permissions(guild)
            .into_iter()
            .filter(|trouble| kicks || *trouble != Trouble::MissingKickMembers)
            .map(|trouble| (trouble, None))
            .collect();
        let attached: BTreeSet<_> = self.attachments.values().flatten().copied().collect();
        troubles.extend(attached.into_iter().filter_map(|role| {
            let why = list.why_not(guild, role)?;
            (why != Trouble::MissingManageRoles).then_some((why, Some(role)))
        }));
        // Where access is only taken away nobody is brought in, and a role that is gone is nobody's.
        troubles.retain(|(trouble, _)| {
            gives || !matches!(trouble, Trouble::MissingCreateInvite | Trouble::RoleDeleted)
        });
        troubles
    }

    /// The roles among `roles` that cannot be given in the connected server, and why not.
    pub fn unassignable<'a>(
        &self,
        roles: impl IntoIterator<Item = &'a RoleId>,
    ) -> impl Iterator<Item = (RoleId, Trouble)> {
        let known = self.server.as_ref().zip(self.roles.as_ref());
        roles.into_iter().filter_map(move |role| {
            let (server, list) = known?;
            Some((*role, list.why_not(server.id, *role)?))
        })
    }

    /// The roles among `tiers` that cannot be given in the connected server.
    pub fn unmanageable(&self, tiers: &BTreeMap<TierId, BTreeSet<RoleId>>) -> Vec<Unmanageable> {
        let of_tier = |(tier, roles)| {
            let unassignable = self.unassignable(roles);
            unassignable.map(move |(role, why)| Unmanageable {
                tier: TierId::clone(tier),
                role,
                why,
            })
        };
        tiers.iter().flat_map(of_tier).collect()
    }

    pub(super) fn connect(
        &self,
        integration: IntegrationId,
        server: Server,
        roles: RoleList,
    ) -> Result<Vec<Event>, Refusal> {
        let guild = server.id;
        let refreshed = Event::RolesRefreshed { integration, guild, roles };
        match &self.phase {
            Phase::Removing { .. } if self.held_guild() != Some(guild) => Err(Refusal::Removing),
            Phase::Connected if self.held_guild() != Some(guild) => {
                Err(Refusal::ConnectedElsewhere)
            }
            // What is left to take away needs the bot: it may come back, and the disconnect stands.
            Phase::Removing { .. } => Ok(self.returned(integration, guild, refreshed)),
            Phase::Connected if self.server.as_ref() == Some(&server) => {
                Ok(self.returned(integration, guild, refreshed))
            }
            Phase::Connected | Phase::NotConnected | Phase::Disconnected => {
                Ok(vec![Event::ServerConnected { integration, guild: server }, refreshed])
            }
            Phase::Removed => Err(Refusal::Unknown),
        }
    }

    fn returned(&self, integration: IntegrationId, guild: GuildId, refreshed: Event) -> Vec<Event> {
        let returned = Event::BotReturned { integration, guild };
        self.bot_missing.then_some(returned).into_iter().chain([refreshed]).collect()
    }

    pub(super) fn attach(
        &self,
        integration: IntegrationId,
        tiers: BTreeMap<TierId, BTreeSet<RoleId>>,
    ) -> Result<Vec<Event>, Refusal> {
        let unmanageable = self.unmanageable(&tiers);
        if !unmanageable.is_empty() {
            return Err(Refusal::RolesNotAssignable(unmanageable));
        }
        Ok(tiers
            .into_iter()
            .filter_map(|(tier, roles)| match self.attachments.get(&tier) {
                None => Some(Event::MembershipAttached { integration, tier, roles }),
                Some(known) if *known != roles => {
                    Some(Event::AttachmentRolesChanged { integration, tier, roles })
                }
                Some(_) => None,
            })
            .collect())
    }

    pub(super) fn release(
        &self,
        integration: IntegrationId,
        remove: bool,
        LeftBehind { fans, some }: LeftBehind,
    ) -> Vec<Event> {
        let released = self.server.as_ref().map(|server| Event::ServerDisconnected {
            integration,
            guild: server.id,
            left_behind: fans,
            left: some,
        });
        released
            .into_iter()
            .chain(remove.then_some(Event::IntegrationRemoved { integration }))
            .collect()
    }
}
