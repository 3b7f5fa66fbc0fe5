//! Why the store cannot be opened, or cannot answer.

use std::{io, path::PathBuf};

use domain::DecodeError;

use crate::log::AppendError;

/// Why a store cannot be opened: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the data folder {folder} cannot be used: {source}; make it writable or choose another with --data"
    )]
    Folder { folder: PathBuf, source: io::Error },
    #[error(
        "another hub is running on the data folder {0}; stop it first, or choose another folder with --data"
    )]
    InUse(PathBuf),
    #[error(
        "there is no hub in the data folder {0}; make one with `hub keys create`, or choose another with --data"
    )]
    Missing(PathBuf),
    #[error(
        "the database in {folder} cannot be used: {source}; check the disk and the file's permissions"
    )]
    Database { folder: PathBuf, source: sqlx::Error },
    #[error(
        "the database was written by a newer hub (schema {found}, this program knows {known}); run the newer program"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "the master key does not fit this data folder; set HUB_MASTER_KEY to the key that it was made with, or restore its master.key"
    )]
    WrongMasterKey,
    #[error("the master key must be 32 bytes in base64; make one with `openssl rand -base64 32`")]
    InvalidMasterKey,
    #[error("this machine gives no random bytes; the hub cannot make keys without them")]
    NoRandom,
}

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("an event cannot be written as JSON: {0}")]
    Encode(serde_json::Error),
    #[error(
        "the log skipped from position {last} to {next}; this is a defect of the Hub, so stop and report it"
    )]
    Gap { last: u64, next: u64 },
    #[error("{0} is stored in a form that this program cannot read; run the program that wrote it")]
    Malformed(&'static str),
    #[error(
        "something sealed cannot be opened: its key is missing or does not fit; restore the data folder from one backup"
    )]
    Unsealable,
    #[error("this machine gives no random bytes; the hub cannot make keys without them")]
    NoRandom,
    #[error("the log is shut down")]
    Closed,
}
