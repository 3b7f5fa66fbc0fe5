//! The servers that are to be compared, and how far each has come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{DiscordUserId, GuildId};
use tokio::time::Instant;

use super::looker::FIRST;
use crate::desk::Comparison;

/// What a comparison has to do with a server's roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roles {
    /// They are to be read.
    ToRead,
    /// They were read: the bot is in the server.
    Shown,
    /// They are known already.
    Known,
}

/// A server that is to be compared, and how far that has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) guild: GuildId,
    pub(super) roles: Roles,
    /// Whether its members are to be looked at too.
    pub(super) members: bool,
    /// Whether what waits there for somebody is tried again.
    pub(super) again: bool,
    /// Everybody up to this account has been looked at.
    pub(super) after: DiscordUserId,
    /// How often something may have been missed of the members before the first of them was looked at.
    pub(super) misses: u64,
    pub(super) tries: u32,
}

impl Task {
    /// What is to be done where something is asked for beside what there was to do.
    fn joined(before: Option<Self>, asked: Comparison) -> Self {
        let Comparison { guild, roles, members, again } = asked;
        let roles = roles || before.is_some_and(|task| task.roles == Roles::ToRead);
        // Whoever asks for the members means them as they are now; otherwise they are gone on with.
        let goes_on = before.filter(|task| task.members && !members);
        Self {
            guild,
            roles: if roles { Roles::ToRead } else { Roles::Known },
            members: members || goes_on.is_some(),
            again: again || before.is_some_and(|task| task.again),
            after: goes_on.map_or(FIRST, |task| task.after),
            misses: goes_on.map_or(0, |task| task.misses),
            tries: goes_on.map_or(0, |task| task.tries),
        }
    }

    fn asked(self) -> Comparison {
        let Self { guild, roles, members, again, .. } = self;
        Comparison { guild, roles: roles == Roles::ToRead, members, again }
    }
}

/// The servers that wait, each once; never two comparisons of one at the same time.
#[derive(Default)]
pub(super) struct Waiting {
    tasks: VecDeque<Task>,
    running: BTreeSet<GuildId>,
    /// Those that were cut off, and when they go on.
    cut: BTreeMap<GuildId, (Instant, Task)>,
}

impl Waiting {
    pub(super) fn put(&mut self, asked: Comparison) {
        if let Some(known) = self.tasks.iter_mut().find(|task| task.guild == asked.guild) {
            *known = Task::joined(Some(*known), asked);
        } else {
            let cut = self.cut.remove(&asked.guild).map(|(_, task)| task);
            self.tasks.push_back(Task::joined(cut, asked));
        }
    }

    /// One that was cut off goes on at a time, or with what was asked for meanwhile.
    pub(super) fn cut_off(&mut self, task: Task, goes_on: Instant) {
        if let Some(known) = self.tasks.iter_mut().find(|known| known.guild == task.guild) {
            *known = Task::joined(Some(task), known.asked());
        } else {
            self.cut.insert(task.guild, (goes_on, task));
        }
    }

    /// When the first of those that were cut off goes on.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.cut.values().map(|(at, _)| *at).min()
    }

    /// Lets those that were cut off go on whose time has come.
    pub(super) fn resume(&mut self, now: Instant) {
        let due = self.cut.extract_if(.., |_, (at, _)| *at <= now);
        self.tasks.extend(due.map(|(_, (_, task))| task));
    }

    pub(super) fn next(&mut self) -> Option<Task> {
        let at = self.tasks.iter().position(|task| !self.running.contains(&task.guild))?;
        let task = self.tasks.remove(at)?;
        self.running.insert(task.guild);
        Some(task)
    }

    pub(super) fn ended(&mut self, guild: GuildId) {
        self.running.remove(&guild);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_server_waits_once_and_is_compared_once_at_a_time() {
        let (kim, eve) = (GuildId(1), GuildId(2));
        let mut waiting = Waiting::default();
        let members = |guild| Comparison { guild, roles: false, members: true, again: true };
        waiting.put(members(kim));
        waiting.put(members(eve));
        waiting.put(Comparison { guild: kim, roles: true, members: false, again: false });
        let first = waiting.next().unwrap();
        assert_eq!((first.guild, first.roles), (kim, Roles::ToRead));
        assert!(first.members && first.again);
        waiting.put(members(kim));
        assert_eq!(waiting.next().unwrap().guild, eve);
        assert!(waiting.next().is_none());
        waiting.ended(kim);
        assert_eq!(waiting.next().unwrap().guild, kim);
    }

    fn cut(guild: GuildId) -> Task {
        Task {
            guild,
            roles: Roles::Shown,
            members: true,
            again: false,
            after: DiscordUserId(500),
            misses: 3,
            tries: 1,
        }
    }

    #[test]
    fn one_that_was_cut_off_goes_on_once_its_time_has_come() {
        let (kim, eve, now) = (GuildId(1), GuildId(2), Instant::now());
        let mut waiting = Waiting::default();
        waiting.cut_off(cut(kim), now + Duration::from_secs(5));
        waiting.cut_off(cut(eve), now + Duration::from_secs(2));
        assert_eq!(waiting.wakes_at(), Some(now + Duration::from_secs(2)));
        waiting.resume(now + Duration::from_secs(2));
        assert_eq!(
            waiting.next().map(|task| (task.guild, task.after)),
            Some((eve, DiscordUserId(500)))
        );
        assert!(waiting.next().is_none());
        assert_eq!(waiting.wakes_at(), Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn one_that_was_cut_off_begins_anew_where_its_members_are_asked_for_and_goes_on_where_its_roles_are()
     {
        let (guild, now) = (GuildId(1), Instant::now());
        for (members, after, misses) in [(true, 0, 0), (false, 500, 3)] {
            let asked = Comparison { guild, roles: true, members, again: false };
            // Asked for while it ran, and while it waited.
            for ran in [true, false] {
                let mut waiting = Waiting::default();
                if ran {
                    waiting.put(asked);
                    waiting.cut_off(cut(guild), now);
                } else {
                    waiting.cut_off(cut(guild), now);
                    waiting.put(asked);
                }
                waiting.resume(now);
                let task = waiting.next().unwrap();
                assert_eq!((task.roles, task.members), (Roles::ToRead, true));
                assert_eq!((task.after, task.misses), (DiscordUserId(after), misses));
                waiting.ended(guild);
                assert!(waiting.next().is_none(), "each once");
            }
        }
    }
}
