//! Leases: who does a piece of work that only one may do at a time.
//!
//! A lease has an epoch that only grows and that no other lease has. Whoever took it over has a higher one, so
//! a late word from the one before is recognised and refused.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use crate::error::StoreError;

/// A piece of work that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub name: String,
    pub epoch: u64,
    pub until: DateTime<Utc>,
}

/// Reads and writes leases.
pub struct Leases<'a>(pub(crate) &'a SqlitePool);

impl Leases<'_> {
    /// Takes a lease that is free, or renews it for who holds it. `None`: somebody else holds it.
    pub async fn acquire(
        &self,
        name: &str,
        holder: &str,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<Option<Lease>, StoreError> {
        let row = sqlx::query(
            "insert into leases (name, holder, epoch, until)
             values (?1, ?2, (select coalesce(max(epoch), 0) + 1 from leases), ?4)
             on conflict (name) do update
             set epoch = case when holder = excluded.holder and until > ?3 then epoch else excluded.epoch end,
                 holder = excluded.holder, until = excluded.until
             where holder = excluded.holder or until <= ?3
             returning name, epoch, until",
        )
        .bind(name)
        .bind(holder)
        .bind(now.timestamp_micros())
        .bind((now + ttl).timestamp_micros())
        .fetch_optional(self.0)
        .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Renews a lease that is still held under this epoch. `None`: it was lost.
    pub async fn renew(
        &self,
        name: &str,
        holder: &str,
        epoch: u64,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<Option<Lease>, StoreError> {
        let row = sqlx::query(
            "update leases set until = ?5
             where name = ?1 and holder = ?2 and epoch = ?3 and until > ?4 returning name, epoch, until",
        )
        .bind(name)
        .bind(holder)
        .bind(epoch.cast_signed())
        .bind(now.timestamp_micros())
        .bind((now + ttl).timestamp_micros())
        .fetch_optional(self.0)
        .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Gives a lease back, for the next one to take at once.
    pub async fn release(&self, name: &str, holder: &str, epoch: u64) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update leases set until = 0 where name = ?1 and holder = ?2 and epoch = ?3",
        )
        .bind(name)
        .bind(holder)
        .bind(epoch.cast_signed())
        .execute(self.0)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Whether a lease is held by this holder, under this epoch, now.
    pub async fn holds(
        &self,
        name: &str,
        holder: &str,
        epoch: u64,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let holds = sqlx::query_scalar(
            "select exists (select 1 from leases where name = ?1 and holder = ?2 and epoch = ?3 and until > ?4)",
        )
        .bind(name)
        .bind(holder)
        .bind(epoch.cast_signed())
        .bind(now.timestamp_micros())
        .fetch_one(self.0)
        .await?;
        Ok(holds)
    }

    /// The leases whose names begin with a prefix and that are held now.
    pub async fn held(
        &self,
        prefix: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Lease, String)>, StoreError> {
        let rows = sqlx::query(
            "select * from leases where substr(name, 1, length(?1)) = ?1 and until > ?2 order by name",
        )
        .bind(prefix)
        .bind(now.timestamp_micros())
        .fetch_all(self.0)
        .await?;
        rows.iter().map(|row| Ok((read(row)?, row.get("holder")))).collect()
    }

    /// Ends every lease: whoever held one is known to be gone.
    pub(crate) async fn fence_all(&self) -> Result<(), sqlx::Error> {
        sqlx::query("update leases set until = 0").execute(self.0).await?;
        Ok(())
    }
}

fn read(row: &SqliteRow) -> Result<Lease, StoreError> {
    let epoch: i64 = row.get("epoch");
    Ok(Lease {
        name: row.get("name"),
        epoch: epoch.cast_unsigned(),
        until: DateTime::from_timestamp_micros(row.get("until"))
            .ok_or(StoreError::Malformed("a lease"))?,
    })
}
