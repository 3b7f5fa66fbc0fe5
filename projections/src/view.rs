//! What a view is: a schema, and how a run of events changes its rows.

use std::sync::Arc;

use domain::{CreatorId, IntegrationId};
use eventstore::{Envelope, Position};
use sqlx::SqliteConnection;
use tokio::sync::broadcast::{Receiver, error::RecvError};

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

/// What a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// An integration; its id is the key.
    Integrations,
    /// Everything about a fan; their id is the key.
    Fans,
    /// How a fan stands in an integration; the fan's id is the key.
    FanAccess,
    /// A command; its id is the key.
    Commands,
    /// What somebody is told; they are the key.
    Notifications,
    /// A hold; its id is the key.
    Holds,
    /// What happened in an integration; its id is the key.
    Activity,
}

/// A row that a run of events touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    pub topic: Topic,
    pub key: String,
    pub position: Position,
    /// The integration that the row is of, where it is of one.
    pub integration: Option<IntegrationId>,
    /// Whose that integration is, as far as the view knows.
    pub creator: Option<CreatorId>,
}

impl Change {
    pub(crate) fn new(topic: Topic, key: String, position: Position) -> Self {
        Self { topic, key, position, integration: None, creator: None }
    }

    /// Says which integration it is of, so that whoever looks at others need not look again.
    pub(crate) fn within(self, integration: IntegrationId, creator: Option<&CreatorId>) -> Self {
        Self { integration: Some(integration), creator: creator.cloned(), ..self }
    }
}

/// Waits for a change that matters, or until some were missed; `false` where there are none any more.
pub async fn heard(
    changes: &mut Receiver<Arc<Vec<Change>>>,
    matters: impl Fn(&Change) -> bool,
) -> bool {
    loop {
        match changes.recv().await {
            Ok(some) if !some.iter().any(&matters) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
        }
    }
}

impl ViewError {
    /// What is the matter with the file of `view`: one that SQLite itself cannot make sense of is built anew.
    pub(crate) fn of(view: &'static str, error: Self) -> Self {
        /// <https://www.sqlite.org/rescode.html>: an error of the statement, corrupt, not a database.
        const SENSELESS: [&str; 3] = ["1", "11", "26"];
        match error {
            Self::Database(why)
                if why
                    .as_database_error()
                    .and_then(sqlx::error::DatabaseError::code)
                    .is_some_and(|code| SENSELESS.contains(&code.as_ref())) =>
            {
                Self::Broken { view, why }
            }
            error => error,
        }
    }
}

/// Why a view cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    #[error("the view's file cannot be used: {0}; check the data folder's disk and permissions")]
    Database(#[from] sqlx::Error),
    #[error("the view's file cannot be used: {0}; check the data folder's disk and permissions")]
    File(#[from] std::io::Error),
    #[error("the view {view} is broken: {why}; build it anew with `hub views rebuild {view}`")]
    Broken { view: &'static str, why: sqlx::Error },
    #[error("a stored row cannot be read: {0}; rebuild the view with `hub views rebuild`")]
    Row(#[from] serde_json::Error),
    #[error(transparent)]
    Log(#[from] eventstore::StoreError),
    #[error("there is no view called {0:?}; `hub views list` names them")]
    Unknown(String),
    #[error(
        "the view {0} is not built yet by this version of the Hub; let `hub serve` catch up, or build it with \
         `hub views rebuild {0}`"
    )]
    Building(&'static str),
    #[error(
        "the log skipped from position {last} to {next}; this is a defect of the Hub, so stop and report it"
    )]
    Gap { last: Position, next: Position },
    #[error("another process is rebuilding the view {0}; wait for it to end")]
    Busy(String),
    #[error("the view stopped following the log; the log of the Hub says why")]
    Stopped,
}
