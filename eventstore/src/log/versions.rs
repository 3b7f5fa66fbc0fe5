//! The versions of streams, as far as the writer remembers them.
//!
//! Nobody else appends, so what is remembered is true. What is on its way to the disk counts as there: where it does not
//! get there, the stream is forgotten and looked up again.

use std::{collections::HashMap, sync::Arc};

use domain::StreamName;
use lru::LruCache;
use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::{Append, Recorded, Write};

/// How many streams are remembered between two batches.
const REMEMBERED: usize = 16_384;

pub(super) struct Versions(LruCache<StreamName, u64>);

impl Versions {
    pub(super) fn new() -> Self {
        Self(LruCache::unbounded())
    }

    /// How many events a stream has; that of a stream that is not remembered is 0, as if it were new.
    pub(super) fn of(&mut self, stream: &StreamName) -> u64 {
        self.0.get(stream).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, stream: &StreamName, version: u64) {
        let _ = self.0.put(stream.clone(), version);
    }

    /// Whether it takes a look to decide on an append. Streams that are not remembered are taken for new ones where the
    /// append takes them for new ones: the database refuses it where they are not.
    pub(super) fn are_known(&self, append: &Append) -> bool {
        append.writes.iter().all(|write| is_new(write) || self.0.contains(&write.stream))
    }

    /// Looks up the streams of some appends that are not remembered: all of them, or those that `are_known` misses.
    pub(super) async fn read(
        &mut self,
        db: &mut SqliteConnection,
        appends: impl Iterator<Item = &Append>,
        all: bool,
    ) -> Result<(), sqlx::Error> {
        let unknown: HashMap<&str, &StreamName> = appends
            .flat_map(|append| &append.writes)
            .filter(|write| (all || !is_new(write)) && !self.0.contains(&write.stream))
            .map(|write| (write.stream.as_str(), &write.stream))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = unknown.keys().copied().collect();
        let found = sqlx::query(
            "select value as stream,
                    (select max(version) from events where stream = value) as version
             from json_each(?1)",
        )
        .bind(json!(names).to_string())
        .fetch_all(db)
        .await?;
        for row in &found {
            let version: Option<i64> = row.get("version");
            if let Some(stream) = unknown.get(row.get::<&str, _>("stream")) {
                self.set(stream, version.unwrap_or_default().cast_unsigned());
            }
        }
        Ok(())
    }

    /// Forgets the streams of events that were not written.
    pub(super) fn forget(&mut self, events: &[Arc<Recorded>]) {
        for event in events {
            let _ = self.0.pop(&event.stream);
        }
    }

    /// Keeps those that were used last. Not within a batch, which may need more.
    pub(super) fn trim(&mut self) {
        while self.0.len() > REMEMBERED {
            let _ = self.0.pop_lru();
        }
    }
}

fn is_new(write: &Write) -> bool {
    write.expected == 0 && !write.events.is_empty()
}
