//! The database file: opened, locked, migrated.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::error::OpenError;

/// Migrations in order. A released one is never edited; the next one is added below it.
const MIGRATIONS: [&str; 6] = [
    include_str!("../migrations/0001_log.sql"),
    include_str!("../migrations/0002_side_tables.sql"),
    include_str!("../migrations/0003_webhooks.sql"),
    include_str!("../migrations/0004_call_shares.sql"),
    include_str!("../migrations/0005_due_deliveries.sql"),
    include_str!("../migrations/0006_forgetting.sql"),
];

/// How a process works on a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As the one that appends events; a second one is refused.
    Serve,
    /// Beside it, or with it stopped: reads events, writes side tables only. There must be a hub in the folder.
    Beside,
    /// The same, before the first start too: keys are made before anything can be asked.
    Prepare,
}

/// A data folder's database.
pub(crate) struct Database {
    pub(crate) path: PathBuf,
    /// Held as long as this process may append.
    pub(crate) lock: Option<File>,
}

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        // Whoever serves copies the write-ahead log on its own; the last one who closes it does in any case.
        .pragma("wal_autocheckpoint", "0")
        .disable_statement_logging()
}

/// A pool for reading and, where `read_only` is off, for writing side tables.
pub(crate) fn pool(path: &Path, size: u32, read_only: bool) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(size)
        .idle_timeout(Duration::from_mins(1))
        .connect_lazy_with(options(path).read_only(read_only))
}

impl Database {
    /// Makes the folder and the database where they are missing, and brings the schema up to date.
    pub(crate) async fn open(folder: &Path, mode: Mode) -> Result<Self, OpenError> {
        let in_folder = |source| OpenError::Folder { folder: folder.to_owned(), source };
        let path = folder.join("hub.sqlite");
        if mode == Mode::Beside && !path.exists() {
            return Err(OpenError::Missing(folder.to_owned()));
        }
        std::fs::create_dir_all(folder).map_err(in_folder)?;
        let lock = match mode {
            Mode::Serve => {
                let lock = File::create(folder.join("lock")).map_err(in_folder)?;
                lock.try_lock().map_err(|error| match error {
                    std::fs::TryLockError::WouldBlock => OpenError::InUse(folder.to_owned()),
                    std::fs::TryLockError::Error(source) => in_folder(source),
                })?;
                Some(lock)
            }
            Mode::Beside | Mode::Prepare => None,
        };
        let in_database = |source| OpenError::Database { folder: folder.to_owned(), source };
        let mut db = options(&path).create_if_missing(true).connect().await.map_err(in_database)?;
        migrate(&mut db).await.map_err(|error| match error {
            Migration::Newer { found } => OpenError::Newer { found, known: known() },
            Migration::Failed(source) => in_database(source),
        })?;
        db.close().await.map_err(in_database)?;
        Ok(Self { path, lock })
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

enum Migration {
    Newer { found: i64 },
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for Migration {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

async fn migrate(db: &mut SqliteConnection) -> Result<(), Migration> {
    // Two processes may start at once on a new folder: the schema is looked at under the write lock.
    let mut tx = db.begin_with("begin immediate").await?;
    let found: i64 = sqlx::query_scalar("pragma user_version").fetch_one(&mut *tx).await?;
    if found > known() {
        return Err(Migration::Newer { found });
    }
    let done = usize::try_from(found).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        sqlx::raw_sql(AssertSqlSafe(*migration)).execute(&mut *tx).await?;
    }
    if found < known() {
        sqlx::raw_sql(AssertSqlSafe(format!("pragma user_version = {}", known())))
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Reads a key file, or makes one that only its owner can read.
pub(crate) fn key_file(
    folder: &Path,
    make: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<Vec<u8>, OpenError> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};

    let path = folder.join("master.key");
    let in_folder = |source| OpenError::Folder { folder: folder.to_owned(), source };
    match std::fs::read(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = make().ok_or(OpenError::NoRandom)?;
            let mut options = File::options();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    file.write_all(&text).and_then(|()| file.sync_all()).map_err(in_folder)?;
                    Ok(text)
                }
                // Another process made it first.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    std::fs::read(&path).map_err(in_folder)
                }
                Err(error) => Err(in_folder(error)),
            }
        }
        Err(error) => Err(in_folder(error)),
    }
}
