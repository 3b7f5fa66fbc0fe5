//! How far the comparisons with Discord are, for whoever waits for one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use domain::GuildId;

/// How far a server's comparison with Discord is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many members were looked at.
    pub looked_at: u64,
    /// Of how many; 0 while that is not known.
    pub of: u64,
    /// When it ended; `None` while it waits or runs.
    pub ended: Option<DateTime<Utc>>,
}

/// The last comparison of every server. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comparisons(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    last: BTreeMap<GuildId, Progress>,
    /// How often something may have been missed of a server's members.
    missed: BTreeMap<GuildId, u64>,
    /// How often that had been when the last comparison began that looked at everybody.
    found: BTreeMap<GuildId, u64>,
}

impl Comparisons {
    /// Something may have been missed of a server's members, until a comparison has ended that began later.
    pub(crate) fn miss(&self, guild: GuildId) {
        *self.known().missed.entry(guild).or_default() += 1;
    }

    /// How often something may have been missed so far: what a comparison that begins now will find.
    pub(crate) fn misses(&self, guild: GuildId) -> u64 {
        self.known().misses(guild)
    }

    pub(crate) fn begin(&self, guild: GuildId) {
        self.known().last.insert(guild, Progress::default());
    }

    pub(crate) fn reach(&self, guild: GuildId, looked_at: u64, of: u64) {
        self.known().last.insert(guild, Progress { looked_at, of, ended: None });
    }

    /// A comparison has ended. `found`: the misses there were when it began, if it looked at everybody.
    pub(crate) fn end(&self, guild: GuildId, at: DateTime<Utc>, found: Option<u64>) {
        let mut known = self.known();
        known.found.extend(found.map(|found| (guild, found)));
        known.last.entry(guild).or_default().ended = Some(at);
    }

    pub(crate) fn of(&self, guild: GuildId) -> Option<Progress> {
        self.known().last.get(&guild).copied()
    }

    /// Whether everything that was missed of a server's members has been found.
    pub(crate) fn is_compared(&self, guild: GuildId) -> bool {
        let known = self.known();
        known.found.get(&guild).is_some_and(|found| *found == known.misses(guild))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn misses(&self, guild: GuildId) -> u64 {
        self.missed.get(&guild).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUB: GuildId = GuildId(1);

    #[test]
    fn a_comparison_finds_what_was_missed_before_it_began() {
        let (comparisons, now) = (Comparisons::default(), DateTime::UNIX_EPOCH);
        assert!(!comparisons.is_compared(CLUB), "nothing was ever looked at");
        comparisons.miss(CLUB);
        let first = comparisons.misses(CLUB);
        comparisons.miss(CLUB);
        let second = comparisons.misses(CLUB);
        comparisons.end(CLUB, now, Some(first));
        assert!(!comparisons.is_compared(CLUB), "something was missed while it ran");
        comparisons.end(CLUB, now, None);
        assert!(!comparisons.is_compared(CLUB), "Discord showed nothing");
        comparisons.end(CLUB, now, Some(second));
        assert!(comparisons.is_compared(CLUB));
    }
}
