//! What one process may use of the limits that all calls of a token have together.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::bucket::Free;
use crate::http::DEADLINE;

/// Discord allows 50 calls a second to a bot token.
pub const CALLS_PER_SECOND: u32 = 50;

const SECOND: Duration = Duration::from_secs(1);

/// By how much a second is longer, at least and at most: calls that are made evenly arrive less so, as much as their
/// answers take differently long.
const SPREAD: Duration = Duration::from_millis(20);
const WIDEST_SPREAD: Duration = Duration::from_millis(250);

/// Of so many answers the spread is known.
const ANSWERS: usize = 64;

/// Every refusal shows that the way to Discord is less even than thought.
const LONGER: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(300);

/// A call without an answer counts no longer than this.
const LOST: Duration = DEADLINE;

/// Discord blocks an address after 10,000 refusals (401, 403, 429) in ten minutes; all calls wait well before that.
pub(crate) const REFUSALS: u32 = 5_000;

/// The time over which refusals are counted.
const REFUSAL_WINDOW: Duration = Duration::from_mins(10);

/// The calls of the last second never exceed the share, wherever a second is said to begin.
#[derive(Debug)]
pub(super) struct Allowance {
    share: u32,
    /// When the share ends unless it is renewed.
    until: Option<Instant>,
    /// How much longer a second is after refusals.
    longer: Duration,
    /// How long the last answers took.
    took: VecDeque<Duration>,
    /// The calls that count, oldest first.
    made: VecDeque<Made>,
    /// Refusals that Discord counts, oldest first.
    refusals: VecDeque<Instant>,
    /// Those of them that nobody else knows of yet.
    untold: u32,
}

#[derive(Debug, Clone, Copy)]
struct Made {
    at: Instant,
    answered: Option<Instant>,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self {
            share: CALLS_PER_SECOND,
            until: None,
            longer: Duration::ZERO,
            took: VecDeque::new(),
            made: VecDeque::new(),
            refusals: VecDeque::new(),
            untold: 0,
        }
    }

    /// `None`: for ever.
    pub(super) fn set(&mut self, share: u32, until: Option<Instant>) {
        (self.share, self.until) = (share, until);
    }

    fn share(&self, now: Instant) -> u32 {
        if self.until.is_some_and(|until| until <= now) { 0 } else { self.share }
    }

    /// Until when calls count. One that follows a second after an answer arrives a second after the call that was
    /// answered, however long either takes; one that follows a second and the spread after a call most likely does.
    fn counts_until(&self) -> impl Fn(&Made) -> Instant + use<> {
        let (least, most) = (self.took.iter().min(), self.took.iter().max());
        let spread = least.zip(most).map_or(SPREAD, |(least, most)| most.abs_diff(*least));
        let second = SECOND + self.longer;
        let spread = spread.clamp(SPREAD, WIDEST_SPREAD);
        move |made| match made.answered {
            Some(answered) => (answered + second).min(made.at + second + spread),
            // It may arrive any time.
            None => made.at + LOST,
        }
    }

    fn forget(&mut self, now: Instant) {
        let counts_until = self.counts_until();
        self.made.retain(|made| counts_until(made) > now);
    }

    pub(super) fn free(&mut self, now: Instant) -> Free {
        self.forget(now);
        let share = usize::try_from(self.share(now)).unwrap_or(usize::MAX);
        if self.made.len() < share {
            return Free::Now;
        }
        // With no share at all it is another share that frees a call.
        if share == 0 {
            return Free::AfterAnswer;
        }
        let answered = self.made.iter().filter(|made| made.answered.is_some());
        let mut until: Vec<_> = answered.map(self.counts_until()).collect();
        let last = self.made.len() - share;
        if last < until.len() {
            Free::At(*until.select_nth_unstable(last).1)
        } else {
            Free::AfterAnswer
        }
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.made.push_back(Made { at: now, answered: None });
    }

    /// A call that was permitted then has been answered, or has ended without an answer.
    pub(super) fn ended(&mut self, at: Instant, now: Instant) {
        let made = self.made.iter_mut().find(|made| made.at == at && made.answered.is_none());
        if let Some(made) = made {
            made.answered = Some(now);
            if self.took.len() == ANSWERS {
                self.took.pop_front();
            }
            self.took.push_back(now.saturating_duration_since(at));
        }
    }

    /// A call that was permitted then was not made.
    pub(super) fn give_back(&mut self, at: Instant) {
        if let Some(n) = self.made.iter().position(|made| made.at == at && made.answered.is_none())
        {
            self.made.remove(n);
        }
    }

    /// How many calls of the last second stand against the share.
    pub(super) fn used(&mut self, now: Instant) -> u32 {
        self.forget(now);
        u32::try_from(self.made.len()).unwrap_or(u32::MAX)
    }

    /// What this process may be using: it has given up more only once its last second shows it.
    pub(super) fn using(&mut self, now: Instant) -> u32 {
        self.used(now).max(self.share(now))
    }

    /// Discord found that all calls together were too many.
    pub(super) fn was_too_much(&mut self) {
        self.longer = (self.longer + LONGER).min(LONGEST);
    }

    /// A refusal that Discord counts. Where there are too many: when the oldest no longer count.
    pub(super) fn count_refusal(&mut self, now: Instant) -> Option<Instant> {
        self.untold += 1;
        self.refusals.push_back(now);
        while self.refusals.front().is_some_and(|at| now.duration_since(*at) >= REFUSAL_WINDOW) {
            self.refusals.pop_front();
        }
        let many = self.refusals.len() >= usize::try_from(REFUSALS).unwrap_or(usize::MAX);
        self.refusals.front().filter(|_| many).map(|oldest| *oldest + REFUSAL_WINDOW)
    }

    pub(super) fn untold(&self) -> u32 {
        self.untold
    }

    pub(super) fn told(&mut self, refusals: u32) {
        self.untold = self.untold.saturating_sub(refusals);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_LEAST: Duration = SECOND;

    /// A call whose answer comes at once.
    fn call(allowance: &mut Allowance, now: Instant) {
        allowance.take(now);
        allowance.ended(now, now);
    }

    fn with(share: u32) -> (Allowance, Instant) {
        let mut allowance = Allowance::new();
        allowance.set(share, None);
        (allowance, Instant::now())
    }

    #[test]
    fn no_second_has_more_calls_than_the_share() {
        let (mut allowance, mut now) = with(5);
        let mut made = vec![];
        while made.len() < 100 {
            match allowance.free(now) {
                Free::Now => {
                    call(&mut allowance, now);
                    made.push(now);
                    // An uneven rhythm, now and then with a pause.
                    now += Duration::from_millis(made.len() as u64 % 7 * 40);
                }
                Free::At(at) => now = at,
                Free::AfterAnswer => unreachable!(),
            }
        }
        for (at, sixth) in made.iter().zip(&made[5..]) {
            assert!(*sixth - *at >= AT_LEAST);
        }
    }

    #[test]
    fn a_second_is_as_much_longer_as_answers_take_differently_long() {
        let (mut allowance, now) = with(1);
        let ms = Duration::from_millis;
        for (n, took) in [(0, ms(40)), (1, ms(140))] {
            let at = now + 2 * n * SECOND;
            allowance.take(at);
            allowance.ended(at, at + took);
        }
        let last = now + 2 * SECOND;
        assert_eq!(allowance.free(last + ms(140)), Free::At(last + SECOND + ms(100)));
    }

    #[test]
    fn a_call_that_is_still_on_its_way_counts_until_it_is_answered() {
        let (mut allowance, now) = with(1);
        allowance.take(now);
        let later = now + 3 * SECOND;
        assert_eq!(allowance.free(later), Free::AfterAnswer);
        allowance.ended(now, later);
        assert_eq!(allowance.free(later), Free::Now);
        allowance.take(later);
        assert_eq!(allowance.free(later + LOST), Free::Now);
    }

    #[test]
    fn a_share_that_is_not_renewed_ends() {
        let (mut allowance, now) = with(5);
        allowance.set(5, Some(now + SECOND));
        assert_eq!(allowance.free(now), Free::Now);
        assert_eq!(allowance.free(now + SECOND), Free::AfterAnswer);
    }

    #[test]
    fn a_smaller_share_is_in_force_at_once_and_given_up_a_second_later() {
        let (mut allowance, now) = with(20);
        (0..20).for_each(|_| call(&mut allowance, now));
        allowance.set(5, None);
        assert_eq!(allowance.free(now), Free::At(now + AT_LEAST));
        assert_eq!(allowance.using(now), 20);
        assert_eq!(allowance.using(now + AT_LEAST), 5);
    }

    #[test]
    fn a_second_grows_where_discord_found_it_too_short() {
        let (mut allowance, now) = with(1);
        allowance.was_too_much();
        call(&mut allowance, now);
        assert_eq!(allowance.free(now), Free::At(now + AT_LEAST + LONGER));
        (0..100).for_each(|_| allowance.was_too_much());
        assert_eq!(allowance.free(now), Free::At(now + AT_LEAST + LONGEST));
    }

    #[test]
    fn refusals_stop_everything_well_before_discord_would() {
        let (mut allowance, now) = (Allowance::new(), Instant::now());
        for _ in 1..REFUSALS {
            assert_eq!(allowance.count_refusal(now), None);
        }
        assert_eq!(allowance.count_refusal(now), Some(now + REFUSAL_WINDOW));
        assert_eq!(allowance.count_refusal(now + REFUSAL_WINDOW), None);
        assert_eq!(allowance.untold(), REFUSALS + 1);
    }
}
