//! How far the comparisons with Discord are, for whoever waits for one.

use std::{
    collections::{BTreeMap, BTreeSet},
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
    /// Those of whose members something may have been missed since.
    missed: BTreeSet<GuildId>,
}

impl Comparisons {
    /// Something may have been missed of a server's members, until it has been compared.
    pub(crate) fn miss(&self, guild: GuildId) {
        self.known().missed.insert(guild);
    }

    pub(crate) fn begin(&self, guild: GuildId) {
        self.known().last.insert(guild, Progress::default());
    }

    pub(crate) fn reach(&self, guild: GuildId, looked_at: u64, of: u64) {
        self.known().last.insert(guild, Progress { looked_at, of, ended: None });
    }

    pub(crate) fn end(&self, guild: GuildId, at: DateTime<Utc>) {
        let mut known = self.known();
        known.missed.remove(&guild);
        known.last.entry(guild).or_default().ended = Some(at);
    }

    pub(crate) fn of(&self, guild: GuildId) -> Option<Progress> {
        self.known().last.get(&guild).copied()
    }

    /// Whether everything that was missed of a server's members has been found.
    pub(crate) fn is_compared(&self, guild: GuildId) -> bool {
        let known = self.known();
        let ended = known.last.get(&guild).is_some_and(|last| last.ended.is_some());
        ended && !known.missed.contains(&guild)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
