//! The engine on SQLite: the suite, and what a folder must keep.

use std::{io::Read, path::PathBuf};

use eventstore::{Clock, Mode, OpenError, Position, Store, StoreOptions};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::conformance::{self, append, conformance, write};

pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) async fn open(&self) -> Store {
        open(&self.path(), Mode::Serve, None).await.unwrap()
    }

    /// Beside whoever serves it, or with nobody serving it.
    pub(crate) async fn beside(&self) -> Store {
        open(&self.path(), Mode::Prepare, None).await.unwrap()
    }
}

async fn open(folder: &std::path::Path, mode: Mode, key: Option<&str>) -> Result<Store, OpenError> {
    let master_key = key.map(|key| key.to_owned().into());
    Store::open(folder, StoreOptions { clock: Clock::system(), master_key, mode }).await
}

conformance!(suite, crate::sqlite::Folder);

#[tokio::test]
async fn a_folder_has_one_server_at_a_time_and_others_may_look_beside_it() {
    let folder = Folder::new();
    let serving = folder.open().await;
    let refused = open(&folder.path(), Mode::Serve, None).await.map(drop);
    assert!(matches!(refused, Err(OpenError::InUse(_))), "{refused:?}");
    serving.log().append(append(vec![write("a", 0, &["1"])], None)).await.unwrap();
    let beside = open(&folder.path(), Mode::Beside, None).await.unwrap();
    assert_eq!(beside.log().head().0, 1);
    assert!(beside.log().append(append(vec![write("a", 1, &["2"])], None)).await.is_err());
}

#[tokio::test]
async fn large_events_come_in_smaller_parts_from_memory_and_from_the_disk_alike() {
    let folder = Folder::new();
    let serving = folder.open().await;
    let large = "x".repeat(1_000_000);
    for n in 0..10 {
        serving.log().append(append(vec![write("a", n, &[&large])], None)).await.unwrap();
    }
    let beside = open(&folder.path(), Mode::Beside, None).await.unwrap();
    for log in [serving.log(), beside.log()] {
        let (mut followed, mut parts) = (log.subscribe(Position(0)), vec![]);
        while parts.iter().sum::<usize>() < 10 {
            parts.push(followed.next().await.unwrap().len());
        }
        assert_eq!(parts, [4, 4, 2]);
    }
}

#[tokio::test]
async fn the_log_takes_no_other_master_key_than_the_first() {
    let folder = Folder::new();
    let (first, other) = (
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=",
    );
    let refused = open(&folder.path(), Mode::Beside, Some(first)).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Missing(_))), "{refused:?}");
    drop(open(&folder.path(), Mode::Prepare, Some(first)).await.unwrap());
    let refused = open(&folder.path(), Mode::Beside, Some(other)).await.map(drop);
    assert!(matches!(refused, Err(OpenError::WrongMasterKey)), "{refused:?}");
    let refused = open(&folder.path(), Mode::Beside, Some("short")).await.map(drop);
    assert!(matches!(refused, Err(OpenError::InvalidMasterKey)), "{refused:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    let folder = Folder::new();
    drop(folder.open().await);
    let mut db = raw(&folder).await;
    sqlx::query("pragma user_version = 99").execute(&mut db).await.unwrap();
    let refused = open(&folder.path(), Mode::Beside, None).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Newer { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn events_are_never_changed_or_deleted() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.log().append(append(vec![write("a", 0, &["1"])], None)).await.unwrap();
    let mut db = raw(&folder).await;
    for sql in ["update events set data = 'x'", "delete from events"] {
        let refused = sqlx::query(sql).execute(&mut db).await.unwrap_err().to_string();
        assert!(refused.contains("events are never"), "{refused}");
    }
}

/// How often a write-ahead log has started over, as its header says: <https://www.sqlite.org/fileformat2.html#walformat>.
fn starts(wal: &std::path::Path) -> [u8; 4] {
    let mut header = [0; 16];
    std::fs::File::open(wal).unwrap().read_exact(&mut header).unwrap();
    header[12..].try_into().unwrap()
}

#[tokio::test]
async fn the_write_ahead_log_starts_over_although_appends_come_without_a_pause() {
    let folder = Folder::new();
    let store = folder.open().await;
    let wal = folder.path().join("hub.sqlite-wal");
    let data = "x".repeat(100_000);
    let next = async |writer: u32, n: u32| {
        let stream = format!("{writer}-{n}");
        store.log().append(append(vec![write(&stream, 0, &[&data])], None)).await.unwrap();
    };
    next(0, 0).await;
    let first = starts(&wal);
    let mut n = 0;
    while starts(&wal) == first {
        n += 1;
        tokio::join!(next(1, n), next(2, n));
        let length = std::fs::metadata(&wal).unwrap().len();
        assert!(length < 128 << 20, "{length} bytes");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = Folder::new();
    std::fs::write(folder.path(), "not a folder").unwrap();
    let refused = open(&folder.path(), Mode::Serve, None).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("--data"), "{refused}");
}

pub(crate) async fn raw(folder: &Folder) -> sqlx::SqliteConnection {
    SqliteConnectOptions::new().filename(folder.path().join("hub.sqlite")).connect().await.unwrap()
}
