//! Members, read one by one: what the gateway told of them, and whether it told what our own calls did.
//!
//! Discord may accept a call and lose its effect where another program changes the same member at that moment. So
//! whoever a command has changed is either heard to have changed, or read once.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{DiscordUserId, GuildId, RoleId};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    discord::{Answer, Discord, Seen},
    executor::Took,
    hub::Hub,
    wire::{Noted, Observation, Observed, StillThere},
};

/// How often a member is read again because something was reported meanwhile.
const LOOKS: usize = 3;

/// How many members are read together.
const TOGETHER: usize = 8;

/// How long what was heard of a member is kept.
const KEPT: Duration = Duration::from_mins(2);

/// So many members are kept before old ones are looked for.
const MANY: usize = 10_000;

/// Reads members and tells the Hub. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Looks {
    pub(crate) hub: Hub,
    pub(crate) discord: Discord,
    /// Who is told to have seen it.
    pub(crate) name: String,
}

impl Looks {
    /// Reads one member and tells what is seen. `since`: where the log stood before.
    pub(crate) async fn look_at(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        since: u64,
    ) -> Answer<()> {
        self.look(guild, user, since, |_| None).await
    }

    /// The same; `still_there`: what of the member was said to have been taken away.
    pub(crate) async fn look(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        mut since: u64,
        still_there: impl Fn(&Seen) -> Option<StillThere>,
    ) -> Answer<()> {
        for _ in 0..LOOKS {
            let seen = match self.discord.look_at(guild, user).await {
                Answer::Done(seen) => Some(seen),
                Answer::Refused(refusal) if refusal.not_a_member() => None,
                other => return other.without(),
            };
            let observation = Observation::Member {
                guild,
                user,
                still_there: seen.as_ref().and_then(&still_there),
                joined_at: seen.as_ref().and_then(|seen| seen.joined_at),
                roles: seen.map(|seen| seen.roles.into_iter().collect()),
                confirmed: true,
                since: Some(since),
            };
            match self.hub.observe(&self.name, observation).await {
                // Something was reported while the member was read.
                Ok(Noted { confirm: true, position }) => since = position,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "what was seen on Discord was not taken in; it is found by the next comparison");
                    break;
                }
            }
        }
        Answer::Done(())
    }
}

/// What a command should have come to, to be heard or read.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) guild: GuildId,
    pub(crate) user: DiscordUserId,
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
    /// Whether a member's roles, or that somebody is no member, are what the command should have come to.
    fn shows(&self, roles: Option<&BTreeSet<RoleId>>) -> bool {
        let Some(roles) = roles else { return self.observed.present != Some(true) };
        let given = self.observed.given.iter().flatten().chain(&self.observed.kept);
        !self.took.member
            && given.copied().all(|role| roles.contains(&role))
            && self.took.roles.is_disjoint(roles)
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

/// A member's roles as they were told, and when; `None`: they are no member.
type Told = (Instant, Option<BTreeSet<RoleId>>);

/// What was heard of members.
#[derive(Default)]
struct Heard {
    members: HashMap<(GuildId, DiscordUserId), Told>,
    /// How many there were when old ones were looked for last.
    left: usize,
}

impl Heard {
    fn insert(
        &mut self,
        key: (GuildId, DiscordUserId),
        now: Instant,
        roles: Option<BTreeSet<RoleId>>,
    ) {
        if self.members.len() >= MANY.max(2 * self.left) {
            self.members.retain(|_, (at, _)| now.duration_since(*at) < KEPT);
            self.left = self.members.len();
        }
        self.members.insert(key, (now, roles));
    }
}

/// The last change of each member that is to be heard, by where the log stood after it.
type Last = HashMap<(GuildId, DiscordUserId), u64>;

/// What was heard of members lately, and which changes are to be heard. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Echoes {
    heard: Arc<Mutex<Heard>>,
    last: Arc<Mutex<Last>>,
    changes: mpsc::UnboundedSender<(Instant, Change)>,
}

/// Changes and when each was reported.
pub(crate) type Expected = mpsc::UnboundedReceiver<(Instant, Change)>;

impl Echoes {
    pub(crate) fn new() -> (Self, Expected) {
        let (changes, expected) = mpsc::unbounded_channel();
        (Self { heard: Arc::default(), last: Arc::default(), changes }, expected)
    }

    /// A member was heard to have these roles, or to be none.
    pub(crate) fn heard(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        roles: Option<BTreeSet<RoleId>>,
    ) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert((guild, user), Instant::now(), roles);
    }

    pub(crate) fn expect(&self, change: Change) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert((change.guild, change.user), change.position);
        // Where nobody waits any more, the process is ending.
        let _ = self.changes.send((Instant::now(), change));
    }

    /// Forgets a change; answers whether no other has followed it.
    fn is_last(&self, change: &Change) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (change.guild, change.user);
        let newest = last.get(&key) == Some(&change.position);
        if newest {
            last.remove(&key);
        }
        newest
    }

    /// The roles that a member was last heard to have.
    pub(crate) fn last_heard(
        &self,
        guild: GuildId,
        user: DiscordUserId,
    ) -> Option<BTreeSet<RoleId>> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.members.get(&(guild, user)).and_then(|(_, roles)| roles.clone())
    }

    fn was_heard(&self, change: &Change) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let last = heard.members.get(&(change.guild, change.user));
        last.is_some_and(|(at, roles)| *at >= change.began && change.shows(roles.as_ref()))
    }

    /// Gives every change `patience` to be heard, and reads those members of whom it was not.
    pub(crate) async fn run(self, looks: Looks, expected: Expected, patience: Duration) {
        // They come in the order in which they are due, so each waits for itself alone.
        let due = futures_util::stream::unfold(expected, async |mut expected| {
            let (reported, change) = expected.recv().await?;
            sleep_until(reported + patience).await;
            Some((change, expected))
        });
        due.for_each_concurrent(TOGETHER, async |change| {
            if self.is_last(&change) && !self.was_heard(&change) {
                let Change { guild, user, position, .. } = change;
                // What cannot be read now is found by the next comparison.
                let _ = looks.look(guild, user, position, |seen| change.left_of(seen)).await;
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: RoleId = RoleId(10);
    const GOLD: RoleId = RoleId(11);
    const CLUB: GuildId = GuildId(1);
    const ADA: DiscordUserId = DiscordUserId(7);

    fn change(given: &[RoleId], took: Took) -> Change {
        let present = Some(!took.member);
        let given = Some(given.iter().copied().collect());
        Change {
            guild: CLUB,
            user: ADA,
            observed: Observed { present, given, ..Observed::default() },
            took,
            began: Instant::now(),
            joined: DateTime::from_timestamp(1_800_000_000, 0),
            position: 1,
        }
    }

    fn seen(joined: i64, roles: &[RoleId]) -> Seen {
        let joined_at = DateTime::from_timestamp(1_800_000_000 + joined, 0);
        Seen { joined_at, roles: roles.to_vec() }
    }

    #[test]
    fn a_change_is_heard_where_what_is_told_shows_all_of_it() {
        let (echoes, _) = Echoes::new();
        let given = change(&[VIP], Took::default());
        assert!(!echoes.was_heard(&given), "nothing was told");
        echoes.heard(CLUB, ADA, Some([GOLD].into()));
        assert!(!echoes.was_heard(&given));
        echoes.heard(CLUB, ADA, Some([GOLD, VIP].into()));
        assert!(echoes.was_heard(&given));
        let swapped = change(&[VIP], Took { roles: [GOLD].into(), member: false });
        assert!(!echoes.was_heard(&swapped), "told before it began, and not all of it");
        let removed = change(&[], Took { roles: [VIP].into(), member: true });
        echoes.heard(CLUB, ADA, Some([].into()));
        assert!(!echoes.was_heard(&removed));
        echoes.heard(CLUB, ADA, None);
        assert!(echoes.was_heard(&removed));
    }

    #[test]
    fn what_was_heard_long_ago_is_forgotten() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        for n in 0..MANY as u64 {
            heard.insert((CLUB, DiscordUserId(n)), now, None);
        }
        heard.insert((CLUB, ADA), now + KEPT, None);
        assert_eq!(heard.members.len(), 1);
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
