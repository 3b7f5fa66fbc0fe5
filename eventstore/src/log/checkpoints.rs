//! Copies the write-ahead log into the database beside the writer, so that no append waits for it.
//!
//! Once it is long, the writer copies the little that came meanwhile, and the next append begins at its start again: what
//! is written over costs half of what a growing file costs, because the disk need not keep its length, too. Without that
//! halt it never starts over while appends come without a pause.

use std::{sync::Arc, time::Duration};

use sqlx::{Row, SqliteConnection};
use tokio::{sync::Notify, time::sleep};

/// How often the write-ahead log is copied.
const EVERY: Duration = Duration::from_millis(250);

/// From this length on it is to start over, in pages of 4 KiB: 16 MiB.
const LONG: i64 = 4_096;

/// Where it is cut, because readers have kept it from starting over, in pages of 4 KiB: 256 MiB.
const TOO_LONG: i64 = 65_536;

/// Asks the writer to copy what is left, between two commits.
pub(super) type LastPart = Arc<Notify>;

/// Copies until it is dropped.
pub(super) async fn run(mut db: SqliteConnection, last_part: LastPart) {
    let mut before = 0;
    loop {
        sleep(EVERY).await;
        // Where another one is at it, the next one copies more.
        let Ok(length) = copy(&mut db).await else { continue };
        // The length is the same where nobody appends: then nothing is left, or it waits for a reader.
        if length > TOO_LONG || (length > LONG && length != before) {
            last_part.notify_one();
        }
        before = length;
    }
}

/// Copies what no reader needs where it is; answers how long the write-ahead log is, in pages.
async fn copy(db: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let row = sqlx::query("pragma wal_checkpoint(passive)").fetch_one(db).await?;
    Ok(row.get(1))
}

/// Copies what came since the last copy, while nobody appends.
pub(super) async fn finish(db: &mut SqliteConnection) {
    if copy(db).await.is_ok_and(|length| length > TOO_LONG) {
        // It waits for no reader.
        let cut = sqlx::raw_sql(
            "pragma busy_timeout = 50; pragma wal_checkpoint(truncate); pragma busy_timeout = 10000",
        );
        if let Err(error) = cut.execute(db).await {
            tracing::warn!(%error, "the write-ahead log could not be cut; it is tried again");
        }
    }
}
