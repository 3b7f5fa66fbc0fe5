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
        if copy(&mut db).await.is_ok_and(|length| length > LONG) {
            last_part.notify_one();
        }
    }
}

/// Copies what no reader needs where it is; answers how long the write-ahead log is, in pages.
async fn copy(db: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("pragma wal_checkpoint(passive)").fetch_one(db).await.map(|row| row.get(1))
}

/// Copies what came since the last copy, while nobody appends.
pub(super) async fn finish(db: &mut SqliteConnection) {
    let copied = copy(db).await;
    if copied.is_ok_and(|length| length > TOO_LONG) {
        // It waits for no reader.
        let cut = sqlx::raw_sql(
            "pragma busy_timeout = 50; pragma wal_checkpoint(truncate); pragma busy_timeout = 10000",
        );
        if let Err(error) = cut.execute(db).await {
            tracing::warn!(%error, "the write-ahead log could not be cut; it is tried again");
        }
    }
}
