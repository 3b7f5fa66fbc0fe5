//! What things are called, for sentences: a name where one is known, the id where none is.

use std::collections::{BTreeSet, HashMap};

use domain::{
    CreatorId, Event, GuildId, IntegrationId, RoleId, TierId,
    discord::RoleList,
    integration::{self, Event as IntegrationEvent, Integration, Server},
    tier::{self, Tier},
};
use eventstore::{Envelope, Store};
use projections::Audit;

use super::AuditError;

/// The names of roles, servers, integrations and tiers that are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    roles: HashMap<RoleId, String>,
    servers: HashMap<GuildId, String>,
    integrations: HashMap<IntegrationId, String>,
    tiers: HashMap<(CreatorId, TierId), String>,
    /// The same for an integration's events, which do not name its creator.
    attached: HashMap<(IntegrationId, TierId), String>,
}

impl Names {
    /// The names of whatever some events speak of.
    pub(super) async fn of(
        store: &Store,
        audit: &Audit,
        events: &[Envelope],
    ) -> Result<Self, AuditError> {
        let mut names = Self::default();
        let (mut ids, mut servers) = (BTreeSet::new(), HashMap::new());
        for envelope in events {
            match &envelope.event {
                Event::Integration(event) => {
                    ids.insert(event.integration());
                    names.hear(event);
                }
                Event::Guild(event) => {
                    let (domain::guild::Event::GuildReserved { integration, .. }
                    | domain::guild::Event::GuildReleased { integration, .. }) = event;
                    ids.insert(*integration);
                }
                Event::Fan(event) => ids.extend(event.integration()),
                Event::Hold(event) => {
                    ids.insert(event.integration());
                }
                Event::Access(event) => {
                    servers.insert(event.holder().guild, envelope.metadata.at);
                }
                Event::Tier(_)
                | Event::Membership(_)
                | Event::DiscordAccount(_)
                | Event::Creator(_) => {}
            }
        }
        for (server, at) in servers {
            ids.extend(audit.integrations_at(server, at).await?);
        }
        for id in ids {
            names.integration(store, id).await?;
        }
        names.tiers_of(store, audit, events).await?;
        Ok(names)
    }

    /// Learns what the tiers are called that some events name.
    pub(super) async fn tiers_of(
        &mut self,
        store: &Store,
        audit: &Audit,
        events: &[Envelope],
    ) -> Result<(), AuditError> {
        let (mut tiers, mut attached) = (BTreeSet::new(), BTreeSet::new());
        for envelope in events {
            match &envelope.event {
                Event::Membership(event) => {
                    let terms = event.terms();
                    tiers.insert((terms.creator.clone(), terms.tier.clone()));
                }
                Event::Integration(event) => {
                    attached.extend(event.tier().map(|tier| (event.integration(), tier.clone())));
                }
                Event::Tier(_)
                | Event::Guild(_)
                | Event::Fan(_)
                | Event::DiscordAccount(_)
                | Event::Access(_)
                | Event::Hold(_)
                | Event::Creator(_) => {}
            }
        }
        for (creator, tier) in tiers {
            if let Some(name) = tier_name(store, &creator, &tier).await? {
                self.tiers.insert((creator, tier), name);
            }
        }
        for (integration, tier) in attached {
            if let Some(creator) = audit.creator(integration).await?
                && let Some(name) = tier_name(store, &creator, &tier).await?
            {
                self.attached.insert((integration, tier), name);
            }
        }
        Ok(())
    }

    /// Learns what an integration, its server and its roles are called by now.
    pub(super) async fn integration(
        &mut self,
        store: &Store,
        id: IntegrationId,
    ) -> Result<(), AuditError> {
        let state = store.load::<Integration>(&integration::stream(id)).await?.state;
        if let Some(name) = state.name {
            self.integrations.insert(id, name.to_string());
        }
        if let Some(server) = &state.server {
            self.server(server);
        }
        if let Some(list) = &state.roles {
            self.list(list);
        }
        Ok(())
    }

    /// Learns what an event says. A role that is deleted later keeps its name.
    pub(super) fn hear(&mut self, event: &IntegrationEvent) {
        match event {
            IntegrationEvent::IntegrationCreated { integration, name, .. }
            | IntegrationEvent::IntegrationRenamed { integration, name } => {
                self.integrations.insert(*integration, name.to_string());
            }
            IntegrationEvent::ServerConnected { guild, .. } => self.server(guild),
            IntegrationEvent::RolesRefreshed { roles, .. } => self.list(roles),
            IntegrationEvent::RemovalPolicyChanged { .. }
            | IntegrationEvent::DriftPolicyChanged { .. }
            | IntegrationEvent::RemovalLimitChanged { .. }
            | IntegrationEvent::MembershipAttached { .. }
            | IntegrationEvent::AttachmentRolesChanged { .. }
            | IntegrationEvent::MembershipDetached { .. }
            | IntegrationEvent::BotRemoved { .. }
            | IntegrationEvent::BotReturned { .. }
            | IntegrationEvent::DisconnectStarted { .. }
            | IntegrationEvent::ServerDisconnected { .. }
            | IntegrationEvent::IntegrationRemoved { .. } => {}
        }
    }

    fn server(&mut self, server: &Server) {
        self.servers.insert(server.id, server.name.clone());
    }

    fn list(&mut self, list: &RoleList) {
        self.roles.extend(list.roles().iter().map(|role| (role.id, role.name.clone())));
    }

    pub(super) fn role(&self, id: RoleId) -> Option<&str> {
        self.roles.get(&id).map(String::as_str)
    }

    /// Some roles as a part of a sentence.
    pub(super) fn roles<'a>(&self, roles: impl IntoIterator<Item = &'a RoleId>) -> String {
        let names: Vec<_> = roles
            .into_iter()
            .map(|id| self.role(*id).map_or_else(|| format!("the role {id}"), str::to_owned))
            .collect();
        match names.split_last() {
            None => "no role".to_owned(),
            Some((only, [])) => only.clone(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        }
    }

    pub(super) fn server_name(&self, id: GuildId) -> Option<&str> {
        self.servers.get(&id).map(String::as_str)
    }

    pub(super) fn in_server(&self, id: GuildId) -> String {
        self.server_name(id).map_or_else(|| format!("the server {id}"), str::to_owned)
    }

    pub(super) fn plain_integration(&self, id: IntegrationId) -> Option<&str> {
        self.integrations.get(&id).map(String::as_str)
    }

    /// An integration as a part of a sentence.
    pub(super) fn integration_name(&self, id: IntegrationId) -> String {
        self.integrations.get(&id).map_or_else(|| id.to_string(), |name| format!("“{name}”"))
    }

    pub(super) fn tier(&self, creator: &CreatorId, tier: &TierId) -> String {
        let known = self.tiers.get(&(creator.clone(), tier.clone()));
        known.cloned().unwrap_or_else(|| tier.to_string())
    }

    /// A tier of an integration, whose creator is not told.
    pub(super) fn attached(&self, integration: IntegrationId, tier: &TierId) -> String {
        let known = self.attached.get(&(integration, tier.clone()));
        known.cloned().unwrap_or_else(|| tier.to_string())
    }
}

async fn tier_name(
    store: &Store,
    creator: &CreatorId,
    tier: &TierId,
) -> Result<Option<String>, AuditError> {
    let known = store.load::<Tier>(&tier::stream(creator, tier)).await?;
    Ok(known.state.name.map(|name| name.to_string()))
}
