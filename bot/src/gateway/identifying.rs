//! When a shard may identify: Discord lets a token begin so many sessions in five seconds, whichever processes begin
//! them, and so many a day. Who begins more than that in a day loses the token.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};
use twilight_gateway::queue::Queue;

use crate::{
    discord::{Answer, SessionStartLimit},
    members::Looks,
    wire::IdentifyRequest,
};

/// The pause before the Hub, or Discord, is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// The turns of one connection. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Turns {
    pub(super) looks: Looks,
    /// What Discord told when the connection was made; it holds for the first session.
    pub(super) told: Arc<Mutex<Option<SessionStartLimit>>>,
}

impl Queue for Turns {
    fn enqueue(&self, shard: u32) -> oneshot::Receiver<()> {
        let (mut may, receiver) = oneshot::channel();
        let turns = self.clone();
        tokio::spawn(async move {
            let waited = tokio::select! {
                () = turns.wait(shard) => true,
                () = may.closed() => false,
            };
            if waited {
                // A connection that has ended meanwhile asks anew.
                let _ = may.send(());
            }
        });
        receiver
    }
}

impl Turns {
    /// Waits until a shard may identify.
    async fn wait(&self, shard: u32) {
        let max_concurrency = loop {
            match self.limit().await {
                Some(limit) if limit.remaining == 0 => {
                    let pause = Duration::from_millis(limit.reset_after).max(PAUSE);
                    tracing::warn!(
                        sessions = limit.total,
                        seconds = pause.as_secs(),
                        "no more sessions may be begun today; what others do on Discord is found by comparing until then"
                    );
                    sleep(pause).await;
                }
                Some(limit) => break limit.max_concurrency.max(1),
                None => break 1,
            }
        };
        let Looks { hub, name, .. } = &self.looks;
        let request = IdentifyRequest { bot: name.clone(), shard, max_concurrency };
        loop {
            match hub.identify(&request).await {
                Ok(turn) => return sleep(Duration::from_millis(turn.wait_ms)).await,
                Err(error) => {
                    tracing::warn!(%error, shard, "the Hub does not say when a session may be begun; it is asked again");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// `None`: a stand-in for Discord need not tell anything.
    async fn limit(&self) -> Option<SessionStartLimit> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).take();
        if told.is_some() {
            return told;
        }
        match self.looks.discord.gateway().await {
            Answer::Done(told) => Some(told.session_start_limit),
            _ => None,
        }
    }
}
