//! Webhook endpoints of the platform, and what each was told or is yet to be told.
//!
//! `tell` stores messages and moves the cursor in one transaction, so that a crash tells nothing twice under two
//! names and forgets nothing.

use chrono::{DateTime, TimeDelta, Utc};
use domain::FanId;
use serde_json::json;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    error::StoreError,
    metadata::Position,
    vault::{Secret, Vault},
};

/// How long a secret goes on signing after another has taken its place.
pub const OLD_SECRET: TimeDelta = TimeDelta::hours(24);

/// Why an endpoint is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledBy {
    Hand,
    /// It answered 410.
    Gone,
    /// A message was tried in vain as often as there are tries, and nothing was taken meanwhile.
    Failures,
}

impl DisabledBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Gone => "gone",
            Self::Failures => "failures",
        }
    }
}

/// Where the platform is told what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: Uuid,
    pub url: String,
    pub description: String,
    /// The types that it is told; all of them where there is none.
    pub types: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// It is told what came after this.
    pub since: Position,
    pub disabled: Option<(DateTime<Utc>, DisabledBy)>,
}

impl Endpoint {
    pub fn wants(&self, kind: &str) -> bool {
        self.disabled.is_none()
            && (self.types.is_empty() || self.types.iter().any(|wanted| wanted == kind))
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    Failed,
}

impl DeliveryState {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// A message for an endpoint, before it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same whenever the same is told: what was told already is not told again.
    pub id: Uuid,
    pub endpoint: Uuid,
    pub position: Position,
    pub fan: Option<FanId>,
    pub kind: &'static str,
    pub body: String,
}

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: Uuid,
    pub endpoint: Uuid,
    pub position: Position,
    pub fan: Option<String>,
    pub kind: String,
    pub body: String,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub next_at: Option<DateTime<Utc>>,
    pub http_status: Option<u16>,
    pub problem: Option<String>,
    pub created_at: DateTime<Utc>,
    pub done_at: Option<DateTime<Utc>>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    pub state: DeliveryState,
    pub next_at: Option<DateTime<Utc>>,
    pub http_status: Option<u16>,
    pub problem: Option<String>,
}

/// The side tables' questions.
pub struct Webhooks<'a> {
    pub(crate) db: &'a SqlitePool,
    pub(crate) vault: &'a Vault,
}

impl Webhooks<'_> {
    /// Makes an endpoint; its secret can be asked for by the Hub alone from here on.
    pub async fn create(
        &self,
        url: &str,
        description: &str,
        types: &[String],
        since: Position,
        now: DateTime<Utc>,
    ) -> Result<(Endpoint, Secret), StoreError> {
        let endpoint = Endpoint {
            id: Uuid::now_v7(),
            url: url.to_owned(),
            description: description.to_owned(),
            types: types.to_vec(),
            created_at: now,
            since,
            disabled: None,
        };
        let secret = self.vault.random()?;
        sqlx::query(
            "insert into webhook_endpoints (id, url, description, types, sealed, created_at, since)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(endpoint.id.to_string())
        .bind(url)
        .bind(description)
        .bind(json!(types).to_string())
        .bind(self.vault.seal_secret(&endpoint.id.to_string(), secret.as_ref())?)
        .bind(now.timestamp_micros())
        .bind(since.0.cast_signed())
        .execute(self.db)
        .await?;
        Ok((endpoint, secret))
    }

    /// Every endpoint, oldest first.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        let rows = sqlx::query("select * from webhook_endpoints order by id");
        rows.fetch_all(self.db).await?.iter().map(endpoint).collect()
    }

    pub async fn endpoint(&self, id: Uuid) -> Result<Option<Endpoint>, StoreError> {
        sqlx::query("select * from webhook_endpoints where id = ?1")
            .bind(id.to_string())
            .fetch_optional(self.db)
            .await?
            .map(|row| endpoint(&row))
            .transpose()
    }

    /// Stores an endpoint as it was changed; answers whether it was still there.
    pub async fn change(&self, changed: &Endpoint) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update webhook_endpoints
             set url = ?2, description = ?3, types = ?4, since = ?5, disabled_at = ?6, disabled_by = ?7 where id = ?1",
        )
        .bind(changed.id.to_string())
        .bind(&changed.url)
        .bind(&changed.description)
        .bind(json!(changed.types).to_string())
        .bind(changed.since.0.cast_signed())
        .bind(changed.disabled.map(|(at, _)| at.timestamp_micros()))
        .bind(changed.disabled.map(|(_, by)| by.as_str()))
        .execute(self.db)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Disables an endpoint that is not disabled yet; answers whether it was this that did it.
    pub async fn disable(
        &self,
        id: Uuid,
        by: DisabledBy,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update webhook_endpoints set disabled_at = ?2, disabled_by = ?3
             where id = ?1 and disabled_at is null",
        )
        .bind(id.to_string())
        .bind(now.timestamp_micros())
        .bind(by.as_str())
        .execute(self.db)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes an endpoint and its deliveries; answers whether there was one.
    pub async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let done = sqlx::query("delete from webhook_endpoints where id = ?1")
            .bind(id.to_string())
            .execute(self.db)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives an endpoint another secret. The one before signs beside it for [`OLD_SECRET`].
    pub async fn rotate(&self, id: Uuid, now: DateTime<Utc>) -> Result<Option<Secret>, StoreError> {
        let secret = self.vault.random()?;
        let done = sqlx::query(
            "update webhook_endpoints set old_sealed = sealed, old_until = ?3, sealed = ?2 where id = ?1",
        )
        .bind(id.to_string())
        .bind(self.vault.seal_secret(&id.to_string(), secret.as_ref())?)
        .bind((now + OLD_SECRET).timestamp_micros())
        .execute(self.db)
        .await?;
        Ok((done.rows_affected() > 0).then_some(secret))
    }

    /// The secrets that sign for an endpoint now, the newest first.
    pub async fn secrets(
        &self,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, StoreError> {
        let row = sqlx::query(
            "select sealed, case when old_until > ?2 then old_sealed end as old
             from webhook_endpoints where id = ?1",
        )
        .bind(id.to_string())
        .bind(now.timestamp_micros())
        .fetch_optional(self.db)
        .await?;
        let Some(row) = row else { return Ok(vec![]) };
        let sealed = [Some(row.get::<Vec<u8>, _>("sealed")), row.get("old")];
        sealed
            .into_iter()
            .flatten()
            .map(|sealed| self.vault.open_secret(&id.to_string(), &sealed))
            .collect()
    }

    /// The position up to which endpoints have been told.
    pub async fn told(&self) -> Result<Position, StoreError> {
        let told: i64 =
            sqlx::query_scalar("select position from webhook_cursor").fetch_one(self.db).await?;
        Ok(Position(told.cast_unsigned()))
    }

    /// Stores messages that are to be sent at once, and that endpoints have been told up to a position.
    pub async fn tell(
        &self,
        messages: &[Message],
        told: Position,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin_with("begin immediate").await?;
        for message in messages {
            // An endpoint may have been deleted meanwhile.
            sqlx::query(
                "insert into webhook_deliveries
                     (id, endpoint, position, fan, type, body, state, attempts, next_at, created_at)
                 select ?1, id, ?3, ?4, ?5, ?6, 'waiting', 0, ?7, ?7 from webhook_endpoints where id = ?2
                 on conflict (id) do nothing",
            )
            .bind(message.id.to_string())
            .bind(message.endpoint.to_string())
            .bind(message.position.0.cast_signed())
            .bind(message.fan.as_ref().map(FanId::as_str))
            .bind(message.kind)
            .bind(&message.body)
            .bind(now.timestamp_micros())
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query("update webhook_cursor set position = max(position, ?1)")
            .bind(told.0.cast_signed())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The endpoints that have something due.
    pub async fn due_endpoints(&self, now: DateTime<Utc>) -> Result<Vec<Endpoint>, StoreError> {
        sqlx::query(
            "select * from webhook_endpoints as endpoints where disabled_at is null and exists (
                 select 1 from webhook_deliveries
                 where endpoint = endpoints.id and state = 'waiting' and next_at <= ?1
             ) order by id",
        )
        .bind(now.timestamp_micros())
        .fetch_all(self.db)
        .await?
        .iter()
        .map(endpoint)
        .collect()
    }

    /// What is due for an endpoint: of each fan only what comes first, in the order of the log.
    pub async fn due(
        &self,
        endpoint: Uuid,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        // What has been due for longest comes first; what is told at once is due at once, in the order of the log.
        // One at a time of each fan keeps their order. What waits for another try holds nothing up: it carries its
        // position, and what is newer is worth more.
        sqlx::query(
            "select * from (
                 select *, row_number() over (partition by coalesce(fan, id) order by position, id) as place from (
                     select * from webhook_deliveries where endpoint = ?1 and state = 'waiting' and next_at <= ?2
                     order by next_at, position, id limit ?3
                 )
             ) where place = 1 order by position, id",
        )
        .bind(endpoint.to_string())
        .bind(now.timestamp_micros())
        .bind(limit)
        .fetch_all(self.db)
        .await?
        .iter()
        .map(delivery)
        .collect()
    }

    /// Records what came of an attempt.
    pub async fn attempted(
        &self,
        id: Uuid,
        attempted: &Attempted,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let done = attempted.next_at.is_none().then(|| now.timestamp_micros());
        sqlx::query(
            "update webhook_deliveries
             set attempts = attempts + 1, state = ?2, next_at = ?3, http_status = ?4, problem = ?5, done_at = ?6
             where id = ?1",
        )
        .bind(id.to_string())
        .bind(attempted.state.as_str())
        .bind(attempted.next_at.map(|at| at.timestamp_micros()))
        .bind(attempted.http_status.map(i64::from))
        .bind(attempted.problem.as_deref())
        .bind(done)
        .execute(self.db)
        .await?;
        Ok(())
    }

    /// Whether an endpoint has taken anything since a time.
    pub async fn has_taken_since(
        &self,
        endpoint: Uuid,
        since: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let taken = sqlx::query_scalar(
            "select exists (
                 select 1 from webhook_deliveries where endpoint = ?1 and state = 'delivered' and done_at >= ?2
             )",
        )
        .bind(endpoint.to_string())
        .bind(since.timestamp_micros())
        .fetch_one(self.db)
        .await?;
        Ok(taken)
    }

    /// An endpoint's deliveries, the newest first; `before` continues a list from the last one of its page.
    pub async fn deliveries(
        &self,
        endpoint: Uuid,
        state: Option<DeliveryState>,
        before: Option<(Position, Uuid)>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let (position, id) =
            before.map_or((i64::MAX, String::new()), |(p, id)| (p.0.cast_signed(), id.to_string()));
        sqlx::query(
            "select * from webhook_deliveries
             where endpoint = ?1 and (?2 is null or state = ?2) and (position, id) < (?3, ?4)
             order by position desc, id desc limit ?5",
        )
        .bind(endpoint.to_string())
        .bind(state.map(DeliveryState::as_str))
        .bind(position)
        .bind(id)
        .bind(limit)
        .fetch_all(self.db)
        .await?
        .iter()
        .map(delivery)
        .collect()
    }

    /// Sends a delivery again from the beginning, whatever became of it. `None`: there is none.
    pub async fn replay(
        &self,
        endpoint: Uuid,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Option<Delivery>, StoreError> {
        sqlx::query(
            "update webhook_deliveries
             set state = 'waiting', attempts = 0, next_at = ?3, http_status = null, problem = null, done_at = null
             where endpoint = ?1 and id = ?2 returning *",
        )
        .bind(endpoint.to_string())
        .bind(id.to_string())
        .bind(now.timestamp_micros())
        .fetch_optional(self.db)
        .await?
        .map(|row| delivery(&row))
        .transpose()
    }

    /// Forgets what was told before a time and is done with.
    pub async fn forget_before(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let gone = sqlx::query(
            "delete from webhook_deliveries where created_at < ?1 and state <> 'waiting'",
        )
        .bind(before.timestamp_micros())
        .execute(self.db)
        .await?;
        Ok(gone.rows_affected())
    }
}

fn time(row: &SqliteRow, column: &str) -> Option<DateTime<Utc>> {
    row.get::<Option<i64>, _>(column).and_then(DateTime::from_timestamp_micros)
}

fn endpoint(row: &SqliteRow) -> Result<Endpoint, StoreError> {
    let malformed = || StoreError::Malformed("a webhook endpoint");
    let by = match row.get::<Option<&str>, _>("disabled_by") {
        None => None,
        Some("hand") => Some(DisabledBy::Hand),
        Some("gone") => Some(DisabledBy::Gone),
        Some("failures") => Some(DisabledBy::Failures),
        Some(_) => return Err(malformed()),
    };
    Ok(Endpoint {
        id: row.get::<&str, _>("id").parse().map_err(|_| malformed())?,
        url: row.get("url"),
        description: row.get("description"),
        types: serde_json::from_str(row.get("types")).map_err(|_| malformed())?,
        created_at: time(row, "created_at").ok_or_else(malformed)?,
        since: Position(row.get::<i64, _>("since").cast_unsigned()),
        disabled: time(row, "disabled_at").zip(by),
    })
}

fn delivery(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let malformed = || StoreError::Malformed("a webhook delivery");
    let uuid = |column| row.get::<&str, _>(column).parse().map_err(|_| malformed());
    let state = row.get::<&str, _>("state");
    let state = DeliveryState::ALL.into_iter().find(|known| known.as_str() == state);
    let position: i64 = row.get("position");
    Ok(Delivery {
        id: uuid("id")?,
        endpoint: uuid("endpoint")?,
        position: Position(position.cast_unsigned()),
        fan: row.get("fan"),
        kind: row.get("type"),
        body: row.get("body"),
        state: state.ok_or_else(malformed)?,
        attempts: row.get("attempts"),
        next_at: time(row, "next_at"),
        http_status: row.get("http_status"),
        problem: row.get("problem"),
        created_at: time(row, "created_at").ok_or_else(malformed)?,
        done_at: time(row, "done_at"),
    })
}
