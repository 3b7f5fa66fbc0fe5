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
pub(crate) struct Comparisons(Arc<Mutex<BTreeMap<GuildId, Progress>>>);

impl Comparisons {
    pub(crate) fn begin(&self, guild: GuildId) {
        self.all().insert(guild, Progress::default());
    }

    pub(crate) fn reach(&self, guild: GuildId, looked_at: u64, of: u64) {
        self.all().insert(guild, Progress { looked_at, of, ended: None });
    }

    pub(crate) fn end(&self, guild: GuildId, at: DateTime<Utc>) {
        self.all().entry(guild).or_default().ended = Some(at);
    }

    pub(crate) fn of(&self, guild: GuildId) -> Option<Progress> {
        self.all().get(&guild).copied()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<GuildId, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
