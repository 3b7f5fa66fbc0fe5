//! Whether the gateway told what our own calls did.
//!
//! Discord may accept a call and lose its effect where another program changes the same member at that moment. So
//! whoever a command has changed is either heard to have changed, or read once. And what is heard of a member while a
//! command is at work on them is its own doing until it has ended, so the Hub need not hear of it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{RoleId, Trouble};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    discord::{Answer, Seen},
    executor::Took,
    gateway::Outbox,
    members::Looks,
    queue::Key,
    wire::{Observation, Observed, StillThere},
};

/// How many members are read together.
const TOGETHER: usize = 8;

/// How long what was heard of a member is kept.
const KEPT: Duration = Duration::from_mins(2);

/// So many members are kept before old ones are looked for.
const MANY: usize = 10_000;

/// What a command should have come to, to be heard or read.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) member: Key,
    pub(crate) observed: Observed,
    pub(crate) took: Took,
    /// When its execution began.
    pub(crate) began: Instant,
    /// Since when the account was in the server, as far as was known.
    pub(crate) joined: Option<DateTime<Utc>>,
    /// Where the log stood once it was reported.
    pub(crate) position: u64,
}

impl Change {
    /// Whether what was heard of the member since the execution began is what the command should have come to.
    fn was_heard(&self, told: Option<&Told>) -> bool {
        told.is_some_and(|told| told.at >= self.began && self.shows(told.seen.as_ref()))
    }

    /// Whether a member's roles, or that somebody is no member, are what the command should have come to.
    fn shows(&self, seen: Option<&Seen>) -> bool {
        let Some(Seen { roles, .. }) = seen else { return self.observed.present != Some(true) };
        let given = self.observed.given.iter().flatten().chain(&self.observed.kept);
        !self.took.member
            && given.copied().all(|role| roles.contains(&role))
            && !roles.iter().any(|role| self.took.roles.contains(role))
    }

    /// Takes over what an earlier change of the member should have taken, and this one did not give.
    fn owes(&mut self, before: &Self) {
        let gives = |role: &RoleId| {
            self.observed
                .given
                .iter()
                .flatten()
                .chain(&self.observed.kept)
                .any(|given| given == role)
        };
        let roles: Vec<_> = before.took.roles.iter().filter(|role| !gives(role)).copied().collect();
        self.took.roles.extend(roles);
        if before.took.member && self.observed.present == Some(false) {
            self.took.member = true;
            self.joined = self.joined.or(before.joined);
        }
    }

    /// What of a member should have been taken away. Who joined at another time came again by themselves.
    fn left_of(&self, seen: &Seen) -> Option<StillThere> {
        let member = self.took.member && self.joined.is_some() && self.joined == seen.joined_at;
        if self.took.member && !member {
            return None;
        }
        let roles: BTreeSet<_> =
            seen.roles.iter().filter(|role| self.took.roles.contains(role)).copied().collect();
        (member || !roles.is_empty()).then_some(StillThere { roles, member })
    }
}

/// A member as the gateway told of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    at: Instant,
    /// `None`: they are no member.
    pub(crate) seen: Option<Seen>,
}

/// What is known of members.
#[derive(Default)]
struct Known {
    heard: HashMap<Key, Told>,
    /// How many there were when old ones were looked for last.
    left: usize,
    /// Members on whom a command is at work.
    at_work: HashSet<Key>,
    /// The last change of each member that is yet to be heard.
    expected: HashMap<Key, Arc<Change>>,
}

impl Known {
    fn hear(&mut self, member: Key, at: Instant, seen: Option<Seen>) {
        if self.heard.len() >= MANY.max(2 * self.left) {
            self.heard.retain(|_, told| at.duration_since(told.at) < KEPT);
            self.left = self.heard.len();
        }
        self.heard.insert(member, Told { at, seen });
    }

    /// Expects a change no more if it was heard; answers whether one is still expected.
    fn is_expected(&mut self, member: Key) -> bool {
        let told = self.heard.get(&member);
        if self.expected.get(&member).is_some_and(|change| change.was_heard(told)) {
            self.expected.remove(&member);
        }
        self.expected.contains_key(&member)
    }
}

/// What was heard of members lately, and which changes are to be heard. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Echoes {
    known: Arc<Mutex<Known>>,
    changes: mpsc::UnboundedSender<(Instant, Arc<Change>)>,
}

/// Changes and when each was reported.
pub(crate) type Expected = mpsc::UnboundedReceiver<(Instant, Arc<Change>)>;

impl Echoes {
    pub(crate) fn new() -> (Self, Expected) {
        let (changes, expected) = mpsc::unbounded_channel();
        (Self { known: Arc::default(), changes }, expected)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member was heard to have these roles, or to be none. Answers whether it may be somebody else's doing: what
    /// comes while a command is at work, or before what it did was heard, is judged once that is over.
    pub(crate) fn heard(&self, member: Key, seen: Option<Seen>) -> bool {
        let mut known = self.known();
        let own = known.at_work.contains(&member) || known.expected.contains_key(&member);
        known.hear(member, Instant::now(), seen);
        known.is_expected(member);
        !own
    }

    /// A command is at work on a member from now on.
    pub(crate) fn begin(&self, member: Key) {
        self.known().at_work.insert(member);
    }

    /// It is no longer. Answers what was heard last of a member of whom nothing is expected: it may have come while the
    /// Hub could not judge it, because it was not known what became of a call.
    pub(crate) fn end(&self, member: Key) -> Option<Told> {
        let mut known = self.known();
        if !known.at_work.remove(&member) || known.expected.contains_key(&member) {
            return None;
        }
        known.heard.get(&member).cloned()
    }

    /// A command has ended with a change that is to be heard, if it was not yet.
    pub(crate) fn expect(&self, mut change: Change) {
        let mut known = self.known();
        known.at_work.remove(&change.member);
        // What one before should have taken is still to be seen gone.
        if let Some(before) = known.expected.get(&change.member) {
            change.owes(before);
        }
        let (member, change) = (change.member, Arc::new(change));
        known.expected.insert(member, Arc::clone(&change));
        if known.is_expected(member) {
            // Where nobody waits any more, the process is ending.
            let _ = self.changes.send((Instant::now(), change));
        }
    }

    /// A member as they were last told of.
    pub(crate) fn last_heard(&self, member: Key) -> Option<Seen> {
        self.known().heard.get(&member).and_then(|told| told.seen.clone())
    }

    /// Whether a change is still expected and nobody is at work on the member. What is at work may take it over, so it is
    /// due again later.
    fn is_due(&self, change: &Arc<Change>) -> bool {
        let mut known = self.known();
        let last = known.expected.get(&change.member);
        if last.is_none_or(|last| last.position != change.position) {
            return false;
        }
        let at_work = known.at_work.contains(&change.member);
        if at_work {
            self.put_off(change);
        }
        !at_work && known.is_expected(change.member)
    }

    fn put_off(&self, change: &Arc<Change>) {
        // Where nobody waits any more, the process is ending.
        let _ = self.changes.send((Instant::now(), Arc::clone(change)));
    }

    /// A change was looked for and is expected no more, unless a command has begun meanwhile. Answers what was heard
    /// since the look began.
    fn looked(&self, change: &Arc<Change>, began: Instant) -> Option<Told> {
        let mut known = self.known();
        let last = known.expected.get(&change.member);
        if last.is_none_or(|last| last.position != change.position) {
            return None;
        }
        if known.at_work.contains(&change.member) {
            self.put_off(change);
            return None;
        }
        known.expected.remove(&change.member);
        known.heard.get(&change.member).filter(|told| told.at >= began).cloned()
    }

    /// Gives every change `patience` to be heard, and reads those members of whom it was not.
    pub(crate) async fn run(
        self,
        looks: Looks,
        outbox: Outbox,
        expected: Expected,
        patience: Duration,
    ) {
        // They come in the order in which they are due, so each waits for itself alone.
        let due = futures_util::stream::unfold(expected, async |mut expected| {
            let (reported, change) = expected.recv().await?;
            sleep_until(reported + patience).await;
            Some((change, expected))
        });
        due.for_each_concurrent(TOGETHER, async |change| {
            if !self.is_due(&change) {
                return;
            }
            let ((guild, user), began) = (change.member, Instant::now());
            let look = looks.look(guild, user, change.position, |seen| change.left_of(seen));
            match look.await {
                Answer::Done(()) => {}
                Answer::Refused(refusal) if refusal.trouble == Trouble::BotMissing => {
                    outbox.put(Observation::Missed { guild, roles: true });
                }
                // Only this knows what is owed, however long Discord does not show it.
                _ => return self.put_off(&change),
            }
            if let Some(told) = self.looked(&change, began) {
                outbox.put(Observation::heard(guild, user, told.seen));
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use domain::{DiscordUserId, GuildId};

    use super::*;

    const VIP: RoleId = RoleId(10);
    const GOLD: RoleId = RoleId(11);
    const ADA: Key = (GuildId(1), DiscordUserId(7));

    /// Each one is reported after the one before.
    fn change(given: &[RoleId], took: Took) -> Change {
        static POSITION: AtomicU64 = AtomicU64::new(1);
        let present = Some(!took.member);
        let given = Some(given.iter().copied().collect());
        Change {
            member: ADA,
            observed: Observed { present, given, ..Observed::default() },
            took,
            began: Instant::now(),
            joined: DateTime::from_timestamp(1_800_000_000, 0),
            position: POSITION.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn seen(joined: i64, roles: &[RoleId]) -> Seen {
        let joined_at = DateTime::from_timestamp(1_800_000_000 + joined, 0);
        Seen { joined_at, roles: roles.to_vec() }
    }

    fn told(roles: Option<&[RoleId]>) -> Told {
        let seen = roles.map(|roles| Seen { joined_at: None, roles: roles.to_vec() });
        Told { at: Instant::now(), seen }
    }

    /// The gateway tells it; answers whether it may be somebody else's doing.
    fn hears(echoes: &Echoes, roles: Option<&[RoleId]>) -> bool {
        echoes.heard(ADA, told(roles).seen)
    }

    #[test]
    fn a_change_is_heard_where_what_is_told_shows_all_of_it() {
        let before = told(Some(&[GOLD, VIP]));
        let given = change(&[VIP], Took::default());
        assert!(!given.was_heard(None), "nothing was told");
        assert!(!given.was_heard(Some(&before)), "told before it began");
        assert!(!given.was_heard(Some(&told(Some(&[GOLD])))));
        assert!(given.was_heard(Some(&told(Some(&[GOLD, VIP])))));
        let swapped = change(&[VIP], Took { roles: [GOLD].into(), member: false });
        assert!(!swapped.was_heard(Some(&told(Some(&[GOLD, VIP])))), "not all of it");
        let removed = change(&[], Took { roles: [VIP].into(), member: true });
        assert!(!removed.was_heard(Some(&told(Some(&[])))));
        assert!(removed.was_heard(Some(&told(None))));
    }

    #[test]
    fn what_comes_while_a_command_is_at_work_is_its_own_doing() {
        let (echoes, mut expected) = Echoes::new();
        echoes.begin(ADA);
        let given = change(&[VIP], Took::default());
        assert!(!hears(&echoes, Some(&[])), "she has come in");
        assert!(!hears(&echoes, Some(&[VIP])));
        echoes.expect(given);
        assert!(expected.try_recv().is_err(), "it was heard before it was reported");
        assert_eq!(echoes.end(ADA), None);
        assert!(hears(&echoes, Some(&[])), "somebody took the role away");
    }

    #[test]
    fn what_comes_late_is_awaited_and_what_never_comes_is_read() {
        let (echoes, mut expected) = Echoes::new();
        echoes.begin(ADA);
        echoes.expect(change(&[VIP], Took::default()));
        let (_, awaited) = expected.try_recv().unwrap();
        assert!(!hears(&echoes, Some(&[])), "she has come in");
        assert!(!hears(&echoes, Some(&[VIP])), "the last of it");
        assert!(!echoes.is_due(&awaited), "nothing is left to read");
        echoes.begin(ADA);
        echoes.expect(change(&[VIP, GOLD], Took::default()));
        let (_, awaited) = expected.try_recv().unwrap();
        echoes.begin(ADA);
        assert!(!echoes.is_due(&awaited), "what is at work may take it over");
        assert!(expected.try_recv().is_ok(), "and it is due again");
        echoes.end(ADA);
        assert!(echoes.is_due(&awaited));
        assert_eq!(echoes.looked(&awaited, Instant::now()), None);
        assert!(!echoes.is_due(&awaited), "once");
    }

    #[test]
    fn what_was_heard_meanwhile_is_told_where_the_command_changed_nothing() {
        let (echoes, _expected) = Echoes::new();
        echoes.begin(ADA);
        assert_eq!(echoes.end(ADA), None, "nothing was heard");
        echoes.begin(ADA);
        assert!(!hears(&echoes, None));
        assert_eq!(echoes.end(ADA).unwrap().seen, None, "she has left");
        assert!(echoes.known().at_work.is_empty());
    }

    #[test]
    fn what_one_change_owes_the_next_one_is_to_show_too() {
        let (echoes, mut expected) = Echoes::new();
        let takes = |role: RoleId| Took { roles: [role].into(), member: false };
        echoes.expect(change(&[VIP], takes(GOLD)));
        echoes.expect(change(&[], takes(VIP)));
        assert!(!hears(&echoes, Some(&[GOLD])));
        let (_, first) = expected.try_recv().unwrap();
        let (_, second) = expected.try_recv().unwrap();
        assert!(!echoes.is_due(&first), "another has followed it");
        assert!(echoes.is_due(&second), "gold was never seen gone");
        let left = second.left_of(&seen(0, &[GOLD])).unwrap();
        assert_eq!(left, StillThere { roles: [GOLD].into(), member: false });
        echoes.expect(change(&[GOLD], takes(VIP)));
        echoes.expect(change(&[GOLD], Took::default()));
        assert!(!hears(&echoes, Some(&[GOLD])) && echoes.known().expected.is_empty());
    }

    #[test]
    fn what_was_heard_long_ago_is_forgotten() {
        let (mut known, now) = (Known::default(), Instant::now());
        for n in 0..MANY as u64 {
            known.hear((GuildId(1), DiscordUserId(100 + n)), now, None);
        }
        known.hear(ADA, now + KEPT, None);
        assert_eq!(known.heard.len(), 1);
    }

    #[test]
    fn only_what_was_there_before_the_removal_was_left_by_it() {
        let removed = change(&[], Took { roles: [VIP].into(), member: true });
        let left = StillThere { roles: [VIP].into(), member: true };
        assert_eq!(removed.left_of(&seen(0, &[VIP, GOLD])), Some(left));
        assert_eq!(removed.left_of(&seen(60, &[VIP])), None, "they came back");
        let taken = change(&[], Took { roles: [VIP].into(), member: false });
        assert_eq!(taken.left_of(&seen(0, &[GOLD])), None);
        let left = StillThere { roles: [VIP].into(), member: false };
        assert_eq!(taken.left_of(&seen(0, &[VIP])), Some(left));
    }
}
