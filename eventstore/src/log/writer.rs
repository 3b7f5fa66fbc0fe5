//! The one writer: takes what waits and commits it together.
//!
//! While one commit is on its way to the disk, the next batch gathers by itself, so a lone append waits
//! for nobody and many share one fsync. A conflict fails only its own append.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use domain::StreamName;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Row, SqliteConnection, sqlite::SqliteRow};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Append, AppendError, AppendKey, Appended, Recorded, Request, number, recent::Recent};
use crate::{database, hex::hex, metadata::Position};

/// The most appends that one commit takes together.
const BATCH: usize = 512;

/// Where a batch is closed, in bytes of event data.
const BATCH_BYTES: usize = 1 << 20;

/// How often the writer steps aside without anybody coming before it closes a batch.
const PATIENCE: u32 = 8;

/// How often the write-ahead log is copied into the database.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// Where the write-ahead log is cut even while appends wait, in pages of 4 KiB: 64 MiB.
const LONG_WAL: i64 = 16_384;

pub(super) struct Writer {
    db: SqliteConnection,
    /// Copies the write-ahead log beside the writer, so that no append waits for it.
    checkpoints: SqliteConnection,
    head: watch::Sender<Position>,
    recent: Arc<Recent>,
    stopped: CancellationToken,
}

type Answer = Result<Appended, AppendError>;

impl Writer {
    pub(super) async fn open(
        path: &Path,
        last: Position,
        head: watch::Sender<Position>,
        recent: Arc<Recent>,
        stopped: CancellationToken,
    ) -> Result<Self, sqlx::Error> {
        let db = database::options(path).pragma("wal_autocheckpoint", "0").connect().await?;
        let checkpoints = database::options(path).connect().await?;
        head.send_replace(last);
        Ok(Self { db, checkpoints, head, recent, stopped })
    }

    /// Writes until nobody can append any more, or the disk fails.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut checkpoint = interval(CHECKPOINT);
        checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut last = 0;
        loop {
            tokio::select! {
                biased;
                taken = requests.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    gather(&mut requests, &mut batch, last).await;
                    last = batch.len();
                    if let Err(reason) = self.write(&mut batch).await {
                        tracing::error!(%reason, "the disk failed to keep an append; the log stops");
                        self.stop(&reason, batch, requests).await;
                        return;
                    }
                }
                _ = checkpoint.tick() => self.checkpoint().await,
            }
        }
        self.stopped.cancel();
    }

    /// Whatever was not acknowledged is answered as not kept, and nothing is acknowledged from here on.
    async fn stop(self, reason: &str, batch: Vec<Request>, mut requests: mpsc::Receiver<Request>) {
        requests.close();
        self.stopped.cancel();
        for request in batch {
            let _ = request.answer.send(Err(AppendError::Stopped(reason.to_owned())));
        }
        while let Some(request) = requests.recv().await {
            let _ = request.answer.send(Err(AppendError::Stopped(reason.to_owned())));
        }
    }

    /// Writes what was taken, in parts that one commit can carry.
    async fn write(&mut self, batch: &mut Vec<Request>) -> Result<(), String> {
        while !batch.is_empty() {
            let mut bytes = 0;
            let fits = batch.iter().position(|request| {
                bytes += request
                    .append
                    .writes
                    .iter()
                    .flat_map(|w| &w.events)
                    .map(|e| e.data.len())
                    .sum::<usize>();
                bytes > BATCH_BYTES
            });
            let part = fits.unwrap_or(batch.len()).max(1);
            let answers = self.commit(&batch[..part]).await?;
            for (request, answer) in batch.drain(..part).zip(answers) {
                // Whoever gave up waiting finds the answer under its key.
                let _ = request.answer.send(answer);
            }
        }
        Ok(())
    }

    /// Commits some appends together, and one by one where together is refused, so that one that cannot
    /// be stored fails alone. `Err`: the disk failed, and what it holds is not known.
    async fn commit(&mut self, requests: &[Request]) -> Result<Vec<Answer>, String> {
        if let [only] = requests
            && let Some(answer) = self.commit_one(&only.append).await?
        {
            return Ok(vec![answer]);
        }
        let appends: Vec<&Append> = requests.iter().map(|request| &request.append).collect();
        match self.commit_all(&appends).await {
            Ok(answers) => Ok(answers),
            Err(error) => {
                let refused = self.refusal(error).await?;
                if let [_] = requests {
                    return Ok(vec![Err(refused)]);
                }
                let mut answers = vec![];
                for append in appends {
                    answers.push(match self.commit_all(&[append]).await {
                        Ok(mut answer) => answer.pop().unwrap_or(Err(AppendError::Overloaded)),
                        Err(error) => Err(self.refusal(error).await?),
                    });
                }
                Ok(answers)
            }
        }
    }

    /// A single event with its key is one statement: a commit without a round trip more than it needs.
    /// `None` where the append has another shape, or where the reason of a refusal must be looked up.
    async fn commit_one(&mut self, append: &Append) -> Result<Option<Answer>, String> {
        let [write] = append.writes.as_slice() else { return Ok(None) };
        let [event] = write.events.as_slice() else { return Ok(None) };
        let position = Position(self.head.borrow().0 + 1);
        let recorded = Recorded {
            position,
            id: Uuid::now_v7(),
            stream: write.stream.clone(),
            version: write.expected + 1,
            kind: event.kind.clone(),
            schema: event.schema,
            data: event.data.clone(),
            metadata: append.metadata.clone(),
        };
        let key = append.key.as_ref();
        let inserted = sqlx::query(
            "insert into appends (position, id, category, stream, version, type, schema, data, actor, correlation, at,
                                  key, request_hash, answer)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )
        .bind(number(position.0))
        .bind(recorded.id.as_bytes().as_slice())
        .bind(recorded.stream.category())
        .bind(recorded.stream.as_str())
        .bind(number(recorded.version))
        .bind(&recorded.kind)
        .bind(i64::from(recorded.schema))
        .bind(&recorded.data)
        .bind(recorded.metadata.actor.to_string())
        .bind(recorded.metadata.correlation.as_bytes().as_slice())
        .bind(recorded.metadata.at.timestamp_micros())
        .bind(key.map(|key| &key.key))
        .bind(key.map(|key| key.request_hash.as_slice()))
        .bind(key.and_then(|key| key.answer.as_deref()))
        .execute(&mut self.db)
        .await;
        match inserted {
            Ok(_) => {
                self.publish(vec![Arc::new(recorded)]);
                Ok(Some(Ok(Appended { first: position, last: position, replayed: false })))
            }
            Err(error) if is_constraint(&error) => Ok(None),
            Err(error) => Ok(Some(Err(self.refusal(error).await?))),
        }
    }

    async fn commit_all(&mut self, appends: &[&Append]) -> Result<Vec<Answer>, sqlx::Error> {
        sqlx::query("begin immediate").execute(&mut self.db).await?;
        let mut known = Known::read(&mut self.db, appends).await?;
        let mut plan = Plan { head: *self.head.borrow(), events: vec![], keys: vec![] };
        let answers: Vec<Answer> =
            appends.iter().map(|append| plan.take(append, &mut known)).collect();
        plan.insert(&mut self.db).await?;
        sqlx::query("commit").execute(&mut self.db).await?;
        self.publish(plan.events);
        Ok(answers)
    }

    fn publish(&self, events: Vec<Arc<Recorded>>) {
        let Some(last) = events.last().map(|event| event.position) else { return };
        self.recent.extend(events);
        self.head.send_replace(last);
    }

    /// Why SQLite took nothing; `Err` where it is not known what the disk holds.
    async fn refusal(&mut self, error: sqlx::Error) -> Result<AppendError, String> {
        // A failed statement may have ended its transaction already; then there is nothing to take back.
        let rolled_back = sqlx::query("rollback").execute(&mut self.db).await;
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse::<i32>().ok());
        match (code.map(|code| code & 0xff), rolled_back) {
            // Full disk, busy, constraint, too big: SQLite has taken the transaction back.
            (Some(13 | 5 | 19 | 18), _) => Ok(AppendError::Refused(error.to_string())),
            _ => Err(error.to_string()),
        }
    }

    async fn checkpoint(&mut self) {
        let passive =
            sqlx::query("pragma wal_checkpoint(passive)").fetch_one(&mut self.checkpoints).await;
        let long = passive.as_ref().is_ok_and(|row| row.get::<i64, _>(1) > LONG_WAL);
        if long {
            // Readers or a steady load have kept it from starting over: the writer pauses for it.
            let cut = sqlx::query("pragma wal_checkpoint(truncate)").fetch_one(&mut self.db).await;
            if let Err(error) = cut {
                tracing::warn!(%error, "the write-ahead log could not be cut; it is tried again");
            }
        }
    }
}

/// Lets those who were just answered come again before the next batch is closed. As many as came last time are
/// likely to: without this, the first of them would be committed alone and the others wait for the next commit.
async fn gather(requests: &mut mpsc::Receiver<Request>, batch: &mut Vec<Request>, last: usize) {
    let mut silent = 0;
    while batch.len() < last.min(BATCH) && silent < PATIENCE {
        tokio::task::yield_now().await;
        silent += 1;
        while batch.len() < BATCH
            && let Ok(request) = requests.try_recv()
        {
            batch.push(request);
            silent = 0;
        }
    }
}

fn is_constraint(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == 19)
}

/// What a key came to before.
struct Before {
    request_hash: Vec<u8>,
    appended: Appended,
}

/// What the log holds of the streams and keys of a batch, and what the batch has added so far.
struct Known {
    versions: HashMap<StreamName, u64>,
    keys: HashMap<String, Before>,
}

impl Known {
    async fn read(db: &mut SqliteConnection, appends: &[&Append]) -> Result<Self, sqlx::Error> {
        let streams: HashSet<&str> = appends
            .iter()
            .flat_map(|append| &append.writes)
            .map(|write| write.stream.as_str())
            .collect();
        let keys: HashSet<&str> = appends
            .iter()
            .filter_map(|append| append.key.as_ref())
            .map(|key| key.key.as_str())
            .collect();
        let versions = sqlx::query(
            "select value as stream,
                    (select max(version) from events where stream = value) as version
             from json_each(?1)",
        )
        .bind(json!(streams).to_string())
        .fetch_all(&mut *db)
        .await?
        .iter()
        .filter_map(|row| {
            let version: i64 = row.get::<Option<i64>, _>("version")?;
            Some((StreamName::stored(row.get("stream")), version.cast_unsigned()))
        })
        .collect();
        let keys = if keys.is_empty() {
            HashMap::new()
        } else {
            sqlx::query(
                "select key, request_hash, first, last from idempotency
                 where key in (select value from json_each(?1))",
            )
            .bind(json!(keys).to_string())
            .fetch_all(&mut *db)
            .await?
            .iter()
            .map(before)
            .collect()
        };
        Ok(Self { versions, keys })
    }
}

fn before(row: &SqliteRow) -> (String, Before) {
    let (first, last): (i64, i64) = (row.get("first"), row.get("last"));
    let appended = Appended {
        first: Position(first.cast_unsigned()),
        last: Position(last.cast_unsigned()),
        replayed: true,
    };
    (row.get("key"), Before { request_hash: row.get("request_hash"), appended })
}

/// What a batch will insert.
struct Plan {
    head: Position,
    events: Vec<Arc<Recorded>>,
    keys: Vec<Value>,
}

impl Plan {
    /// Takes an append into the plan, or answers why not. Rejected appends burn no positions.
    fn take(&mut self, append: &Append, known: &mut Known) -> Answer {
        if let Some(AppendKey { key, request_hash, .. }) = &append.key
            && let Some(before) = known.keys.get(key)
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
                    kind: event.kind.clone(),
                    schema: event.schema,
                    data: event.data.clone(),
                    metadata: append.metadata.clone(),
                }));
                known.versions.insert(write.stream.clone(), version);
            }
        }
        // Without events, an append stands where the log stood.
        let first = if self.head > before { Position(before.0 + 1) } else { before };
        let appended = Appended { first, last: self.head, replayed: false };
        if let Some(AppendKey { key, request_hash, answer }) = &append.key {
            let at = append.metadata.at.timestamp_micros();
            let answer = answer.as_ref().map(|answer| hex(answer));
            self.keys.push(json!([key, hex(request_hash), first, self.head, answer, at]));
            let replay = Appended { replayed: true, ..appended };
            known.keys.insert(
                key.clone(),
                Before { request_hash: request_hash.to_vec(), appended: replay },
            );
        }
        Ok(appended)
    }

    async fn insert(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if !self.events.is_empty() {
            let rows: Vec<Value> = self.events.iter().map(|event| row(event)).collect();
            sqlx::query(
                "insert into events (position, id, category, stream, version, type, schema, data, actor, correlation,
                                     at)
                 select value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                        value ->> 6, value ->> 7, value ->> 8, unhex(value ->> 9), value ->> 10
                 from json_each(?1)",
            )
            .bind(Value::Array(rows).to_string())
            .execute(&mut *db)
            .await?;
        }
        if !self.keys.is_empty() {
            sqlx::query(
                "insert into idempotency (key, request_hash, first, last, answer, at)
                 select value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, unhex(value ->> 4), value ->> 5
                 from json_each(?1)",
            )
            .bind(Value::Array(std::mem::take(&mut self.keys)).to_string())
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }
}

fn row(event: &Recorded) -> Value {
    json!([
        event.position,
        event.id.simple().to_string(),
        event.stream.category(),
        event.stream,
        event.version,
        event.kind,
        event.schema,
        event.data,
        event.metadata.actor.to_string(),
        event.metadata.correlation.simple().to_string(),
        event.metadata.at.timestamp_micros(),
    ])
}
