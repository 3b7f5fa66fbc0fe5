//! Endpoints and their secrets.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{DisabledBy, Endpoint, EndpointChange, OLD_SECRET, Webhooks, time};
use crate::{error::StoreError, idempotency::Kept, metadata::Position, vault::Secret};

impl Webhooks<'_> {
    /// Makes an endpoint; its secret can be asked for by the Hub alone from here on. `answer`: what the request is
    /// answered, where that is kept: both are stored, or neither.
    pub async fn create(
        &self,
        url: &str,
        description: &str,
        types: &[String],
        since: Position,
        now: DateTime<Utc>,
        answer: impl FnOnce(&Endpoint, &Secret) -> Result<Option<Kept>, StoreError>,
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
        let answer = answer(&endpoint, &secret)?;
        let mut tx = self.db.begin_with("begin immediate").await?;
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
        .execute(&mut *tx)
        .await?;
        if let Some(answer) = answer {
            answer.put(&mut tx, now).await?;
        }
        tx.commit().await?;
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

    /// Changes what `change` names and nothing else, whatever else happens to the endpoint; answers how it is then. One
    /// that is enabled again is told what comes after `head`.
    pub async fn change(
        &self,
        id: Uuid,
        change: &EndpointChange,
        head: Position,
        now: DateTime<Utc>,
    ) -> Result<Option<Endpoint>, StoreError> {
        sqlx::query(
            "update webhook_endpoints
             set url = coalesce(?2, url), description = coalesce(?3, description), types = coalesce(?4, types),
                 since = case when ?5 and disabled_at is not null then ?6 else since end,
                 disabled_by = case ?5 when true then null when false then coalesce(disabled_by, ?7) else disabled_by end,
                 disabled_at = case ?5 when true then null when false then coalesce(disabled_at, ?8) else disabled_at end
             where id = ?1 returning *",
        )
        .bind(id.to_string())
        .bind(&change.url)
        .bind(&change.description)
        .bind(change.types.as_ref().map(|types| json!(types).to_string()))
        .bind(change.enabled)
        .bind(head.0.cast_signed())
        .bind(DisabledBy::Hand.as_str())
        .bind(now.timestamp_micros())
        .fetch_optional(self.db)
        .await?
        .map(|row| endpoint(&row))
        .transpose()
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
    pub async fn delete(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        // Nothing is added from here on to what is deleted a page at a time.
        self.disable(id, DisabledBy::Hand, now).await?;
        self.forget_all_of(id).await?;
        let done = sqlx::query("delete from webhook_endpoints where id = ?1")
            .bind(id.to_string())
            .execute(self.db)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives an endpoint another secret. The one before signs beside it for [`OLD_SECRET`]. `answer`: as of
    /// [`create`](Self::create).
    pub async fn rotate(
        &self,
        id: Uuid,
        now: DateTime<Utc>,
        answer: impl FnOnce(&Secret) -> Result<Option<Kept>, StoreError>,
    ) -> Result<Option<Secret>, StoreError> {
        let secret = self.vault.random()?;
        let answer = answer(&secret)?;
        let mut tx = self.db.begin_with("begin immediate").await?;
        let done = sqlx::query(
            "update webhook_endpoints set old_sealed = sealed, old_until = ?3, sealed = ?2 where id = ?1",
        )
        .bind(id.to_string())
        .bind(self.vault.seal_secret(&id.to_string(), secret.as_ref())?)
        .bind((now + OLD_SECRET).timestamp_micros())
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        if let Some(answer) = answer {
            answer.put(&mut tx, now).await?;
        }
        tx.commit().await?;
        Ok(Some(secret))
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
}

pub(super) fn endpoint(row: &SqliteRow) -> Result<Endpoint, StoreError> {
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
