//! The proof that a view equals what the log says: it is built anew aside, and every row compared.

use std::path::Path;

use eventstore::{Position, Store};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::{
    file::{self, Generation, Place},
    follow::catch_up,
    view::{Projection, ViewError},
    views::Progress,
};

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub view: &'static str,
    /// The position at which both were compared.
    pub position: Position,
    /// How many rows the live view has.
    pub rows: u64,
    pub differences: Vec<Difference>,
}

/// A table whose rows differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub table: String,
    /// Rows that only the live view has.
    pub only_live: u64,
    /// Rows that only the rebuilt view has.
    pub only_rebuilt: u64,
}

/// Compares the live generation of a view with the log, at the live one's checkpoint. The live view goes
/// on meanwhile.
pub(crate) async fn verify<P: Projection>(
    folder: &Path,
    store: &Store,
    mut progress: impl FnMut(Progress),
) -> Result<Verdict, ViewError> {
    let place = Place::of::<P>(folder);
    let Some(live) = place.finished()? else { return Err(ViewError::Building(P::NAME)) };
    let _lock = place.lock()?;
    let (copy, aside) =
        (folder.join(format!("{}.copy", P::NAME)), folder.join(format!("{}.aside", P::NAME)));
    for path in [&copy, &aside] {
        file::remove(path)?;
    }
    snapshot(&live, &copy).await?;
    let Some(copied) = Generation::open::<P>(copy.clone()).await? else {
        return Err(ViewError::Building(P::NAME));
    };
    let position = copied.position();
    copied.close().await?;
    let mut rebuilt = Generation::create::<P>(aside.clone()).await?;
    catch_up::<P>(&mut rebuilt, store, position, |done| {
        progress(Progress { done, head: position });
    })
    .await?;
    rebuilt.close().await?;
    let (rows, differences) = compare(&copy, &aside).await?;
    for path in [&copy, &aside] {
        file::remove(path)?;
    }
    Ok(Verdict { view: P::NAME, position, rows, differences })
}

/// Copies a database as it is at one moment.
pub(crate) async fn snapshot(from: &Path, to: &Path) -> Result<(), ViewError> {
    let mut db = SqliteConnectOptions::new().filename(from).connect().await?;
    sqlx::query("vacuum into ?1").bind(to.to_string_lossy().into_owned()).execute(&mut db).await?;
    let copied = SqliteConnectOptions::new().filename(to).journal_mode(SqliteJournalMode::Wal);
    copied.connect().await?.close().await?;
    Ok(db.close().await?)
}

async fn compare(live: &Path, rebuilt: &Path) -> Result<(u64, Vec<Difference>), ViewError> {
    let mut db = SqliteConnectOptions::new().filename(live).connect().await?;
    sqlx::query("attach ?1 as rebuilt")
        .bind(rebuilt.to_string_lossy().into_owned())
        .execute(&mut db)
        .await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from main.sqlite_schema where type = 'table' and name not like 'sqlite_%'
         union select name from rebuilt.sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name",
    )
    .fetch_all(&mut db)
    .await?;
    let (mut rows, mut differences) = (0, vec![]);
    for table in tables {
        let (of_live, only_live) = count(&mut db, "main", "rebuilt", &table).await?;
        let (_, only_rebuilt) = count(&mut db, "rebuilt", "main", &table).await?;
        rows += of_live;
        if only_live + only_rebuilt > 0 {
            differences.push(Difference { table, only_live, only_rebuilt });
        }
    }
    db.close().await?;
    Ok((rows, differences))
}

/// How many rows a table has, and how many of them the other database lacks. The names are our own.
async fn count(
    db: &mut SqliteConnection,
    of: &str,
    other: &str,
    table: &str,
) -> Result<(u64, u64), ViewError> {
    let sql = format!(
        "select (select count(*) from {of}.{table}) as rows,
                (select count(*) from (select * from {of}.{table} except select * from {other}.{table})) as missing"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(db).await?;
    let (rows, missing): (i64, i64) = (row.get("rows"), row.get("missing"));
    Ok((rows.cast_unsigned(), missing.cast_unsigned()))
}
