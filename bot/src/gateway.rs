//! Discord's gateway: what others change in the servers of the shards that this process holds.
//!
//! What is heard is a hint or a fact for the Hub, never a reason to act here. Events that may be older than the
//! last answer to a call are confirmed by reading before they count.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    DiscordUserId, GuildId, RoleId,
    discord::{Permissions, Role, RoleList},
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use twilight_gateway::{
    CloseFrame, ConfigBuilder, Event, EventTypeFlags, Intents, Shard, ShardId, StreamExt,
    error::ReceiveMessageErrorType,
};
use twilight_model::gateway::payload::incoming::GuildCreate;
use url::Url;

use crate::{
    discord::{Answer, Discord},
    hub::Hub,
    wire::Observation,
};

/// The close code of an intent that the application may not have.
const DISALLOWED_INTENTS: u16 = 4014;

/// How long a session must have lasted for the next one to be opened without a longer pause.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// The longest pause before the gateway is asked again.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How the gateway is reached.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where it is; `None`: Discord is asked.
    pub url: Option<Url>,
}

/// Listens on one shard.
pub(crate) struct Observer {
    pub(crate) hub: Hub,
    pub(crate) discord: Discord,
    pub(crate) settings: GatewaySettings,
    pub(crate) name: String,
    pub(crate) shard: u32,
    pub(crate) of: u32,
}

/// How a session ended.
enum Closed {
    /// The application has no right to hear of members.
    WithoutMembers,
    Otherwise,
}

impl Observer {
    /// Listens until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let listening = async {
            let (mut members, mut pause) = (true, Duration::from_millis(500));
            loop {
                let began = Instant::now();
                match self.listen(members).await {
                    Closed::WithoutMembers if members => {
                        tracing::warn!(
                            "the application may not hear of members; what happens to them is found by comparing instead"
                        );
                        members = false;
                        continue;
                    }
                    Closed::WithoutMembers | Closed::Otherwise => {}
                }
                // A server that takes us in and closes at once is not asked thousands of times.
                pause = if began.elapsed() > GOOD_SESSION {
                    Duration::from_millis(500)
                } else {
                    (pause * 2).min(LONGEST_PAUSE)
                };
                sleep(pause).await;
            }
        };
        stop.run_until_cancelled(listening).await;
    }

    async fn url(&self) -> Option<String> {
        let url = match &self.settings.url {
            Some(url) => url.to_string(),
            None => match self.discord.gateway().await {
                Answer::Done(url) => url,
                other => {
                    tracing::info!(answer = ?other, "Discord does not tell where its gateway is; it is asked again");
                    return None;
                }
            },
        };
        Some(url.trim_end_matches('/').to_owned())
    }

    async fn listen(&self, members: bool) -> Closed {
        // The gateway's library takes the process's provider; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Some(url) = self.url().await else { return Closed::Otherwise };
        let intents =
            if members { Intents::GUILDS | Intents::GUILD_MEMBERS } else { Intents::GUILDS };
        let config = ConfigBuilder::new(self.discord.token(), intents).proxy_url(url).build();
        let mut shard = Shard::with_config(ShardId::new(self.shard, self.of), config);
        let wanted = EventTypeFlags::READY
            | EventTypeFlags::GUILD_CREATE
            | EventTypeFlags::GUILD_DELETE
            | EventTypeFlags::GUILD_UPDATE
            | EventTypeFlags::ROLE_CREATE
            | EventTypeFlags::ROLE_UPDATE
            | EventTypeFlags::ROLE_DELETE
            | EventTypeFlags::MEMBER_ADD
            | EventTypeFlags::MEMBER_UPDATE
            | EventTypeFlags::MEMBER_REMOVE;
        let mut bot = None;
        let mut failures = 0;
        while let Some(heard) = shard.next_event(wanted).await {
            match heard {
                Ok(Event::GatewayClose(Some(CloseFrame { code: DISALLOWED_INTENTS, .. }))) => {
                    return Closed::WithoutMembers;
                }
                Ok(Event::Ready(ready)) => {
                    failures = 0;
                    bot = Some(DiscordUserId(ready.user.id.get()));
                }
                Ok(event) => self.on(event, bot).await,
                // A message that cannot be read says nothing; the next may.
                Err(error)
                    if matches!(error.kind(), ReceiveMessageErrorType::Deserializing { .. }) =>
                {
                    tracing::debug!(%error, "a gateway message could not be read");
                }
                Err(error) => {
                    tracing::info!(%error, "the gateway cannot be heard");
                    failures += 1;
                    if failures > 3 {
                        return Closed::Otherwise;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
        Closed::Otherwise
    }

    async fn on(&self, event: Event, bot: Option<DiscordUserId>) {
        match event {
            Event::GuildCreate(created) => {
                if let GuildCreate::Available(guild) = *created {
                    let id = GuildId(guild.id.get());
                    let own = guild
                        .members
                        .iter()
                        .find(|member| bot == Some(DiscordUserId(member.user.id.get())));
                    let roles = guild.roles.iter().map(|role| Role {
                        id: RoleId(role.id.get()),
                        name: role.name.clone(),
                        position: role.position,
                        color: role.colors.primary_color,
                        managed: role.managed,
                        permissions: Permissions(role.permissions.bits()),
                    });
                    match own {
                        Some(own) => {
                            let has = own.roles.iter().map(|role| RoleId(role.get()));
                            let roles = RoleList::new(roles.collect(), has);
                            self.tell(Observation::Server { guild: id, roles }).await;
                        }
                        None => self.read(id).await,
                    }
                    // It comes after a new session, an outage, or the bot's return: events were missed before it.
                    self.tell(Observation::Missed { guild: id }).await;
                }
            }
            // An outage says `unavailable`; anything else means that the bot is out.
            Event::GuildDelete(gone) if gone.unavailable != Some(true) => {
                self.tell(Observation::BotRemoved { guild: GuildId(gone.id.get()) }).await;
            }
            Event::GuildUpdate(changed) => self.read(GuildId(changed.id.get())).await,
            Event::RoleCreate(changed) => self.read(GuildId(changed.guild_id.get())).await,
            Event::RoleUpdate(changed) => self.read(GuildId(changed.guild_id.get())).await,
            Event::RoleDelete(changed) => self.read(GuildId(changed.guild_id.get())).await,
            Event::MemberAdd(added) => {
                let roles = added.member.roles.iter().map(|role| RoleId(role.get())).collect();
                self.member(
                    GuildId(added.guild_id.get()),
                    DiscordUserId(added.member.user.id.get()),
                    Some(roles),
                )
                .await;
            }
            Event::MemberUpdate(changed) => {
                let (guild, user) =
                    (GuildId(changed.guild_id.get()), DiscordUserId(changed.user.id.get()));
                if bot == Some(user) {
                    self.read(guild).await;
                } else {
                    let roles = changed.roles.iter().map(|role| RoleId(role.get())).collect();
                    self.member(guild, user, Some(roles)).await;
                }
            }
            Event::MemberRemove(gone) => {
                self.member(GuildId(gone.guild_id.get()), DiscordUserId(gone.user.id.get()), None)
                    .await;
            }
            _ => {}
        }
    }

    /// Reads a server's roles anew and tells them.
    async fn read(&self, guild: GuildId) {
        if let Answer::Done((_, roles)) = self.discord.role_list(guild).await {
            self.tell(Observation::Server { guild, roles }).await;
        }
    }

    async fn member(&self, guild: GuildId, user: DiscordUserId, roles: Option<BTreeSet<RoleId>>) {
        let heard = Observation::Member { guild, user, roles, confirmed: false };
        if self.tell(heard).await {
            look_at(&self.hub, &self.discord, &self.name, guild, user).await;
        }
    }

    /// Tells the Hub; answers whether it wants to be sure.
    async fn tell(&self, observation: Observation) -> bool {
        match self.hub.observe(&self.name, observation).await {
            Ok(noted) => noted.confirm,
            Err(error) => {
                tracing::warn!(%error, "what was seen on Discord was not taken in; it is found by the next comparison");
                false
            }
        }
    }
}

/// Reads one member and tells what is seen.
pub(crate) async fn look_at(
    hub: &Hub,
    discord: &Discord,
    name: &str,
    guild: GuildId,
    user: DiscordUserId,
) {
    let roles = match discord.member(guild, user).await {
        Answer::Done(seen) => Some(seen.roles.into_iter().collect()),
        Answer::Refused(refusal) if refusal.not_a_member() => None,
        Answer::Refused(_) | Answer::Later { .. } | Answer::TokenDead | Answer::Unwanted => return,
    };
    if let Err(error) =
        hub.observe(name, Observation::Member { guild, user, roles, confirmed: true }).await
    {
        tracing::warn!(%error, "what was seen on Discord was not taken in; it is found by the next comparison");
    }
}
