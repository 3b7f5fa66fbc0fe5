//! Compares what Discord shows with what the Hub knows: after events were missed, when a creator asks, and from time
//! to time. What differs becomes a fact; what follows from it is decided as ever.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    DiscordUserId, FanId, GuildId, IntegrationId, integration::Phase, personal::Personal,
};
use eventstore::Position;
use futures_util::{StreamExt, stream};
use projections::{ViewError, Views};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    desk::{Desk, DeskError},
    discord::{Answer, Discord},
    gateway::look_at,
    hub::Hub,
    wire::Observation,
};

/// How often everything is compared although nobody asked.
const SWEEP: Duration = Duration::from_hours(6);

/// How many members are read together.
const TOGETHER: usize = 8;

/// How many rows are read at once.
const PAGE: u32 = 500;

/// Who is told to have seen it.
const NAME: &str = "reconciler";

/// The comparison with Discord.
pub struct Reconciler {
    desk: Desk,
    discord: Discord,
    asked: mpsc::UnboundedReceiver<GuildId>,
}

impl Reconciler {
    /// `asked`: the servers that the desk asks for.
    pub fn new(desk: Desk, discord: Discord, asked: mpsc::UnboundedReceiver<GuildId>) -> Self {
        Self { desk, discord, asked }
    }

    /// Compares whatever is asked for, until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once; what was missed while nobody listened is told by the gateway.
        sweep.tick().await;
        loop {
            let mut guilds = BTreeSet::new();
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(guild) = self.asked.recv() => {
                    guilds.insert(guild);
                    while let Ok(guild) = self.asked.try_recv() {
                        guilds.insert(guild);
                    }
                }
                _ = sweep.tick() => match connected(self.desk.views()).await {
                    Ok(all) => guilds = all,
                    Err(error) => tracing::error!(%error, "the servers cannot be listed for the comparison"),
                }
            }
            for guild in guilds {
                match shutdown.run_until_cancelled(self.compare(guild)).await {
                    None => return,
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        tracing::warn!(%error, %guild, "a server could not be compared; it is tried again later");
                    }
                }
            }
        }
    }

    /// Looks at a server and at everybody in it who has something from the Hub.
    async fn compare(&self, guild: GuildId) -> Result<(), DeskError> {
        let integrations = self.desk.views().integrations().by_guild(guild).await?;
        if integrations.is_empty() {
            return Ok(());
        }
        match self.discord.role_list(guild).await {
            Answer::Done((_, roles)) => {
                self.desk.observe(NAME, Observation::Server { guild, roles }).await?;
            }
            Answer::Refused(_) | Answer::Later { .. } | Answer::TokenDead | Answer::Unwanted => {
                return Ok(());
            }
        }
        let hub = Hub::Direct(self.desk.clone());
        for integration in integrations {
            let mut after: Option<FanId> = None;
            loop {
                let (users, last) =
                    holders(self.desk.views(), integration.id, guild, after.as_ref()).await?;
                stream::iter(users)
                    .for_each_concurrent(TOGETHER, |user| {
                        look_at(&hub, &self.discord, NAME, guild, user)
                    })
                    .await;
                match last {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok(())
    }
}

/// The servers in which access is given.
async fn connected(views: &Views) -> Result<BTreeSet<GuildId>, ViewError> {
    let (mut guilds, mut after) = (BTreeSet::new(), Position(0));
    loop {
        let page = views.integrations().changed(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(guilds) };
        after = last.position;
        let held = page
            .iter()
            .filter(|row| matches!(row.state.phase, Phase::Connected | Phase::Removing { .. }));
        guilds.extend(held.filter_map(|row| row.state.server.as_ref().map(|server| server.id)));
    }
}

/// The accounts that have something in a server, or were seen in it; and where the next page begins.
async fn holders(
    views: &Views,
    integration: IntegrationId,
    guild: GuildId,
    after: Option<&FanId>,
) -> Result<(Vec<DiscordUserId>, Option<FanId>), ViewError> {
    let page = views.fan_access().fans(integration, None, after, PAGE).await?;
    let last = page.last().map(|row| row.fan.clone());
    let there = page.into_iter().filter(|row| {
        row.guild == Some(guild)
            && (row.present != Some(false) || !row.given.is_empty() || row.desired.present)
    });
    let users = there
        .filter_map(|row| row.account.as_ref().and_then(Personal::known).map(|account| account.id));
    Ok((users.collect(), last))
}
