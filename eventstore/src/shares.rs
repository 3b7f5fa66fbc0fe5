//! Shares: what each process may use of the calls that Discord allows to one token.
//!
//! A share ends by itself unless it is asked for again, so a process that dies gives its own back. What Discord
//! refuses is counted here for all processes, because it blocks an address for it and not a process.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use crate::error::StoreError;

/// The time over which Discord counts refusals, in minutes.
const REFUSALS_COUNT: i64 = 10;

/// What a process uses and wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub holder: String,
    /// Calls a second that it may be making.
    pub calls: u32,
    /// Calls a second that it could make now.
    pub wanted: u32,
}

/// Reads and writes how the calls to Discord are shared out.
pub struct Shares<'a>(pub(crate) &'a SqlitePool);

impl Shares<'_> {
    /// Exchanges a process's share: `divide` sees every share that has not ended, the process's own among them, and
    /// answers the one to record for it. Nobody else exchanges meanwhile.
    pub async fn exchange(
        &self,
        holder: &str,
        wanted: u32,
        now: DateTime<Utc>,
        ttl: TimeDelta,
        divide: impl FnOnce(&[Share]) -> u32,
    ) -> Result<(), StoreError> {
        let mut tx = self.0.begin_with("begin immediate").await?;
        sqlx::query("delete from call_shares where until <= ?1")
            .bind(now.timestamp_micros())
            .execute(&mut *tx)
            .await?;
        let rows = sqlx::query("select holder, calls, wanted from call_shares order by holder")
            .fetch_all(&mut *tx)
            .await?;
        let calls = divide(&rows.iter().map(read).collect::<Vec<_>>());
        sqlx::query(
            "insert into call_shares (holder, calls, wanted, until) values (?1, ?2, ?3, ?4)
             on conflict (holder) do update
             set calls = excluded.calls, wanted = excluded.wanted, until = excluded.until",
        )
        .bind(holder)
        .bind(calls)
        .bind(wanted)
        .bind((now + ttl).timestamp_micros())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The shares that have not ended, by holder.
    pub async fn held(&self, now: DateTime<Utc>) -> Result<Vec<Share>, StoreError> {
        let rows = sqlx::query(
            "select holder, calls, wanted from call_shares where until > ?1 order by holder",
        )
        .bind(now.timestamp_micros())
        .fetch_all(self.0)
        .await?;
        Ok(rows.iter().map(read).collect())
    }

    /// Counts refusals; answers how many there were in the last ten minutes, of all processes.
    pub async fn count_refused(&self, calls: u32, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let minute = now.timestamp().div_euclid(60);
        if calls > 0 {
            sqlx::query(
                "insert into refused_calls (minute, calls) values (?1, ?2)
                 on conflict (minute) do update set calls = calls + excluded.calls",
            )
            .bind(minute)
            .bind(calls)
            .execute(self.0)
            .await?;
            sqlx::query("delete from refused_calls where minute < ?1")
                .bind(minute - REFUSALS_COUNT)
                .execute(self.0)
                .await?;
        }
        let counted: i64 = sqlx::query_scalar(
            "select coalesce(sum(calls), 0) from refused_calls where minute >= ?1",
        )
        .bind(minute - REFUSALS_COUNT)
        .fetch_one(self.0)
        .await?;
        Ok(counted.cast_unsigned())
    }

    /// Ends the shares of processes inside the one that held the folder before: it is known to be gone. Others,
    /// whose names begin with their key, may still be at work.
    pub(crate) async fn end_local(&self) -> Result<(), sqlx::Error> {
        sqlx::query("delete from call_shares where instr(holder, '/') = 0").execute(self.0).await?;
        Ok(())
    }
}

fn read(row: &SqliteRow) -> Share {
    Share { holder: row.get("holder"), calls: row.get("calls"), wanted: row.get("wanted") }
}
