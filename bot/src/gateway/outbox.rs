//! What the gateway told and the Hub is yet to hear: of everything only the newest, so that it stays small however long
//! the Hub is away, and nothing waits for it that the gateway counts on.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{DiscordUserId, GuildId};
use tokio::{sync::Notify, time::sleep};

use super::reading::ToRead;
use crate::{hub::HubError, members::Looks, wire::Observation};

/// So many members of one server may wait; where there are more, the server is compared instead.
const MOST_MEMBERS: usize = 1_000;

/// The first pause before the Hub is told again; it doubles from there.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause before the Hub is told again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What waits. Cloning is cheap.
#[derive(Clone, Default)]
pub(crate) struct Outbox {
    waiting: Arc<Mutex<Waiting>>,
    more: Arc<Notify>,
}

#[derive(Default)]
struct Waiting {
    /// By shard.
    sessions: BTreeMap<u32, Observation>,
    servers: HashMap<GuildId, OfServer>,
    /// Servers of which something waits take turns.
    turns: VecDeque<GuildId>,
}

/// What waits of one server, in the order in which it is told.
#[derive(Default)]
struct OfServer {
    /// Its roles, that the bot is out, or that the server is out of order.
    server: Option<Observation>,
    /// Whether it is to be compared, and whether its roles are, too.
    missed: Option<bool>,
    members: BTreeMap<DiscordUserId, Observation>,
}

impl OfServer {
    /// What was heard later than something of the same kind, told or not, takes its place.
    fn put(&mut self, observation: Observation) {
        match observation {
            Observation::Missed { roles, .. } => {
                self.missed = Some(roles || self.missed == Some(true));
            }
            Observation::Member { user, .. } => {
                self.members.insert(user, observation);
                if self.members.len() > MOST_MEMBERS {
                    self.members.clear();
                    self.missed.get_or_insert(false);
                }
            }
            of_server => self.server = Some(of_server),
        }
    }

    /// Keeps what the Hub did not take, unless something newer waits.
    fn put_back(&mut self, observation: Observation) {
        match observation {
            Observation::Member { user, .. } => {
                self.members.entry(user).or_insert(observation);
            }
            // It may be otherwise when it is told again, which only a reading shows.
            Observation::Server { guild, .. } | Observation::BotRemoved { guild } => {
                self.put(Observation::Missed { guild, roles: true });
            }
            Observation::Outage { .. } => {
                self.server.get_or_insert(observation);
            }
            other => self.put(other),
        }
    }

    fn next(&mut self, guild: GuildId) -> Option<Observation> {
        let missed = |roles| Observation::Missed { guild, roles };
        let server = self.server.take().or_else(|| self.missed.take().map(missed));
        server.or_else(|| self.members.pop_first().map(|(_, member)| member))
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Observation> {
        if let Some((_, session)) = self.sessions.pop_first() {
            return Some(session);
        }
        while let Some(guild) = self.turns.pop_front() {
            if let Some(next) = self.servers.get_mut(&guild).and_then(|server| server.next(guild)) {
                self.turns.push_back(guild);
                return Some(next);
            }
            self.servers.remove(&guild);
        }
        None
    }
}

impl Outbox {
    pub(crate) fn put(&self, observation: Observation) {
        self.keep(observation, OfServer::put);
    }

    fn put_back(&self, observation: Observation) {
        self.keep(observation, OfServer::put_back);
    }

    fn keep(&self, observation: Observation, of_server: impl FnOnce(&mut OfServer, Observation)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { sessions, servers, turns } = &mut *waiting;
        match observation {
            // A newer one is told by a newer session, and both say which servers there are.
            Observation::Session { shard, .. } => drop(sessions.insert(shard, observation)),
            Observation::Server { guild, .. }
            | Observation::BotRemoved { guild }
            | Observation::Outage { guild }
            | Observation::Missed { guild, .. }
            | Observation::Member { guild, .. } => {
                let server = servers.entry(guild).or_insert_with(|| {
                    turns.push_back(guild);
                    OfServer::default()
                });
                of_server(server, observation);
            }
        }
        self.more.notify_one();
    }

    /// Tells the Hub everything, again until it is taken, however long the Hub is away. What it wants to be sure of is
    /// read.
    pub(super) async fn tell(&self, looks: &Looks, to_read: &ToRead) {
        let mut pause = PAUSE;
        loop {
            let observation = self.next().await;
            match looks.hub.observe(&looks.name, observation.clone()).await {
                Ok(noted) => {
                    pause = PAUSE;
                    if let Observation::Missed { guild, .. } = observation {
                        looks.discord.misses_are_told(guild);
                    }
                    if noted.confirm {
                        to_read.read(&observation);
                    }
                }
                Err(HubError::Later(why)) => {
                    if pause == PAUSE {
                        tracing::warn!(%why, "the Hub does not take what was seen on Discord; it is told again until it does");
                    }
                    self.put_back(observation);
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    tracing::warn!(%error, "the Hub does not want to know what was seen on Discord");
                }
            }
        }
    }

    /// What is to be told next, as soon as there is something.
    async fn next(&self) -> Observation {
        loop {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            match next {
                Some(next) => return next,
                None => self.more.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{RoleId, discord::RoleList};

    use super::*;
    use crate::discord::Seen;

    const CLUB: GuildId = GuildId(1);
    const BAR: GuildId = GuildId(2);
    const VIP: RoleId = RoleId(10);

    fn told(outbox: &Outbox) -> Vec<Observation> {
        let mut waiting = outbox.waiting.lock().unwrap();
        std::iter::from_fn(|| waiting.next()).collect()
    }

    fn member(guild: GuildId, user: u64, roles: &[RoleId]) -> Observation {
        let seen = Seen { joined_at: None, roles: roles.to_vec() };
        Observation::heard(guild, DiscordUserId(user), Some(seen))
    }

    fn server(guild: GuildId, since: u64) -> Observation {
        Observation::Server { guild, roles: RoleList::new(vec![], []), since: Some(since) }
    }

    fn missed(guild: GuildId, roles: bool) -> Observation {
        Observation::Missed { guild, roles }
    }

    #[test]
    fn of_everything_the_newest_is_told() {
        let outbox = Outbox::default();
        outbox.put(server(CLUB, 1));
        outbox.put(member(CLUB, 7, &[]));
        outbox.put(member(CLUB, 7, &[VIP]));
        outbox.put(Observation::BotRemoved { guild: CLUB });
        outbox.put(server(CLUB, 2));
        assert_eq!(told(&outbox), [server(CLUB, 2), member(CLUB, 7, &[VIP])]);
        assert!(outbox.waiting.lock().unwrap().servers.is_empty());
    }

    #[test]
    fn sessions_come_first_and_servers_take_turns() {
        let outbox = Outbox::default();
        for user in [7, 8] {
            outbox.put(member(CLUB, user, &[]));
        }
        outbox.put(missed(BAR, false));
        outbox.put(missed(BAR, true));
        outbox.put(missed(BAR, false));
        let session = Observation::Session { shard: 0, of: 1, guilds: [CLUB].into() };
        outbox.put(session.clone());
        let told = told(&outbox);
        let expected = [session, member(CLUB, 7, &[]), missed(BAR, true), member(CLUB, 8, &[])];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_the_hub_did_not_take_is_kept_unless_something_newer_waits() {
        let outbox = Outbox::default();
        for observation in [member(CLUB, 7, &[]), missed(CLUB, false)] {
            outbox.put_back(observation);
        }
        assert_eq!(told(&outbox), [missed(CLUB, false), member(CLUB, 7, &[])]);
        outbox.put(server(CLUB, 2));
        outbox.put(member(CLUB, 7, &[VIP]));
        outbox.put_back(member(CLUB, 7, &[]));
        for old in [server(CLUB, 1), Observation::BotRemoved { guild: CLUB }] {
            outbox.put_back(old);
        }
        let expected = [server(CLUB, 2), missed(CLUB, true), member(CLUB, 7, &[VIP])];
        assert_eq!(told(&outbox), expected, "what the server looks like is read");
    }

    #[test]
    fn where_too_many_wait_the_server_is_compared_instead() {
        let outbox = Outbox::default();
        for user in 0..=MOST_MEMBERS as u64 {
            outbox.put(member(CLUB, user, &[]));
        }
        outbox.put(member(CLUB, 7, &[VIP]));
        assert_eq!(told(&outbox), [missed(CLUB, false), member(CLUB, 7, &[VIP])]);
    }
}
