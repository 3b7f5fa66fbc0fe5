//! When a call to Discord may be made.
//!
//! Discord limits calls by bucket and server in fixed windows whose size only its answers tell (`bucket`, `headers`), and all
//! calls of a token together (`allowance`), of which every process has a share. `lines` decides who calls next, and
//! `breakers` holds back what Discord has just refused. A call waits as long as it is wanted; where Discord asks for
//! a long wait, it is given back to be tried again then.

mod allowance;
mod breakers;
mod bucket;
mod headers;
mod lines;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::header::HeaderMap;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

pub use allowance::CALLS_PER_SECOND;
pub(crate) use allowance::REFUSALS;
pub(crate) use breakers::{Breakers, Subject};
pub(crate) use headers::{Told, Wait, retry_after};
use lines::{Call, Lines};
pub(crate) use lines::{NoPermit, Route, Turn};

type Teller = oneshot::Sender<Result<Permit, NoPermit>>;

struct Shared {
    lines: Mutex<Lines<Teller>>,
    timer: Arc<Timer>,
    /// Told when permits are short because the share is.
    short: Notify,
}

/// What wakes those who wait for a time.
#[derive(Default)]
struct Timer {
    at: Mutex<Option<Instant>>,
    changed: Notify,
    runs: AtomicBool,
}

/// Hands out permits. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Pacer(Arc<Shared>);

/// What a process could use of the token's calls, and what it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Calls a second that it may be making.
    pub(crate) using: u32,
    /// Calls a second that it could make now.
    pub(crate) wanted: u32,
    /// Refusals that nobody has been told of.
    pub(crate) refused: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pacer {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            lines: Mutex::new(Lines::new(Instant::now())),
            timer: Arc::default(),
            short: Notify::new(),
        }))
    }

    fn lines(&self) -> MutexGuard<'_, Lines<Teller>> {
        lock(&self.0.lines)
    }

    /// Waits until a call may be made.
    pub(crate) async fn permit(&self, route: Route, turn: Turn) -> Result<Permit, NoPermit> {
        if !self.0.timer.runs.swap(true, Ordering::Relaxed) {
            tokio::spawn(wake(Arc::downgrade(&self.0), Arc::clone(&self.0.timer)));
        }
        let (teller, told) = oneshot::channel();
        self.lines().wait(route, turn, teller, Instant::now())?;
        self.hand_out();
        // A teller is never dropped untold while its pacer lives, and `self` keeps it alive.
        told.await.unwrap_or(Err(NoPermit::Later(Duration::from_secs(1))))
    }

    /// Tells everybody who may call now.
    fn hand_out(&self) {
        let (granted, next, short) = {
            let (mut lines, now) = (self.lines(), Instant::now());
            let (granted, next) = lines.grant(now, oneshot::Sender::is_closed);
            (granted, next, lines.is_short())
        };
        for lines::Granted { who, route, call } in granted {
            let permit = Permit { pacer: self.clone(), route, call, settled: false };
            // Who has just stopped waiting drops the permit, which gives it back.
            let _ = who.send(Ok(permit));
        }
        if short {
            self.0.short.notify_one();
        }
        let timer = &self.0.timer;
        if std::mem::replace(&mut *lock(&timer.at), next) != next {
            timer.changed.notify_one();
        }
    }

    /// Sets what this process may use; `None`: until it is set again.
    pub(crate) fn share(&self, calls_per_second: u32, until: Option<Instant>) {
        self.lines().allowance.set(calls_per_second, until);
        self.hand_out();
    }

    pub(crate) fn need(&self) -> Need {
        let (mut lines, now) = (self.lines(), Instant::now());
        let waiting = lines.could_call(now);
        let allowance = &mut lines.allowance;
        Need {
            using: allowance.using(now),
            wanted: allowance.used(now).saturating_add(waiting),
            refused: allowance.untold(),
        }
    }

    /// Somebody has been told of refusals.
    pub(crate) fn told(&self, refusals: u32) {
        self.lines().allowance.told(refusals);
    }

    /// Waits until calls wait for nothing but a larger share.
    pub(crate) async fn short(&self) {
        self.0.short.notified().await;
    }

    fn give_back(&self, waiters: Vec<(Teller, NoPermit)>) {
        for (teller, why) in waiters {
            // Who does not wait any more does not need to know.
            let _ = teller.send(Err(why));
        }
        self.hand_out();
    }
}

/// Hands out permits whenever their time has come, as long as there is a pacer.
async fn wake(pacer: Weak<Shared>, timer: Arc<Timer>) {
    loop {
        let at = *lock(&timer.at);
        let changed = timer.changed.notified();
        match at {
            Some(at) => tokio::select! { () = sleep_until(at) => {}, () = changed => {} },
            None => changed.await,
        }
        let Some(shared) = pacer.upgrade() else { return };
        Pacer(shared).hand_out();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.timer.changed.notify_one();
    }
}

/// Leave to make one call. Dropped without a word, the call counts as made and unanswered.
pub(crate) struct Permit {
    pacer: Pacer,
    route: Route,
    call: Call,
    settled: bool,
}

impl Permit {
    /// The call was not made.
    pub(crate) fn unused(mut self) {
        self.settled = true;
        self.pacer.lines().unused(&self.call, Instant::now());
        self.pacer.hand_out();
    }

    /// The call was answered.
    pub(crate) fn answered(mut self, headers: &HeaderMap) {
        self.learn(headers);
        self.pacer.hand_out();
    }

    fn learn(&mut self, headers: &HeaderMap) {
        self.settled = true;
        let (told, mut lines) = (Told::by(headers), self.pacer.lines());
        lines.answered(self.route, &self.call, &told, Instant::now());
    }

    /// The call was answered with a wait.
    pub(crate) fn refused(mut self, headers: &HeaderMap, wait: Wait) {
        self.learn(headers);
        let back = {
            let mut lines = self.pacer.lines();
            if wait.everything {
                lines.allowance.was_too_much();
            }
            lines.refused(self.route, wait, Instant::now())
        };
        self.pacer.give_back(back);
    }

    /// The call was answered with a 401: nothing else is called.
    pub(crate) fn token_refused(mut self, headers: &HeaderMap) {
        self.learn(headers);
        let back = self.pacer.lines().token_refused(Instant::now());
        self.pacer.give_back(back);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.pacer.lines().unanswered(&self.call, Instant::now());
            self.pacer.hand_out();
        }
    }
}

impl Pacer {
    /// Counts an answer that Discord counts too: 401, 403, and 429 unless it is about a limit that all share.
    pub(crate) fn count_refusal(&self) {
        let (mut lines, now) = (self.lines(), Instant::now());
        if let Some(until) = lines.allowance.count_refusal(now) {
            tracing::error!(
                "Discord has refused {REFUSALS} calls within ten minutes; nothing is called until fewer count, before it blocks this address"
            );
            lines.block(until);
        }
    }

    /// Whether Discord has refused the token and not accepted it since.
    pub(crate) fn is_token_dead(&self) -> bool {
        self.lines().is_token_dead()
    }

    /// Discord accepts the token.
    pub(crate) fn token_accepted(&self) {
        if self.lines().token_accepted() {
            tracing::info!("Discord accepts the bot's token again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: Route = Route { name: "role", guild: 1 };

    fn headers(limit: u32, remaining: u32, reset_after: &str) -> HeaderMap {
        let pairs = [
            ("x-ratelimit-bucket", "abc".to_owned()),
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset-after", reset_after.to_owned()),
        ];
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// A call of a bucket of two, whose window is as long as a test can wait.
    async fn call(pacer: &Pacer, remaining: u32) {
        pacer.permit(ROLE, Turn::Access).await.unwrap().answered(&headers(2, remaining, "0.050"));
    }

    #[tokio::test]
    async fn calls_go_out_as_the_windows_allow() {
        let (pacer, began) = (Pacer::new(), Instant::now());
        for n in 0..6 {
            call(&pacer, 1 - n % 2).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_the_permit_to_others() {
        let pacer = Pacer::new();
        call(&pacer, 0).await;
        let waiting = tokio::spawn({
            let pacer = pacer.clone();
            async move { pacer.permit(ROLE, Turn::Removal).await.map(drop) }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        call(&pacer, 1).await;
        call(&pacer, 0).await;
    }

    #[tokio::test]
    async fn a_permit_that_is_dropped_frees_the_bucket() {
        let pacer = Pacer::new();
        drop(pacer.permit(ROLE, Turn::Access).await.unwrap());
        pacer.permit(ROLE, Turn::Access).await.unwrap().unused();
        call(&pacer, 1).await;
    }

    #[tokio::test]
    async fn a_share_is_asked_for_where_calls_wait_for_nothing_else() {
        let pacer = Pacer::new();
        pacer.share(1, None);
        let calls: Vec<_> = (0..5)
            .map(|guild| {
                let pacer = pacer.clone();
                tokio::spawn(async move {
                    pacer.permit(Route { guild, ..ROLE }, Turn::Access).await.map(drop)
                })
            })
            .collect();
        while pacer.need().wanted < 5 {
            pacer.short().await;
        }
        assert_eq!(pacer.need(), Need { using: 1, wanted: 5, refused: 0 });
        pacer.share(5, None);
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_401_ends_every_wait_at_once() {
        let pacer = Pacer::new();
        let permit = pacer.permit(ROLE, Turn::Access).await.unwrap();
        let waiting = pacer.clone();
        let waiting =
            tokio::spawn(async move { waiting.permit(ROLE, Turn::Removal).await.map(drop) });
        tokio::task::yield_now().await;
        permit.token_refused(&HeaderMap::new());
        assert_eq!(waiting.await.unwrap(), Err(NoPermit::TokenDead));
        assert_eq!(pacer.permit(ROLE, Turn::Access).await.map(drop), Err(NoPermit::TokenDead));
        pacer.token_accepted();
        assert!(pacer.permit(ROLE, Turn::Access).await.is_ok());
    }
}
