//! What becomes of each append of a batch: decided in memory, from what the log holds and what the batch has
//! added so far.

use std::{collections::HashMap, sync::Arc};

use serde_json::json;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::{
    Append, AppendError, AppendKey, Appended, MAX_BYTES, Recorded, Request,
    insert::{NewKey, Rows},
    versions::Versions,
    writer::Answer,
};
use crate::metadata::Position;

/// What a key came to before.
struct Before {
    request_hash: Vec<u8>,
    appended: Appended,
}

/// What a batch will insert, and what it will answer.
pub(super) struct Plan {
    head: Position,
    /// How much event data the appends carry that were taken.
    bytes: usize,
    /// The keys that are known: looked up, or added by the batch.
    keys: HashMap<Arc<str>, Before>,
    pub(super) events: Vec<Arc<Recorded>>,
    pub(super) rows: Rows,
    /// One for each append that was taken, in their order.
    pub(super) answers: Vec<Answer>,
    /// An append with a key was rejected. It may be a repetition, which only a look at the keys can tell.
    pub(super) is_doubtful: bool,
}

impl Plan {
    /// With place for so many appends of an event and a key each.
    pub(super) fn new(head: Position, appends: usize) -> Self {
        Self {
            head,
            bytes: 0,
            keys: HashMap::with_capacity(appends),
            events: Vec::with_capacity(appends),
            rows: Rows::new(appends),
            answers: Vec::with_capacity(appends),
            is_doubtful: false,
        }
    }

    /// Looks up the keys of some appends.
    pub(super) async fn read_keys(
        &mut self,
        db: &mut SqliteConnection,
        appends: impl Iterator<Item = &Append>,
    ) -> Result<(), sqlx::Error> {
        let keys: Vec<&str> =
            appends.filter_map(|append| append.key.as_ref()).map(|key| &*key.key).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let found = sqlx::query(
            "select key, request_hash, first, last from idempotency
             where key in (select value from json_each(?1))",
        )
        .bind(json!(keys).to_string())
        .fetch_all(db)
        .await?;
        self.keys.extend(found.iter().map(|row| {
            let position = |column| Position(row.get::<i64, _>(column).cast_unsigned());
            let appended =
                Appended { first: position("first"), last: position("last"), replayed: true };
            let before = Before { request_hash: row.get("request_hash"), appended };
            (row.get::<&str, _>("key").into(), before)
        }));
        Ok(())
    }

    /// Takes on those of a batch that it has not yet, in their order: until one commit can carry no more, and, unless the
    /// streams were `looked_up`, up to the first that takes a look.
    pub(super) fn take(&mut self, batch: &[Request], versions: &mut Versions, looked_up: bool) {
        for Request { append, .. } in batch.iter().skip(self.answers.len()) {
            let bytes = self.bytes + append.bytes();
            let has_room = bytes <= MAX_BYTES || self.answers.is_empty();
            if !(has_room && (looked_up || versions.are_known(append))) {
                return;
            }
            self.bytes = bytes;
            let answer = self.decide(append, versions);
            self.is_doubtful |= append.key.is_some() && answer.is_err();
            self.answers.push(answer);
        }
    }

    /// An append's events and key become rows, or it is rejected. Rejected appends burn no positions.
    fn decide(&mut self, append: &Append, versions: &mut Versions) -> Answer {
        if let Some(AppendKey { key, request_hash, .. }) = &append.key
            && let Some(before) = self.keys.get(key)
        {
            return if before.request_hash == request_hash {
                Ok(before.appended)
            } else {
                Err(AppendError::KeyReused)
            };
        }
        let moved = append.writes.iter().find(|write| versions.of(&write.stream) != write.expected);
        if let Some(write) = moved {
            return Err(AppendError::Conflict { stream: write.stream.clone() });
        }
        let before = self.head;
        let count = append.writes.iter().map(|write| write.events.len() as u64).sum::<u64>();
        let last = Position(before.0 + count);
        // Without events, an append stands where the log stood.
        let first = if count > 0 { Position(before.0 + 1) } else { before };
        let appended = Appended { first, last, replayed: false };
        let key = append.key.as_ref().map(|key| NewKey {
            key,
            appended,
            at: append.metadata.at.timestamp_micros(),
        });
        for write in &append.writes {
            for (event, version) in write.events.iter().zip(write.expected + 1..) {
                self.head.0 += 1;
                let event = Arc::new(Recorded {
                    position: self.head,
                    id: Uuid::now_v7(),
                    stream: write.stream.clone(),
                    version,
                    kind: Arc::clone(&event.kind),
                    schema: event.schema,
                    data: Arc::clone(&event.data),
                    metadata: append.metadata.clone(),
                });
                versions.set(&write.stream, version);
                self.rows.push(Some(&event), key.as_ref().filter(|_| self.head == last));
                self.events.push(event);
            }
        }
        if let Some(key) = key {
            if count == 0 {
                self.rows.push(None, Some(&key));
            }
            let before = Before {
                request_hash: key.key.request_hash.to_vec(),
                appended: Appended { replayed: true, ..appended },
            };
            self.keys.insert(Arc::clone(&key.key.key), before);
        }
        Ok(appended)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::StreamName;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        log::{NewEvent, Write},
        metadata::{Actor, Metadata},
    };

    /// An append of so many bytes to a stream of its own.
    fn request(stream: usize, bytes: usize) -> Request {
        let event = NewEvent { kind: "E".into(), schema: 1, data: "x".repeat(bytes).into() };
        let stream = StreamName::new("test", stream);
        let writes = vec![Write { stream, expected: 0, events: vec![event] }];
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let metadata = Metadata { at, actor: Actor::Hub, correlation: Uuid::nil() };
        Request { append: Append { writes, metadata, key: None }, answer: oneshot::channel().0 }
    }

    /// How many of some appends one commit takes.
    fn taken(sizes: &[usize]) -> usize {
        let batch: Vec<_> =
            sizes.iter().enumerate().map(|(stream, bytes)| request(stream, *bytes)).collect();
        let mut plan = Plan::new(Position(0), batch.len());
        plan.take(&batch, &mut Versions::new(), true);
        plan.answers.len()
    }

    #[test]
    fn one_commit_takes_1_mib_and_a_single_append_that_is_larger() {
        let third = MAX_BYTES / 3;
        assert_eq!(taken(&[third; 3]), 3);
        assert_eq!(taken(&[third, third, third, 3]), 3);
        assert_eq!(taken(&[MAX_BYTES, 1]), 1);
        assert_eq!(taken(&[MAX_BYTES + 1, 1]), 1);
        assert_eq!(taken(&[10; 40]), 40);
    }
}
