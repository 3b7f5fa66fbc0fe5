//! The Hub as a bot process reaches it: in the same process, or over REST.

use std::time::Duration;

use eventstore::Position;
use projections::{CommandCursor, Topic, heard};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    desk::{Desk, DeskError},
    remote::{Remote, RemoteError},
    wire::{
        Command, IdentifyRequest, IdentifyTurn, Lease, LeaseRequest, Noted, Observation, Outcome,
        Recorded, Share, ShareRequest, StartRequest, Started,
    },
};

/// The most commands that are read at once.
const PAGE: u32 = 500;

/// How often commands are read without being told of a change.
const LOOK: Duration = Duration::from_secs(10);

/// The Hub as a bot process reaches it.
#[derive(Clone)]
pub enum Hub {
    /// In the same process.
    Direct(Desk),
    /// Over REST.
    Remote(Remote),
}

/// Why the Hub did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The command is done, or a newer one has taken its place.
    #[error("the command no longer stands")]
    Superseded,
    /// The lease is lost.
    #[error("the lease is held by another process")]
    Fenced,
    #[error("{0}")]
    Later(String),
    /// It will be refused again until somebody changes the settings.
    #[error("{0}")]
    Refused(String),
}

impl From<DeskError> for HubError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Superseded | DeskError::Unknown => Self::Superseded,
            DeskError::Fenced => Self::Fenced,
            DeskError::OtherShards(_) | DeskError::InvalidShards | DeskError::NoShards => {
                Self::Refused(error.to_string())
            }
            DeskError::TokenLater(_)
            | DeskError::Store(_)
            | DeskError::View(_)
            | DeskError::Behind(_) => Self::Later(error.to_string()),
        }
    }
}

impl From<RemoteError> for HubError {
    fn from(error: RemoteError) -> Self {
        match error.code() {
            Some("superseded" | "not_found") => Self::Superseded,
            Some("lease_lost") => Self::Fenced,
            Some("unauthorized" | "forbidden" | "other_shards" | "validation_failed") => {
                Self::Refused(error.to_string())
            }
            Some(_) | None => Self::Later(error.to_string()),
        }
    }
}

impl Hub {
    /// Where the log stands, as far as this process has been told.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Direct(desk) => desk.store().log().head().0,
            Self::Remote(remote) => remote.position(),
        }
    }

    pub(crate) async fn acquire(&self, request: &LeaseRequest) -> Result<Vec<Lease>, HubError> {
        Ok(match self {
            Self::Direct(desk) => desk.acquire(&request.bot, request.of, request.want).await?,
            Self::Remote(remote) => remote.acquire(request).await?,
        })
    }

    pub(crate) async fn release(&self, bot: &str, epoch: u64) -> Result<(), HubError> {
        match self {
            Self::Direct(desk) => drop(desk.release(bot, epoch).await?),
            Self::Remote(remote) => remote.release(bot, epoch).await?,
        }
        Ok(())
    }

    pub(crate) async fn share(&self, request: &ShareRequest) -> Result<Share, HubError> {
        Ok(match self {
            Self::Direct(desk) => desk.share(&request.bot, request).await?,
            Self::Remote(remote) => remote.share(request).await?,
        })
    }

    pub(crate) async fn identify(
        &self,
        request: &IdentifyRequest,
    ) -> Result<IdentifyTurn, HubError> {
        Ok(match self {
            Self::Direct(desk) => desk.identify(&request.bot, request)?,
            Self::Remote(remote) => remote.identify(request).await?,
        })
    }

    pub(crate) async fn start(
        &self,
        bot: &str,
        id: &str,
        request: StartRequest,
    ) -> Result<Started, HubError> {
        Ok(match self {
            Self::Direct(desk) => desk.start(bot, id, request).await?,
            Self::Remote(remote) => remote.start(id, &request).await?,
        })
    }

    pub(crate) async fn outcome(
        &self,
        bot: &str,
        id: &str,
        outcome: Outcome,
    ) -> Result<Recorded, HubError> {
        Ok(match self {
            Self::Direct(desk) => desk.outcome(bot, id, outcome).await?,
            Self::Remote(remote) => remote.outcome(id, &outcome).await?,
        })
    }

    pub(crate) async fn observe(
        &self,
        bot: &str,
        observation: Observation,
    ) -> Result<Noted, HubError> {
        Ok(match self {
            Self::Direct(desk) => desk.observe(bot, observation).await?,
            Self::Remote(remote) => remote.observe(&observation).await?,
        })
    }

    /// Hands every open command of some shards to `commands`, and every new one, until the process ends.
    pub(crate) async fn follow(&self, shards: Vec<u32>, of: u32, commands: mpsc::Sender<Command>) {
        match self {
            Self::Direct(desk) => follow(desk, &shards, of, &commands).await,
            Self::Remote(remote) => remote.follow(&shards, of, &commands).await,
        }
    }
}

async fn follow(desk: &Desk, shards: &[u32], of: u32, commands: &mpsc::Sender<Command>) {
    let mut cursor = CommandCursor::after(Position(0));
    let mut changes = desk.views().changes();
    loop {
        match desk.open_commands(shards, of, &cursor, PAGE).await {
            Ok(page) => {
                let more = !page.is_empty();
                for command in page {
                    cursor = command.id.parse().unwrap_or(cursor);
                    if commands.send(command).await.is_err() {
                        return;
                    }
                }
                if more {
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the commands cannot be read; they are read again");
            }
        }
        // A change that was missed because there were too many is found by reading.
        let commands = heard(&mut changes, |change| change.topic == Topic::Commands);
        if let Ok(false) = timeout(LOOK, commands).await {
            return;
        }
    }
}
