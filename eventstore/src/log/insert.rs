//! A batch as SQL: one statement, and so one hop to SQLite's thread and one answer for all of it.
//!
//! SQLite's thread answers each statement that it has run, and every answer wakes the writer. One that writes both tables
//! and is a transaction of its own makes a lone append a quarter faster than four.
//! Values go as parameters, which costs SQLite a third of reading them out of JSON. A statement may have more rows
//! of parameters than are needed, which stay null and write nothing: few lengths serve all batches and stay prepared.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{
    Recorded, number,
    plan::{NewKey, Plan},
};

/// The most rows of one statement. SQLite allows 32,766 parameters.
const ROWS: usize = 512;

/// A row of a batch carries an event, a key, or both.
const BATCH: &str = "
create temp view batch as
select null as position, null as id, null as category, null as stream, null as version, null as type, null as schema,
       null as data, null as actor, null as correlation, null as at,
       null as key, null as request_hash, null as first, null as last, null as answer, null as known_at;

create temp trigger batch_event instead of insert on batch when new.position is not null
begin
    insert into events (position, id, category, stream, version, type, schema, data, actor, correlation, at)
    values (new.position, new.id, new.category, new.stream, new.version, new.type, new.schema, new.data, new.actor,
            new.correlation, new.at);
end;

create temp trigger batch_key instead of insert on batch when new.key is not null
begin
    insert into idempotency (key, request_hash, first, last, answer, at)
    values (new.key, new.request_hash, new.first, new.last, new.answer, new.known_at);
end;";

const EVENT: usize = 11;
const KEY: usize = 6;

/// Lets a connection take batches.
pub(super) async fn prepare(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(BATCH).execute(db).await?;
    Ok(())
}

/// Inserts what is planned and commits it, with the transaction where one is `open`. After an error a transaction may be
/// open.
pub(super) async fn commit(
    db: &mut SqliteConnection,
    plan: &Plan,
    open: bool,
) -> Result<(), sqlx::Error> {
    let rows = plan.events.len().max(plan.keys.len());
    let one = rows <= ROWS;
    let mut sql = inserts(rows);
    if !(open || one) {
        sql.insert_str(0, "begin immediate; ");
    }
    if open || !one {
        sql += "commit";
    }
    // Large batches are seldom and of many lengths, so they are not kept prepared.
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(one);
    let (mut events, mut keys) = (plan.events.iter(), plan.keys.iter());
    // What is spare at the very end is null without being bound.
    for _ in 0..rows {
        query = match events.next() {
            Some(event) => bind_event(query, event),
            None => bind_nulls::<EVENT>(query),
        };
        query = match keys.next() {
            Some(key) => bind_key(query, key),
            None => bind_nulls::<KEY>(query),
        };
    }
    query.execute(db).await?;
    Ok(())
}

type Batch = Query<'static, Sqlite, SqliteArguments>;

fn bind_event(query: Batch, event: &Recorded) -> Batch {
    let metadata = &event.metadata;
    query
        .bind(number(event.position.0))
        .bind(event.id.as_bytes().to_vec())
        .bind(event.stream.category().to_owned())
        .bind(event.stream.as_str().to_owned())
        .bind(number(event.version))
        .bind(Arc::clone(&event.kind))
        .bind(i64::from(event.schema))
        .bind(Arc::clone(&event.data))
        .bind(metadata.actor.to_string())
        .bind(metadata.correlation.as_bytes().to_vec())
        .bind(metadata.at.timestamp_micros())
}

fn bind_key(query: Batch, new: &NewKey) -> Batch {
    query
        .bind(new.key.key.clone())
        .bind(new.key.request_hash.to_vec())
        .bind(number(new.appended.first.0))
        .bind(number(new.appended.last.0))
        .bind(new.key.answer.clone())
        .bind(new.at)
}

fn bind_nulls<const COLUMNS: usize>(query: Batch) -> Batch {
    (0..COLUMNS).fold(query, |query, _| query.bind(None::<i64>))
}

/// The statements for so many rows, and for up to as many more in the last of them.
fn inserts(mut rows: usize) -> String {
    let row = format!("({})", ["?"; EVENT + KEY].join(", "));
    let mut sql = String::new();
    while rows > 0 {
        let length = rows.next_power_of_two().min(ROWS);
        sql.extend(["insert into batch values ", &vec![row.as_str(); length].join(", "), "; "]);
        rows = rows.saturating_sub(length);
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_place_for_every_row_and_not_much_more() {
        for rows in 0..3 * ROWS {
            let sql = inserts(rows);
            let places = sql.matches('(').count();
            assert_eq!(sql.matches("insert").count(), rows.div_ceil(ROWS));
            assert!((rows..=rows * 2).contains(&places), "{places} for {rows}");
        }
    }
}
