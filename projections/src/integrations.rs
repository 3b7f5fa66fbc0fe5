//! The Active Integrations view: every integration as it stands, and each creator's tiers.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use domain::{
    CreatorId, Decider, DisplayName, Event, GuildId, IntegrationId, TierId,
    integration::{Event as IntegrationEvent, Integration, Phase, Provider, State},
    tier::Event as TierEvent,
};
use eventstore::{Envelope, Position};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    file::{Reader, number, stored},
    rows::{self, Rows},
    view::{Change, Projection, Topic, ViewError},
};

/// An integration as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegrationRow {
    pub id: IntegrationId,
    pub creator: CreatorId,
    pub provider: Provider,
    pub name: DisplayName,
    pub created_at: DateTime<Utc>,
    /// The version of its stream: its `ETag`.
    pub version: u64,
    /// The last event that changed it.
    pub position: Position,
    pub state: State,
}

/// A tier and the integrations that it is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierRow {
    pub creator: CreatorId,
    pub tier: TierId,
    pub name: DisplayName,
    pub integrations: Vec<IntegrationId>,
}

/// Answers questions about integrations, tiers and servers.
#[derive(Clone)]
pub struct Integrations(pub(crate) Reader);

impl Integrations {
    /// One integration, unless it is removed.
    pub async fn get(&self, id: IntegrationId) -> Result<Option<IntegrationRow>, ViewError> {
        sqlx::query("select * from integrations where id = ?1 and phase <> 'removed'")
            .bind(id.to_string())
            .fetch_optional(&self.0.pool())
            .await?
            .map(|row| read(&row))
            .transpose()
    }

    /// Whose an integration is, or was.
    pub async fn creator_of(&self, id: IntegrationId) -> Result<Option<CreatorId>, ViewError> {
        let creator: Option<String> =
            sqlx::query_scalar("select creator from integrations where id = ?1")
                .bind(id.to_string())
                .fetch_optional(&self.0.pool())
                .await?;
        creator.map(|creator| stored(&creator)).transpose()
    }

    /// A creator's integrations, oldest first.
    pub async fn of_creator(
        &self,
        creator: &CreatorId,
        after: Option<IntegrationId>,
        limit: u32,
    ) -> Result<Vec<IntegrationRow>, ViewError> {
        let rows = sqlx::query(
            "select * from integrations where creator = ?1 and id > ?2 and phase <> 'removed' order by id limit ?3",
        )
        .bind(creator.as_str())
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// The integrations whose server is, or was last, this one.
    pub async fn by_guild(&self, guild: GuildId) -> Result<Vec<IntegrationRow>, ViewError> {
        let rows = sqlx::query(
            "select * from integrations where guild = ?1 and phase <> 'removed' order by id",
        )
        .bind(guild.to_string())
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// The integrations whose access is being taken away.
    pub async fn removing(&self) -> Result<Vec<IntegrationRow>, ViewError> {
        let rows = sqlx::query("select * from integrations where phase = 'removing' order by id")
            .fetch_all(&self.0.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// The integrations that changed after a position, in the order of their changes.
    pub async fn changed(
        &self,
        after: Position,
        limit: u32,
    ) -> Result<Vec<IntegrationRow>, ViewError> {
        let rows = sqlx::query(
            "select * from integrations where position > ?1 order by position, id limit ?2",
        )
        .bind(number(after))
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// A creator's tiers, by id.
    pub async fn tiers(
        &self,
        creator: &CreatorId,
        after: Option<&TierId>,
        limit: u32,
    ) -> Result<Vec<TierRow>, ViewError> {
        self.tiers_where(creator, after.map_or("", TierId::as_str), None, limit).await
    }

    pub async fn tier(
        &self,
        creator: &CreatorId,
        tier: &TierId,
    ) -> Result<Option<TierRow>, ViewError> {
        Ok(self.tiers_where(creator, "", Some(tier), 1).await?.pop())
    }

    async fn tiers_where(
        &self,
        creator: &CreatorId,
        after: &str,
        tier: Option<&TierId>,
        limit: u32,
    ) -> Result<Vec<TierRow>, ViewError> {
        let rows = sqlx::query(
            "select tier, name,
                    (select json_group_array(integration) from (
                         select integration from attachments
                         where attachments.creator = tiers.creator and attachments.tier = tiers.tier
                         order by integration
                    )) as integrations
             from tiers
             where creator = ?1 and tier > ?2 and (?3 is null or tier = ?3) order by tier limit ?4",
        )
        .bind(creator.as_str())
        .bind(after)
        .bind(tier.map(TierId::as_str))
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(TierRow {
                    creator: creator.clone(),
                    tier: stored(row.get("tier"))?,
                    name: stored(row.get("name"))?,
                    integrations: serde_json::from_str(row.get("integrations"))?,
                })
            })
            .collect()
    }
}

/// What a row keeps beside the columns that it is found by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Doc {
    creator: CreatorId,
    provider: Provider,
    name: DisplayName,
    created_at: DateTime<Utc>,
    version: u64,
    position: Position,
    state: State,
}

fn read(row: &SqliteRow) -> Result<IntegrationRow, ViewError> {
    let Doc { creator, provider, name, created_at, version, position, state } =
        serde_json::from_str(row.get("doc"))?;
    Ok(IntegrationRow {
        id: stored(row.get("id"))?,
        creator,
        provider,
        name,
        created_at,
        version,
        position,
        state,
    })
}

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::NotConnected => "not_connected",
        Phase::Connected => "connected",
        Phase::Removing { .. } => "removing",
        Phase::Disconnected => "disconnected",
        Phase::Removed => "removed",
    }
}

pub(crate) enum Follow {}

impl Projection for Follow {
    const NAME: &'static str = "integrations";
    const VERSION: u32 = 2;
    const SCHEMA: &'static str = include_str!("integrations.sql");

    async fn apply(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Change>, ViewError> {
        let mut integrations = load(db, run).await?;
        let mut tiers: HashMap<(CreatorId, TierId), DisplayName> = HashMap::new();
        let mut changes = HashMap::new();
        for envelope in run {
            match &envelope.event {
                Event::Integration(event) => {
                    let id = event.integration();
                    if let Some(creator) = evolve(&mut integrations, envelope, event) {
                        changes.insert(id, (envelope.position, creator));
                    }
                }
                Event::Tier(
                    TierEvent::TierRegistered { creator, tier, name }
                    | TierEvent::TierRenamed { creator, tier, name },
                ) => {
                    tiers.insert((creator.clone(), tier.clone()), name.clone());
                }
                Event::Membership(_)
                | Event::Guild(_)
                | Event::Fan(_)
                | Event::DiscordAccount(_)
                | Event::Access(_)
                | Event::Hold(_)
                | Event::Creator(_) => {}
            }
        }
        store(db, &mut integrations).await?;
        rows::write(
            db,
            "insert into tiers (creator, tier, name)
             select value ->> 0, value ->> 1, value ->> 2 from json_each(?1) where true
             on conflict (creator, tier) do update set name = excluded.name",
            tiers.into_iter().map(|((creator, tier), name)| json!([creator, tier, name])).collect(),
        )
        .await?;
        let change = |(id, (position, creator)): (IntegrationId, (_, CreatorId))| {
            Change::new(Topic::Integrations, id.to_string(), position).within(id, Some(&creator))
        };
        Ok(changes.into_iter().map(change).collect())
    }
}

/// Whose integration the event changed, if it is known.
fn evolve(
    integrations: &mut Rows<IntegrationId, Doc>,
    envelope: &Envelope,
    event: &IntegrationEvent,
) -> Option<CreatorId> {
    if let IntegrationEvent::IntegrationCreated { integration, creator, provider, name } = event {
        let doc = Doc {
            creator: creator.clone(),
            provider: *provider,
            name: name.clone(),
            created_at: envelope.metadata.at,
            version: 0,
            position: envelope.position,
            state: State::default(),
        };
        integrations.set(*integration, doc);
    }
    let doc = integrations.edit_existing(&event.integration())?;
    Integration::evolve(&mut doc.state, event);
    if let Some(name) = &doc.state.name {
        doc.name = name.clone();
    }
    doc.version = envelope.version;
    doc.position = envelope.position;
    Some(doc.creator.clone())
}

/// The rows that a run of events speaks of.
async fn load(
    db: &mut SqliteConnection,
    run: &[Arc<Envelope>],
) -> Result<Rows<IntegrationId, Doc>, ViewError> {
    let ids: BTreeSet<IntegrationId> = run
        .iter()
        .filter_map(|envelope| match &envelope.event {
            Event::Integration(event) => Some(event.integration()),
            Event::Tier(_)
            | Event::Membership(_)
            | Event::Guild(_)
            | Event::Fan(_)
            | Event::DiscordAccount(_)
            | Event::Access(_)
            | Event::Hold(_)
            | Event::Creator(_) => None,
        })
        .collect();
    let mut rows = Rows::new();
    if ids.is_empty() {
        return Ok(rows);
    }
    let found = sqlx::query(
        "select id, doc from integrations where id in (select value from json_each(?1))",
    )
    .bind(json!(ids).to_string())
    .fetch_all(db)
    .await?;
    for row in found {
        rows.learn(stored(row.get("id"))?, serde_json::from_str(row.get("doc"))?);
    }
    Ok(rows)
}

async fn store(
    db: &mut SqliteConnection,
    integrations: &mut Rows<IntegrationId, Doc>,
) -> Result<(), ViewError> {
    let (mut docs, mut attachments, mut ids) = (vec![], vec![], vec![]);
    for (id, doc) in integrations.take_changes() {
        let Some(doc) = doc else { continue };
        let guild = doc.state.server.as_ref().map(|server| server.id);
        let row = json!([
            id,
            doc.creator,
            guild,
            phase(&doc.state.phase),
            doc.version,
            doc.position,
            serde_json::to_string(doc)?
        ]);
        docs.push(row);
        ids.push(json!(id));
        if doc.state.phase == Phase::Connected {
            attachments
                .extend(doc.state.attachments.keys().map(|tier| json!([doc.creator, tier, id])));
        }
    }
    rows::write(
        db,
        "insert into integrations (id, creator, guild, phase, version, position, doc)
         select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
         from json_each(?1) where true
         on conflict (id) do update set guild = excluded.guild, phase = excluded.phase, version = excluded.version,
             position = excluded.position, doc = excluded.doc",
        docs,
    )
    .await?;
    rows::write(
        db,
        "delete from attachments where integration in (select value from json_each(?1))",
        ids,
    )
    .await?;
    rows::write(
        db,
        "insert into attachments (creator, tier, integration)
         select value ->> 0, value ->> 1, value ->> 2 from json_each(?1)",
        attachments,
    )
    .await?;
    Ok(())
}
