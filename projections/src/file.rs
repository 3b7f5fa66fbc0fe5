//! A view's file: one generation of its rows, with the checkpoint that they stand for.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use eventstore::{Envelope, Position};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::view::{Change, Projection, ViewError};

/// Readers of the live generation, whichever that is.
#[derive(Clone)]
pub(crate) struct Reader(Arc<RwLock<SqlitePool>>);

impl Reader {
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self(Arc::new(RwLock::new(pool)))
    }

    pub(crate) fn pool(&self) -> SqlitePool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets questions be answered by another generation from now on; answers the one before.
    pub(crate) fn swap(&self, pool: SqlitePool) -> SqlitePool {
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), pool)
    }
}

/// A position as SQLite stores it.
pub(crate) fn number(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

/// A value that is stored as its text.
pub(crate) fn stored<T: DeserializeOwned>(text: &str) -> Result<T, ViewError> {
    Ok(serde_json::from_value(Value::String(text.to_owned()))?)
}

/// One generation of a view, open for writing.
///
/// Until it has caught up for the first time it has no journal, which makes building it a third faster: a crash may tear
/// its file, so whatever is not [finished](Generation::finish) is thrown away.
pub(crate) struct Generation {
    pub(crate) path: PathBuf,
    db: SqliteConnection,
    position: Position,
    finished: bool,
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}

/// The writer's own: what a run of events touches stays in memory (16 MiB at most) until its commit, and so do the
/// journals of its statements.
fn writing(path: &Path) -> SqliteConnectOptions {
    options(path)
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory")
        // Copying the write-ahead log into the file waits for the disk: seldom is enough. In pages of 4 KiB: 32 MiB.
        .pragma("wal_autocheckpoint", "8192")
}

/// As a finished generation is written.
fn following(path: &Path) -> SqliteConnectOptions {
    writing(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A lost tail is followed again from the log; a torn file cannot happen.
        .synchronous(SqliteSynchronous::Normal)
}

/// Whether a file's generation was finished: SQLite writes into its header that it has a write-ahead log.
fn is_finished(path: &Path) -> io::Result<bool> {
    let mut header = [0; 20];
    match File::open(path)?.read_exact(&mut header) {
        Ok(()) => Ok(header[18..] == [2, 2]),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl Generation {
    /// Makes an empty generation in a new file.
    pub(crate) async fn create<P: Projection>(path: PathBuf) -> Result<Self, ViewError> {
        let building = writing(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Off)
            .synchronous(SqliteSynchronous::Off);
        let mut db = SqliteConnection::connect_with(&building).await?;
        let mut tx = db.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(P::SCHEMA)).execute(&mut *tx).await?;
        sqlx::raw_sql(
            "create table checkpoint (version integer not null, position integer not null) strict;
             insert into checkpoint values (0, 0);",
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query("update checkpoint set version = ?1")
            .bind(P::VERSION)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Self { path, db, position: Position(0), finished: false })
    }

    /// Opens a generation; `None` where its rows have another version's shape, or where it was never finished.
    pub(crate) async fn open<P: Projection>(path: PathBuf) -> Result<Option<Self>, ViewError> {
        if !is_finished(&path)? {
            return Ok(None);
        }
        let opened = async {
            let mut db = SqliteConnection::connect_with(&following(&path)).await?;
            let (version, position) = checkpoint(&mut db).await?;
            Ok((db, version, position))
        };
        let (db, version, position) =
            opened.await.map_err(|error| ViewError::of(P::NAME, error))?;
        if version != P::VERSION {
            return Ok(None);
        }
        Ok(Some(Self { path, db, position, finished: true }))
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// A pool that reads this generation.
    pub(crate) fn readers(&self) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(8)
            .idle_timeout(Duration::from_mins(1))
            .connect_lazy_with(options(&self.path).read_only(true))
    }

    /// Applies the part of a run that this generation has not seen, and moves its checkpoint with it.
    pub(crate) async fn apply<P: Projection>(
        &mut self,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Change>, ViewError> {
        let seen = run.partition_point(|envelope| envelope.position <= self.position);
        let run = &run[seen..];
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(vec![]) };
        if first.position.0 != self.position.0 + 1 {
            return Err(ViewError::Gap { last: self.position, next: first.position });
        }
        let mut tx = self.db.begin_with("begin immediate").await?;
        let applied = P::apply(&mut tx, run).await;
        let changes = applied.map_err(|error| ViewError::of(P::NAME, error))?;
        let moved = sqlx::query("update checkpoint set position = ?1 where position = ?2")
            .bind(number(last.position))
            .bind(number(self.position))
            .execute(&mut *tx)
            .await?;
        if moved.rows_affected() == 0 {
            return Err(ViewError::Busy(P::NAME.to_owned()));
        }
        tx.commit().await?;
        self.position = last.position;
        Ok(changes)
    }

    /// Lets a generation that was built from the beginning last: what it holds is on the disk from here on, and
    /// nothing tears it any more. While somebody reads it, it is left for a later try.
    pub(crate) async fn finish(&mut self) -> Result<(), ViewError> {
        if self.finished {
            return Ok(());
        }
        // A commit that waits for the disk takes everything before it there.
        sqlx::raw_sql("pragma synchronous = full; update checkpoint set position = position")
            .execute(&mut self.db)
            .await?;
        let mode: Result<String, _> =
            sqlx::query_scalar("pragma journal_mode = wal").fetch_one(&mut self.db).await;
        self.finished = match mode {
            Ok(mode) => mode == "wal",
            Err(sqlx::Error::Database(error)) if error.message().contains("locked") => false,
            Err(error) => return Err(error.into()),
        };
        if self.finished {
            sqlx::query("pragma synchronous = normal").execute(&mut self.db).await?;
        }
        Ok(())
    }

    pub(crate) async fn close(mut self) -> Result<(), ViewError> {
        self.finish().await?;
        Ok(self.db.close().await?)
    }
}

async fn checkpoint(db: &mut SqliteConnection) -> Result<(u32, Position), ViewError> {
    let row = sqlx::query("select version, position from checkpoint").fetch_one(db).await?;
    let position: i64 = row.get("position");
    Ok((row.get("version"), Position(position.cast_unsigned())))
}

/// Where a view's generations stand in the views' folder, and which of them is live.
pub(crate) struct Place<'a> {
    folder: &'a Path,
    name: &'static str,
}

impl<'a> Place<'a> {
    pub(crate) fn of<P: Projection>(folder: &'a Path) -> Self {
        Self { folder, name: P::NAME }
    }

    /// The file of the live generation, if there is one.
    pub(crate) fn current(&self) -> io::Result<Option<PathBuf>> {
        match std::fs::read_to_string(self.pointer()) {
            Ok(file) => Ok(Some(self.folder.join(file.trim())).filter(|path| path.is_file())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same, where it was finished.
    pub(crate) fn finished(&self) -> io::Result<Option<PathBuf>> {
        let Some(path) = self.current()? else { return Ok(None) };
        Ok(is_finished(&path)?.then_some(path))
    }

    /// Makes a generation the live one, in one step.
    pub(crate) fn promote(&self, path: &Path) -> io::Result<()> {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let next = self.pointer().with_extension("next");
        std::fs::write(&next, file)?;
        std::fs::rename(next, self.pointer())
    }

    /// The file of the generation after all that there are.
    pub(crate) fn next(&self) -> io::Result<PathBuf> {
        let number = self.generations()?.iter().map(|(number, _)| *number).max().unwrap_or(0) + 1;
        Ok(self.folder.join(format!("{}.{number}.sqlite", self.name)))
    }

    /// Deletes every generation but the one that is kept, unless one is being built by another process.
    pub(crate) fn keep_only(&self, kept: &Path) -> Result<(), ViewError> {
        let _lock = match self.lock() {
            Ok(lock) => lock,
            // What it leaves behind is deleted the next time.
            Err(ViewError::Busy(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        for (_, path) in self.generations()? {
            if path != kept {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Held while a generation is being built, so that two processes do not build at once.
    pub(crate) fn lock(&self) -> Result<File, ViewError> {
        let file = File::create(self.folder.join(format!("{}.rebuild", self.name)))?;
        file.try_lock().map_err(|_| ViewError::Busy(self.name.to_owned()))?;
        Ok(file)
    }

    fn pointer(&self) -> PathBuf {
        self.folder.join(format!("{}.current", self.name))
    }

    fn generations(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut generations = vec![];
        for entry in std::fs::read_dir(self.folder)? {
            let path = entry?.path();
            let number = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| {
                    name.strip_prefix(self.name)?.strip_prefix('.')?.strip_suffix(".sqlite")
                })
                .and_then(|number| number.parse().ok());
            generations.extend(number.map(|number| (number, path)));
        }
        Ok(generations)
    }
}

/// Deletes a database file and what SQLite keeps beside it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_another_process_builds_is_not_swept_away() {
        let folder = tempfile::TempDir::new().unwrap();
        let place = Place { folder: folder.path(), name: "view" };
        let live = folder.path().join("view.1.sqlite");
        std::fs::write(&live, "").unwrap();
        let built = place.next().unwrap();
        std::fs::write(&built, "").unwrap();
        let building = place.lock().unwrap();
        place.keep_only(&live).unwrap();
        assert!(built.exists());
        drop(building);
        place.keep_only(&live).unwrap();
        assert!(!built.exists() && live.exists());
    }
}
