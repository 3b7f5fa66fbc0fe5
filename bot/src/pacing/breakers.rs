//! What Discord has just refused is not asked again by everybody who waits for the same.
//!
//! One refusal opens the breaker of its subject: calls for it wait, then one at a time tries again, until one is
//! accepted or the Hub decides anew and nobody wants them any more. Where the server's roles show why it was refused,
//! nobody waits for the same answer: they are given it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{GuildId, RoleId};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::discord::Refusal;

/// The first pause after a refusal; it doubles from there.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A breaker that nobody has come to for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A role of a server that cannot be given or taken.
    Role(GuildId, RoleId),
    /// Nobody can be brought into a server.
    Joins(GuildId),
    /// The bot can do nothing in a server.
    Guild(GuildId),
}

#[derive(Debug)]
struct Breaker {
    until: Instant,
    pause: Duration,
    /// One call tries whether it is accepted again.
    trying: bool,
    refusals: u64,
    /// What everybody would be answered until the next try.
    known: Option<Refusal>,
}

/// Why a call may not be made.
#[derive(Debug, PartialEq, Eq)]
enum Held {
    Until(Instant),
    Refused(Refusal),
}

/// The breakers of a token. Cloning is cheap.
#[derive(Clone, Default)]
pub(crate) struct Breakers(Arc<(Mutex<HashMap<Subject, Breaker>>, Notify)>);

/// Leave to call, as long as nothing more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed(u64);

fn refusals(open: &HashMap<Subject, Breaker>, subjects: &[Subject]) -> u64 {
    subjects.iter().filter_map(|subject| Some(open.get(subject)?.refusals)).sum()
}

impl Breakers {
    fn open(&self) -> MutexGuard<'_, HashMap<Subject, Breaker>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to call, or until when to wait. Where the time has come, one call may try, and others wait for what
    /// comes of it.
    fn ask(&self, subjects: &[Subject], now: Instant) -> Result<Passed, Held> {
        let mut open = self.open();
        let until = subjects.iter().filter_map(|subject| Some(open.get(subject)?.until)).max();
        if let Some(until) = until.filter(|until| *until > now) {
            let known = subjects.iter().find_map(|subject| open.get(subject)?.known.clone());
            return Err(known.map_or(Held::Until(until), Held::Refused));
        }
        for subject in subjects {
            if let Some(breaker) = open.get_mut(subject) {
                (breaker.until, breaker.trying) = (now + breaker.pause, true);
                breaker.known = None;
            }
        }
        Ok(Passed(refusals(&open, subjects)))
    }

    /// Waits until none of the subjects is held back; where it is known what would be answered, that is the answer.
    pub(crate) async fn pass(&self, subjects: &[Subject]) -> Result<Passed, Refusal> {
        loop {
            let changed = self.0.1.notified();
            tokio::pin!(changed);
            // Whatever closes between asking and waiting is heard.
            changed.as_mut().enable();
            match self.ask(subjects, Instant::now()) {
                Ok(passed) => return Ok(passed),
                Err(Held::Refused(refusal)) => return Err(refusal),
                Err(Held::Until(until)) => {
                    tokio::select! { () = sleep_until(until) => {}, () = changed => {} }
                }
            }
        }
    }

    /// Whether a call that passed may still be made: nothing was refused while it waited for its permit.
    pub(crate) fn holds(&self, passed: Passed, subjects: &[Subject]) -> bool {
        refusals(&self.open(), subjects) <= passed.0
    }

    pub(crate) fn refused(&self, subject: Subject, now: Instant) {
        let mut open = self.open();
        open.retain(|_, breaker| now.saturating_duration_since(breaker.until) < FORGOTTEN);
        let fresh =
            Breaker { until: now + PAUSE, pause: PAUSE, trying: false, refusals: 0, known: None };
        let breaker = open.entry(subject).or_insert(fresh);
        breaker.refusals += 1;
        // Those that were on their way together are one refusal.
        if std::mem::take(&mut breaker.trying) {
            breaker.pause = (breaker.pause * 2).min(LONGEST_PAUSE);
            breaker.until = now + breaker.pause;
        }
    }

    /// The server's roles show why a subject was refused. Nobody asks Discord for what is
    /// answered then, so it has no status of HTTP.
    pub(crate) fn shown(&self, subject: Subject, refusal: &Refusal) {
        if let Some(breaker) = self.open().get_mut(&subject) {
            breaker.known = Some(Refusal { http_status: 0, ..refusal.clone() });
            self.0.1.notify_waiters();
        }
    }

    /// The server's roles show that these can be given now.
    pub(crate) fn mended(&self, guild: GuildId, can_be_given: impl Fn(RoleId) -> bool) {
        let mut open = self.open();
        let before = open.len();
        open.retain(|subject, breaker| match subject {
            Subject::Role(of, role) => {
                *of != guild || breaker.known.is_none() || !can_be_given(*role)
            }
            Subject::Joins(_) | Subject::Guild(_) => true,
        });
        if open.len() < before {
            drop(open);
            self.0.1.notify_waiters();
        }
    }

    pub(crate) fn accepted(&self, subjects: &[Subject]) {
        let mut open = self.open();
        let before = open.len();
        open.retain(|subject, _| !subjects.contains(subject));
        if open.len() < before {
            drop(open);
            self.0.1.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Trouble;

    use super::*;

    const ROLE: [Subject; 2] = [Subject::Guild(GuildId(1)), Subject::Role(GuildId(1), RoleId(5))];

    #[test]
    fn what_was_refused_is_tried_again_by_one_call_after_a_growing_pause() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        let passed = breakers.ask(&ROLE, now).unwrap();
        assert!(breakers.holds(passed, &ROLE));
        // Three that were on their way together.
        (0..3).for_each(|_| breakers.refused(ROLE[1], now));
        assert!(!breakers.holds(passed, &ROLE), "who waits for a permit gives it back");
        let second = now + PAUSE;
        assert_eq!(breakers.ask(&ROLE, now), Err(Held::Until(second)));
        let tries = breakers.ask(&ROLE, second).unwrap();
        assert!(breakers.ask(&ROLE, second).is_err(), "one tries, the others wait");
        assert!(breakers.holds(tries, &ROLE));
        breakers.refused(ROLE[1], second);
        let third = second + 2 * PAUSE;
        assert_eq!(breakers.ask(&ROLE, second), Err(Held::Until(third)));
        assert!(breakers.ask(&ROLE, third).is_ok());
    }

    #[test]
    fn whoever_waits_is_given_the_answer_that_the_roles_explain() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        breakers.refused(ROLE[1], now);
        let refusal = Refusal {
            trouble: Trouble::MissingPermissions,
            http_status: 403,
            code: 50013,
            detail: "Missing Permissions".into(),
        };
        breakers.shown(ROLE[1], &refusal);
        let known = Refusal { http_status: 0, ..refusal.clone() };
        assert_eq!(breakers.ask(&ROLE, now), Err(Held::Refused(known)));
        // Then one tries, and the others wait for what comes of it.
        assert!(breakers.ask(&ROLE, now + PAUSE).is_ok());
        assert_eq!(breakers.ask(&ROLE, now + PAUSE), Err(Held::Until(now + 2 * PAUSE)));
        breakers.refused(ROLE[1], now + PAUSE);
        breakers.shown(ROLE[1], &refusal);
        breakers.mended(GuildId(1), |role| role == RoleId(6));
        assert!(breakers.ask(&ROLE, now + PAUSE).is_err());
        breakers.mended(GuildId(1), |role| role == RoleId(5));
        assert!(breakers.ask(&ROLE, now + PAUSE).is_ok());
    }

    #[tokio::test]
    async fn one_that_is_accepted_lets_all_others_go() {
        let breakers = Breakers::default();
        // It would last longer than any test.
        breakers.refused(ROLE[0], Instant::now() + LONGEST_PAUSE);
        let waiting = breakers.clone();
        let waiting = tokio::spawn(async move { waiting.pass(&ROLE).await });
        tokio::task::yield_now().await;
        breakers.accepted(&ROLE);
        waiting.await.unwrap().unwrap();
    }

    #[test]
    fn another_role_and_another_server_are_not_held_back() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        breakers.refused(ROLE[1], now);
        let other_role = [ROLE[0], Subject::Role(GuildId(1), RoleId(6))];
        assert!(breakers.ask(&other_role, now).is_ok());
        let other_server = [Subject::Guild(GuildId(2)), Subject::Joins(GuildId(2))];
        assert!(breakers.ask(&other_server, now).is_ok());
    }
}
