//! Whether Discord accepts the token: while it does not, everybody waits in vain.

use std::time::Duration;

use tokio::time::Instant;

use super::{Lines, NoPermit};

/// The first pause after Discord did not accept the token; it doubles from there.
pub(super) const TOKEN_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_TOKEN_PAUSE: Duration = Duration::from_hours(1);

impl<W> Lines<W> {
    /// Discord does not accept the token. Answers who waits in vain.
    pub(in crate::pacing) fn token_refused(&mut self, now: Instant) -> Vec<(W, NoPermit)> {
        let pause = match self.dead {
            Some((until, pause)) if until > now + pause / 2 => pause,
            Some((_, pause)) => (pause * 2).min(LONGEST_TOKEN_PAUSE),
            None => TOKEN_PAUSE,
        };
        self.dead = Some((now + pause, pause));
        self.lines
            .values_mut()
            .flat_map(|line| line.waiting.iter_mut())
            .flat_map(std::mem::take)
            .map(|waiter| (waiter.who, NoPermit::TokenDead))
            .collect()
    }

    /// Discord accepts the token; answers whether it did not before.
    pub(in crate::pacing) fn token_accepted(&mut self) -> bool {
        self.dead.take().is_some()
    }

    /// Whether Discord has refused the token and not accepted it since.
    pub(in crate::pacing) fn is_token_dead(&self) -> bool {
        self.dead.is_some()
    }
}
