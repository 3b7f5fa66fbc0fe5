//! What a view is: a schema, and how a run of events changes its rows.

use std::sync::Arc;

use eventstore::{Envelope, Position};
use sqlx::SqliteConnection;

/// A view's way of following the log.
///
/// `apply` is given consecutive events and answers the same rows however the log is cut into runs: that
/// is what makes a rebuilt view equal the live one. It never reads a clock.
pub(crate) trait Projection: Send + 'static {
    const NAME: &'static str;
    /// Raise it when the rows or their meaning change: the view is then rebuilt.
    const VERSION: u32;
    const SCHEMA: &'static str;

    fn apply(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> impl Future<Output = Result<Vec<Change>, ViewError>> + Send;
}

/// A row that a run of events touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// The stream of changes that it belongs to: `integrations`, `fan_access`, `commands`, `notifications`, `holds`.
    pub stream: &'static str,
    /// The integration, the fan, the command, who is told, or the hold.
    pub key: String,
    pub position: Position,
}

/// Why a view cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    #[error("the view's file cannot be used: {0}; check the data folder's disk and permissions")]
    Database(#[from] sqlx::Error),
    #[error("the view's file cannot be used: {0}; check the data folder's disk and permissions")]
    File(#[from] std::io::Error),
    #[error("a stored row cannot be read: {0}; rebuild the view with `hub views rebuild`")]
    Row(#[from] serde_json::Error),
    #[error(transparent)]
    Log(#[from] eventstore::StoreError),
    #[error("there is no view called {0:?}; `hub views list` names them")]
    Unknown(String),
    #[error(
        "the log skipped from position {last} to {next}; this is a defect of the Hub, so stop and report it"
    )]
    Gap { last: Position, next: Position },
    #[error("another process is rebuilding the view {0}; wait for it to end")]
    Busy(String),
    #[error("the view stopped following the log; the log of the Hub says why")]
    Stopped,
}
