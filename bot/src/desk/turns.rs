//! Whose turn it is to begin a session on the gateway, among all processes of the bot's token.
//!
//! It is forgotten when the Hub ends: at worst Discord then asks a shard to identify again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Desk, DeskError, MAX_SHARDS};
use crate::wire::{IdentifyRequest, IdentifyTurn};

/// Discord's five seconds between two sessions, and as much as one may come later than another on its way.
const EVERY: Duration = Duration::from_millis(5_250);

/// The turns that count, by what is left of the shard divided by Discord's `max_concurrency`. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<u32, Vec<Turn>>>>);

#[derive(Debug)]
struct Turn {
    bot: String,
    shard: u32,
    at: Instant,
}

impl Turns {
    /// When a shard's turn is. Whoever asks again before it keeps it.
    fn take(&self, bot: &str, shard: u32, max_concurrency: u16, now: Instant) -> Instant {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turns| {
            turns.retain(|turn| turn.at + EVERY > now);
            !turns.is_empty()
        });
        let turns = all.entry(shard % u32::from(max_concurrency.max(1))).or_default();
        let own = turns.iter().find(|turn| turn.bot == bot && turn.shard == shard && turn.at > now);
        if let Some(own) = own {
            return own.at;
        }
        let at = turns.last().map_or(now, |last| last.at + EVERY);
        turns.push(Turn { bot: bot.to_owned(), shard, at });
        at
    }
}

impl Desk {
    /// Answers a process when a shard of its may identify.
    ///
    /// # Errors
    /// [`DeskError::InvalidShards`] for a shard that there cannot be.
    pub fn identify(
        &self,
        bot: &str,
        request: &IdentifyRequest,
    ) -> Result<IdentifyTurn, DeskError> {
        let IdentifyRequest { shard, max_concurrency, .. } = request;
        if *shard >= MAX_SHARDS {
            return Err(DeskError::InvalidShards);
        }
        let now = Instant::now();
        let at = self.turns.take(bot, *shard, *max_concurrency, now);
        let wait_ms = at.duration_since(now).as_millis().try_into().unwrap_or(u64::MAX);
        Ok(IdentifyTurn { wait_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_of_one_remainder_wait_for_each_other() {
        let (turns, now) = (Turns::default(), Instant::now());
        assert_eq!(turns.take("a", 0, 2, now), now);
        assert_eq!(turns.take("b", 2, 2, now), now + EVERY);
        assert_eq!(turns.take("a", 4, 2, now), now + 2 * EVERY);
        assert_eq!(turns.take("b", 1, 2, now), now, "another remainder");
        let later = now + 3 * EVERY;
        assert_eq!(turns.take("b", 0, 2, later), later);
        assert_eq!(turns.0.lock().unwrap().len(), 1, "what is over is forgotten");
    }

    #[test]
    fn whoever_asks_again_before_its_turn_keeps_it_and_after_it_waits_anew() {
        let (turns, now) = (Turns::default(), Instant::now());
        turns.take("a", 0, 1, now);
        let waits = turns.take("b", 0, 1, now);
        for ms in [0, 100, 5_000] {
            assert_eq!(turns.take("b", 0, 1, now + Duration::from_millis(ms)), waits);
        }
        assert_eq!(turns.take("b", 0, 1, waits), waits + EVERY);
    }
}
