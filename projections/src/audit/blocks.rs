//! When the blocks of the log were appended: which positions a span of time lies between, whatever clocks did.

use chrono::{DateTime, Utc};
use eventstore::Position;
use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::{mentions::block, moments::micros};
use crate::rows;

#[derive(Debug, Clone, Copy)]
struct Block {
    block: i64,
    low: i64,
    high: i64,
}

/// The blocks that a run of events is in, and the last one before it.
pub(super) struct Blocks(Vec<Block>);

impl Blocks {
    pub(super) async fn load(db: &mut SqliteConnection) -> sqlx::Result<Self> {
        let last = sqlx::query("select block, low, high from blocks order by block desc limit 1")
            .fetch_optional(db)
            .await?;
        let last = last.map(|row| Block {
            block: row.get("block"),
            low: row.get("low"),
            high: row.get("high"),
        });
        Ok(Self(last.into_iter().collect()))
    }

    pub(super) fn note(&mut self, position: Position, at: DateTime<Utc>) {
        let (block, at) = (block(position), micros(at));
        match self.0.last_mut() {
            Some(last) if last.block == block => {
                last.low = last.low.min(at);
                last.high = last.high.max(at);
            }
            last => {
                let high = last.map_or(at, |last| last.high.max(at));
                self.0.push(Block { block, low: at, high });
            }
        }
    }

    pub(super) async fn write(self, db: &mut SqliteConnection) -> sqlx::Result<()> {
        let Some(first) = self.0.first().map(|first| first.block) else { return Ok(()) };
        let (mut rows, mut least) = (vec![], i64::MAX);
        for Block { block, low, high } in self.0.into_iter().rev() {
            rows.push(json!([block, low, high, (low < least).then_some(low)]));
            least = least.min(low);
        }
        rows::insert(
            db,
            "blocks (block, low, high, floor)",
            "on conflict (block) do update set low = excluded.low, high = excluded.high, floor = excluded.floor",
            rows,
        )
        .await?;
        sqlx::query("update blocks set floor = null where floor >= ?1 and block < ?2")
            .bind(least)
            .bind(first)
            .execute(db)
            .await?;
        Ok(())
    }
}
