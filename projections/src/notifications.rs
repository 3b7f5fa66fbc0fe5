//! What fans are told: that a membership which they hold has gained an integration.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{
    Event, FanId, IntegrationId, MembershipId, TierId, fan::Event as FanEvent,
    integration::Event as IntegrationEvent, membership::Event as MembershipEvent,
};
use eventstore::{Envelope, Position};
use serde_json::json;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::{
    file::{Reader, number, stored},
    rows::{self, Rows},
    view::{Change, Projection, Topic, ViewError},
};

/// Something that a fan is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub id: Uuid,
    pub fan: FanId,
    /// What it is about: `integration_available`.
    pub kind: String,
    pub integration: IntegrationId,
    pub tier: TierId,
    pub at: DateTime<Utc>,
    pub position: Position,
    pub read: bool,
}

/// Answers what fans are offered.
#[derive(Clone)]
pub struct Notifications(pub(crate) Reader);

impl Notifications {
    /// What a fan was told, newest first; `before` continues a list from the last one of its page.
    pub async fn of_fan(
        &self,
        fan: &FanId,
        before: Option<(Position, Uuid)>,
        limit: u32,
    ) -> Result<Vec<Notification>, ViewError> {
        let (position, id) =
            before.map_or((i64::MAX, String::new()), |(p, id)| (number(p), id.to_string()));
        let rows = sqlx::query(
            "select id, kind, integration, tier, at, position, read from notifications
             where fan = ?1 and (position, id) < (?2, ?3) order by position desc, id desc limit ?4",
        )
        .bind(fan.as_str())
        .bind(position)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let position: i64 = row.get("position");
                Ok(Notification {
                    id: stored(row.get("id"))?,
                    fan: fan.clone(),
                    kind: row.get("kind"),
                    integration: stored(row.get("integration"))?,
                    tier: stored(row.get("tier"))?,
                    at: DateTime::from_timestamp_micros(row.get("at")).unwrap_or_default(),
                    position: Position(position.cast_unsigned()),
                    read: row.get("read"),
                })
            })
            .collect()
    }

    /// Whether a fan was told this.
    pub async fn has(&self, fan: &FanId, id: Uuid) -> Result<bool, ViewError> {
        let known = sqlx::query_scalar(
            "select exists (select 1 from notifications where id = ?1 and fan = ?2)",
        )
        .bind(id.to_string())
        .bind(fan.as_str())
        .fetch_one(&self.0.pool())
        .await?;
        Ok(known)
    }
}

pub(crate) enum Follow {}

impl Projection for Follow {
    const NAME: &'static str = "notifications";
    const VERSION: u32 = 1;
    const SCHEMA: &'static str = include_str!("notifications.sql");

    async fn apply(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Change>, ViewError> {
        let mut memberships = Rows::new();
        let mut fans = BTreeSet::new();
        for envelope in run {
            match &envelope.event {
                Event::Membership(event) => {
                    memberships.set(event.terms().membership.clone(), event.clone());
                }
                Event::Integration(event) => {
                    flush(db, &mut memberships).await?;
                    fans.extend(of_integration(db, envelope, event).await?);
                }
                Event::Fan(event) => fans.extend(of_fan(db, event).await?),
                Event::Tier(_)
                | Event::Guild(_)
                | Event::DiscordAccount(_)
                | Event::Access(_)
                | Event::Hold(_)
                | Event::Creator(_) => {}
            }
        }
        flush(db, &mut memberships).await?;
        let position = run.last().map_or(Position(0), |last| last.position);
        Ok(fans.into_iter().map(|key| Change::new(Topic::Notifications, key, position)).collect())
    }
}

/// The fans whose notifications changed.
async fn of_integration(
    db: &mut SqliteConnection,
    envelope: &Envelope,
    event: &IntegrationEvent,
) -> Result<Vec<String>, ViewError> {
    match event {
        IntegrationEvent::IntegrationCreated { integration, creator, .. } => {
            sqlx::query("insert into integrations (integration, creator) values (?1, ?2)")
                .bind(integration.to_string())
                .bind(creator.as_str())
                .execute(db)
                .await?;
            Ok(vec![])
        }
        IntegrationEvent::MembershipAttached { integration, tier, .. } => {
            let fans: Vec<String> = sqlx::query_scalar(
                "select distinct fan from memberships
                 join integrations on integrations.creator = memberships.creator
                 where live and tier = ?2 and integration = ?1 order by fan",
            )
            .bind(integration.to_string())
            .bind(tier.as_str())
            .fetch_all(&mut *db)
            .await?;
            let told = fans
                .iter()
                .map(|fan| {
                    let id = Uuid::new_v5(&envelope.id, fan.as_bytes());
                    let at = envelope.metadata.at.timestamp_micros();
                    json!([id, fan, envelope.position, integration, tier, at])
                })
                .collect();
            rows::write(
                db,
                "insert into notifications (id, fan, position, kind, integration, tier, at, read)
                 select value ->> 0, value ->> 1, value ->> 2, 'integration_available', value ->> 3, value ->> 4,
                        value ->> 5, 0
                 from json_each(?1)",
                told,
            )
            .await?;
            Ok(fans)
        }
        IntegrationEvent::MembershipDetached { integration, tier } => {
            withdraw(db, *integration, Some(tier)).await
        }
        IntegrationEvent::DisconnectStarted { integration, .. }
        | IntegrationEvent::IntegrationRemoved { integration } => {
            withdraw(db, *integration, None).await
        }
        IntegrationEvent::IntegrationRenamed { .. }
        | IntegrationEvent::RemovalPolicyChanged { .. }
        | IntegrationEvent::DriftPolicyChanged { .. }
        | IntegrationEvent::RemovalLimitChanged { .. }
        | IntegrationEvent::ServerConnected { .. }
        | IntegrationEvent::BotRemoved { .. }
        | IntegrationEvent::BotReturned { .. }
        | IntegrationEvent::RolesRefreshed { .. }
        | IntegrationEvent::AttachmentRolesChanged { .. }
        | IntegrationEvent::ServerDisconnected { .. } => Ok(vec![]),
    }
}

/// What is no longer on offer is not told any more.
async fn withdraw(
    db: &mut SqliteConnection,
    integration: IntegrationId,
    tier: Option<&TierId>,
) -> Result<Vec<String>, ViewError> {
    let fans = sqlx::query_scalar(
        "delete from notifications where integration = ?1 and (?2 is null or tier = ?2) returning fan",
    )
    .bind(integration.to_string())
    .bind(tier.map(TierId::as_str))
    .fetch_all(db)
    .await?;
    Ok(fans)
}

async fn of_fan(db: &mut SqliteConnection, event: &FanEvent) -> Result<Vec<String>, ViewError> {
    let fan = match event {
        FanEvent::NotificationRead { fan, notification } => {
            sqlx::query("update notifications set read = 1 where id = ?1")
                .bind(notification.to_string())
                .execute(db)
                .await?;
            fan
        }
        // Whoever activated it has seen it.
        FanEvent::IntegrationActivated { fan, integration } => {
            sqlx::query("update notifications set read = 1 where fan = ?1 and integration = ?2")
                .bind(fan.as_str())
                .bind(integration.to_string())
                .execute(db)
                .await?;
            fan
        }
        FanEvent::FanLinked(_)
        | FanEvent::FanUnlinked(_)
        | FanEvent::LinkBroken { .. }
        | FanEvent::ManualGrantGiven(_)
        | FanEvent::ManualGrantEnded { .. }
        | FanEvent::AccessWithheld { .. }
        | FanEvent::WithholdingLifted { .. }
        | FanEvent::IntegrationDeactivated { .. } => return Ok(vec![]),
    };
    Ok(vec![fan.to_string()])
}

async fn flush(
    db: &mut SqliteConnection,
    memberships: &mut Rows<MembershipId, MembershipEvent>,
) -> Result<(), ViewError> {
    let rows = memberships
        .take_changes()
        .into_iter()
        .filter_map(|(_, event)| event)
        .map(|event| {
            let terms = event.terms();
            json!([
                terms.membership,
                terms.fan,
                terms.creator,
                terms.tier,
                i64::from(event.is_live())
            ])
        })
        .collect();
    rows::insert(
        db,
        "memberships (membership, fan, creator, tier, live)",
        "on conflict (membership) do update set tier = excluded.tier, live = excluded.live",
        rows,
    )
    .await?;
    Ok(())
}
