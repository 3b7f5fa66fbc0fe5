//! What endpoints are told: messages that are stored, due, tried, and at last forgotten.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::FanId;
use sqlx::{Row, sqlite::SqliteRow};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Attempted, Delivery, DeliveryState, Endpoint, Message, Webhooks, endpoints::endpoint, time,
};
use crate::{error::StoreError, metadata::Position};

/// How many deliveries are forgotten together, and the pause between two times: appends go first.
const FORGOTTEN: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(20);

impl Webhooks<'_> {
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
                 select ?1, id, ?3, ?4, ?5, ?6, 'waiting', 0, ?7, ?7 from webhook_endpoints where id = ?2 and disabled_at is null
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
        let mut all = 0;
        loop {
            let gone = sqlx::query(
                "delete from webhook_deliveries where rowid in (
                     select rowid from webhook_deliveries where created_at < ?1 and state <> 'waiting' limit ?2
                 )",
            )
            .bind(before.timestamp_micros())
            .bind(FORGOTTEN)
            .execute(self.db)
            .await?;
            all += gone.rows_affected();
            if gone.rows_affected() < u64::from(FORGOTTEN) {
                return Ok(all);
            }
            sleep(PAUSE).await;
        }
    }

    /// Forgets everything that an endpoint was told, or was to be told.
    pub(super) async fn forget_all_of(&self, endpoint: Uuid) -> Result<(), StoreError> {
        loop {
            let gone = sqlx::query(
                "delete from webhook_deliveries where rowid in (
                     select rowid from webhook_deliveries where endpoint = ?1 limit ?2
                 )",
            )
            .bind(endpoint.to_string())
            .bind(FORGOTTEN)
            .execute(self.db)
            .await?;
            if gone.rows_affected() < u64::from(FORGOTTEN) {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }
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
