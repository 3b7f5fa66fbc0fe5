//! The servers that are to be compared, and how far each has come.

use std::collections::{BTreeSet, VecDeque};

use domain::{DiscordUserId, GuildId};

use super::looker::FIRST;
use crate::desk::Comparison;

/// What becomes of a server's roles in a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roles {
    /// They are not asked for.
    Left,
    /// They are still to be read.
    Due,
    /// They were read: the bot is in the server.
    Shown,
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

/// The servers that wait, each once; never two comparisons of one at the same time.
#[derive(Default)]
pub(super) struct Waiting {
    tasks: VecDeque<Task>,
    running: BTreeSet<GuildId>,
}

impl Waiting {
    pub(super) fn put(&mut self, Comparison { guild, roles, members, again }: Comparison) {
        let roles = if roles { Roles::Due } else { Roles::Left };
        let fresh = Task { guild, roles, members, again, after: FIRST, misses: 0, tries: 0 };
        // Whoever asks means the server as it is now, so one that is on its way begins anew.
        match self.tasks.iter_mut().find(|task| task.guild == guild) {
            Some(task) => {
                let roles = if task.roles == Roles::Due { Roles::Due } else { roles };
                let (members, again) = (members || task.members, again || task.again);
                *task = Task { roles, members, again, ..fresh };
            }
            None => self.tasks.push_back(fresh),
        }
    }

    pub(super) fn resume(&mut self, task: Option<Task>) {
        if let Some(task) = task
            && !self.tasks.iter().any(|known| known.guild == task.guild)
        {
            self.tasks.push_back(task);
        }
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
        assert_eq!((first.guild, first.roles), (kim, Roles::Due));
        assert!(first.members && first.again);
        waiting.put(members(kim));
        assert_eq!(waiting.next().unwrap().guild, eve);
        assert!(waiting.next().is_none());
        waiting.ended(kim);
        assert_eq!(waiting.next().unwrap().guild, kim);
    }

    #[test]
    fn one_that_was_cut_off_goes_on_unless_it_was_asked_for_anew() {
        let guild = GuildId(1);
        let (members, after) = (true, DiscordUserId(500));
        let (roles, again) = (Roles::Shown, false);
        let cut = Task { guild, roles, members, again, after, misses: 0, tries: 1 };
        let mut waiting = Waiting::default();
        waiting.resume(Some(cut));
        assert_eq!(waiting.next().unwrap().after, DiscordUserId(500));
        waiting.ended(guild);
        waiting.put(Comparison { guild, roles: false, members, again: false });
        waiting.resume(Some(cut));
        assert_eq!(waiting.next().unwrap().after, DiscordUserId(0));
        assert!(waiting.next().is_none());
    }
}
