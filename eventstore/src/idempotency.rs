//! What requests with an idempotency key came to, so that a repetition is answered alike.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::{error::StoreError, metadata::Position};

/// How many keys are looked at together for old ones.
const PAGE: u32 = 1_000;

/// The pause between two pages.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of the first request under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub request_hash: Vec<u8>,
    /// The log position that the request reached.
    pub position: Position,
    /// `None` where the request appended and was cut off before its answer was stored.
    pub body: Option<Vec<u8>>,
}

/// What a request is answered, to be stored together with its effect.
#[derive(Debug, Clone)]
pub struct Kept {
    pub key: String,
    pub request_hash: [u8; 32],
    /// The log position that the request reached.
    pub position: Position,
    pub body: Vec<u8>,
}

impl Kept {
    /// Stores the answer with whatever else the transaction does.
    pub(crate) async fn put(
        &self,
        db: &mut SqliteConnection,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into idempotency (key, request_hash, first, last, answer, at) values (?1, ?2, ?3, ?3, ?4, ?5)",
        )
        .bind(&self.key)
        .bind(self.request_hash.as_slice())
        .bind(self.position.0.cast_signed())
        .bind(&self.body)
        .bind(now.timestamp_micros())
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Reads and writes what requests were answered.
pub struct Answers<'a>(pub(crate) &'a SqlitePool);

impl Answers<'_> {
    pub async fn get(&self, key: &str) -> Result<Option<Answer>, StoreError> {
        let row = sqlx::query("select request_hash, last, answer from idempotency where key = ?1")
            .bind(key)
            .fetch_optional(self.0)
            .await?;
        Ok(row.as_ref().map(answer))
    }

    /// Stores an answer, and answers what stands: the first one for a key.
    pub async fn put(
        &self,
        key: &str,
        request_hash: &[u8],
        position: Position,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Answer, StoreError> {
        let row = sqlx::query(
            "insert into idempotency (key, request_hash, first, last, answer, at) values (?1, ?2, ?3, ?3, ?4, ?5)
             on conflict (key) do update set answer = coalesce(answer, excluded.answer)
             returning request_hash, last, answer",
        )
        .bind(key)
        .bind(request_hash)
        .bind(position.0.cast_signed())
        .bind(body)
        .bind(now.timestamp_micros())
        .fetch_one(self.0)
        .await?;
        Ok(answer(&row))
    }

    /// Forgets what requests and the bot's reports that came before a time were answered; answers how many. The keys of
    /// timers are kept as long as what they did, and are not looked at.
    pub async fn forget_before(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut gone = 0;
        for (first, end) in [("http:", "http;"), ("outcome:", "outcome;")] {
            let mut after = first.to_owned();
            while let Some(last) = self.last_of_page(&after, end).await? {
                let done =
                    sqlx::query("delete from idempotency where key > ?1 and key <= ?2 and at < ?3")
                        .bind(&after)
                        .bind(&last)
                        .bind(before.timestamp_micros())
                        .execute(self.0)
                        .await?;
                gone += done.rows_affected();
                after = last;
                // Appends go first.
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(gone)
    }

    /// The last key of the next page of keys before `end`.
    async fn last_of_page(&self, after: &str, end: &str) -> Result<Option<String>, StoreError> {
        let last = sqlx::query_scalar(
            "select max(key) from (select key from idempotency where key > ?1 and key < ?2 order by key limit ?3)",
        )
        .bind(after)
        .bind(end)
        .bind(PAGE)
        .fetch_one(self.0)
        .await?;
        Ok(last)
    }
}

fn answer(row: &SqliteRow) -> Answer {
    let last: i64 = row.get("last");
    Answer {
        request_hash: row.get("request_hash"),
        position: Position(last.cast_unsigned()),
        body: row.get("answer"),
    }
}
