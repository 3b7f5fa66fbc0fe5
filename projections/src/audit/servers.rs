//! Which server is, and was, which integration's.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{CreatorId, Event, GuildId, IntegrationId, integration::Event as IntegrationEvent};
use eventstore::Envelope;
use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::moments::micros;
use crate::{
    file::{number, stored},
    view::ViewError,
};

/// The integrations of the servers that a run of events speaks of.
pub(super) struct Servers(HashMap<GuildId, Vec<(IntegrationId, bool)>>);

/// A server's id as SQLite stores it.
pub(super) fn guild_number(guild: GuildId) -> i64 {
    guild.0.cast_signed()
}

pub(super) fn guild(number: i64) -> GuildId {
    GuildId(number.cast_unsigned())
}

impl Servers {
    /// The servers of a run, and whose its integrations are.
    pub(super) async fn load(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<(Self, HashMap<IntegrationId, CreatorId>), ViewError> {
        let (mut creators, mut servers) = (HashMap::new(), HashMap::new());
        let (mut ids, mut guilds) = (HashSet::new(), HashSet::new());
        for envelope in run {
            match &envelope.event {
                Event::Integration(IntegrationEvent::IntegrationCreated {
                    integration,
                    creator,
                    ..
                }) => {
                    creators.insert(*integration, creator.clone());
                }
                Event::Integration(event) => {
                    ids.insert(event.integration());
                    if let IntegrationEvent::ServerConnected { guild, .. } = event {
                        guilds.insert(guild.id);
                    }
                }
                Event::Fan(event) => ids.extend(event.integration()),
                Event::Access(event) => {
                    guilds.insert(event.holder().guild);
                }
                Event::Tier(_)
                | Event::Membership(_)
                | Event::Guild(_)
                | Event::DiscordAccount(_)
                | Event::Hold(_)
                | Event::Creator(_) => {}
            }
        }
        servers.extend(guilds.iter().map(|guild| (*guild, vec![])));
        if !ids.is_empty() || !guilds.is_empty() {
            let guilds: Vec<i64> = guilds.into_iter().map(guild_number).collect();
            let rows = sqlx::query(
                "select * from integrations where integration in (select value from json_each(?1))
                 union select * from integrations where guild in (select value from json_each(?2))",
            )
            .bind(json!(ids).to_string())
            .bind(json!(guilds).to_string())
            .fetch_all(db)
            .await?;
            for row in rows {
                let id = stored(row.get("integration"))?;
                creators.insert(id, stored(row.get("creator"))?);
                if let Some(server) = row.get::<Option<i64>, _>("guild") {
                    let of_server: &mut Vec<_> = servers.entry(guild(server)).or_default();
                    of_server.push((id, row.get("connected")));
                }
            }
        }
        Ok((Self(servers), creators))
    }

    /// The integrations that a server is connected to; where it is to none, those that had it last.
    pub(super) fn integrations(&self, guild: GuildId) -> impl Iterator<Item = IntegrationId> {
        let all = self.0.get(&guild).map_or(&[][..], Vec::as_slice);
        let any = all.iter().any(|(_, connected)| *connected);
        all.iter().filter(move |(_, connected)| *connected == any).map(|(id, _)| *id)
    }

    pub(super) async fn apply(
        &mut self,
        db: &mut SqliteConnection,
        envelope: &Envelope,
        event: &IntegrationEvent,
    ) -> Result<(), ViewError> {
        let began = micros(envelope.metadata.at);
        match event {
            IntegrationEvent::IntegrationCreated { integration, creator, .. } => {
                sqlx::query(
                    "insert into integrations (integration, creator, connected) values (?1, ?2, 0)",
                )
                .bind(integration.to_string())
                .bind(creator.as_str())
                .execute(db)
                .await?;
            }
            IntegrationEvent::ServerConnected { integration, guild } => {
                // Whoever had the server and left somebody behind has nothing to do with it any more.
                sqlx::query(
                    "update servers set ended = max(began, ?2) where ended is null and (integration = ?1
                     or guild = ?3 and integration in (select integration from integrations where connected = 0))",
                )
                .bind(integration.to_string())
                .bind(began)
                .bind(guild_number(guild.id))
                .execute(&mut *db)
                .await?;
                sqlx::query(
                    "update integrations set guild = null where guild = ?1 and connected = 0",
                )
                .bind(guild_number(guild.id))
                .execute(&mut *db)
                .await?;
                sqlx::query("insert into servers (integration, position, guild, began) values (?1, ?2, ?3, ?4)")
                    .bind(integration.to_string())
                    .bind(number(envelope.position))
                    .bind(guild_number(guild.id))
                    .bind(began)
                    .execute(&mut *db)
                    .await?;
                sqlx::query(
                    "update integrations set guild = ?2, connected = 1 where integration = ?1",
                )
                .bind(integration.to_string())
                .bind(guild_number(guild.id))
                .execute(db)
                .await?;
                self.0.values_mut().for_each(|of| of.retain(|(id, _)| id != integration));
                let of_server = self.0.entry(guild.id).or_default();
                of_server.retain(|(_, connected)| *connected);
                of_server.push((*integration, true));
            }
            IntegrationEvent::ServerDisconnected { integration, left_behind, .. } => {
                sqlx::query("update integrations set connected = 0 where integration = ?1")
                    .bind(integration.to_string())
                    .execute(&mut *db)
                    .await?;
                if *left_behind == 0 {
                    sqlx::query(
                        "update servers set ended = max(began, ?2) where integration = ?1 and ended is null",
                    )
                    .bind(integration.to_string())
                    .bind(began)
                    .execute(db)
                    .await?;
                }
                for of_server in self.0.values_mut() {
                    let own = of_server.iter_mut().filter(|(id, _)| id == integration);
                    own.for_each(|(_, connected)| *connected = false);
                }
            }
            IntegrationEvent::IntegrationRenamed { .. }
            | IntegrationEvent::RemovalPolicyChanged { .. }
            | IntegrationEvent::DriftPolicyChanged { .. }
            | IntegrationEvent::RemovalLimitChanged { .. }
            | IntegrationEvent::RolesRefreshed { .. }
            | IntegrationEvent::MembershipAttached { .. }
            | IntegrationEvent::AttachmentRolesChanged { .. }
            | IntegrationEvent::MembershipDetached { .. }
            | IntegrationEvent::BotRemoved { .. }
            | IntegrationEvent::BotReturned { .. }
            | IntegrationEvent::DisconnectStarted { .. }
            | IntegrationEvent::IntegrationRemoved { .. } => {}
        }
        Ok(())
    }
}
