//! A batch as SQL: one text of statements, and so one hop to SQLite's thread for all of it.
//!
//! Values go as parameters, which costs SQLite a third of reading them out of JSON. A statement may have more rows
//! of parameters than are needed, which stay null and are left out: few lengths serve all batches and stay prepared.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{number, plan::Plan};

/// The most rows of one statement. SQLite allows 32,766 parameters.
const ROWS: usize = 512;

const EVENT: usize = 11;
const KEY: usize = 6;

/// Runs `begin`, inserts what is planned, and commits. After an error the transaction may still be open.
pub(super) async fn commit(
    db: &mut SqliteConnection,
    begin: &str,
    plan: &Plan,
) -> Result<(), sqlx::Error> {
    let mut sql = begin.to_owned();
    let spare = statements::<EVENT>(
        &mut sql,
        "insert into events (position, id, category, stream, version, type, schema, data, actor, correlation, at)",
        plan.events.len(),
    );
    statements::<KEY>(
        &mut sql,
        "insert into idempotency (key, request_hash, first, last, answer, at)",
        plan.keys.len(),
    );
    sql += "commit";
    // Large batches are seldom and of many lengths, so they are not kept prepared.
    let usual = plan.events.len().max(plan.keys.len()) <= ROWS;
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(usual);
    for event in &plan.events {
        query = query
            .bind(number(event.position.0))
            .bind(event.id.as_bytes().as_slice())
            .bind(event.stream.category())
            .bind(event.stream.as_str())
            .bind(number(event.version))
            .bind(event.kind.as_str())
            .bind(i64::from(event.schema))
            .bind(event.data.as_str())
            .bind(event.metadata.actor.to_string())
            .bind(event.metadata.correlation.as_bytes().as_slice())
            .bind(event.metadata.at.timestamp_micros());
    }
    for _ in 0..spare * EVENT {
        query = query.bind(None::<i64>);
    }
    for new in &plan.keys {
        query = query
            .bind(new.key.key.as_str())
            .bind(new.key.request_hash.as_slice())
            .bind(number(new.appended.first.0))
            .bind(number(new.appended.last.0))
            .bind(new.key.answer.as_deref())
            .bind(new.at);
    }
    // What is spare at the very end is null without being bound.
    query.execute(db).await?;
    Ok(())
}

/// Adds the statements for so many rows to `sql`, and answers for how many more there is place.
fn statements<const COLUMNS: usize>(sql: &mut String, insert: &str, mut rows: usize) -> usize {
    let row = format!("({})", ["?"; COLUMNS].join(", "));
    while rows > 0 {
        let length = rows.next_power_of_two().min(ROWS);
        let values = vec![row.as_str(); length].join(", ");
        sql.extend([insert, " select * from (values ", &values, ") where column1 is not null;"]);
        let Some(more) = rows.checked_sub(length) else { return length - rows };
        rows = more;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_place_for_every_row_and_not_much_more() {
        for rows in 0..3 * ROWS {
            let mut sql = String::new();
            let spare = statements::<2>(&mut sql, "", rows);
            assert_eq!(sql.matches("(?, ?)").count(), rows + spare);
            assert!(spare <= rows, "{rows} with {spare} to spare");
        }
    }
}
