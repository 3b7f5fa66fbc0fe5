//! What this process may use of the calls that Discord allows to the bot's token: it asks the Hub for a share, and again
//! before that ends.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    discord::Discord,
    http::DEADLINE,
    hub::{Hub, HubError},
    wire::{Share, ShareRequest},
};

/// How often a process asks that has nothing to do.
const IDLE: Duration = Duration::from_secs(5);

/// How often one asks that has, so that shares follow the work.
const BUSY: Duration = Duration::from_millis(250);

/// Asks for a process's share and keeps it up until `shutdown`; whatever calls with `discord` keeps to it.
pub async fn keep(hub: Hub, discord: Discord, name: String, shutdown: CancellationToken) {
    let pacer = discord.pacer();
    // Nothing is called before the first answer.
    pacer.share(0, None);
    let keeping = async {
        let mut heard = true;
        loop {
            let (need, asked) = (pacer.need(), Instant::now());
            let request = ShareRequest {
                bot: name.clone(),
                using: need.using,
                wanted: need.wanted,
                refused: need.refused,
            };
            let answer = match timeout(DEADLINE, hub.share(&request)).await {
                Ok(answer) => answer,
                Err(_) => Err(HubError::Later("the Hub did not answer in time".to_owned())),
            };
            let busy = match answer {
                Ok(Share { calls_per_second, for_seconds }) => {
                    heard = true;
                    pacer.told(need.refused);
                    let until = asked + Duration::from_secs(for_seconds.into());
                    pacer.share(calls_per_second, Some(until));
                    need.wanted > 0 || need.using > calls_per_second
                }
                Err(error) => {
                    if std::mem::take(&mut heard) {
                        tracing::warn!(%error, "the Hub gives no share of the calls to Discord; nothing more is called until it does");
                    }
                    true
                }
            };
            if busy {
                sleep(BUSY).await;
            } else {
                tokio::select! { () = sleep(IDLE) => {}, () = pacer.short() => {} }
            }
        }
    };
    shutdown.run_until_cancelled(keeping).await;
}
