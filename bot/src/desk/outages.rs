//! The servers that Discord told to be out of order: what it refuses of them meanwhile is no proof of anything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::GuildId;

/// How long an outage counts that is not told again: whoever heard of it may be gone.
const LONGEST: TimeDelta = TimeDelta::minutes(5);

/// When each of them was told last. Cloning is cheap.
#[derive(Clone, Default)]
pub(super) struct Outages(Arc<Mutex<HashMap<GuildId, DateTime<Utc>>>>);

impl Outages {
    pub(super) fn begin(&self, guild: GuildId, now: DateTime<Utc>) {
        self.all().insert(guild, now);
    }

    /// The outages of some servers are over.
    pub(super) fn end(&self, of: impl Fn(GuildId) -> bool) {
        self.all().retain(|guild, _| !of(*guild));
    }

    pub(super) fn is_out(&self, guild: GuildId, now: DateTime<Utc>) -> bool {
        self.all().get(&guild).is_some_and(|told| now - *told < LONGEST)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<GuildId, DateTime<Utc>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_counts_until_it_is_over_or_nobody_knows_any_more() {
        let (kim, eve) = (GuildId(1), GuildId(2));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let outages = Outages::default();
        outages.begin(kim, now);
        outages.begin(eve, now);
        outages.end(|guild| guild == eve);
        let later = |minutes| now + TimeDelta::minutes(minutes);
        assert_eq!((outages.is_out(kim, later(4)), outages.is_out(eve, now)), (true, false));
        assert!(!outages.is_out(kim, later(5)));
    }
}
