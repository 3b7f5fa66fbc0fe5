//! The log: events in one order, appended atomically at expected versions.
//!
//! `writer` gathers appends and commits them together: `plan` decides what becomes of each by the `versions` of their
//! streams, `insert` is the SQL, `checkpoints` copies what was written into the database.
//! `recent` keeps the newest events in memory for whoever follows, `part` is how much is handed over at once; this file is
//! the log's face.

mod checkpoints;
mod insert;
mod part;
mod plan;
mod recent;
mod subscription;
mod versions;
mod writer;

use std::{path::Path, sync::Arc};

use chrono::DateTime;
use domain::StreamName;
use futures_util::TryStreamExt as _;
use serde_json::json;
use sqlx::{
    AssertSqlSafe, Row, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::subscription::Subscription;
use self::{part::Part, recent::Recent, writer::Writer};
use crate::{
    database::{self, Mode},
    error::StoreError,
    metadata::{Metadata, Position},
};

/// How many appends may wait for the writer. One more is refused, so that memory stays bounded.
const QUEUE: usize = 4_096;

/// The most that one append may carry, and that one commit takes together, in bytes of event data.
const MAX_BYTES: usize = 1 << 20;

/// An event that is to be appended: its name, its schema, its data as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub kind: Arc<str>,
    pub schema: u16,
    pub data: Arc<str>,
}

/// Events for one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub stream: StreamName,
    /// How many events the stream must have for this to be appended.
    pub expected: u64,
    pub events: Vec<NewEvent>,
}

/// Names an append, so that sending it again answers what came of it the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendKey {
    pub key: Arc<str>,
    /// Tells a repetition from another request under the same key.
    pub request_hash: [u8; 32],
    /// Stored in the same commit, for whoever repeats the request.
    pub answer: Option<Vec<u8>>,
}

/// Events for one or several streams: all of them are appended, or none.
#[derive(Debug, Clone)]
pub struct Append {
    pub writes: Vec<Write>,
    pub metadata: Metadata,
    pub key: Option<AppendKey>,
}

/// Where an append stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub first: Position,
    pub last: Position,
    /// The key was known: this is the first answer, and nothing was appended now.
    pub replayed: bool,
}

/// Why an append was not made. Nothing of it is in the log; after `Stopped` only the disk can tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("the stream {stream} has moved on; read it again and decide anew")]
    Conflict { stream: StreamName },
    #[error("this idempotency key was used for another request; use a new key")]
    KeyReused,
    #[error("more is being appended than the disk takes; try again in a moment")]
    Overloaded,
    #[error("an append may carry at most 1 MiB of events; send less at a time")]
    TooLarge,
    #[error(
        "the disk or the database refused the append ({0}); nothing of it was kept, so make room and try again"
    )]
    Refused(String),
    #[error(
        "the log stopped because the disk may not have kept what it was given ({0}); check the disk, start the hub again and repeat the request"
    )]
    Stopped(String),
}

/// An event as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub position: Position,
    pub id: Uuid,
    pub stream: StreamName,
    /// The place in its stream, from 1.
    pub version: u64,
    pub kind: Arc<str>,
    pub schema: u16,
    pub data: Arc<str>,
    pub metadata: Metadata,
}

impl Append {
    /// How much event data it carries, in bytes.
    fn bytes(&self) -> usize {
        self.writes.iter().flat_map(|write| &write.events).map(|event| event.data.len()).sum()
    }
}

struct Request {
    append: Append,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The log. Cloning is cheap.
#[derive(Clone)]
pub struct Log {
    appends: Option<mpsc::Sender<Request>>,
    head: watch::Receiver<Position>,
    recent: Arc<Recent>,
    readers: SqlitePool,
    stopped: CancellationToken,
}

impl Log {
    pub(crate) async fn open(path: &Path, mode: Mode) -> Result<Self, sqlx::Error> {
        let readers = database::pool(path, 4, true);
        let recent = Arc::new(Recent::default());
        let stopped = CancellationToken::new();
        let last = sqlx::query_scalar::<_, i64>("select coalesce(max(position), 0) from events");
        let last = Position(last.fetch_one(&readers).await?.cast_unsigned());
        let (heads, head) = watch::channel(last);
        let appends = match mode {
            Mode::Serve => {
                let (send, receive) = mpsc::channel(QUEUE);
                let writer =
                    Writer::open(path, last, heads, Arc::clone(&recent), stopped.clone()).await?;
                tokio::spawn(writer.run(receive));
                Some(send)
            }
            Mode::Beside | Mode::Prepare => None,
        };
        Ok(Self { appends, head, recent, readers, stopped })
    }

    /// Appends, and answers once the events are on disk.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.bytes() > MAX_BYTES {
            return Err(AppendError::TooLarge);
        }
        let Some(appends) = &self.appends else {
            return Err(AppendError::Stopped("this process only reads".to_owned()));
        };
        let (answer, answered) = oneshot::channel();
        appends.try_send(Request { append, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => {
                AppendError::Stopped("it is shut down".to_owned())
            }
        })?;
        answered.await.unwrap_or_else(|_| Err(AppendError::Stopped("it is shut down".to_owned())))
    }

    /// A stream's events after a version, in order.
    pub async fn read_stream(
        &self,
        stream: &StreamName,
        after: u64,
    ) -> Result<Vec<Arc<Recorded>>, StoreError> {
        let rows = select("where stream = ?1 and version > ?2 order by version")
            .bind(stream.as_str())
            .bind(number(after))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(recorded).collect()
    }

    /// A stream's last event of a name, up to a version: what came before it need not be read.
    pub async fn last_of(
        &self,
        stream: &StreamName,
        kind: &str,
        up_to: u64,
    ) -> Result<Option<Arc<Recorded>>, StoreError> {
        let found = select(
            "where stream = ?1 and version <= ?2 and type = ?3 order by version desc limit 1",
        )
        .bind(stream.as_str())
        .bind(number(up_to))
        .bind(kind)
        .fetch_optional(&self.readers)
        .await?;
        found.as_ref().map(recorded).transpose()
    }

    /// At most `limit` events after a position, in order; fewer where they are large.
    pub async fn read_after(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Recorded>>, StoreError> {
        if let Some(recent) = self.recent.after(after, limit) {
            return Ok(recent);
        }
        let mut rows = select("where position > ?1 order by position limit ?2")
            .bind(number(after.0))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch(&self.readers);
        let mut part = Part::of(limit);
        while let Some(row) = rows.try_next().await? {
            if !part.takes(&recorded(&row)?) {
                break;
            }
        }
        Ok(part.events)
    }

    /// The events at some positions, in order.
    pub async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Recorded>>, StoreError> {
        let rows = select("where position in (select value from json_each(?1)) order by position")
            .bind(json!(positions).to_string())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(recorded).collect()
    }

    /// The last position of the log as this process knows it.
    pub fn head(&self) -> Position {
        *self.head.borrow()
    }

    /// Tells when the head moves. A hint: the position that a reader keeps is the truth.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }

    /// Follows the log after a position.
    pub fn subscribe(&self, after: Position) -> Subscription {
        Subscription::new(self.clone(), after)
    }

    /// Ends once the log has stopped taking appends, because the disk failed or the process shuts down.
    pub fn stopped(&self) -> CancellationToken {
        self.stopped.clone()
    }
}

/// A number as SQLite stores it.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Selects events as `recorded` reads them: columns are found by their places, which is faster than by their names.
fn select(which: &'static str) -> Query<'static, Sqlite, SqliteArguments> {
    sqlx::query(AssertSqlSafe(format!(
        "select position, id, stream, version, type, schema, data, at, actor, correlation from events {which}"
    )))
}

fn recorded(row: &SqliteRow) -> Result<Arc<Recorded>, StoreError> {
    let malformed = StoreError::Malformed;
    let uuid =
        |column: usize| Uuid::from_slice(row.get(column)).map_err(|_| malformed("an event's id"));
    let number = |column: usize| row.get::<i64, _>(column);
    let actor: &str = row.get(8);
    Ok(Arc::new(Recorded {
        position: Position(number(0).cast_unsigned()),
        id: uuid(1)?,
        stream: StreamName::stored(row.get(2)),
        version: number(3).cast_unsigned(),
        kind: row.get::<&str, _>(4).into(),
        schema: u16::try_from(number(5)).map_err(|_| malformed("an event's schema"))?,
        data: row.get::<&str, _>(6).into(),
        metadata: Metadata {
            at: DateTime::from_timestamp_micros(number(7)).ok_or(malformed("an event's time"))?,
            actor: actor.parse().map_err(|_| malformed("an event's actor"))?,
            correlation: uuid(9)?,
        },
    }))
}
