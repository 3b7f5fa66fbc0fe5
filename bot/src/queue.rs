//! What waits to be executed, and in which order.
//!
//! One command per (guild, user), always the newest, and never two in flight. Guilds take turns, those with nothing
//! in flight first, so that a large one does not delay a small one; within a guild, what takes access away goes first,
//! but never takes every place. What is in flight may wait for the guild's rate limits: `pacing` decides then.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use domain::{DiscordUserId, GuildId};
use projections::CommandKind;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::wire::Command;

/// Removals of one guild that may be in flight together, and as many others: more than a window of Discord's limits
/// takes, so that every permit finds a call that waits for it.
const PER_GUILD: usize = 16;

pub(crate) type Key = (GuildId, DiscordUserId);

/// What is known of one (guild, user).
#[derive(Default)]
struct Entry {
    waiting: Option<Command>,
    running: Option<Running>,
    delayed: Option<(Instant, u64)>,
}

struct Running {
    version: u64,
    revoke: bool,
    /// Cancelled once a newer command has come.
    unwanted: CancellationToken,
    /// It may have come too early for what was heard while it ran.
    hurried: bool,
}

/// A guild's users whose commands are ready, and how many are in flight; removals and others apart.
#[derive(Default)]
struct Guild {
    revokes: Lane,
    others: Lane,
    has_turn: bool,
}

#[derive(Default)]
struct Lane {
    users: VecDeque<DiscordUserId>,
    running: usize,
}

impl Lane {
    fn may_run(&self) -> bool {
        !self.users.is_empty() && self.running < PER_GUILD
    }
}

impl Guild {
    fn lane(&mut self, revoke: bool) -> &mut Lane {
        if revoke { &mut self.revokes } else { &mut self.others }
    }

    fn may_run(&self) -> bool {
        self.revokes.may_run() || self.others.may_run()
    }

    fn running(&self) -> usize {
        self.revokes.running + self.others.running
    }
}

/// A command to execute now, and what tells that it is no longer wanted.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) unwanted: CancellationToken,
}

pub(crate) struct Queue {
    entries: HashMap<Key, Entry>,
    guilds: HashMap<GuildId, Guild>,
    /// The guilds with something ready and nothing in flight.
    quiet: VecDeque<GuildId>,
    /// The guilds with something ready and something in flight.
    turns: VecDeque<GuildId>,
    delayed: BTreeMap<(Instant, u64), Key>,
    /// Tells delayed commands of the same instant apart.
    count: u64,
    running: usize,
    parallel: usize,
}

fn key(command: &Command) -> Key {
    (command.guild, command.user)
}

impl Queue {
    /// `parallel`: how many commands may be in flight together; beyond it, each guild may have one.
    pub(crate) fn new(parallel: usize) -> Self {
        Self {
            entries: HashMap::new(),
            guilds: HashMap::new(),
            quiet: VecDeque::new(),
            turns: VecDeque::new(),
            delayed: BTreeMap::new(),
            count: 0,
            running: 0,
            parallel,
        }
    }

    /// Takes a command in, to be executed once `delay` has passed. An older one of the same key is superseded.
    pub(crate) fn put(&mut self, command: Command, now: Instant, delay: Duration) {
        let key = key(&command);
        let entry = self.entries.entry(key).or_default();
        let known = entry.waiting.as_ref().map(|known| known.version);
        let running = entry.running.as_ref().map(|running| running.version);
        if known.max(running).is_some_and(|newest| newest >= command.version) {
            return;
        }
        if let Some(running) = &entry.running {
            running.unwanted.cancel();
        }
        entry.waiting = Some(command);
        if let Some(place) = entry.delayed.take() {
            self.delayed.remove(&place);
        }
        if !delay.is_zero() {
            self.delay(key, now + delay);
        } else if running.is_none() {
            // It may stand in a line already; being there twice does no harm.
            self.ready(key);
        }
    }

    fn delay(&mut self, key: Key, until: Instant) {
        self.count += 1;
        let place = (until, self.count);
        self.delayed.insert(place, key);
        self.entries.entry(key).or_default().delayed = Some(place);
    }

    fn ready(&mut self, key: Key) {
        let revoke = self
            .entries
            .get(&key)
            .and_then(|entry| entry.waiting.as_ref())
            .is_some_and(|command| command.kind == CommandKind::Revoke);
        self.guilds.entry(key.0).or_default().lane(revoke).users.push_back(key.1);
        self.take_turn(key.0);
    }

    /// Puts a guild in its line, if it has something to run and does not stand there already.
    fn take_turn(&mut self, id: GuildId) {
        let Some(guild) = self.guilds.get_mut(&id) else { return };
        if guild.has_turn {
            return;
        }
        if guild.may_run() {
            guild.has_turn = true;
            let line = if guild.running() == 0 { &mut self.quiet } else { &mut self.turns };
            line.push_back(id);
        } else if guild.running() == 0
            && guild.revokes.users.is_empty()
            && guild.others.users.is_empty()
        {
            self.guilds.remove(&id);
        }
    }

    /// The next command to execute; `None` where nothing is ready.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Job> {
        while let Some((&place, _)) =
            self.delayed.first_key_value().filter(|((until, _), _)| *until <= now)
        {
            if let Some(key) = self.delayed.remove(&place) {
                self.entries.entry(key).or_default().delayed = None;
                self.ready(key);
            }
        }
        loop {
            let id = match self.quiet.pop_front() {
                Some(id) => id,
                None if self.running < self.parallel => self.turns.pop_front()?,
                None => return None,
            };
            if let Some(guild) = self.guilds.get_mut(&id) {
                guild.has_turn = false;
            }
            let job = self.next_of(id);
            self.take_turn(id);
            if job.is_some() {
                self.running += 1;
                return job;
            }
        }
    }

    fn next_of(&mut self, id: GuildId) -> Option<Job> {
        let guild = self.guilds.get_mut(&id)?;
        for revoke in [true, false] {
            let lane = guild.lane(revoke);
            while lane.may_run() {
                let Some(user) = lane.users.pop_front() else { break };
                // What is gone, runs already or has been put off stands in the line in vain.
                let Some(entry) = self.entries.get_mut(&(id, user)) else { continue };
                if entry.running.is_some() || entry.delayed.is_some() {
                    continue;
                }
                let Some(command) = entry.waiting.take() else { continue };
                let unwanted = CancellationToken::new();
                let version = command.version;
                entry.running =
                    Some(Running { version, revoke, unwanted: unwanted.clone(), hurried: false });
                lane.running += 1;
                return Some(Job { command, unwanted });
            }
        }
        None
    }

    /// A command has ended. With `again`, it is tried again after that time, unless a newer one has come.
    pub(crate) fn ended(&mut self, command: Command, again: Option<Duration>, now: Instant) {
        let key = key(&command);
        self.running = self.running.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let running = entry.running.take();
        let revoke = running.as_ref().is_some_and(|running| running.revoke);
        let hurried = running.is_some_and(|running| running.hurried);
        let again = again.map(|again| if hurried { Duration::ZERO } else { again });
        if let Some(guild) = self.guilds.get_mut(&key.0) {
            let lane = guild.lane(revoke);
            lane.running = lane.running.saturating_sub(1);
        }
        match (&entry.waiting, again) {
            (Some(_), _) if entry.delayed.is_none() => self.ready(key),
            (Some(_), _) => {}
            (None, Some(again)) => {
                entry.waiting = Some(command);
                self.delay(key, now + again);
            }
            (None, None) => {
                self.entries.remove(&key);
            }
        }
        self.take_turn(key.0);
    }

    /// Makes a command that was put off ready at once, if it `may` be. A removal that is running is tried once more if
    /// it is put off.
    pub(crate) fn hurry(&mut self, key: Key, may: impl Fn(&Command) -> bool) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if let Some(running) = entry.running.as_mut().filter(|running| running.revoke) {
            running.hurried = true;
        }
        if entry.waiting.as_ref().is_some_and(may)
            && let Some(place) = entry.delayed.take()
        {
            self.delayed.remove(&place);
            self.ready(key);
        }
    }

    /// Forgets what waits, except for guilds that `keep` names; what runs there is told to end.
    pub(crate) fn keep(&mut self, keep: impl Fn(GuildId) -> bool) {
        self.entries.retain(|(guild, _), entry| {
            if keep(*guild) {
                return true;
            }
            entry.waiting = None;
            if let Some(place) = entry.delayed.take() {
                self.delayed.remove(&place);
            }
            if let Some(running) = &entry.running {
                running.unwanted.cancel();
            }
            entry.running.is_some()
        });
    }

    /// When the next command that was put off is ready.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.delayed.keys().next().map(|(until, _)| *until)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Calls, DesiredAccess, Known};

    const NOW: Duration = Duration::ZERO;

    fn command(guild: u64, user: u64, version: u64, kind: CommandKind) -> Command {
        Command {
            id: format!("{version}-{guild}-{user}"),
            position: version,
            guild: GuildId(guild),
            user: DiscordUserId(user),
            shard: 0,
            kind,
            desired: DesiredAccess { present: kind != CommandKind::Revoke, roles: [].into() },
            version,
            calls: Calls { join: false, grant: [].into(), remove: [].into(), kick: false },
            known: Known {
                present: None,
                brought_in: false,
                joined_at: None,
                given: [].into(),
                kept: [].into(),
                maybe_given: [].into(),
                join_attempted: None,
                removal_attempted: None,
            },
            parked: None,
        }
    }

    fn grant(guild: u64, user: u64, version: u64) -> Command {
        command(guild, user, version, CommandKind::Grant)
    }

    fn queue(commands: &[Command]) -> (Queue, Instant) {
        let (mut queue, now) = (Queue::new(1_000), Instant::now());
        for command in commands {
            queue.put(command.clone(), now, NOW);
        }
        (queue, now)
    }

    fn drain(queue: &mut Queue, now: Instant) -> Vec<String> {
        let mut order = vec![];
        while let Some(job) = queue.next(now) {
            order.push(job.command.id.clone());
            queue.ended(job.command, None, now);
        }
        order
    }

    #[test]
    fn a_removal_that_is_hurried_while_it_runs_is_tried_once_more() {
        let (mut queue, now) = (Queue::new(8), Instant::now());
        let late = Duration::from_hours(1);
        queue.put(command(1, 1, 1, CommandKind::Revoke), now, NOW);
        let running = queue.next(now).unwrap();
        queue.hurry((GuildId(1), DiscordUserId(1)), |_| true);
        queue.ended(running.command, Some(late), now);
        let again = queue.next(now).unwrap();
        queue.ended(again.command, Some(late), now);
        assert!(queue.next(now).is_none());
    }

    #[test]
    fn one_command_of_a_user_in_a_guild_is_in_flight_at_a_time() {
        let (mut queue, now) = queue(&[grant(1, 1, 5)]);
        let first = queue.next(now).unwrap();
        queue.put(command(1, 1, 9, CommandKind::Revoke), now, NOW);
        assert!(first.unwanted.is_cancelled());
        assert!(queue.next(now).is_none());
        queue.ended(first.command, Some(Duration::from_secs(1)), now);
        assert_eq!(queue.next(now).unwrap().command.version, 9);
    }

    #[test]
    fn only_the_newest_command_of_a_user_in_a_guild_is_executed() {
        let (mut queue, now) = queue(&[grant(1, 1, 5), grant(1, 1, 9), grant(1, 1, 7)]);
        assert_eq!(drain(&mut queue, now), ["9-1-1"]);
    }

    #[test]
    fn guilds_take_turns() {
        let (mut queue, now) =
            queue(&[grant(1, 1, 1), grant(1, 2, 2), grant(1, 3, 3), grant(2, 1, 4)]);
        assert_eq!(drain(&mut queue, now), ["1-1-1", "4-2-1", "2-1-2", "3-1-3"]);
    }

    #[test]
    fn what_takes_access_away_goes_first() {
        let (mut queue, now) = queue(&[grant(1, 1, 1), command(1, 2, 2, CommandKind::Revoke)]);
        assert_eq!(drain(&mut queue, now), ["2-1-2", "1-1-1"]);
    }

    #[test]
    fn a_guild_s_calls_in_flight_are_bounded() {
        let many: Vec<_> = (1..40).map(|user| grant(1, user, user)).collect();
        let (mut queue, now) = queue(&many);
        let running: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
        assert_eq!(running.len(), PER_GUILD);
        queue.put(grant(2, 1, 99), now, NOW);
        assert_eq!(queue.next(now).unwrap().command.guild, GuildId(2));
    }

    #[test]
    fn a_guild_s_removals_leave_places_to_its_grants() {
        let mut many: Vec<_> =
            (1..40).map(|user| command(1, user, user, CommandKind::Revoke)).collect();
        many.push(grant(1, 99, 99));
        let (mut queue, now) = queue(&many);
        let running: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
        assert_eq!(running.len(), PER_GUILD + 1);
        assert_eq!(running.last().unwrap().command.version, 99);
    }

    #[test]
    fn large_guilds_do_not_take_the_place_of_a_small_one() {
        let (mut queue, now) = (Queue::new(20), Instant::now());
        for guild in 1..=10 {
            for user in 1..=5_000 {
                queue.put(grant(guild, user, user), now, NOW);
            }
        }
        let mut running: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
        assert_eq!(running.len(), 20);
        queue.put(grant(99, 1, 6_000), now, NOW);
        assert_eq!(queue.next(now).unwrap().command.guild, GuildId(99));
        assert!(queue.next(now).is_none());
        // A place that gets free is the next guild's in turn.
        queue.ended(running.remove(0).command, None, now);
        assert!(queue.next(now).is_none(), "20 are still in flight");
        for guild in [1, 2, 3] {
            queue.ended(running.remove(0).command, None, now);
            assert_eq!(queue.next(now).unwrap().command.guild, GuildId(guild));
        }
    }

    #[test]
    fn nothing_is_kept_of_guilds_that_have_nothing_left() {
        let (mut queue, now) = queue(&[grant(1, 1, 1), grant(2, 1, 2)]);
        drain(&mut queue, now);
        assert!(queue.guilds.is_empty() && queue.entries.is_empty());
    }

    #[test]
    fn what_is_put_off_waits_for_its_time_and_not_for_more() {
        let (mut queue, now) = queue(&[grant(1, 1, 5)]);
        let job = queue.next(now).unwrap();
        queue.ended(job.command, Some(Duration::from_mins(1)), now);
        assert!(queue.next(now).is_none());
        assert_eq!(queue.wakes_at(), Some(now + Duration::from_mins(1)));
        // The same command read again changes nothing; a newer decision does not wait.
        queue.put(grant(1, 1, 5), now, NOW);
        assert!(queue.next(now).is_none());
        queue.put(grant(1, 1, 6), now, NOW);
        assert_eq!(queue.next(now).unwrap().command.version, 6);
    }

    #[test]
    fn a_lost_shard_s_commands_are_dropped() {
        let (mut queue, now) = queue(&[grant(1, 1, 1), grant(1, 2, 2), grant(2, 1, 3)]);
        let running = queue.next(now).unwrap();
        queue.keep(|guild| guild == GuildId(2));
        assert!(running.unwanted.is_cancelled());
        assert_eq!(drain(&mut queue, now), ["3-2-1"]);
    }
}
