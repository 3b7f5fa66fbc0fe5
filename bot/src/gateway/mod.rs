//! Discord's gateway: what others change in the servers of the shards that this process holds.
//!
//! What is heard is a hint or a fact for the Hub, never a reason to act here. Events that may be older than the
//! last answer to a call are confirmed by reading before they count.

mod identifying;
mod outbox;
mod reading;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::GuildId;
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use twilight_gateway::{CloseFrame, ConfigBuilder, Intents, Message, Shard, ShardId};
use url::Url;

pub(crate) use self::outbox::Outbox;
use self::{
    identifying::Turns,
    reading::{Reader, ToRead},
};
use crate::{
    discord::{Answer, Gateway, Seen},
    echoes::Echoes,
    heard::Heard,
    members::Looks,
    queue::Key,
    wire::Observation,
};

/// How often the Hub is told of outages that go on.
const REMIND: Duration = Duration::from_mins(1);

/// The close code of a token that is not accepted.
const TOKEN_REFUSED: u16 = 4004;

/// The close code of an intent that the application may not have.
const DISALLOWED_INTENTS: u16 = 4014;

/// How long a session must have lasted for the next one to be opened without a longer pause.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// The first pause before the gateway is asked again; it doubles from there.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause before the gateway is asked again.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// After so many sessions that ended at once, Discord is asked anew where its gateway is.
const ASK_AGAIN: u32 = 8;

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

/// What a process listens with, on all its shards. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Ears {
    looks: Looks,
    pub(crate) echoes: Echoes,
    outbox: Outbox,
    to_read: ToRead,
    /// Told of every member who changed.
    changed: mpsc::UnboundedSender<Key>,
}

impl Ears {
    /// The ears, and the work to be done for them until `patience` with what is heard is no longer asked for.
    pub(crate) fn open(
        looks: Looks,
        patience: Duration,
        changed: mpsc::UnboundedSender<Key>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (echoes, expected) = Echoes::new();
        let outbox = Outbox::default();
        let (to_read, reader) = Reader::new(looks.clone(), echoes.clone(), outbox.clone());
        let ears = Self { looks, echoes, outbox, to_read, changed };
        let own = ears.clone();
        let work = async move {
            let Self { looks, echoes, outbox, to_read, .. } = &own;
            tokio::join!(
                outbox.tell(looks, to_read),
                reader.run(),
                echoes.clone().run(looks.clone(), outbox.clone(), expected, patience)
            );
        };
        (ears, work)
    }

    /// A member, or that somebody is none.
    pub(crate) fn hear(&self, (guild, user): Key, seen: Option<Seen>) {
        // Where nobody works any more, nobody listens either.
        let _ = self.changed.send((guild, user));
        if self.echoes.heard((guild, user), seen.clone()) {
            self.outbox.put(Observation::heard(guild, user, seen));
        }
    }

    /// A command on a member has ended.
    pub(crate) fn end(&self, (guild, user): Key) {
        if let Some(told) = self.echoes.end((guild, user)) {
            self.outbox.put(Observation::heard(guild, user, told.seen));
        }
    }
}

/// Listens on one shard.
pub(crate) struct Observer {
    pub(crate) ears: Ears,
    /// Where the gateway is; `None`: Discord is asked.
    pub(crate) url: Option<Url>,
    pub(crate) shard: u32,
    pub(crate) of: u32,
}

/// How a session ended.
enum Closed {
    /// The application has no right to hear of members.
    WithoutMembers,
    /// The bot's token is not accepted.
    TokenDead,
    Otherwise,
}

impl Observer {
    /// Listens until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let listening = async {
            let (mut members, mut dead, mut pause) = (true, false, PAUSE);
            loop {
                let closed = self.listen(members).await;
                if matches!(closed, Closed::TokenDead) && !std::mem::replace(&mut dead, true) {
                    tracing::error!(
                        "Discord's gateway does not accept the bot's token, so nothing is heard; set a new one and start \
                         the Hub again"
                    );
                }
                match closed {
                    Closed::WithoutMembers if members => {
                        tracing::warn!(
                            "the application may not hear of members; what happens to them is found by comparing instead"
                        );
                        members = false;
                        continue;
                    }
                    Closed::TokenDead | Closed::WithoutMembers => {}
                    Closed::Otherwise => dead = false,
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let both = async { tokio::join!(Box::pin(listening), self.remind()) };
        stop.run_until_cancelled(both).await;
        let discord = &self.ears.looks.discord;
        discord.end_outages(|guild| self.is_of(guild));
        discord.end_hearing(|guild| self.is_of(guild));
    }

    /// Tells of outages again and again: the Hub may have been started anew, and forgets what is not told.
    async fn remind(&self) {
        loop {
            sleep(REMIND).await;
            for guild in self.ears.looks.discord.outages() {
                if self.is_of(guild) {
                    self.ears.outbox.put(Observation::Outage { guild });
                }
            }
        }
    }

    fn is_of(&self, guild: GuildId) -> bool {
        guild.shard(self.of) == self.shard
    }

    /// What Discord tells of its gateway; a stand-in whose address is set need not tell anything.
    async fn gateway(&self) -> Result<Option<Gateway>, Closed> {
        match self.ears.looks.discord.gateway().await {
            Answer::Done(told) => Ok(Some(told)),
            Answer::TokenDead => Err(Closed::TokenDead),
            Answer::Refused(refusal) => {
                tracing::info!(why = refusal.detail, "Discord does not tell of its gateway");
                Ok(None)
            }
            Answer::Later { why, .. } => {
                tracing::info!(why, "Discord does not tell of its gateway now");
                Ok(None)
            }
            Answer::Unwanted => Ok(None),
        }
    }

    async fn listen(&self, members: bool) -> Closed {
        // The gateway's library takes the process's provider; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let told = match self.gateway().await {
            Ok(told) => told,
            Err(closed) => return closed,
        };
        let asked = told.as_ref().map(|told| told.url.clone());
        let Some(url) = self.url.as_ref().map(Url::to_string).or(asked) else {
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
        let config = ConfigBuilder::new(self.ears.looks.discord.token(), intents)
            .proxy_url(url.trim_end_matches('/').to_owned())
            .queue(Turns {
                looks: self.ears.looks.clone(),
                told: Arc::new(Mutex::new(told.map(|told| told.session_start_limit))),
            })
            .build();
        let mut shard = Shard::with_config(ShardId::new(self.shard, self.of), config);
        let (mut bot, mut session) = (None, None);
        let mut known = self.ears.looks.hub.position();
        let (mut failures, mut began) = (0u32, None::<Instant>);
        while let Some(message) = shard.next().await {
            let before = std::mem::replace(&mut known, self.ears.looks.hub.position());
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
                            self.on(heard, session, members);
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
                Ok(Message::Close(Some(CloseFrame { code: TOKEN_REFUSED, .. }))) => {
                    self.ears.looks.discord.set_cut(|guild| self.is_of(guild), true);
                    return Closed::TokenDead;
                }
                Ok(Message::Close(frame)) => {
                    let (code, why) = frame.map(|frame| (frame.code, frame.reason)).unzip();
                    tracing::info!(
                        code,
                        why = why.as_deref(),
                        shard = self.shard,
                        "the gateway closed the session"
                    );
                }
                Err(error) => tracing::info!(%error, "the gateway cannot be heard"),
            }
            self.ears.looks.discord.set_cut(|guild| self.is_of(guild), true);
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

    /// `session`: where the log stood before the session began. `members`: whether it tells of members.
    fn on(&self, heard: Heard, session: Option<u64>, members: bool) {
        let Ears { looks: Looks { discord, .. }, outbox, to_read, .. } = &self.ears;
        match heard {
            Heard::Resumed => discord.set_cut(|guild| self.is_of(guild), false),
            Heard::Ready { guilds, unavailable, .. } => {
                discord.end_outages(|guild| self.is_of(guild) && !guilds.contains(&guild));
                discord.end_hearing(|guild| self.is_of(guild));
                outbox.put(Observation::Session { shard: self.shard, of: self.of, guilds });
                for guild in unavailable {
                    discord.set_outage(guild, true);
                    outbox.put(Observation::Outage { guild });
                }
            }
            Heard::Server { guild, roles } => {
                discord.set_outage(guild, false);
                discord.set_heard(guild, members);
                match roles {
                    Some(roles) => {
                        discord.roles_seen(guild, &roles);
                        outbox.put(Observation::Server { guild, roles, since: session });
                    }
                    None => to_read.server(guild),
                }
                // It comes after a new session, an outage, or the bot's return: events were missed before it.
                outbox.put(Observation::Missed { guild, roles: false });
            }
            Heard::Outage { guild } => {
                discord.set_outage(guild, true);
                discord.set_heard(guild, false);
                outbox.put(Observation::Outage { guild });
            }
            Heard::Gone { guild } => {
                discord.set_outage(guild, false);
                discord.set_heard(guild, false);
                outbox.put(Observation::BotRemoved { guild });
            }
            Heard::ServerChanged { guild } => to_read.server(guild),
            Heard::Member { guild, user, seen } => self.ears.hear((guild, user), seen),
        }
    }
}
