//! A batch as SQL: one statement, and so one hop to SQLite's thread and one answer for all of it.
//!
//! SQLite's thread answers each statement that it has run, and every answer wakes the writer. One that writes both tables
//! and is a transaction of its own makes a lone append a quarter faster than four.
//! Values go as parameters, which costs SQLite a third of reading them out of JSON. A statement may have more rows
//! of parameters than are needed, which stay null and write nothing: few lengths serve all batches and stay prepared.

use std::sync::Arc;

use sqlx::{
    Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type, error::BoxDynError,
    sqlite::SqliteArguments,
};

use super::{AppendKey, Appended, Recorded, number};
use crate::metadata::Actor;

/// The most rows of one statement. SQLite allows 32,766 parameters.
const ROWS: usize = 512;

/// A row of a batch carries an event, a key, or both.
const BATCH: &str = "
create temp view batch as
select null as position, null as id, null as category, null as stream, null as version, null as type, null as schema,
       null as data, null as actor, null as correlation, null as at,
       null as key, null as request_hash, null as first, null as last, null as answer, null as known_at;

create temp trigger insert_batch instead of insert on batch
begin
    insert into events (position, id, category, stream, version, type, schema, data, actor, correlation, at)
    select new.position, new.id, new.category, new.stream, new.version, new.type, new.schema, new.data, new.actor,
           new.correlation, new.at
    where new.position is not null;
    insert into idempotency (key, request_hash, first, last, answer, at)
    select new.key, new.request_hash, new.first, new.last, new.answer, new.known_at
    where new.key is not null;
end;";

const EVENT: usize = 11;
const KEY: usize = 6;

/// Lets a connection take batches.
pub(super) async fn prepare(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(BATCH).execute(db).await?;
    Ok(())
}

/// An idempotency key that a batch inserts, and what its append came to.
pub(super) struct NewKey<'a> {
    pub(super) key: &'a AppendKey,
    pub(super) appended: Appended,
    /// Microseconds since 1970.
    pub(super) at: i64,
}

/// The parameters of a batch, bound one append at a time while the others are still on their way.
pub(super) struct Rows {
    arguments: Result<SqliteArguments, BoxDynError>,
    count: usize,
    /// The last texts that were made: the next row mostly has the same ones.
    category: Option<Arc<str>>,
    actor: Option<(Actor, Arc<str>)>,
}

impl Default for Rows {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Rows {
    /// With place for so many.
    pub(super) fn new(rows: usize) -> Self {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(rows * (EVENT + KEY), 0);
        Self { arguments: Ok(arguments), count: 0, category: None, actor: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One more row: an event, a key, or both.
    pub(super) fn push(&mut self, event: Option<&Recorded>, key: Option<&NewKey<'_>>) {
        self.count += 1;
        match event {
            Some(event) => self.bind_event(event),
            None => self.bind_nulls::<EVENT>(),
        }
        match key {
            Some(key) => self.bind_key(key),
            None => self.bind_nulls::<KEY>(),
        }
    }

    fn bind_event(&mut self, event: &Recorded) {
        let (metadata, category) = (&event.metadata, event.stream.category());
        let category = self
            .category
            .take()
            .filter(|last| **last == *category)
            .unwrap_or_else(|| category.into());
        let (actor, actor_text) = self
            .actor
            .take()
            .filter(|(last, _)| *last == metadata.actor)
            .unwrap_or_else(|| (metadata.actor.clone(), metadata.actor.to_string().into()));
        self.bind(number(event.position.0));
        self.bind(event.id.as_bytes().to_vec());
        self.bind(Arc::clone(&category));
        self.bind(Arc::<str>::from(&event.stream));
        self.bind(number(event.version));
        self.bind(Arc::clone(&event.kind));
        self.bind(i64::from(event.schema));
        self.bind(Arc::clone(&event.data));
        self.bind(Arc::clone(&actor_text));
        self.bind(metadata.correlation.as_bytes().to_vec());
        self.bind(metadata.at.timestamp_micros());
        self.category = Some(category);
        self.actor = Some((actor, actor_text));
    }

    fn bind_key(&mut self, NewKey { key, appended, at }: &NewKey<'_>) {
        self.bind(Arc::clone(&key.key));
        self.bind(key.request_hash.to_vec());
        self.bind(number(appended.first.0));
        self.bind(number(appended.last.0));
        self.bind(key.answer.clone());
        self.bind(*at);
    }

    fn bind_nulls<const COLUMNS: usize>(&mut self) {
        for _ in 0..COLUMNS {
            self.bind(None::<i64>);
        }
    }

    fn bind<'t>(&mut self, value: impl Encode<'t, Sqlite> + Type<Sqlite>) {
        if let Ok(arguments) = &mut self.arguments
            && let Err(error) = arguments.add(value)
        {
            self.arguments = Err(error);
        }
    }

    /// Inserts the rows and commits them, with the transaction where one is `open`. After an error a transaction may be
    /// open.
    pub(super) async fn commit(
        self,
        db: &mut SqliteConnection,
        statements: &Statements,
        open: bool,
    ) -> Result<(), sqlx::Error> {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        let one = !open && self.count <= ROWS;
        // What is spare at the very end is null without being bound.
        let sql =
            if one { statements.of(self.count) } else { statements.several(self.count, open) };
        // Large batches are seldom and of many lengths, so they are not kept prepared.
        sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(one).execute(db).await?;
        Ok(())
    }
}

/// The statements for 1, 2, 4 rows and so on, up to `ROWS`.
pub(super) struct Statements(Vec<Arc<str>>);

impl Statements {
    pub(super) fn new() -> Self {
        let row = format!("({})", ["?"; EVENT + KEY].join(", "));
        let lengths = (0..=ROWS.ilog2()).map(|power| 1 << power);
        let statement =
            |rows| format!("insert into batch values {}", vec![row.as_str(); rows].join(", "));
        Self(lengths.map(|rows| statement(rows).into()).collect())
    }

    /// A transaction of its own, for at least so many rows and less than twice as many.
    fn of(&self, rows: usize) -> Arc<str> {
        let power = rows.clamp(1, ROWS).next_power_of_two().ilog2() as usize;
        Arc::clone(&self.0[power])
    }

    /// As many statements as it takes, to the end of a transaction, and from its beginning where none is `open`.
    fn several(&self, mut rows: usize, open: bool) -> Arc<str> {
        let mut sql = if open { String::new() } else { "begin immediate; ".to_owned() };
        while rows > 0 {
            sql.extend([&self.of(rows), "; "]);
            rows = rows.saturating_sub(ROWS);
        }
        (sql + "commit").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_place_for_every_row_and_not_much_more() {
        let statements = Statements::new();
        for rows in 1..3 * ROWS {
            let sql =
                if rows <= ROWS { statements.of(rows) } else { statements.several(rows, true) };
            let places = sql.matches('(').count();
            assert_eq!(sql.matches("insert").count(), rows.div_ceil(ROWS));
            assert!((rows..rows * 2).contains(&places), "{places} for {rows}");
        }
        assert_eq!(&*statements.several(0, true), "commit");
    }
}
