//! Removals that wait for a person: which events fall under a hold, whom it concerns, and the questions about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use domain::{
    CreatorId, Event, FanId, HoldId, IntegrationId, RoleId,
    hold::{Cause, Event as HoldEvent, Held, RemovalLimit, Status},
    membership::{Event as MembershipEvent, Status as MembershipStatus},
    personal::{Account, Personal},
};
use eventstore::{Actor, Envelope, Position};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use super::{FanAccess, FanRow};
use crate::{
    file::{number, stored},
    view::ViewError,
};

/// How a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldStatus {
    /// For somebody to approve or reject it.
    Waiting,
    Approved,
    Rejected,
    /// Nobody decided, and nobody waits in it any more: their memberships came back, or they left.
    Resolved,
}

/// A hold, and who decided on it.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldRow {
    pub id: HoldId,
    pub creator: CreatorId,
    pub integration: IntegrationId,
    pub status: HoldStatus,
    /// How many fans keep something through it now.
    pub fans: u64,
    /// Where it was opened.
    pub position: Position,
    pub opened: Opened,
    pub decided: Option<By>,
}

/// How a hold came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub cause: Cause,
    /// Ties it to the events that it holds.
    pub correlation: Uuid,
    pub losing: u64,
    pub of: u64,
    pub limit: RemovalLimit,
    /// Of lapses: the paid periods that had ended by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    pub by: By,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    pub actor: Actor,
    pub at: DateTime<Utc>,
}

/// Which holds are asked for.
#[derive(Debug, Clone, Default)]
pub struct HoldsWanted {
    pub creator: Option<CreatorId>,
    pub integration: Option<IntegrationId>,
    pub status: Option<HoldStatus>,
}

/// What a fan keeps through a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFan {
    pub fan: FanId,
    pub account: Option<Personal<Account>>,
    pub roles: BTreeSet<RoleId>,
    /// Whether the fan would be removed from the server.
    pub server: bool,
}

/// What approving a hold takes away, over all its fans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtStake {
    pub roles: BTreeMap<RoleId, u64>,
    pub leave_server: u64,
}

const HOLDS: &str = "select id, creator, integration, position, doc, decided,
        (select count(*) from held where hold = holds.id) as fans,
        case when status = 'waiting' and not exists (select 1 from held where hold = holds.id)
             then 'resolved' else status end as stands
    from holds";

impl FanAccess {
    /// Holds, newest first; `before` continues a list from the last one of its page.
    pub async fn holds(
        &self,
        wanted: &HoldsWanted,
        before: Option<Position>,
        limit: u32,
    ) -> Result<Vec<HoldRow>, ViewError> {
        let status = wanted.status.map(serde_json::to_value).transpose()?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{HOLDS} where (?1 is null or creator = ?1) and (?2 is null or integration = ?2)
                 and (?3 is null or stands = ?3) and position < ?4 order by position desc limit ?5"
        )))
        .bind(wanted.creator.as_ref().map(CreatorId::as_str))
        .bind(wanted.integration.map(|id| id.to_string()))
        .bind(status.as_ref().and_then(serde_json::Value::as_str))
        .bind(before.map_or(i64::MAX, number))
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(hold).collect()
    }

    pub async fn hold(&self, id: HoldId) -> Result<Option<HoldRow>, ViewError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{HOLDS} where id = ?1")))
            .bind(id.to_string())
            .fetch_optional(&self.0.pool())
            .await?;
        row.as_ref().map(hold).transpose()
    }

    /// The fans of a hold, by id.
    pub async fn held_fans(
        &self,
        id: HoldId,
        after: Option<&FanId>,
        limit: u32,
    ) -> Result<Vec<HeldFan>, ViewError> {
        let rows = sqlx::query(
            "select held.fan, roles, server, doc from held
             left join access on access.integration = held.integration and access.fan = held.fan
             where hold = ?1 and held.fan > ?2 order by held.fan limit ?3",
        )
        .bind(id.to_string())
        .bind(after.map_or("", FanId::as_str))
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        let fan = |row: &SqliteRow| {
            let doc: Option<&str> = row.get("doc");
            let access: Option<FanRow> = doc.map(serde_json::from_str).transpose()?;
            Ok(HeldFan {
                fan: stored(row.get("fan"))?,
                account: access.and_then(|row| row.account),
                roles: serde_json::from_str(row.get("roles"))?,
                server: row.get("server"),
            })
        };
        rows.iter().map(fan).collect()
    }

    /// What approving a hold would take away.
    pub async fn at_stake(&self, id: HoldId) -> Result<AtStake, ViewError> {
        let rows = sqlx::query(
            "select value as role, count(*) as fans from held, json_each(roles) where hold = ?1 group by value",
        )
        .bind(id.to_string())
        .fetch_all(&self.0.pool())
        .await?;
        let leave: i64 = sqlx::query_scalar("select count(*) from held where hold = ?1 and server")
            .bind(id.to_string())
            .fetch_one(&self.0.pool())
            .await?;
        let role = |row: &SqliteRow| {
            let fans: i64 = row.get("fans");
            Ok((stored(row.get("role"))?, fans.cast_unsigned()))
        };
        let roles = rows.iter().map(role).collect::<Result<_, ViewError>>()?;
        Ok(AtStake { roles, leave_server: leave.cast_unsigned() })
    }

    /// How many fans of an integration wait for somebody to approve or reject their removal.
    pub async fn waiting_for_approval(&self, integration: IntegrationId) -> Result<u64, ViewError> {
        let fans: i64 = sqlx::query_scalar(
            "select count(distinct fan) from held where integration = ?1 and waiting",
        )
        .bind(integration.to_string())
        .fetch_one(&self.0.pool())
        .await?;
        Ok(fans.cast_unsigned())
    }

    /// Whether anybody keeps something through a hold of an integration, waiting or rejected.
    pub async fn keeps_anything(&self, integration: IntegrationId) -> Result<bool, ViewError> {
        Ok(sqlx::query_scalar("select exists (select 1 from held where integration = ?1)")
            .bind(integration.to_string())
            .fetch_one(&self.0.pool())
            .await?)
    }

    /// Up to which end of a paid period the lapses of each integration were held together before, whatever was decided.
    pub async fn lapses_held_until(
        &self,
    ) -> Result<BTreeMap<IntegrationId, DateTime<Utc>>, ViewError> {
        let rows = sqlx::query(
            "select integration, max(until) as until from holds where until is not null group by integration",
        )
        .fetch_all(&self.0.pool())
        .await?;
        let until = |row: &SqliteRow| {
            let until = DateTime::from_timestamp_micros(row.get("until")).unwrap_or_default();
            Ok((stored(row.get("integration"))?, until))
        };
        rows.iter().map(until).collect()
    }
}

fn hold(row: &SqliteRow) -> Result<HoldRow, ViewError> {
    let (fans, position): (i64, i64) = (row.get("fans"), row.get("position"));
    let decided: Option<&str> = row.get("decided");
    Ok(HoldRow {
        id: stored(row.get("id"))?,
        creator: stored(row.get("creator"))?,
        integration: stored(row.get("integration"))?,
        status: stored(row.get("stands"))?,
        fans: fans.cast_unsigned(),
        position: Position(position.cast_unsigned()),
        opened: serde_json::from_str(row.get("doc"))?,
        decided: decided.map(serde_json::from_str).transpose()?,
    })
}

/// A fan's row in a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldRow {
    pub(super) integration: IntegrationId,
    pub(super) roles: BTreeSet<RoleId>,
    pub(super) server: bool,
    pub(super) waiting: bool,
}

/// A hold that was not approved: whatever falls under it takes nothing away.
#[derive(Debug, Clone)]
pub(crate) struct Over {
    pub(super) hold: HoldId,
    pub(super) integration: IntegrationId,
    pub(super) rejected: bool,
    correlation: Uuid,
    /// Of lapses: the periods that had ended by then, in place of the correlation.
    until: Option<DateTime<Utc>>,
}

impl Over {
    /// The holds that are not approved and that some events may fall under.
    pub(super) async fn load(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Self>, ViewError> {
        let causes: BTreeSet<Uuid> =
            run.iter().map(|envelope| envelope.metadata.correlation).collect();
        let lapses = run.iter().any(|envelope| lapsed(envelope).is_some());
        let rows = sqlx::query(
            "select id, integration, status, correlation, until, position from holds
             where correlation in (select value from json_each(?1)) and until is null and status <> 'approved'
             union all
             select id, integration, status, correlation, until, position from holds
             where ?2 and until is not null and status <> 'approved'
             order by position",
        )
        .bind(json!(causes).to_string())
        .bind(lapses)
        .fetch_all(db)
        .await?;
        let over = |row: &SqliteRow| {
            let until: Option<i64> = row.get("until");
            Ok(Self {
                hold: stored(row.get("id"))?,
                integration: stored(row.get("integration"))?,
                rejected: stored::<Status>(row.get("status"))? == Status::Rejected,
                correlation: stored(row.get("correlation"))?,
                until: until.and_then(DateTime::from_timestamp_micros),
            })
        };
        rows.iter().map(over).collect()
    }

    /// Takes in what became of a hold.
    pub(crate) fn hear(holds: &mut Vec<Self>, envelope: &Envelope, event: &HoldEvent) {
        match event {
            HoldEvent::RemovalsHeld(held) => holds.push(Self {
                hold: held.hold,
                integration: held.integration,
                rejected: false,
                correlation: envelope.metadata.correlation,
                until: held.until,
            }),
            HoldEvent::RemovalsApproved { hold, .. } => holds.retain(|over| over.hold != *hold),
            HoldEvent::RemovalsRejected { hold, .. } => {
                let own = holds.iter_mut().filter(|over| over.hold == *hold);
                own.for_each(|over| over.rejected = true);
            }
        }
    }

    /// Whether an event falls under this hold.
    pub(crate) fn covers(&self, envelope: &Envelope) -> bool {
        match self.until {
            Some(until) => lapsed(envelope).is_some_and(|ended| ended <= until),
            None => self.correlation == envelope.metadata.correlation,
        }
    }
}

/// When the paid period ended that the Hub found to have run out with no word about a renewal.
fn lapsed(envelope: &Envelope) -> Option<DateTime<Utc>> {
    match &envelope.event {
        Event::Membership(MembershipEvent::MembershipExpired(terms))
            if terms.status == MembershipStatus::Active
                && envelope.metadata.actor == Actor::Hub =>
        {
            terms.ends_at
        }
        _ => None,
    }
}

/// Writes what became of a hold, and keeps the holds in memory in step.
pub(super) async fn record(
    db: &mut SqliteConnection,
    holds: &mut Vec<Over>,
    envelope: &Envelope,
    event: &HoldEvent,
) -> Result<(), ViewError> {
    let by = By { actor: envelope.metadata.actor.clone(), at: envelope.metadata.at };
    let decided = |status: Status| {
        sqlx::query("update holds set status = ?2, decided = ?3 where id = ?1")
            .bind(event.hold().to_string())
            .bind(status.as_str())
    };
    Over::hear(holds, envelope, event);
    match event {
        HoldEvent::RemovalsHeld(held) => {
            let Held { hold, creator, integration, cause, losing, of, limit, until } = held.clone();
            let correlation = envelope.metadata.correlation;
            let opened = Opened { cause, correlation, losing, of, limit, until, by };
            sqlx::query(
                "insert into holds (id, creator, integration, status, position, doc, correlation, until)
                 values (?1, ?2, ?3, 'waiting', ?4, ?5, ?6, ?7)",
            )
            .bind(hold.to_string())
            .bind(creator.as_str())
            .bind(integration.to_string())
            .bind(number(envelope.position))
            .bind(json!(opened).to_string())
            .bind(correlation.to_string())
            .bind(until.map(|until| until.timestamp_micros()))
            .execute(db)
            .await?;
        }
        HoldEvent::RemovalsApproved { .. } => {
            decided(Status::Approved).bind(json!(by).to_string()).execute(db).await?;
        }
        HoldEvent::RemovalsRejected { .. } => {
            decided(Status::Rejected).bind(json!(by).to_string()).execute(db).await?;
        }
    }
    Ok(())
}
