//! Rows of a view while a run of events is applied: read in bulk, changed in memory, written in bulk.
//!
//! One statement per table and run, with the rows as one JSON parameter: the hop to SQLite's thread is
//! paid once instead of once per row.

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

    pub(crate) fn learn(&mut self, key: K, row: Option<V>) {
        self.known.entry(key).or_insert(row);
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

/// Runs `sql`, whose only parameter is a JSON array of rows. Nothing is run for no rows.
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
