//! Discord's gateway: what others change in the servers of the shards that this process holds.
//!
//! What is heard is a hint or a fact for the Hub, never a reason to act here. Events that may be older than the
//! last answer to a call are confirmed by reading before they count.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::{DiscordUserId, GuildId, RoleId};
use futures_util::{StreamExt, stream};
use tokio::{
    sync::{OnceCell, mpsc},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use twilight_gateway::{
    CloseFrame, ConfigBuilder, Intents, Message, Shard, ShardId, queue::InMemoryQueue,
};
use url::Url;

use crate::{
    discord::{Answer, Gateway},
    heard::Heard,
    members::{Echoes, Looks},
    queue::Key,
    wire::Observation,
};

/// The close code of an intent that the application may not have.
const DISALLOWED_INTENTS: u16 = 4014;

/// How often a server is read again because something was recorded of it meanwhile.
const LOOKS: usize = 3;

/// How long a session must have lasted for the next one to be opened without a longer pause.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// The first pause before the gateway is asked again; it doubles from there.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause before the gateway is asked again.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// After so many sessions that ended at once, Discord is asked anew where its gateway is.
const ASK_AGAIN: u32 = 8;

/// How long what was heard of a member may be followed by more.
const A_MOMENT: Duration = Duration::from_millis(100);

/// How many members are read together.
const TOGETHER: usize = 8;

/// How the gateway is reached.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where it is; `None`: Discord is asked.
    pub url: Option<Url>,
    /// How long the gateway may take to tell what a call of ours did, before it is looked at.
    pub patience: Duration,
}

impl GatewaySettings {
    pub fn new(url: Option<Url>) -> Self {
        Self { url, patience: Duration::from_secs(15) }
    }
}

/// When the shards of this process may identify: so many at once, and so many a day. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identifying(Arc<OnceCell<InMemoryQueue>>);

impl Identifying {
    /// In the turns that Discord asks for.
    async fn queue(&self, told: Option<&Gateway>) -> InMemoryQueue {
        let queue = self.0.get_or_init(async || match told {
            Some(Gateway { session_start_limit: limit, .. }) => InMemoryQueue::new(
                limit.max_concurrency.max(1),
                limit.remaining,
                Duration::from_millis(limit.reset_after),
                limit.total,
            ),
            None => InMemoryQueue::default(),
        });
        queue.await.clone()
    }
}

/// Listens on one shard.
pub(crate) struct Observer {
    pub(crate) looks: Looks,
    pub(crate) echoes: Echoes,
    pub(crate) settings: GatewaySettings,
    pub(crate) identifying: Identifying,
    /// Told of every member who changed.
    pub(crate) changed: mpsc::UnboundedSender<Key>,
    pub(crate) shard: u32,
    pub(crate) of: u32,
}

/// How a session ended.
enum Closed {
    /// The application has no right to hear of members.
    WithoutMembers,
    Otherwise,
}

/// What is to be read because of what was heard. Reading takes its time, and the gateway waits for nobody.
#[derive(Clone)]
struct ToRead {
    servers: mpsc::UnboundedSender<GuildId>,
    members: mpsc::UnboundedSender<(GuildId, DiscordUserId)>,
}

impl Observer {
    /// Listens until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (servers, ask_servers) = mpsc::unbounded_channel();
        let (members, ask_members) = mpsc::unbounded_channel();
        let to_read = ToRead { servers, members };
        let reading =
            async { tokio::join!(self.read_servers(ask_servers), self.read_members(ask_members)) };
        let listening = async {
            let (mut members, mut pause) = (true, PAUSE);
            loop {
                match self.listen(members, &to_read).await {
                    Closed::WithoutMembers if members => {
                        tracing::warn!(
                            "the application may not hear of members; what happens to them is found by comparing instead"
                        );
                        members = false;
                        continue;
                    }
                    Closed::WithoutMembers | Closed::Otherwise => {}
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let listening = Box::pin(listening);
        stop.run_until_cancelled(async { tokio::join!(reading, listening) }).await;
    }

    /// What Discord tells of its gateway; a stand-in whose address is set need not tell anything.
    async fn gateway(&self) -> Option<Gateway> {
        match self.looks.discord.gateway().await {
            Answer::Done(told) => Some(told),
            other => {
                tracing::info!(answer = ?other, "Discord does not tell of its gateway");
                None
            }
        }
    }

    async fn listen(&self, members: bool, to_read: &ToRead) -> Closed {
        // The gateway's library takes the process's provider; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let told = self.gateway().await;
        let asked = told.as_ref().map(|told| told.url.clone());
        let Some(url) = self.settings.url.as_ref().map(Url::to_string).or(asked) else {
            return Closed::Otherwise;
        };
        if let Some(told) = told.as_ref().filter(|told| told.shards > self.of) {
            tracing::warn!(
                shards = self.of,
                recommended = told.shards,
                "Discord recommends more shards; divide the servers into more with --of"
            );
        }
        let intents =
            if members { Intents::GUILDS | Intents::GUILD_MEMBERS } else { Intents::GUILDS };
        let config = ConfigBuilder::new(self.looks.discord.token(), intents)
            .proxy_url(url.trim_end_matches('/').to_owned())
            .queue(self.identifying.queue(told.as_ref()).await)
            .build();
        let mut shard = Shard::with_config(ShardId::new(self.shard, self.of), config);
        let (mut bot, mut session) = (None, None);
        let mut known = self.looks.hub.position();
        let (mut failures, mut began) = (0u32, None::<Instant>);
        while let Some(message) = shard.next().await {
            let before = std::mem::replace(&mut known, self.looks.hub.position());
            match message {
                Ok(Message::Text(text)) => {
                    match Heard::read(&text, bot) {
                        Ok(Some(heard)) => {
                            if let Heard::Ready { bot: own, .. } = &heard {
                                (bot, session) = (Some(*own), Some(before));
                            }
                            if matches!(heard, Heard::Ready { .. } | Heard::Resumed) {
                                began = Some(Instant::now());
                            }
                            self.on(heard, to_read, session).await;
                        }
                        Ok(None) => {}
                        // A message that cannot be read says nothing; the next may.
                        Err(error) => tracing::warn!(%error, "a gateway message cannot be read"),
                    }
                    continue;
                }
                Ok(Message::Close(Some(CloseFrame { code: DISALLOWED_INTENTS, .. }))) => {
                    return Closed::WithoutMembers;
                }
                Ok(Message::Close(frame)) => {
                    tracing::info!(?frame, shard = self.shard, "the gateway closed the session");
                }
                Err(error) => tracing::info!(%error, "the gateway cannot be heard"),
            }
            // The session is resumed at once, but a server that takes us in and closes is not asked thousands of times.
            if began.take().is_some_and(|began| began.elapsed() > GOOD_SESSION) {
                failures = 0;
            }
            failures += 1;
            if failures > ASK_AGAIN {
                return Closed::Otherwise;
            }
            if failures > 1 {
                sleep((PAUSE * (1 << (failures - 2))).min(LONGEST_PAUSE)).await;
            }
        }
        Closed::Otherwise
    }

    /// `session`: where the log stood before the session began.
    async fn on(&self, heard: Heard, to_read: &ToRead, session: Option<u64>) {
        let discord = &self.looks.discord;
        match heard {
            Heard::Resumed => {}
            Heard::Ready { guilds, .. } => {
                let (shard, of) = (self.shard, self.of);
                self.tell(Observation::Session { shard, of, guilds }).await;
            }
            Heard::Server { guild, roles } => {
                discord.set_outage(guild, false);
                match roles {
                    Some(roles) => {
                        discord.roles_seen(guild, &roles);
                        let told = Observation::Server { guild, roles, since: session };
                        if self.tell(told).await.is_some() {
                            to_read.server(guild);
                        }
                    }
                    None => to_read.server(guild),
                }
                // It comes after a new session, an outage, or the bot's return: events were missed before it.
                self.tell(Observation::Missed { guild }).await;
            }
            Heard::Outage { guild } => discord.set_outage(guild, true),
            Heard::Gone { guild } => {
                discord.set_outage(guild, false);
                self.tell(Observation::BotRemoved { guild }).await;
            }
            Heard::ServerChanged { guild } => to_read.server(guild),
            Heard::Member { guild, user, roles } => self.member(guild, user, roles, to_read).await,
        }
    }

    async fn member(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        roles: Option<BTreeSet<RoleId>>,
        to_read: &ToRead,
    ) {
        self.echoes.heard(guild, user, roles.clone());
        // Where nobody works any more, nobody listens either.
        let _ = self.changed.send((guild, user));
        if self.tell_of_member(guild, user, roles).await.is_some() {
            to_read.member(guild, user);
        }
    }

    async fn tell_of_member(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        roles: Option<BTreeSet<RoleId>>,
    ) -> Option<u64> {
        self.tell(Observation::Member {
            guild,
            user,
            roles,
            joined_at: None,
            confirmed: false,
            since: None,
            still_there: None,
        })
        .await
    }

    /// Tells the Hub; where it wants to be sure, it answers since when.
    async fn tell(&self, observation: Observation) -> Option<u64> {
        match self.looks.hub.observe(&self.looks.name, observation).await {
            Ok(noted) => noted.confirm.then_some(noted.position),
            Err(error) => {
                tracing::warn!(%error, "what was seen on Discord was not taken in; it is found by the next comparison");
                None
            }
        }
    }

    /// Reads servers anew, one after the other, each once for all that was heard of it meanwhile.
    async fn read_servers(&self, mut asked: mpsc::UnboundedReceiver<GuildId>) {
        while let Some(guild) = asked.recv().await {
            let mut guilds = BTreeSet::from([guild]);
            while let Ok(guild) = asked.try_recv() {
                guilds.insert(guild);
            }
            for guild in guilds {
                for _ in 0..LOOKS {
                    let since = Some(self.looks.hub.position());
                    let Answer::Done((_, roles)) = self.looks.discord.look_at_roles(guild).await
                    else {
                        break;
                    };
                    if self.tell(Observation::Server { guild, roles, since }).await.is_none() {
                        break;
                    }
                }
            }
        }
    }

    /// Reads those members of whom the Hub wants to be sure.
    async fn read_members(&self, asked: mpsc::UnboundedReceiver<(GuildId, DiscordUserId)>) {
        let asked = stream::unfold(asked, async |mut asked| Some((asked.recv().await?, asked)));
        asked
            .for_each_concurrent(TOGETHER, async |(guild, user)| {
                // What was told first is often outdated by what is told next.
                sleep(A_MOMENT).await;
                let heard = self.echoes.last_heard(guild, user);
                if let Some(since) = self.tell_of_member(guild, user, heard).await {
                    // What cannot be read now is found by the next comparison.
                    let _ = self.looks.look_at(guild, user, since).await;
                }
            })
            .await;
    }
}

impl ToRead {
    fn server(&self, guild: GuildId) {
        // Where nobody reads any more, nobody listens either.
        let _ = self.servers.send(guild);
    }

    fn member(&self, guild: GuildId, user: DiscordUserId) {
        let _ = self.members.send((guild, user));
    }
}
