//! Durable appends, beside the floors of this machine measured in the same run: raw fdatasync, a bare INSERT in a
//! transaction of its own, and bare grouped INSERTs with the same columns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use domain::{
    StreamName,
    membership::{self, Membership, Status, Terms},
};
use eventstore::{
    Actor, Append, AppendKey, Clock, Log, Metadata, Mode, NewEvent, Store, StoreOptions, Write,
};
use serde_json::json;
use sqlx::{
    AssertSqlSafe, ConnectOptions, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::table::{fdatasyncs, heading, line, median};

const ROUNDS: usize = 5;
const DURING: Duration = Duration::from_millis(1_500);

/// What a membership report records, about as long as it is.
const DATA: &str = r#"{"membership":"mem_01HZY3V8Q2","fan":"fan_01HZY3V8Q2","creator":"creator_01HZY3","tier":"gold","status":"active","ends_at":"2027-01-01T00:00:00Z","version":17}"#;

fn metadata() -> Metadata {
    Metadata { at: Clock::system().now(), actor: Actor::Platform, correlation: Uuid::now_v7() }
}

/// One event of a stream of its own.
pub(crate) fn append(n: u64, key: bool) -> Append {
    let event = NewEvent { kind: "MembershipRenewed".into(), schema: 1, data: DATA.into() };
    let stream = StreamName::new("membership", format_args!("m{n}"));
    let key = key.then(|| AppendKey {
        key: format!("http:key:{n}").into(),
        request_hash: [7; 32],
        answer: None,
    });
    Append {
        writes: vec![Write { stream, expected: 0, events: vec![event] }],
        metadata: metadata(),
        key,
    }
}

async fn appends(log: &Log, next: &Arc<AtomicU64>, writers: usize) -> f64 {
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (log, next) = (log.clone(), Arc::clone(next));
            tokio::spawn(async move {
                let mut count = 0u32;
                while began.elapsed() < DURING {
                    log.append(append(next.fetch_add(1, Ordering::Relaxed), true)).await.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

async fn decisions(store: &Store, next: &Arc<AtomicU64>, writers: usize) -> f64 {
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, next) = (store.clone(), Arc::clone(next));
            tokio::spawn(async move {
                let mut count = 0u32;
                while began.elapsed() < DURING {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let membership: domain::MembershipId =
                        format!("d{}", n % 10_000).parse().unwrap();
                    let terms = Terms {
                        membership: membership.clone(),
                        fan: format!("f{}", n % 10_000).parse().unwrap(),
                        creator: "kim".parse().unwrap(),
                        tier: "gold".parse().unwrap(),
                        status: Status::Active,
                        ends_at: None,
                        version: n,
                    };
                    let metadata = metadata();
                    let command = membership::Command::Report {
                        terms,
                        now: metadata.at,
                        grace: TimeDelta::days(3),
                    };
                    let stream = membership::stream(&membership);
                    store.handle::<Membership>(&stream, command, metadata, None).await.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// A database with the log's tables and nothing of the log's code.
struct Bare {
    db: SqliteConnection,
    next: i64,
}

impl Bare {
    async fn open(folder: &TempDir) -> Self {
        let mut db = SqliteConnectOptions::new()
            .filename(folder.path().join("bare.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // As the log has it: what copying the write-ahead log costs is not the statement's.
            .pragma("wal_autocheckpoint", "0")
            .connect()
            .await
            .unwrap();
        for migration in [
            include_str!("../../eventstore/migrations/0001_log.sql"),
            include_str!("../../eventstore/migrations/0006_forgetting.sql"),
        ] {
            sqlx::raw_sql(migration).execute(&mut db).await.unwrap();
        }
        Self { db, next: 0 }
    }

    /// With the write-ahead log copied, so that it starts over: a file that grows costs more than the statements do.
    async fn rested(&mut self) -> &mut Self {
        sqlx::query("pragma wal_checkpoint(passive)").execute(&mut self.db).await.unwrap();
        self
    }

    /// One event and its key in a transaction of their own.
    async fn singles(&mut self) -> f64 {
        let (began, mut count) = (Instant::now(), 0u32);
        while began.elapsed() < DURING {
            self.next += 1;
            let (id, stream) = (Uuid::now_v7(), format!("membership/m{}", self.next));
            sqlx::query("begin immediate").execute(&mut self.db).await.unwrap();
            sqlx::query(
                "insert into events (position, id, category, stream, version, type, schema, data, actor, correlation, at)
                 values (?1, ?2, 'membership', ?3, 1, 'MembershipRenewed', 1, ?4, 'platform', ?2, 0)",
            )
            .bind(self.next)
            .bind(id.as_bytes().as_slice())
            .bind(&stream)
            .bind(DATA)
            .execute(&mut self.db)
            .await
            .unwrap();
            sqlx::query("insert into idempotency (key, request_hash, first, last, at) values (?1, ?2, ?3, ?3, 0)")
                .bind(format!("http:key:{}", self.next))
                .bind([7u8; 32].as_slice())
                .bind(self.next)
                .execute(&mut self.db)
                .await
                .unwrap();
            sqlx::query("commit").execute(&mut self.db).await.unwrap();
            count += 1;
        }
        f64::from(count) / began.elapsed().as_secs_f64()
    }

    /// So many events and their keys with one statement each, read out of JSON, in one transaction.
    async fn json(&mut self, at_once: i64) -> f64 {
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < DURING {
            let numbers = self.next + 1..=self.next + at_once;
            self.next += at_once;
            let rows: Vec<_> = numbers
                .map(|n| {
                    let id = Uuid::now_v7().simple().to_string();
                    json!([
                        n,
                        id,
                        "membership",
                        format!("membership/m{n}"),
                        1,
                        "MembershipRenewed",
                        1,
                        DATA,
                        "platform",
                        id,
                        0,
                        format!("http:key:{n}"),
                        "07".repeat(32)
                    ])
                })
                .collect();
            let rows = serde_json::Value::Array(rows).to_string();
            sqlx::query("begin immediate").execute(&mut self.db).await.unwrap();
            for sql in [
                "insert into events (position, id, category, stream, version, type, schema, data, actor, correlation, at)
                 select value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                        value ->> 6, value ->> 7, value ->> 8, unhex(value ->> 9), value ->> 10 from json_each(?1)",
                "insert into idempotency (key, request_hash, first, last, at)
                 select value ->> 11, unhex(value ->> 12), value ->> 0, value ->> 0, 0 from json_each(?1)",
            ] {
                sqlx::query(sql).bind(&rows).execute(&mut self.db).await.unwrap();
            }
            sqlx::query("commit").execute(&mut self.db).await.unwrap();
            count += at_once;
        }
        f64::from(i32::try_from(count).unwrap()) / began.elapsed().as_secs_f64()
    }

    /// The same as parameters, all in one hop to SQLite's thread: nothing that sqlx offers is faster.
    async fn grouped(&mut self, at_once: i64) -> f64 {
        let rows = |row: &'static str| vec![row; usize::try_from(at_once).unwrap()].join(", ");
        let sql = format!(
            "begin immediate;
             insert into events (position, id, category, stream, version, type, schema, data, actor, correlation, at)
             values {};
             insert into idempotency (key, request_hash, first, last, answer, at) values {};
             commit",
            rows("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
            rows("(?, ?, ?, ?, ?, ?)"),
        );
        let sql: Arc<str> = sql.into();
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < DURING {
            let numbers = self.next + 1..=self.next + at_once;
            self.next += at_once;
            let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&sql)));
            for n in numbers.clone() {
                let id = Uuid::now_v7();
                query = query
                    .bind(n)
                    .bind(id.as_bytes().to_vec())
                    .bind("membership")
                    .bind(format!("membership/m{n}"))
                    .bind(1)
                    .bind("MembershipRenewed")
                    .bind(1)
                    .bind(DATA)
                    .bind("platform")
                    .bind(id.as_bytes().to_vec())
                    .bind(0);
            }
            for n in numbers {
                query = query
                    .bind(format!("http:key:{n}"))
                    .bind([7u8; 32].as_slice())
                    .bind(n)
                    .bind(n)
                    .bind(None::<&[u8]>)
                    .bind(0);
            }
            query.execute(&mut self.db).await.unwrap();
            count += at_once;
        }
        f64::from(i32::try_from(count).unwrap()) / began.elapsed().as_secs_f64()
    }
}

pub(crate) async fn run() {
    // On the disk that is measured, and not in memory.
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = StoreOptions { clock: Clock::system(), master_key: None, mode: Mode::Serve };
    let store = Store::open(&folder.path().join("data"), options).await.unwrap();
    let mut bare = Bare::open(&folder).await;
    let next = Arc::new(AtomicU64::new(0));
    let names =
        ["grow", "over", "single", "json", "grouped", "1", "8", "64", "decide 1", "decide 64"];
    let mut all = names.map(|_| vec![]);
    for round in 0..=ROUNDS {
        // In turns, so that whatever else the machine does meets all of them alike.
        let measured = [
            fdatasyncs(folder.path(), DURING, false),
            fdatasyncs(folder.path(), DURING, true),
            bare.rested().await.singles().await,
            bare.rested().await.json(64).await,
            bare.rested().await.grouped(64).await,
            appends(store.log(), &next, 1).await,
            appends(store.log(), &next, 8).await,
            appends(store.log(), &next, 64).await,
            decisions(&store, &next, 1).await,
            decisions(&store, &next, 64).await,
        ];
        // The first round warms up.
        if round > 0 {
            for (all, measured) in all.iter_mut().zip(measured) {
                all.push(measured);
            }
        }
    }
    let [sync, over, single, json, grouped, one, eight, many, decide_one, decide_many] =
        all.map(median);
    heading("Appends, durable, with idempotency keys, per second");
    let per = |value: f64| format!("{value:.0}");
    line("raw fdatasync of a page that is added", &per(sync), "the floor of a file that grows");
    line(
        "raw fdatasync of a page that is written over",
        &per(over),
        "the floor of one that does not",
    );
    line(
        "bare INSERT, a transaction each",
        &per(single),
        &format!("{:.2} of fdatasync", single / sync),
    );
    line("bare grouped INSERT from JSON, 64 at once", &per(json), "");
    line("bare grouped INSERT of parameters, 64 at once", &per(grouped), "");
    let against = format!(
        "{:.2} of fdatasync that adds (goal 0.75), {:.2} of one that writes over",
        one / sync,
        one / over
    );
    line("append, 1 writer", &per(one), &against);
    line(
        "append, 8 writers",
        &per(eight),
        &format!("{:.1} × one transaction each", eight / single),
    );
    let against = format!(
        "{:.1} × one transaction each (goal 8), {:.2} of grouped from JSON (goal 0.90), {:.2} of grouped parameters",
        many / single,
        many / json,
        many / grouped
    );
    line("append, 64 writers", &per(many), &against);
    line(
        "read, decide, append, 1 writer",
        &per(decide_one),
        &format!("{:.2} of append", decide_one / one),
    );
    line(
        "read, decide, append, 64 writers",
        &per(decide_many),
        &format!("{:.2} of append", decide_many / many),
    );
}
