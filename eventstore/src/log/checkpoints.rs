//! Copies the write-ahead log into the database beside the writer, so that no append waits for it.
//!
//! Once it is long, and all of it is copied, the next append begins at its start again: what is written over costs half
//! of what a growing file costs, because the disk need not keep its length, too.

use std::{sync::Arc, time::Duration};

use sqlx::{Row, SqliteConnection};
use tokio::{sync::Notify, time::sleep};

/// How often the write-ahead log is copied.
const EVERY: Duration = Duration::from_millis(250);

/// From this length on it is to start over, in pages of 4 KiB: 16 MiB.
const LONG: i64 = 4_096;

/// Where it is cut, because readers or a heavy load have kept it from starting over, in pages of 4 KiB: 256 MiB.
const TOO_LONG: i64 = 65_536;

/// Asks the writer to copy what is left, between two commits.
pub(super) type LastPart = Arc<Notify>;

/// Copies until it is dropped.
pub(super) async fn run(mut db: SqliteConnection, last_part: LastPart) {
    loop {
        sleep(EVERY).await;
        // Where another one is at it, or a reader holds it up, the next one copies more.
        let Ok(Copied { length, copied }) = copy(&mut db).await else { continue };
        if length > TOO_LONG || (length > LONG && copied < length) {
            last_part.notify_one();
        }
    }
}

/// How long the write-ahead log is, and how much of it the database has, in pages.
struct Copied {
    length: i64,
    copied: i64,
}

/// Copies what no reader needs where it is.
async fn copy(db: &mut SqliteConnection) -> Result<Copied, sqlx::Error> {
    let row = sqlx::query("pragma wal_checkpoint(passive)").fetch_one(db).await?;
    Ok(Copied { length: row.get(1), copied: row.get(2) })
}

/// Copies what came since the last copy, while nobody appends.
pub(super) async fn finish(db: &mut SqliteConnection) {
    if copy(db).await.is_ok_and(|Copied { length, .. }| length > TOO_LONG) {
        // It waits for no reader.
        let cut = sqlx::raw_sql(
            "pragma busy_timeout = 50; pragma wal_checkpoint(truncate); pragma busy_timeout = 10000",
        );
        if let Err(error) = cut.execute(db).await {
            tracing::warn!(%error, "the write-ahead log could not be cut; it is tried again");
        }
    }
}
