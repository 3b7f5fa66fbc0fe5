//! Rows of a view while a run of events is applied: read in bulk, changed in memory, written in bulk.
//!
//! Many rows go with each statement: the hop to SQLite's thread is paid once for all of them.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, SqliteConnection};

/// Rows by key. `None` is a row that is known not to be there.
pub(crate) struct Rows<K, V> {
    known: HashMap<K, Option<V>>,
    dirty: HashSet<K>,
}

impl<K: Eq + Hash + Clone, V> Rows<K, V> {
    pub(crate) fn new() -> Self {
        Self { known: HashMap::new(), dirty: HashSet::new() }
    }

    pub(crate) fn learn(&mut self, key: K, row: V) {
        self.known.entry(key).or_insert(Some(row));
    }

    pub(crate) fn set(&mut self, key: K, row: V) {
        self.dirty.insert(key.clone());
        self.known.insert(key, Some(row));
    }

    pub(crate) fn remove(&mut self, key: K) {
        self.dirty.insert(key.clone());
        self.known.insert(key, None);
    }

    /// The row to change in place, if there is one.
    pub(crate) fn edit_existing(&mut self, key: &K) -> Option<&mut V> {
        let row = self.known.get_mut(key)?.as_mut()?;
        self.dirty.insert(key.clone());
        Some(row)
    }

    /// Takes what changed: rows to write, keys to delete. They count as clean from here on.
    pub(crate) fn take_changes(&mut self) -> Vec<(K, Option<&V>)> {
        self.dirty
            .drain()
            .map(|key| (key.clone(), self.known.get(&key).and_then(Option::as_ref)))
            .collect()
    }
}

/// Runs `sql`, whose only parameter is a JSON array of rows: for statements of many kinds and few rows.
pub(crate) async fn write(
    db: &mut SqliteConnection,
    sql: &'static str,
    rows: Vec<Value>,
) -> sqlx::Result<()> {
    if !rows.is_empty() {
        sqlx::query(AssertSqlSafe(sql)).bind(Value::Array(rows).to_string()).execute(db).await?;
    }
    Ok(())
}

/// How many rows go with a statement: few lengths, so that the statements stay prepared.
const CHUNKS: [usize; 5] = [256, 64, 16, 4, 1];

/// Inserts rows as parameters: SQLite need not read them out of JSON. `into` names the table and its columns.
pub(crate) async fn insert(
    db: &mut SqliteConnection,
    into: &'static str,
    on_conflict: &'static str,
    rows: Vec<Value>,
) -> sqlx::Result<()> {
    let columns = into.matches(',').count() + 1;
    let one = format!("({})", vec!["?"; columns].join(", "));
    let (mut left, mut rows) = (rows.len(), rows.into_iter());
    for chunk in CHUNKS {
        while left >= chunk {
            left -= chunk;
            let values = vec![one.as_str(); chunk].join(", ");
            let mut query = sqlx::query(AssertSqlSafe(format!(
                "insert into {into} values {values} {on_conflict}"
            )));
            for row in rows.by_ref().take(chunk) {
                let Value::Array(row) = row else { continue };
                for value in row {
                    query = match value {
                        Value::String(text) => query.bind(text),
                        Value::Bool(flag) => query.bind(flag),
                        other => query.bind(other.as_i64()),
                    };
                }
            }
            query.execute(&mut *db).await?;
        }
    }
    Ok(())
}
