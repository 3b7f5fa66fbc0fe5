//! When a call to Discord may be made.
//!
//! Discord limits calls per route and server in fixed windows whose size only its answers tell, and all calls
//! of a token together. Buckets are learned from every answer. A route of which nothing is known yet is asked
//! one call at a time. Where permits are short, calls that take access away go first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::header::HeaderMap;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// All calls of one token together, per second; Discord allows 50, and somebody else may use the token too.
const GLOBAL: u32 = 45;

/// Discord blocks an address after 10,000 refusals (401, 403, 429) in ten minutes; all calls wait well before that.
const REFUSALS: usize = 5_000;

/// The time over which refusals are counted.
const REFUSAL_WINDOW: Duration = Duration::from_mins(10);

/// How long everything waits after an answer that did not come from Discord itself.
const BLOCKED: Duration = Duration::from_mins(1);

/// A route as Discord counts it: ids of members and roles do not tell buckets apart, the server's does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) guild: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// `None`: nothing is known yet.
    limit: Option<u32>,
    left: u32,
    resets: Instant,
    in_flight: u32,
    urgent_waiting: u32,
}

#[derive(Debug)]
struct State {
    buckets: HashMap<Route, Bucket>,
    window: Instant,
    used: u32,
    blocked_until: Instant,
    /// When calls were refused in a way that Discord counts, oldest first.
    refusals: VecDeque<Instant>,
}

/// Hands out permits. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Pacer(Arc<(Mutex<State>, Notify)>);

/// What an answer's headers say of its bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Told {
    limit: Option<u32>,
    remaining: Option<u32>,
    reset_after: Option<Duration>,
}

fn told(headers: &HeaderMap) -> Told {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = |text: &str| {
        text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    };
    Told {
        limit: text("x-ratelimit-limit").and_then(|text| text.parse().ok()),
        remaining: text("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
        reset_after: text("x-ratelimit-reset-after").and_then(seconds),
    }
}

/// How long an answer asks to wait, and whether for everything.
pub(crate) fn retry_after(headers: &HeaderMap, body: &[u8]) -> (Duration, bool) {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let in_body = json.as_ref().and_then(|json| json["retry_after"].as_f64());
    let in_header = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    // Without JSON it was not Discord that answered, but whoever guards it from too many calls.
    let Some(json) = json else {
        let asked = in_header.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        return (asked.unwrap_or(BLOCKED), true);
    };
    let scope = headers.get("x-ratelimit-scope").and_then(|scope| scope.to_str().ok());
    let global = json["global"].as_bool().unwrap_or(false) || scope == Some("global");
    let asked = in_body.or(in_header).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    (asked.unwrap_or(Duration::from_secs(1)), global)
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            buckets: HashMap::new(),
            window: now,
            used: 0,
            blocked_until: now,
            refusals: VecDeque::new(),
        }
    }

    fn bucket(&mut self, route: &Route, now: Instant) -> &mut Bucket {
        let fresh = Bucket { limit: None, left: 1, resets: now, in_flight: 0, urgent_waiting: 0 };
        let bucket = self.buckets.entry(route.clone()).or_insert(fresh);
        if bucket.resets <= now
            && let Some(limit) = bucket.limit
        {
            bucket.left = limit.saturating_sub(bucket.in_flight);
        }
        bucket
    }

    /// Takes a permit, or tells when to ask again; `None`: when an answer has come.
    fn take(&mut self, route: &Route, urgent: bool, now: Instant) -> Result<(), Option<Instant>> {
        if self.blocked_until > now {
            return Err(Some(self.blocked_until));
        }
        if now.duration_since(self.window) >= Duration::from_secs(1) {
            (self.window, self.used) = (now, 0);
        }
        let (used, window_ends) = (self.used, self.window + Duration::from_secs(1));
        let bucket = self.bucket(route, now);
        match bucket.limit {
            None if bucket.in_flight > 0 => return Err(None),
            Some(_) if bucket.left == 0 && bucket.resets > now => return Err(Some(bucket.resets)),
            Some(_) if bucket.left == 0 => return Err(None),
            Some(_)
                if !urgent && bucket.urgent_waiting > 0 && bucket.left <= bucket.urgent_waiting =>
            {
                return Err(None);
            }
            None | Some(_) => {}
        }
        if used >= GLOBAL {
            return Err(Some(window_ends));
        }
        bucket.left = bucket.left.saturating_sub(1);
        bucket.in_flight += 1;
        self.used += 1;
        Ok(())
    }

    /// A refusal that Discord counts. Where there are too many, everything waits until the oldest no longer count.
    fn count_refusal(&mut self, now: Instant) {
        while self.refusals.front().is_some_and(|at| now.duration_since(*at) >= REFUSAL_WINDOW) {
            self.refusals.pop_front();
        }
        self.refusals.push_back(now);
        if self.refusals.len() >= REFUSALS
            && let Some(oldest) = self.refusals.front()
        {
            self.blocked_until = self.blocked_until.max(*oldest + REFUSAL_WINDOW);
        }
    }

    fn learn(&mut self, route: &Route, told: Told, now: Instant) {
        let bucket = self.bucket(route, now);
        bucket.in_flight = bucket.in_flight.saturating_sub(1);
        if let (Some(limit), Some(remaining), Some(reset_after)) =
            (told.limit, told.remaining, told.reset_after)
        {
            let resets = now + reset_after;
            // Answers may overtake each other: within a window the lower count is the later one.
            let same_window =
                bucket.limit.is_some() && resets <= bucket.resets + Duration::from_millis(250);
            let free = remaining.saturating_sub(bucket.in_flight);
            bucket.left = if same_window { bucket.left.min(free) } else { free };
            bucket.resets = if same_window { bucket.resets.max(resets) } else { resets };
            bucket.limit = Some(limit.max(1));
        } else if bucket.limit.is_none() && bucket.in_flight == 0 {
            // No headers at all: a server without limits. One at a time is kept.
            bucket.left = 1;
        }
    }

    fn refused(&mut self, route: &Route, wait: Duration, global: bool, now: Instant) {
        if global {
            self.blocked_until = self.blocked_until.max(now + wait);
        } else {
            let bucket = self.bucket(route, now);
            bucket.limit = bucket.limit.or(Some(1));
            bucket.left = 0;
            bucket.resets = bucket.resets.max(now + wait);
        }
    }
}

impl Pacer {
    pub(crate) fn new() -> Self {
        Self(Arc::new((Mutex::new(State::new(Instant::now())), Notify::new())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call may be made. `urgent`: it takes access away.
    pub(crate) async fn permit(&self, route: &Route, urgent: bool) {
        let mut waiting = Waiting { pacer: self, route, urgent: false };
        loop {
            let answered = self.0.1.notified();
            let asked = self.state().take(route, urgent, Instant::now());
            match asked {
                Ok(()) => return,
                Err(until) => {
                    waiting.begin(urgent);
                    // An answer may free a permit earlier than the window's end.
                    match until {
                        Some(until) => {
                            tokio::select! { () = sleep_until(until) => {}, () = answered => {} }
                        }
                        None => answered.await,
                    }
                }
            }
        }
    }

    /// Learns from an answer, or from there being none.
    pub(crate) fn answered(&self, route: &Route, headers: Option<&HeaderMap>) {
        self.state().learn(route, headers.map(told).unwrap_or_default(), Instant::now());
        self.0.1.notify_waiters();
    }

    /// Counts an answer that Discord counts too: 401, 403, and 429 unless it is about a limit that all share.
    pub(crate) fn count_refusal(&self) {
        self.state().count_refusal(Instant::now());
    }

    pub(crate) fn refused(&self, route: &Route, wait: Duration, global: bool) {
        self.state().refused(route, wait, global, Instant::now());
        self.0.1.notify_waiters();
    }
}

/// Counts an urgent call among those that wait, until it no longer does.
struct Waiting<'a> {
    pacer: &'a Pacer,
    route: &'a Route,
    urgent: bool,
}

impl Waiting<'_> {
    fn begin(&mut self, urgent: bool) {
        if urgent && !self.urgent {
            self.urgent = true;
            self.pacer.state().bucket(self.route, Instant::now()).urgent_waiting += 1;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.urgent {
            let mut state = self.pacer.state();
            let bucket = state.bucket(self.route, Instant::now());
            bucket.urgent_waiting = bucket.urgent_waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: Route = Route { name: "role", guild: 1 };

    fn told(limit: u32, remaining: u32, ms: u64) -> Told {
        Told {
            limit: Some(limit),
            remaining: Some(remaining),
            reset_after: Some(Duration::from_millis(ms)),
        }
    }

    fn start() -> (State, Instant) {
        let now = Instant::now();
        (State::new(now), now)
    }

    #[test]
    fn a_route_that_is_not_known_is_asked_one_call_at_a_time() {
        let (mut state, now) = start();
        assert_eq!(state.take(&ROLE, false, now), Ok(()));
        assert_eq!(state.take(&ROLE, false, now), Err(None));
        state.learn(&ROLE, told(10, 9, 5_000), now);
        for _ in 0..9 {
            assert_eq!(state.take(&ROLE, false, now), Ok(()));
        }
        assert_eq!(state.take(&ROLE, false, now), Err(Some(now + Duration::from_secs(5))));
    }

    #[test]
    fn a_window_that_ended_gives_all_its_permits_again() {
        let (mut state, now) = start();
        state.take(&ROLE, false, now).unwrap();
        state.learn(&ROLE, told(2, 0, 1_000), now);
        assert!(state.take(&ROLE, false, now).is_err());
        let later = now + Duration::from_secs(1);
        assert_eq!(state.take(&ROLE, false, later), Ok(()));
        assert_eq!(state.take(&ROLE, false, later), Ok(()));
        assert!(state.take(&ROLE, false, later).is_err());
    }

    #[test]
    fn one_server_s_limit_is_not_another_s() {
        let (mut state, now) = start();
        state.take(&ROLE, false, now).unwrap();
        state.learn(&ROLE, told(1, 0, 60_000), now);
        assert!(state.take(&ROLE, false, now).is_err());
        assert_eq!(state.take(&Route { guild: 2, ..ROLE }, false, now), Ok(()));
    }

    #[test]
    fn all_calls_together_stay_under_the_token_s_limit() {
        let (mut state, now) = start();
        for guild in 0..u64::from(GLOBAL) {
            assert_eq!(state.take(&Route { guild, ..ROLE }, false, now), Ok(()));
        }
        let one_more = Route { guild: 999, ..ROLE };
        assert_eq!(state.take(&one_more, false, now), Err(Some(now + Duration::from_secs(1))));
        assert_eq!(state.take(&one_more, false, now + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn a_refusal_is_waited_out_and_a_global_one_stops_everything() {
        let (mut state, now) = start();
        state.take(&ROLE, false, now).unwrap();
        state.learn(&ROLE, Told::default(), now);
        state.refused(&ROLE, Duration::from_secs(7), false, now);
        assert_eq!(state.take(&ROLE, false, now), Err(Some(now + Duration::from_secs(7))));
        state.refused(&ROLE, Duration::from_secs(9), true, now);
        assert_eq!(
            state.take(&Route { guild: 2, ..ROLE }, false, now),
            Err(Some(now + Duration::from_secs(9)))
        );
    }

    #[test]
    fn refusals_stop_everything_well_before_discord_would() {
        let (mut state, now) = start();
        for _ in 0..REFUSALS - 1 {
            state.count_refusal(now);
        }
        assert_eq!(state.take(&ROLE, false, now), Ok(()));
        state.learn(&ROLE, Told::default(), now);
        state.count_refusal(now);
        assert_eq!(state.take(&ROLE, true, now), Err(Some(now + REFUSAL_WINDOW)));
        let later = now + REFUSAL_WINDOW;
        state.count_refusal(later);
        assert_eq!(state.take(&ROLE, false, later), Ok(()));
    }

    #[test]
    fn where_permits_are_short_removals_go_first() {
        let (mut state, now) = start();
        state.take(&ROLE, false, now).unwrap();
        state.learn(&ROLE, told(5, 1, 60_000), now);
        state.bucket(&ROLE, now).urgent_waiting = 1;
        assert_eq!(state.take(&ROLE, false, now), Err(None));
        assert_eq!(state.take(&ROLE, true, now), Ok(()));
    }

    #[test]
    fn a_page_that_is_not_discord_s_stops_everything() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers, b"<html>1015</html>"), (BLOCKED, true));
        headers.insert("retry-after", "5".parse().unwrap());
        assert_eq!(retry_after(&headers, b"<html>1015</html>"), (Duration::from_secs(5), true));
        let shared = br#"{"message": "x", "retry_after": 0.5, "global": false}"#;
        assert_eq!(retry_after(&headers, shared), (Duration::from_millis(500), false));
    }
}
