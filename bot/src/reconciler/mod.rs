//! Compares what Discord shows with what the Hub knows: after events were missed, when a creator asks, and from time
//! to time. What differs becomes a fact; what follows from it is decided as ever.
//!
//! Members are read a thousand at once where the application may see them, else one by one. What a page shows may
//! be older than the last answer to a call, so whatever differs is read once more before it counts. A comparison that
//! is cut off goes on from where it was.
//!
//! `waiting` has the servers that are to be compared, `looker` compares one, `believed` is what it is compared with.

mod believed;
mod looker;
mod waiting;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use domain::{
    GuildId,
    integration::{Phase, State},
};
use eventstore::Position;
use futures_util::{StreamExt, stream};
use projections::{ViewError, Views};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use self::{
    looker::{Ended, Looker},
    waiting::Waiting,
};
use crate::{
    desk::{Comparison, Desk},
    discord::Discord,
    patience::wake,
    worker::WorkerSettings,
};

/// How often everything is compared although nobody asked.
const SWEEP: Duration = Duration::from_hours(6);

/// How many servers are compared together.
const SERVERS: usize = 4;

/// How many rows are read at once.
const PAGE: u32 = 500;

/// When it looks again.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// How often a server is looked at whose roles, or whose missing bot, stand in somebody's way.
    pub round: Duration,
    /// The first pause of a comparison that Discord cuts off.
    pub pause: Duration,
}

impl Rhythm {
    /// The one that goes with a bot's. Comparing is not urgent, so it is ten times as patient.
    pub fn of(bot: &WorkerSettings) -> Self {
        Self { round: bot.parked, pause: bot.retry * 10 }
    }
}

/// The comparison with Discord.
pub struct Reconciler {
    desk: Desk,
    discord: Discord,
    asked: mpsc::UnboundedReceiver<Comparison>,
    rhythm: Rhythm,
}

impl Reconciler {
    /// `asked`: the servers that the desk asks for.
    pub fn new(
        desk: Desk,
        discord: Discord,
        asked: mpsc::UnboundedReceiver<Comparison>,
        rhythm: Rhythm,
    ) -> Self {
        Self { desk, discord, asked, rhythm }
    }

    /// Compares whatever is asked for, until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once; what was missed while nobody listened is told by the gateway.
        sweep.tick().await;
        let Rhythm { round, pause } = self.rhythm;
        let mut round = interval(round);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        round.tick().await;
        let hidden = AtomicBool::new(false);
        let looker = Looker { desk: &self.desk, discord: &self.discord, hidden: &hidden, pause };
        let mut waiting = Waiting::default();
        let mut running = stream::FuturesUnordered::new();
        loop {
            while running.len() < SERVERS
                && let Some(task) = waiting.next()
            {
                running.push(looker.compare(task));
            }
            let wakes = waiting.wakes_at();
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(asked) = self.asked.recv() => waiting.put(asked),
                _ = round.tick() => match servers(self.desk.views(), in_trouble).await {
                    Ok(troubled) => for guild in troubled {
                        let (roles, members, again) = (true, false, false);
                        waiting.put(Comparison { guild, roles, members, again });
                    },
                    Err(error) => tracing::error!(%error, "the servers in trouble cannot be listed"),
                },
                _ = sweep.tick() => match connected(self.desk.views()).await {
                    Ok(all) => {
                        hidden.store(false, Ordering::Relaxed);
                        for guild in all {
                            let (roles, members, again) = (true, true, false);
                            waiting.put(Comparison { guild, roles, members, again });
                        }
                    }
                    Err(error) => tracing::error!(%error, "the servers cannot be listed for the comparison"),
                },
                Some((guild, ended)) = running.next() => {
                    waiting.ended(guild);
                    if let Ended::Cut(task, pause) = ended {
                        waiting.cut_off(task, Instant::now() + pause);
                    }
                }
                () = wake(wakes) => waiting.resume(Instant::now()),
            }
        }
    }
}

/// Also one that is being let go: what was refused of it may be a matter of roles that no tier gives any more.
fn in_trouble(state: &State) -> bool {
    let let_go = matches!(state.phase, Phase::Removing { .. });
    let_go || state.bot_missing || !state.troubles().is_empty()
}

/// The servers in which access is given, or has not been taken away yet.
pub(crate) async fn connected(views: &Views) -> Result<BTreeSet<GuildId>, ViewError> {
    servers(views, |_| true).await
}

/// Those of them of which something is so.
async fn servers(
    views: &Views,
    is: impl Fn(&State) -> bool,
) -> Result<BTreeSet<GuildId>, ViewError> {
    let (mut guilds, mut after) = (BTreeSet::new(), Position(0));
    loop {
        let page = views.integrations().changed(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(guilds) };
        after = last.position;
        let some = page.iter().filter(|row| is(&row.state));
        guilds.extend(some.filter_map(|row| row.state.held_guild()));
    }
}
