//! A creator's connection to a Discord server, and which tiers give which roles in it.
//!
//! `state` is where an integration stands; this file has the events and decides what is recorded.

mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Decider, Event as AnyEvent, StreamName,
    discord::RoleList,
    hold::RemovalLimit,
    ids::{CreatorId, GuildId, IntegrationId, RoleId, TierId},
    name::DisplayName,
};

pub use state::{Left, LeftBehind, Phase, State, Unmanageable};

pub fn stream(integration: IntegrationId) -> StreamName {
    StreamName::new(Integration::CATEGORY, integration)
}

/// More roles than any Discord server has (250) can never be given.
pub const MAX_ROLES: usize = 250;

pub enum Integration {}

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
pub enum Provider {
    Discord,
}

/// What becomes of a fan whom the Hub brought in, once their last reason has ended.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OnEnd {
    #[default]
    RemoveFromServer,
    RolesOnly,
}

/// What to do when somebody else takes away what the Hub gave.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    #[default]
    Repair,
    Report,
    Respect,
}

/// A Discord server as the token response named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub id: GuildId,
    pub name: String,
    /// Discord's hash of the icon.
    pub icon: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    IntegrationCreated {
        integration: IntegrationId,
        creator: CreatorId,
        provider: Provider,
        name: DisplayName,
    },
    IntegrationRenamed {
        integration: IntegrationId,
        name: DisplayName,
    },
    RemovalPolicyChanged {
        integration: IntegrationId,
        on_end: OnEnd,
    },
    DriftPolicyChanged {
        integration: IntegrationId,
        drift: Drift,
    },
    /// How many removals at once wait for approval.
    RemovalLimitChanged {
        integration: IntegrationId,
        limit: RemovalLimit,
    },
    ServerConnected {
        integration: IntegrationId,
        guild: Server,
    },
    RolesRefreshed {
        integration: IntegrationId,
        guild: GuildId,
        roles: RoleList,
    },
    MembershipAttached {
        integration: IntegrationId,
        tier: TierId,
        roles: BTreeSet<RoleId>,
    },
    AttachmentRolesChanged {
        integration: IntegrationId,
        tier: TierId,
        roles: BTreeSet<RoleId>,
    },
    MembershipDetached {
        integration: IntegrationId,
        tier: TierId,
    },
    /// The bot was thrown out of the server.
    BotRemoved {
        integration: IntegrationId,
        guild: GuildId,
    },
    BotReturned {
        integration: IntegrationId,
        guild: GuildId,
    },
    DisconnectStarted {
        integration: IntegrationId,
        guild: GuildId,
        remove: bool,
    },
    ServerDisconnected {
        integration: IntegrationId,
        guild: GuildId,
        /// How many fans keep something that was given there.
        left_behind: u64,
        /// The first of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Left>,
    },
    IntegrationRemoved {
        integration: IntegrationId,
    },
}

impl Event {
    /// The tier that it attaches, changes or detaches.
    pub fn tier(&self) -> Option<&TierId> {
        match self {
            Self::MembershipAttached { tier, .. }
            | Self::AttachmentRolesChanged { tier, .. }
            | Self::MembershipDetached { tier, .. } => Some(tier),
            Self::IntegrationCreated { .. }
            | Self::IntegrationRenamed { .. }
            | Self::RemovalPolicyChanged { .. }
            | Self::DriftPolicyChanged { .. }
            | Self::RemovalLimitChanged { .. }
            | Self::ServerConnected { .. }
            | Self::RolesRefreshed { .. }
            | Self::BotRemoved { .. }
            | Self::BotReturned { .. }
            | Self::DisconnectStarted { .. }
            | Self::ServerDisconnected { .. }
            | Self::IntegrationRemoved { .. } => None,
        }
    }

    pub fn integration(&self) -> IntegrationId {
        match self {
            Self::IntegrationCreated { integration, .. }
            | Self::IntegrationRenamed { integration, .. }
            | Self::RemovalPolicyChanged { integration, .. }
            | Self::DriftPolicyChanged { integration, .. }
            | Self::RemovalLimitChanged { integration, .. }
            | Self::ServerConnected { integration, .. }
            | Self::RolesRefreshed { integration, .. }
            | Self::MembershipAttached { integration, .. }
            | Self::AttachmentRolesChanged { integration, .. }
            | Self::MembershipDetached { integration, .. }
            | Self::BotRemoved { integration, .. }
            | Self::BotReturned { integration, .. }
            | Self::DisconnectStarted { integration, .. }
            | Self::ServerDisconnected { integration, .. }
            | Self::IntegrationRemoved { integration } => *integration,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Create {
        integration: IntegrationId,
        creator: CreatorId,
        provider: Provider,
        name: DisplayName,
    },
    Rename {
        name: DisplayName,
    },
    ChangeRemovalPolicy {
        on_end: OnEnd,
    },
    ChangeDriftPolicy {
        drift: Drift,
    },
    ChangeRemovalLimit {
        limit: RemovalLimit,
    },
    Connect {
        server: Server,
        roles: RoleList,
    },
    /// `again`: also where nothing changed, so that what waits in the server is tried again.
    RefreshRoles {
        roles: RoleList,
        again: bool,
    },
    /// The bot was seen to be in the server, or not to be.
    ObserveBot {
        present: bool,
    },
    /// Attaches tiers or changes their roles: all of them or none.
    Attach {
        tiers: BTreeMap<TierId, BTreeSet<RoleId>>,
    },
    Detach {
        tier: TierId,
    },
    /// Takes all given access away, then releases the server; with `remove`, the integration goes too.
    Disconnect {
        remove: bool,
    },
    /// Nothing given is left, or the creator insisted and some fans keep what they have.
    ConfirmDisconnected(LeftBehind),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such integration")]
    Unknown,
    #[error("this integration is connected to another Discord server; disconnect it first")]
    ConnectedElsewhere,
    #[error("no Discord server is connected; connect one first")]
    NotConnected,
    #[error("this integration is being removed; wait until the access that it gave is taken away")]
    Removing,
    #[error(
        "a role cannot be given in this server; choose others, or mend what `errors` names and refresh the roles"
    )]
    RolesNotAssignable(Vec<Unmanageable>),
}

/// A command and the integration that it is for.
#[derive(Debug, Clone)]
pub struct Addressed {
    pub integration: IntegrationId,
    pub command: Command,
}

impl Command {
    pub fn to(self, integration: IntegrationId) -> Addressed {
        Addressed { integration, command: self }
    }
}

impl Decider for Integration {
    const CATEGORY: &'static str = "integration";
    type State = State;
    type Command = Addressed;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(
        state: &State,
        Addressed { integration, command }: Addressed,
    ) -> Result<Vec<Event>, Refusal> {
        if let Command::Create { integration, creator, provider, name } = command {
            return Ok(match &state.creator {
                None => vec![Event::IntegrationCreated { integration, creator, provider, name }],
                Some(_) => vec![],
            });
        }
        if state.creator.is_none() || state.phase == Phase::Removed {
            return Err(Refusal::Unknown);
        }
        let connected = match state.phase {
            Phase::Connected => Ok(()),
            Phase::Removing { .. } => Err(Refusal::Removing),
            Phase::NotConnected | Phase::Disconnected | Phase::Removed => {
                Err(Refusal::NotConnected)
            }
        };
        let some = |event, changed: bool| Ok(if changed { vec![event] } else { vec![] });
        match command {
            Command::Create { .. } => Ok(vec![]),
            Command::Rename { name } => {
                let changed = state.name.as_ref() != Some(&name);
                some(Event::IntegrationRenamed { integration, name }, changed)
            }
            Command::ChangeRemovalPolicy { on_end } => {
                some(Event::RemovalPolicyChanged { integration, on_end }, state.on_end != on_end)
            }
            Command::ChangeDriftPolicy { drift } => {
                some(Event::DriftPolicyChanged { integration, drift }, state.drift != drift)
            }
            Command::ChangeRemovalLimit { limit } => some(
                Event::RemovalLimitChanged { integration, limit },
                state.removal_limit != limit,
            ),
            Command::Connect { server, roles } => state.connect(integration, server, roles),
            // A removal that was refused waits for it too.
            Command::RefreshRoles { roles, again } => {
                let guild = state.held_guild().ok_or(Refusal::NotConnected)?;
                let changed = state.roles.as_ref() != Some(&roles);
                some(Event::RolesRefreshed { integration, guild, roles }, changed || again)
            }
            Command::ObserveBot { present } => Ok(match state.phase {
                Phase::Connected | Phase::Removing { .. } if state.bot_missing == present => {
                    let guild = state.server.as_ref().map(|server| server.id);
                    guild
                        .map(|guild| {
                            if present {
                                Event::BotReturned { integration, guild }
                            } else {
                                Event::BotRemoved { integration, guild }
                            }
                        })
                        .into_iter()
                        .collect()
                }
                _ => vec![],
            }),
            Command::Attach { tiers } => {
                connected?;
                state.attach(integration, tiers)
            }
            Command::Detach { tier } => {
                let attached = state.attachments.contains_key(&tier);
                some(Event::MembershipDetached { integration, tier }, attached)
            }
            Command::Disconnect { remove } => Ok(match (&state.phase, &state.server) {
                (Phase::Connected, Some(server)) => {
                    vec![Event::DisconnectStarted { integration, guild: server.id, remove }]
                }
                (Phase::Removing { remove: false }, Some(server)) if remove => {
                    vec![Event::DisconnectStarted { integration, guild: server.id, remove }]
                }
                (Phase::NotConnected | Phase::Disconnected, _) if remove => {
                    vec![Event::IntegrationRemoved { integration }]
                }
                _ => vec![],
            }),
            Command::ConfirmDisconnected(left_behind) => Ok(match state.phase {
                Phase::Removing { remove } => state.release(integration, remove, left_behind),
                Phase::NotConnected | Phase::Connected | Phase::Disconnected | Phase::Removed => {
                    vec![]
                }
            }),
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        match event {
            Event::IntegrationCreated { creator, name, .. } => {
                state.creator = Some(creator.clone());
                state.name = Some(name.clone());
            }
            Event::IntegrationRenamed { name, .. } => state.name = Some(name.clone()),
            Event::RemovalPolicyChanged { on_end, .. } => state.on_end = *on_end,
            Event::DriftPolicyChanged { drift, .. } => state.drift = *drift,
            Event::RemovalLimitChanged { limit, .. } => state.removal_limit = *limit,
            Event::ServerConnected { guild, .. } => {
                // Roles of another server mean nothing here.
                if state.server.as_ref().is_some_and(|known| known.id != guild.id) {
                    state.attachments.clear();
                }
                state.server = Some(guild.clone());
                state.phase = Phase::Connected;
                state.bot_missing = false;
            }
            Event::BotRemoved { .. } => state.bot_missing = true,
            Event::BotReturned { .. } => state.bot_missing = false,
            Event::RolesRefreshed { roles, .. } => state.roles = Some(roles.clone()),
            Event::MembershipAttached { tier, roles, .. }
            | Event::AttachmentRolesChanged { tier, roles, .. } => {
                state.attachments.insert(tier.clone(), roles.clone());
            }
            Event::MembershipDetached { tier, .. } => {
                state.attachments.remove(tier);
            }
            Event::DisconnectStarted { remove, .. } => {
                state.phase = Phase::Removing { remove: *remove }
            }
            Event::ServerDisconnected { .. } => state.phase = Phase::Disconnected,
            Event::IntegrationRemoved { .. } => state.phase = Phase::Removed,
        }
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Integration(event) = event { Some(event) } else { None }
    }
}
