//! One bucket: a window of fixed length that takes so many calls, as its answers tell.
//!
//! Discord opens a window with the first call that comes after the last one ended. What is on its way counts until its answer
//! tells in which window it was counted. Calls that others make with the same token show in the answers as a
//! count that is higher than ours.

use std::time::Duration;

use tokio::time::Instant;

use super::headers::Window;

/// Discord tells times in milliseconds, so a window may end this much later than it says.
const ROUNDING: Duration = Duration::from_millis(1);

/// When a bucket takes the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    Now,
    At(Instant),
    /// When the answer has come to a call that is on its way.
    AfterAnswer,
}

/// The end of a window.
#[derive(Debug, Clone, Copy)]
struct End {
    /// Never earlier than it is: late answers make it later.
    at: Instant,
    /// By Discord's clock.
    reset: Option<Duration>,
}

impl End {
    /// Whether both are the same window's. Discord's own clock tells it best: ours has to allow for late answers.
    fn is(self, other: Self, length: Duration) -> bool {
        if let (Some(one), Some(other)) = (self.reset, other.reset) {
            return one.abs_diff(other) <= length / 2;
        }
        let apart = self.at.max(other.at).duration_since(self.at.min(other.at));
        apart <= (length / 4).min(Duration::from_millis(250))
    }
}

#[derive(Debug)]
pub(super) struct Bucket {
    /// `None`: nothing is known yet, and calls are made one at a time.
    limit: Option<u32>,
    /// Calls that count in the window that is open, those on their way among them.
    counted: u32,
    /// When the window ends; `None`: no answer has told yet.
    ends: Option<End>,
    /// When the window before it ended.
    ended: Option<End>,
    /// Counts the windows.
    window: u64,
    /// The longest time to a window's end that was told: about a window's length.
    length: Duration,
    /// Asked for by a refusal.
    not_before: Option<Instant>,
    in_flight: u32,
    /// When it was last needed.
    pub(super) used: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            limit: None,
            counted: 0,
            ends: None,
            ended: None,
            window: 0,
            length: Duration::ZERO,
            not_before: None,
            in_flight: 0,
            used: now,
        }
    }

    fn next_window(&mut self) {
        (self.ended, self.ends) = (self.ends, None);
        self.window += 1;
        // Whatever is on its way may be counted in the new one.
        self.counted = self.in_flight;
    }

    pub(super) fn free(&mut self, now: Instant) -> Free {
        if self.ends.is_some_and(|ends| ends.at <= now) {
            self.next_window();
        }
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Free::At(until);
        }
        match (self.limit, self.ends) {
            (None, _) if self.in_flight > 0 => Free::AfterAnswer,
            (Some(limit), Some(ends)) if self.counted >= limit => Free::At(ends.at),
            (Some(limit), None) if self.counted >= limit && self.in_flight > 0 => Free::AfterAnswer,
            // A full window of which nobody told when it ends is asked with one call.
            (None | Some(_), _) => Free::Now,
        }
    }

    /// How many calls it would take now.
    pub(super) fn room(&mut self, now: Instant) -> u32 {
        match self.free(now) {
            Free::Now => self.limit.map_or(1, |limit| limit.saturating_sub(self.counted).max(1)),
            Free::At(_) | Free::AfterAnswer => 0,
        }
    }

    /// Counts a call that goes out now; answers the window in which it is counted.
    pub(super) fn take(&mut self, now: Instant) -> u64 {
        self.counted += 1;
        self.in_flight += 1;
        self.used = now;
        self.window
    }

    /// A call that goes out has not been made after all.
    pub(super) fn give_back(&mut self, window: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if window == self.window {
            self.counted = self.counted.saturating_sub(1);
        }
    }

    /// A call has ended, with or without an answer.
    pub(super) fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Counts a call that was thought to belong to another bucket.
    pub(super) fn adopt(&mut self) {
        self.counted += 1;
    }

    /// Learns from the answer to a call that was counted in `window`.
    pub(super) fn learn(&mut self, window: u64, told: Window, now: Instant) {
        let end = End { at: now + told.reset_after + ROUNDING, reset: told.reset };
        self.limit = Some(told.limit.max(1));
        self.length = self.length.max(told.reset_after);
        let length = self.length;
        if window < self.window && self.ended.is_some_and(|ended| end.is(ended, length)) {
            // It was still counted in the window that has ended.
            self.counted = self.counted.saturating_sub(1);
            return;
        }
        match &mut self.ends {
            Some(known) if end.is(*known, length) => {
                // The answer that came fastest tells the time best.
                known.at = known.at.min(end.at);
                known.reset = known.reset.or(end.reset);
            }
            // An answer of a window before the last one: it says nothing of now.
            Some(known) if end.at < known.at => return,
            Some(_) => {
                // Discord's window ended before ours did, and this call opened the next.
                self.next_window();
                self.counted += 1;
                self.ends = Some(end);
            }
            None => self.ends = Some(end),
        }
        self.counted = self.counted.max(told.limit.saturating_sub(told.remaining));
    }

    /// A refusal asks to wait.
    pub(super) fn refused(&mut self, wait: Duration, now: Instant) {
        let until = now + wait;
        self.wait_until(until);
        self.counted = self.counted.max(self.limit.unwrap_or(1));
        if self.ends.is_none_or(|ends| ends.at < until) {
            self.ends = Some(End { at: until, reset: None });
        }
        self.limit.get_or_insert(1);
    }

    /// When it takes calls again, where it is full.
    pub(super) fn full_until(&mut self, now: Instant) -> Option<Instant> {
        match self.free(now) {
            Free::At(until) => Some(until),
            Free::Now | Free::AfterAnswer => None,
        }
    }

    /// Takes no call before then.
    pub(super) fn wait_until(&mut self, until: Instant) {
        self.not_before = self.not_before.max(Some(until));
    }

    /// How long is known to be asked for.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn told(limit: u32, remaining: u32, reset_after: Duration) -> Window {
        Window { limit, remaining, reset_after, reset: None }
    }

    /// A bucket of ten per ten seconds whose first answer has come.
    fn known() -> (Bucket, Instant) {
        let now = Instant::now();
        let mut bucket = Bucket::new(now);
        let window = bucket.take(now);
        bucket.ended();
        bucket.learn(window, told(10, 9, 10 * SECOND), now);
        (bucket, now)
    }

    #[test]
    fn what_is_not_known_is_asked_one_call_at_a_time() {
        let now = Instant::now();
        let mut bucket = Bucket::new(now);
        assert_eq!(bucket.free(now), Free::Now);
        bucket.take(now);
        assert_eq!(bucket.free(now), Free::AfterAnswer);
        // An answer without headers, or none at all, teaches nothing.
        bucket.ended();
        assert_eq!(bucket.free(now), Free::Now);
    }

    #[test]
    fn a_window_takes_its_calls_and_then_waits_for_its_end() {
        let (mut bucket, now) = known();
        for _ in 0..9 {
            assert_eq!(bucket.free(now), Free::Now);
            bucket.take(now);
        }
        let ends = now + 10 * SECOND + ROUNDING;
        assert_eq!(bucket.free(now), Free::At(ends));
        for _ in 0..9 {
            bucket.ended();
        }
        assert_eq!(bucket.room(ends), 10);
    }

    #[test]
    fn answers_that_overtake_each_other_waste_no_permit() {
        let (mut bucket, now) = known();
        let windows: Vec<_> = (0..5).map(|_| bucket.take(now)).collect();
        for (window, remaining) in windows.into_iter().zip([4, 5, 6, 7, 8]) {
            bucket.ended();
            bucket.learn(window, told(10, remaining, 10 * SECOND), now);
        }
        assert_eq!(bucket.room(now), 4);
    }

    #[test]
    fn a_late_answer_is_not_taken_for_another_window_s() {
        let now = Instant::now();
        let mut bucket = Bucket::new(now);
        let reset = Some(Duration::from_secs(1_800_000_010));
        let told = |remaining, reset_after| Window { reset, ..told(10, remaining, reset_after) };
        let window = bucket.take(now);
        bucket.ended();
        bucket.learn(window, told(9, 10 * SECOND), now);
        let (late, early) = (bucket.take(now), bucket.take(now));
        bucket.ended();
        bucket.learn(late, told(7, 10 * SECOND), now + 3 * SECOND);
        bucket.ended();
        bucket.learn(early, told(8, 9 * SECOND), now + SECOND);
        assert_eq!(bucket.room(now + 3 * SECOND), 7);
        for _ in 0..7 {
            bucket.take(now);
        }
        assert_eq!(bucket.free(now + SECOND), Free::At(now + 10 * SECOND + ROUNDING));
    }

    #[test]
    fn what_others_use_of_a_window_is_not_used_again() {
        let (mut bucket, now) = known();
        let window = bucket.take(now);
        bucket.ended();
        bucket.learn(window, told(10, 1, 10 * SECOND), now);
        assert_eq!(bucket.room(now), 1);
    }

    #[test]
    fn a_call_on_its_way_at_a_window_s_end_counts_where_discord_counted_it() {
        let (mut bucket, now) = known();
        let (early, late) = (bucket.take(now), bucket.take(now));
        let next = now + 10 * SECOND + ROUNDING;
        assert_eq!(bucket.room(next), 8);
        bucket.ended();
        bucket.learn(early, told(10, 8, Duration::ZERO), next);
        assert_eq!(bucket.room(next), 9, "it was the old window's");
        bucket.ended();
        bucket.learn(late, told(10, 9, 10 * SECOND), next);
        assert_eq!(bucket.room(next), 9, "it opened the new one");
    }

    #[test]
    fn a_window_that_discord_opened_earlier_than_thought_is_followed() {
        let (mut bucket, now) = known();
        let window = bucket.take(now);
        bucket.ended();
        let later = now + 9 * SECOND;
        bucket.learn(window, told(10, 9, 10 * SECOND), later);
        assert_eq!(bucket.room(later), 9);
        for _ in 0..9 {
            bucket.take(later);
        }
        assert_eq!(bucket.free(later), Free::At(later + 10 * SECOND + ROUNDING));
    }

    #[test]
    fn a_refusal_is_waited_out() {
        let (mut bucket, now) = known();
        bucket.refused(7 * SECOND, now);
        assert_eq!(bucket.free(now), Free::At(now + 7 * SECOND));
        assert_eq!(bucket.wait(now), 7 * SECOND);
        let later = now + 10 * SECOND + ROUNDING;
        assert_eq!(bucket.room(later), 10);
    }

    #[test]
    fn calls_without_answers_do_not_close_a_bucket_for_ever() {
        let (mut bucket, now) = known();
        let next = now + 11 * SECOND;
        assert_eq!(bucket.free(next), Free::Now);
        for _ in 0..10 {
            bucket.take(next);
        }
        assert_eq!(bucket.free(next), Free::AfterAnswer);
        for _ in 0..10 {
            bucket.ended();
        }
        assert_eq!(bucket.free(next), Free::Now, "one call asks");
        bucket.take(next);
        assert_eq!(bucket.free(next), Free::AfterAnswer);
    }
}
