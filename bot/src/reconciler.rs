//! Compares what Discord shows with what the Hub knows: after events were missed, when a creator asks, and from time
//! to time. What differs becomes a fact; what follows from it is decided as ever.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    DiscordUserId, FanId, GuildId, IntegrationId, Trouble,
    integration::{Phase, State},
    personal::Personal,
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
    hub::Hub,
    members::Looks,
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
    /// How often servers in trouble are looked at.
    round: Duration,
}

impl Reconciler {
    /// `asked`: the servers that the desk asks for. `round`: how often a server is looked at whose roles, or whose
    /// missing bot, stand in somebody's way.
    pub fn new(
        desk: Desk,
        discord: Discord,
        asked: mpsc::UnboundedReceiver<GuildId>,
        round: Duration,
    ) -> Self {
        Self { desk, discord, asked, round }
    }

    /// Compares whatever is asked for, until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once; what was missed while nobody listened is told by the gateway.
        sweep.tick().await;
        let mut round = interval(self.round);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        round.tick().await;
        loop {
            let mut guilds = BTreeSet::new();
            tokio::select! {
                _ = round.tick() => {
                    if let Some(Err(error)) = shutdown.run_until_cancelled(self.look_at_troubled()).await {
                        tracing::warn!(%error, "the servers in trouble could not be looked at; it is tried again later");
                    }
                    continue;
                }
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
        if !self.look_at_server(guild).await? {
            return Ok(());
        }
        let looks = Looks {
            hub: Hub::Direct(self.desk.clone()),
            discord: self.discord.clone(),
            name: NAME.to_owned(),
        };
        for integration in integrations {
            let mut after: Option<FanId> = None;
            loop {
                let since = self.desk.store().log().head().0;
                let (users, last) =
                    holders(self.desk.views(), integration.id, guild, after.as_ref()).await?;
                stream::iter(users)
                    .for_each_concurrent(TOGETHER, |user| looks.look_at(guild, user, since))
                    .await;
                match last {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Looks at every server whose roles, or whose missing bot, stand in somebody's way.
    async fn look_at_troubled(&self) -> Result<(), DeskError> {
        let in_trouble = |state: &State| state.bot_missing || !state.troubles().is_empty();
        for guild in servers(self.desk.views(), in_trouble).await? {
            self.look_at_server(guild).await?;
        }
        Ok(())
    }

    /// Reads a server's roles and tells them; answers whether Discord showed them.
    async fn look_at_server(&self, guild: GuildId) -> Result<bool, DeskError> {
        match self.discord.role_list(guild).await {
            Answer::Done((_, roles)) => {
                self.desk.observe(NAME, Observation::Server { guild, roles }).await?;
                return Ok(true);
            }
            Answer::Refused(refusal) if refusal.trouble == Trouble::BotMissing => {
                self.is_bot_gone(guild).await?;
            }
            Answer::Refused(_) | Answer::Later { .. } | Answer::TokenDead | Answer::Unwanted => {}
        }
        Ok(false)
    }

    /// One refusal is no proof that the bot was thrown out; a second one, of another route, is, outside of an outage.
    async fn is_bot_gone(&self, guild: GuildId) -> Result<(), DeskError> {
        let Answer::Done(bot) = self.discord.bot_user().await else { return Ok(()) };
        if let Answer::Refused(refusal) = self.discord.member(guild, bot).await
            && refusal.trouble == Trouble::BotMissing
            && !self.discord.is_out(guild)
        {
            self.desk.observe(NAME, Observation::BotRemoved { guild }).await?;
        }
        Ok(())
    }
}

/// The servers in which access is given.
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
        let held = page.iter().filter(|row| {
            matches!(row.state.phase, Phase::Connected | Phase::Removing { .. }) && is(&row.state)
        });
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
