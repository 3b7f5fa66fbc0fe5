//! Who calls next: the lines before the buckets.
//!
//! A call that somebody waits for goes first, then what takes access away, then what gives it, then what only
//! looks; but nobody waits for ever for those before them. Within each, the buckets take turns, so that a large server does not delay a
//! small one. A bucket stands in the line only while it takes calls.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    allowance::Allowance,
    bucket::{Bucket, Free},
    headers::{Told, Wait},
};

/// Who has waited longer than this behind others is given every fifth permit.
const PATIENCE: Duration = Duration::from_secs(30);
const IN_A_ROW: u32 = 4;

/// A bucket that nobody has needed for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// How often what is forgotten is looked for.
const TIDY: Duration = Duration::from_mins(1);

/// Waits that are known to be longer are not waited out: the call is given back.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The first pause after Discord did not accept the token; it doubles from there.
const TOKEN_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_TOKEN_PAUSE: Duration = Duration::from_hours(1);

/// What a call is for, in the order in which calls go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// Somebody waits for the answer, or it has to be known before anything else.
    Asked,
    /// It takes access away.
    Removal,
    /// It gives access.
    Access,
    /// It looks whether everything is as it should be.
    Look,
}

const TURNS: [Turn; 4] = [Turn::Asked, Turn::Removal, Turn::Access, Turn::Look];

/// A route as Discord counts it: ids of members and roles do not tell buckets apart, the server's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) guild: u64,
}

/// Names a bucket: by its route until an answer tells how Discord calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Route(Route),
    Shared(Arc<str>, u64),
}

impl Key {
    fn guild(&self) -> u64 {
        match self {
            Self::Route(route) => route.guild,
            Self::Shared(_, guild) => *guild,
        }
    }
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPermit {
    TokenDead,
    /// Discord asked for a wait that is not sat out.
    Later(Duration),
}

struct Waiter<W> {
    route: Route,
    since: Instant,
    who: W,
}

/// A bucket and who waits for it, by turn.
struct Line<W> {
    bucket: Bucket,
    waiting: [VecDeque<Waiter<W>>; 4],
    /// Whether it stands among those that may call, by turn.
    lined: [bool; 4],
    /// When it will be looked at again.
    asleep: Option<Instant>,
    /// How many went first while others waited behind them.
    row: u32,
}

/// A call that may be made.
pub(super) struct Granted<W> {
    pub(super) who: W,
    pub(super) route: Route,
    pub(super) call: Call,
}

/// A call on its way, as it is counted.
#[derive(Debug, Clone)]
pub(super) struct Call {
    key: Key,
    window: u64,
    /// When it was permitted.
    at: Instant,
}

/// All buckets of a token, and who waits for them. `W` is how a waiter is told.
pub(super) struct Lines<W> {
    lines: HashMap<Key, Line<W>>,
    /// Routes whose bucket Discord has named.
    named: HashMap<Route, Key>,
    /// What it called them last, whatever the server: the name does not depend on it.
    names: HashMap<&'static str, Arc<str>>,
    ready: [VecDeque<Key>; 4],
    asleep: BTreeSet<(Instant, Key)>,
    row: u32,
    /// Whether calls wait for nothing but a larger share.
    short: bool,
    pub(super) allowance: Allowance,
    blocked_until: Instant,
    /// Until when nothing is called because Discord does not accept the token, and for how long that was.
    dead: Option<(Instant, Duration)>,
    tidied: Instant,
}

impl<W> Line<W> {
    fn new(now: Instant) -> Self {
        Self {
            bucket: Bucket::new(now),
            waiting: Default::default(),
            lined: [false; 4],
            asleep: None,
            row: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    fn waiters(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }
}

impl<W> Lines<W> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            lines: HashMap::new(),
            named: HashMap::new(),
            names: HashMap::new(),
            ready: Default::default(),
            asleep: BTreeSet::new(),
            row: 0,
            short: false,
            allowance: Allowance::new(),
            blocked_until: now,
            dead: None,
            tidied: now,
        }
    }

    fn key(&self, route: Route) -> Key {
        if let Some(key) = self.named.get(&route) {
            return key.clone();
        }
        match self.names.get(route.name) {
            // Who waits for a bucket without a name finds out with it.
            Some(name) if !self.lines.contains_key(&Key::Route(route)) => {
                Key::Shared(Arc::clone(name), route.guild)
            }
            Some(_) | None => Key::Route(route),
        }
    }

    /// A bucket that nobody has called yet. One without a name may turn out to be another of the same server, so it
    /// waits for those that are full.
    fn open(&mut self, key: &Key, now: Instant) -> &mut Line<W> {
        let wait = match key {
            Key::Route(route) if !self.lines.contains_key(key) => {
                let same = self.lines.iter_mut().filter(|(key, _)| key.guild() == route.guild);
                same.filter_map(|(_, line)| line.bucket.full_until(now)).max()
            }
            Key::Route(_) | Key::Shared(..) => None,
        };
        let line = self.lines.entry(key.clone()).or_insert_with(|| Line::new(now));
        if let Some(until) = wait {
            line.bucket.wait_until(until);
        }
        line
    }

    /// Puts a call in its line, or tells why it need not wait.
    pub(super) fn wait(
        &mut self,
        route: Route,
        turn: Turn,
        who: W,
        now: Instant,
    ) -> Result<(), NoPermit> {
        self.tidy(now);
        match &mut self.dead {
            // One call now and then asks whether the token is accepted again; so does whoever looks for the cause.
            Some((until, pause)) if *until <= now => *until = now + *pause,
            Some(_) if turn != Turn::Asked => return Err(NoPermit::TokenDead),
            Some(_) | None => {}
        }
        let key = self.key(route);
        let blocked = self.blocked_until.saturating_duration_since(now);
        let line = self.open(&key, now);
        line.bucket.used = now;
        let known = line.bucket.wait(now).max(blocked);
        if known > LONGEST_WAIT {
            return Err(NoPermit::Later(known));
        }
        line.waiting[turn as usize].push_back(Waiter { route, since: now, who });
        self.line_up(&key, now);
        Ok(())
    }

    /// Puts a bucket among those that may call, or lets it sleep until it may.
    fn line_up(&mut self, key: &Key, now: Instant) {
        let Some(line) = self.lines.get_mut(key).filter(|line| !line.is_empty()) else { return };
        match line.bucket.free(now) {
            Free::Now => {
                for turn in TURNS.map(|turn| turn as usize) {
                    if !line.waiting[turn].is_empty() && !line.lined[turn] {
                        line.lined[turn] = true;
                        self.ready[turn].push_back(key.clone());
                    }
                }
            }
            Free::At(at) => {
                if let Some(before) = line.asleep.replace(at) {
                    self.asleep.remove(&(before, key.clone()));
                }
                self.asleep.insert((at, key.clone()));
            }
            Free::AfterAnswer => {}
        }
    }

    /// Everybody who may call now, and when to ask again. `gone`: the waiter does not wait any more.
    pub(super) fn grant(
        &mut self,
        now: Instant,
        gone: impl Fn(&W) -> bool,
    ) -> (Vec<Granted<W>>, Option<Instant>) {
        while let Some((_, key)) = self.asleep.first().filter(|(at, _)| *at <= now).cloned() {
            self.asleep.pop_first();
            if let Some(line) = self.lines.get_mut(&key) {
                line.asleep = None;
            }
            self.line_up(&key, now);
        }
        let mut granted = vec![];
        self.short = false;
        while self.ready.iter().any(|line| !line.is_empty()) {
            if self.blocked_until > now {
                return (granted, Some(self.blocked_until));
            }
            let next = self.asleep.first().map(|(at, _)| *at);
            match self.allowance.free(now) {
                Free::Now => {}
                Free::At(at) => {
                    self.short = true;
                    return (granted, Some(next.map_or(at, |next| next.min(at))));
                }
                Free::AfterAnswer => {
                    self.short = true;
                    return (granted, next);
                }
            }
            if let Some(turn) = self.next_turn(now) {
                granted.extend(self.serve(turn, now, &gone));
            }
        }
        (granted, self.asleep.first().map(|(at, _)| *at))
    }

    /// Whether calls waited for nothing but a larger share when permits were last granted.
    pub(super) fn is_short(&self) -> bool {
        self.short
    }

    /// Whose turn it is among those that may call.
    fn next_turn(&mut self, now: Instant) -> Option<usize> {
        let first = self.ready.iter().position(|line| !line.is_empty())?;
        let behind = (first + 1..TURNS.len()).find(|turn| !self.ready[*turn].is_empty());
        let Some(behind) = behind else {
            self.row = 0;
            return Some(first);
        };
        let head =
            self.ready[behind].front().and_then(|key| self.lines.get(key)?.waiting[behind].front());
        let patient = head.is_some_and(|waiter| now.duration_since(waiter.since) >= PATIENCE);
        if patient && self.row >= IN_A_ROW {
            self.row = 0;
            return Some(behind);
        }
        self.row += 1;
        Some(first)
    }

    /// Lets one call of the first bucket of a line go.
    fn serve(
        &mut self,
        turn: usize,
        now: Instant,
        gone: &impl Fn(&W) -> bool,
    ) -> Option<Granted<W>> {
        let key = self.ready[turn].pop_front()?;
        let line = self.lines.get_mut(&key)?;
        line.lined[turn] = false;
        if line.bucket.free(now) != Free::Now {
            self.line_up(&key, now);
            return None;
        }
        let behind = (turn + 1..TURNS.len()).find(|turn| {
            line.waiting[*turn]
                .front()
                .is_some_and(|waiter| now.duration_since(waiter.since) >= PATIENCE)
        });
        let turn = match behind {
            Some(behind) if line.row >= IN_A_ROW => {
                line.row = 0;
                behind
            }
            Some(_) => {
                line.row += 1;
                turn
            }
            None => {
                line.row = 0;
                turn
            }
        };
        let waiting = &mut line.waiting[turn];
        let waiter = loop {
            match waiting.pop_front() {
                Some(waiter) if gone(&waiter.who) => {}
                other => break other,
            }
        };
        let granted = waiter.map(|Waiter { route, who, .. }| {
            self.allowance.take(now);
            let call = Call { key: key.clone(), window: line.bucket.take(now), at: now };
            Granted { who, route, call }
        });
        self.line_up(&key, now);
        granted
    }

    /// A call has ended without an answer.
    pub(super) fn unanswered(&mut self, call: &Call, now: Instant) {
        self.allowance.ended(call.at, now);
        if let Some(line) = self.lines.get_mut(&call.key) {
            line.bucket.ended();
        }
        self.line_up(&call.key, now);
    }

    /// A permit was not used.
    pub(super) fn unused(&mut self, call: &Call, now: Instant) {
        self.allowance.give_back(call.at);
        if let Some(line) = self.lines.get_mut(&call.key) {
            line.bucket.give_back(call.window);
        }
        self.line_up(&call.key, now);
    }

    /// Learns from an answer.
    pub(super) fn answered(&mut self, route: Route, call: &Call, told: &Told, now: Instant) {
        let Call { key, window, at } = call;
        self.allowance.ended(*at, now);
        if let Some(line) = self.lines.get_mut(key) {
            line.bucket.ended();
        }
        let named = told.bucket.clone().map(|name| Key::Shared(name, route.guild));
        let home = match named {
            Some(named) if named != *key => {
                self.rename(route, key, &named, now);
                named
            }
            Some(named) => {
                self.named.entry(route).or_insert(named);
                key.clone()
            }
            None => key.clone(),
        };
        if let (Some(line), Some(told)) = (self.lines.get_mut(&home), told.window) {
            line.bucket.learn(*window, told, now);
        }
        self.line_up(&home, now);
        self.line_up(key, now);
    }

    /// Discord calls a route's bucket by another name than thought, or by one for the first time.
    fn rename(&mut self, route: Route, old: &Key, new: &Key, now: Instant) {
        self.named.insert(route, new.clone());
        if let Key::Shared(name, _) = new {
            self.names.insert(route.name, Arc::clone(name));
        }
        if !self.lines.contains_key(new)
            && matches!(old, Key::Route(_))
            && let Some(mut line) = self.lines.remove(old)
        {
            if let Some(at) = line.asleep.take() {
                self.asleep.remove(&(at, old.clone()));
            }
            line.lined = [false; 4];
            self.lines.insert(new.clone(), line);
            return;
        }
        // Another route has it already: who waits for this one waits there.
        let mut moved: [VecDeque<Waiter<W>>; 4] = Default::default();
        if let Some(line) = self.lines.get_mut(old) {
            for (moved, waiting) in moved.iter_mut().zip(&mut line.waiting) {
                let (go, stay) =
                    std::mem::take(waiting).into_iter().partition(|waiter| waiter.route == route);
                (*moved, *waiting) = (go, stay);
            }
        }
        let line = self.lines.entry(new.clone()).or_insert_with(|| Line::new(now));
        line.bucket.adopt();
        for (moved, waiting) in moved.iter_mut().zip(&mut line.waiting) {
            waiting.append(moved);
        }
    }

    /// A refusal asks to wait. Answers whom it asks to wait so long that they are given back.
    pub(super) fn refused(&mut self, route: Route, wait: Wait, now: Instant) -> Vec<(W, NoPermit)> {
        let key = self.key(route);
        if wait.everything {
            self.block(now + wait.long);
        } else if let Some(line) = self.lines.get_mut(&key) {
            line.bucket.refused(wait.long, now);
        }
        self.line_up(&key, now);
        if wait.long <= LONGEST_WAIT {
            return vec![];
        }
        let all = self.lines.iter_mut().filter(|(other, _)| wait.everything || **other == key);
        all.flat_map(|(_, line)| line.waiting.iter_mut())
            .flat_map(std::mem::take)
            .map(|waiter| (waiter.who, NoPermit::Later(wait.long)))
            .collect()
    }

    pub(super) fn block(&mut self, until: Instant) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// Discord does not accept the token. Answers who waits in vain.
    pub(super) fn token_refused(&mut self, now: Instant) -> Vec<(W, NoPermit)> {
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
    pub(super) fn token_accepted(&mut self) -> bool {
        self.dead.take().is_some()
    }

    /// Whether Discord has refused the token and not accepted it since.
    pub(super) fn is_token_dead(&self) -> bool {
        self.dead.is_some()
    }

    /// How many calls could be made now if only the share were larger.
    pub(super) fn could_call(&mut self, now: Instant) -> u32 {
        let keys: BTreeSet<&Key> = self.ready.iter().flatten().collect();
        let mut many = 0u32;
        for key in keys {
            if let Some(line) = self.lines.get_mut(key) {
                let waiting = u32::try_from(line.waiters()).unwrap_or(u32::MAX);
                many = many.saturating_add(line.bucket.room(now).min(waiting));
            }
        }
        many
    }

    /// Forgets buckets that nobody needs.
    fn tidy(&mut self, now: Instant) {
        if now.duration_since(self.tidied) < TIDY {
            return;
        }
        self.tidied = now;
        self.lines.retain(|_, line| {
            let needed =
                !line.is_empty() || !line.bucket.is_idle() || !line.bucket.wait(now).is_zero();
            needed || now.duration_since(line.bucket.used) < FORGOTTEN
        });
        let lines = &self.lines;
        self.named.retain(|_, key| lines.contains_key(key));
        self.asleep.retain(|(_, key)| lines.contains_key(key));
    }

    #[cfg(test)]
    pub(super) fn buckets(&self) -> usize {
        self.lines.len().max(self.named.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::headers::Window;

    const SECOND: Duration = Duration::from_secs(1);

    fn role(guild: u64) -> Route {
        Route { name: "role", guild }
    }

    fn start() -> (Lines<u32>, Instant) {
        let now = Instant::now();
        (Lines::new(now), now)
    }

    fn told(bucket: &str, limit: u32, remaining: u32) -> Told {
        Told {
            bucket: Some(bucket.into()),
            window: Some(Window { limit, remaining, reset_after: 10 * SECOND, reset: None }),
        }
    }

    /// Everybody who may call now, in order.
    fn who(lines: &mut Lines<u32>, now: Instant) -> Vec<u32> {
        lines.grant(now, |_| false).0.into_iter().map(|granted| granted.who).collect()
    }

    /// Lets one call of a route be made and answered.
    fn first(lines: &mut Lines<u32>, route: Route, answer: &Told, now: Instant) {
        lines.wait(route, Turn::Access, 0, now).unwrap();
        let granted = lines.grant(now, |_| false).0.pop().unwrap();
        lines.answered(route, &granted.call, answer, now);
    }

    fn wait(
        lines: &mut Lines<u32>,
        route: Route,
        turn: Turn,
        who: impl IntoIterator<Item = u32>,
        now: Instant,
    ) {
        for who in who {
            lines.wait(route, turn, who, now).unwrap();
        }
    }

    #[test]
    fn one_server_s_limit_is_not_another_s() {
        let (mut lines, now) = start();
        first(&mut lines, role(1), &told("a", 1, 0), now);
        wait(&mut lines, role(1), Turn::Access, [1], now);
        wait(&mut lines, role(2), Turn::Access, [2], now);
        assert_eq!(who(&mut lines, now), [2]);
        let (_, next) = lines.grant(now, |_| false);
        assert_eq!(who(&mut lines, next.unwrap()), [1]);
    }

    #[test]
    fn routes_to_which_discord_gives_one_bucket_share_its_window() {
        let (mut lines, now) = start();
        let taken = Route { name: "taken", guild: 1 };
        first(&mut lines, role(1), &told("a", 3, 2), now);
        // The other route is not known to share it until its first answer, which counts in it.
        wait(&mut lines, taken, Turn::Access, [1, 2, 3], now);
        let granted = lines.grant(now, |_| false).0;
        assert_eq!(granted.len(), 1);
        lines.answered(taken, &granted[0].call, &told("a", 3, 1), now);
        assert_eq!(who(&mut lines, now), [2]);
        wait(&mut lines, role(1), Turn::Access, [4], now);
        assert!(who(&mut lines, now).is_empty());
    }

    #[test]
    fn removals_go_first_where_permits_are_short() {
        let (mut lines, now) = start();
        first(&mut lines, role(1), &told("a", 3, 2), now);
        wait(&mut lines, role(1), Turn::Look, [30], now);
        wait(&mut lines, role(1), Turn::Access, [20, 21], now);
        wait(&mut lines, role(1), Turn::Removal, [10], now);
        assert_eq!(who(&mut lines, now), [10, 20]);
        // And where it is the token's limit that is short.
        let (mut lines, now) = start();
        lines.allowance.set(2, None);
        wait(&mut lines, role(1), Turn::Access, [1], now);
        wait(&mut lines, role(2), Turn::Access, [2], now);
        wait(&mut lines, role(3), Turn::Removal, [3], now);
        wait(&mut lines, role(4), Turn::Asked, [4], now);
        assert_eq!(who(&mut lines, now), [4, 3]);
    }

    #[test]
    fn who_waits_long_behind_removals_is_given_every_fifth_permit() {
        let (mut lines, now) = start();
        lines.allowance.set(1_000, None);
        first(&mut lines, role(1), &told("a", 10, 9), now);
        wait(&mut lines, role(1), Turn::Removal, 100..150, now);
        wait(&mut lines, role(1), Turn::Access, [1], now);
        let soon = lines.grant(now, |_| false).0;
        assert!(soon.len() == 9 && soon.iter().all(|granted| granted.who >= 100));
        for granted in soon {
            lines.unanswered(&granted.call, now);
        }
        let served = who(&mut lines, now + PATIENCE);
        assert_eq!(served.iter().position(|who| *who == 1), Some(4), "{served:?}");
    }

    #[test]
    fn a_server_with_thousands_waiting_does_not_delay_another_s_single_fan() {
        let (mut lines, now) = start();
        for guild in 1..=8 {
            first(&mut lines, role(guild), &told("a", 1_000, 999), now);
        }
        let now = now + 2 * SECOND;
        lines.allowance.set(10, None);
        for guild in 1..=8 {
            wait(&mut lines, role(guild), Turn::Access, 0..6_000, now);
        }
        let granted = lines.grant(now, |_| false).0;
        assert_eq!(granted.len(), 10);
        for granted in granted {
            lines.unanswered(&granted.call, now);
        }
        wait(&mut lines, role(9), Turn::Access, [9_999], now);
        let (_, next) = lines.grant(now, |_| false);
        assert!(who(&mut lines, next.unwrap()).contains(&9_999));
    }

    #[test]
    fn a_bucket_without_a_name_may_be_one_that_is_full() {
        let (mut lines, now) = start();
        let kick = |guild| Route { name: "kick", guild };
        first(&mut lines, role(1), &told("a", 2, 1), now);
        first(&mut lines, role(1), &told("a", 2, 0), now);
        // Nobody knows yet that it is the same.
        wait(&mut lines, kick(1), Turn::Removal, [2, 3], now);
        assert!(who(&mut lines, now).is_empty());
        let ends = now + 10 * SECOND + SECOND;
        let granted = lines.grant(ends, |_| false).0.pop().unwrap();
        assert_eq!(granted.who, 2);
        lines.answered(kick(1), &granted.call, &told("a", 2, 1), ends);
        assert_eq!(who(&mut lines, ends), [3]);
        // From now on it is known, in every server.
        wait(&mut lines, role(3), Turn::Access, [4], ends);
        wait(&mut lines, kick(3), Turn::Removal, [5], ends);
        assert_eq!(who(&mut lines, ends), [5], "one call finds out how many it takes");
    }

    #[test]
    fn a_global_refusal_stops_everything_until_it_ends() {
        let (mut lines, now) = start();
        first(&mut lines, role(1), &told("a", 10, 9), now);
        wait(&mut lines, role(1), Turn::Access, [1], now);
        lines.refused(role(1), Wait { long: 9 * SECOND, everything: true }, now);
        wait(&mut lines, role(2), Turn::Asked, [2], now);
        let (granted, next) = lines.grant(now, |_| false);
        assert!(granted.is_empty());
        assert_eq!(next, Some(now + 9 * SECOND));
        assert_eq!(who(&mut lines, now + 9 * SECOND), [2, 1]);
    }

    #[test]
    fn a_call_is_given_back_where_the_wait_is_known_to_be_long() {
        let (mut lines, now) = start();
        wait(&mut lines, role(1), Turn::Access, [1], now);
        let granted = lines.grant(now, |_| false).0.pop().unwrap();
        wait(&mut lines, role(1), Turn::Access, [2], now);
        let long = Wait { long: Duration::from_hours(23), everything: false };
        lines.unanswered(&granted.call, now);
        assert_eq!(lines.refused(role(1), long, now), [(2, NoPermit::Later(long.long))]);
        assert_eq!(
            lines.wait(role(1), Turn::Access, 3, now + SECOND),
            Err(NoPermit::Later(long.long.saturating_sub(SECOND)))
        );
        wait(&mut lines, role(2), Turn::Access, [4], now);
        assert_eq!(who(&mut lines, now), [4]);
    }

    #[test]
    fn a_dead_token_ends_all_waiting_and_is_asked_for_now_and_then() {
        let (mut lines, now) = start();
        wait(&mut lines, role(1), Turn::Access, [1], now);
        assert_eq!(who(&mut lines, now), [1]);
        wait(&mut lines, role(1), Turn::Removal, [2], now);
        assert_eq!(lines.token_refused(now), [(2, NoPermit::TokenDead)]);
        let refused = Err(NoPermit::TokenDead);
        assert_eq!(lines.wait(role(2), Turn::Removal, 3, now), refused);
        assert_eq!(lines.wait(role(2), Turn::Asked, 4, now), Ok(()));
        let later = now + TOKEN_PAUSE;
        assert_eq!(lines.wait(role(3), Turn::Access, 5, later), Ok(()));
        assert_eq!(lines.wait(role(3), Turn::Access, 6, later), refused);
        assert!(lines.token_accepted());
        assert_eq!(lines.wait(role(3), Turn::Access, 7, later), Ok(()));
    }

    #[test]
    fn who_does_not_wait_any_more_takes_no_permit() {
        let (mut lines, now) = start();
        first(&mut lines, role(1), &told("a", 2, 1), now);
        wait(&mut lines, role(1), Turn::Access, [1, 2], now);
        let granted = lines.grant(now, |who| *who == 1).0;
        assert_eq!(granted.iter().map(|granted| granted.who).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_permit_that_is_given_back_is_somebody_else_s() {
        let (mut lines, now) = start();
        first(&mut lines, role(1), &told("a", 2, 1), now);
        wait(&mut lines, role(1), Turn::Access, [1, 2], now);
        let granted = lines.grant(now, |_| false).0.pop().unwrap();
        lines.unused(&granted.call, now);
        assert_eq!(who(&mut lines, now), [2]);
    }

    #[test]
    fn buckets_that_nobody_needs_are_forgotten() {
        let (mut lines, now) = start();
        lines.allowance.set(10_000, None);
        for guild in 0..5_000 {
            first(&mut lines, role(guild), &told("a", 10, 9), now);
        }
        assert_eq!(lines.buckets(), 5_000);
        wait(&mut lines, role(9_999), Turn::Access, [1], now + FORGOTTEN + TIDY);
        assert_eq!(lines.buckets(), 1);
    }
}
