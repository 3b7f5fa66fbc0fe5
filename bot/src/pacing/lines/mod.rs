//! Who calls next: the lines before the buckets.
//!
//! A call that somebody waits for goes first, then what takes access away, then what gives it, then what only
//! looks; but nobody waits for ever for those before them. Within each, the buckets take turns, so that a large server does not delay a
//! small one. A bucket stands in the line only while it takes calls.

#[cfg(test)]
mod tests;
mod token;

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
