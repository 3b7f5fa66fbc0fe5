//! What becomes of each append of a batch: decided in memory, from what the log holds and what the batch has
//! added so far.

use std::{collections::HashMap, sync::Arc};

use domain::StreamName;
use lru::LruCache;
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use super::{Append, AppendError, AppendKey, Appended, Recorded, Write, writer::Answer};
use crate::metadata::Position;

/// What a key came to before.
struct Before {
    request_hash: Vec<u8>,
    appended: Appended,
}

/// What the log holds of the streams and keys of a batch, and what the batch has added so far. A stream or key
/// that is not here is a new one.
pub(super) struct Known<'a> {
    versions: HashMap<&'a StreamName, u64>,
    keys: HashMap<&'a str, Before>,
    appends: &'a [&'a Append],
}

impl<'a> Known<'a> {
    /// What the writer remembers.
    pub(super) fn new(remembered: &LruCache<StreamName, u64>, appends: &'a [&'a Append]) -> Self {
        let versions = appends
            .iter()
            .flat_map(|append| &append.writes)
            .filter_map(|write| Some((&write.stream, *remembered.peek(&write.stream)?)))
            .collect();
        Self { versions, keys: HashMap::new(), appends }
    }

    /// Looks up those of the streams that are not known yet.
    pub(super) async fn read_streams(
        &mut self,
        db: &mut SqliteConnection,
        which: impl Fn(&Write) -> bool,
    ) -> Result<(), sqlx::Error> {
        let unknown: HashMap<&str, &'a StreamName> = self
            .appends
            .iter()
            .flat_map(|append| &append.writes)
            .filter(|write| !self.versions.contains_key(&write.stream) && which(write))
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
        self.versions.extend(found.iter().filter_map(|row| {
            let version: i64 = row.get::<Option<i64>, _>("version")?;
            Some((*unknown.get(row.get::<&str, _>("stream"))?, version.cast_unsigned()))
        }));
        Ok(())
    }

    /// Looks up the keys.
    pub(super) async fn read_keys(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let keys = self.appends.iter().filter_map(|append| append.key.as_ref());
        let keys: HashMap<&str, &'a str> =
            keys.map(|key| (key.key.as_str(), key.key.as_str())).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = keys.keys().copied().collect();
        let found = sqlx::query(
            "select key, request_hash, first, last from idempotency
             where key in (select value from json_each(?1))",
        )
        .bind(json!(names).to_string())
        .fetch_all(db)
        .await?;
        self.keys.extend(
            found
                .iter()
                .filter_map(|row| Some((*keys.get(row.get::<&str, _>("key"))?, before(row)))),
        );
        Ok(())
    }
}

fn before(row: &SqliteRow) -> Before {
    let (first, last): (i64, i64) = (row.get("first"), row.get("last"));
    let appended = Appended {
        first: Position(first.cast_unsigned()),
        last: Position(last.cast_unsigned()),
        replayed: true,
    };
    Before { request_hash: row.get("request_hash"), appended }
}

/// An idempotency key that a batch will insert, and what its append came to.
pub(super) struct NewKey {
    pub(super) key: AppendKey,
    pub(super) appended: Appended,
    /// Microseconds since 1970.
    pub(super) at: i64,
}

/// What a batch will insert.
pub(super) struct Plan {
    head: Position,
    pub(super) events: Vec<Arc<Recorded>>,
    pub(super) keys: Vec<NewKey>,
}

impl Plan {
    pub(super) fn new(head: Position) -> Self {
        Self { head, events: vec![], keys: vec![] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty()
    }

    /// Takes an append into the plan, or answers why not. Rejected appends burn no positions.
    pub(super) fn take<'a>(&mut self, append: &'a Append, known: &mut Known<'a>) -> Answer {
        if let Some(AppendKey { key, request_hash, .. }) = &append.key
            && let Some(before) = known.keys.get(key.as_str())
        {
            return if before.request_hash == request_hash {
                Ok(before.appended)
            } else {
                Err(AppendError::KeyReused)
            };
        }
        let moved = append.writes.iter().find(|write| {
            known.versions.get(&write.stream).copied().unwrap_or_default() != write.expected
        });
        if let Some(write) = moved {
            return Err(AppendError::Conflict { stream: write.stream.clone() });
        }
        let before = self.head;
        for write in &append.writes {
            for (event, version) in write.events.iter().zip(write.expected + 1..) {
                self.head.0 += 1;
                self.events.push(Arc::new(Recorded {
                    position: self.head,
                    id: Uuid::now_v7(),
                    stream: write.stream.clone(),
                    version,
                    kind: Arc::clone(&event.kind),
                    schema: event.schema,
                    data: Arc::clone(&event.data),
                    metadata: append.metadata.clone(),
                }));
                known.versions.insert(&write.stream, version);
            }
        }
        // Without events, an append stands where the log stood.
        let first = if self.head > before { Position(before.0 + 1) } else { before };
        let appended = Appended { first, last: self.head, replayed: false };
        if let Some(key) = &append.key {
            let replay = Appended { replayed: true, ..appended };
            known.keys.insert(
                &key.key,
                Before { request_hash: key.request_hash.to_vec(), appended: replay },
            );
            let at = append.metadata.at.timestamp_micros();
            self.keys.push(NewKey { key: key.clone(), appended, at });
        }
        Ok(appended)
    }
}
