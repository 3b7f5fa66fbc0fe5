//! The calls that Discord allows to one token, divided among the processes that use it.
//!
//! Every process asks for a share and has it for a while. The Hub gives no more than there is: what one process is to
//! give up is another's only once it has said that its last second no longer shows it, or its share has ended.
//! So the sum never exceeds the token's limit, and no call has to ask.

use chrono::TimeDelta;
use eventstore::shares::Share as Held;

use super::{Desk, DeskError};
use crate::{
    pacing::REFUSALS,
    wire::{Share, ShareRequest},
};

/// How long a share lasts without being asked for again.
const LASTS: TimeDelta = TimeDelta::seconds(15);

/// Processes keep a tenth of all calls ready beyond what they want, to begin without asking; one alone that has nothing
/// to do keeps half.
const KEPT: u32 = 10;

/// How the calls of the bot's token stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Calls a second, of all processes together.
    pub total: u32,
    /// What each process may use of them.
    pub shares: Vec<Held>,
    /// Calls that Discord has refused within ten minutes.
    pub refused: u64,
    /// So many refusals, and nothing more is called.
    pub most_refused: u32,
}

impl Desk {
    /// How the calls are divided, and how many were refused.
    pub async fn budget(&self) -> Result<Budget, DeskError> {
        let (now, shares) = (self.now(), self.store.shares());
        Ok(Budget {
            total: self.calls_per_second,
            shares: shares.held(now).await?,
            refused: shares.count_refused(0, now).await?,
            most_refused: REFUSALS,
        })
    }

    /// Answers a process what it may use from now on.
    pub async fn share(&self, bot: &str, request: &ShareRequest) -> Result<Share, DeskError> {
        let (now, total) = (self.now(), self.calls_per_second);
        let refused = self.store.shares().count_refused(request.refused, now).await?;
        let stop = refused >= u64::from(REFUSALS);
        if stop && request.refused > 0 {
            tracing::error!(
                refused,
                "Discord has refused so many calls within ten minutes that it may block this address; nothing is called until fewer count"
            );
        }
        let mut given = 0;
        let divide = |held: &[Held]| {
            let (share, record) = divide(total, held, bot, request);
            given = if stop { 0 } else { share };
            record
        };
        self.store.shares().exchange(bot, request.wanted, now, LASTS, divide).await?;
        let for_seconds = LASTS.num_seconds().try_into().unwrap_or_default();
        Ok(Share { calls_per_second: given, for_seconds })
    }
}

/// What `holder` is given, and what is to be recorded as in its hands until it asks again.
fn divide(total: u32, held: &[Held], holder: &str, request: &ShareRequest) -> (u32, u32) {
    let own = held.iter().find(|share| share.holder == holder);
    let others: Vec<&Held> = held.iter().filter(|share| share.holder != holder).collect();
    let taken: u32 = others.iter().map(|share| share.calls).sum();
    let mut given = target(total, holder, request.wanted, &others).min(total.saturating_sub(taken));
    if own.is_none_or(|own| own.wanted == 0) {
        // What gives it work may have given the others some, too. What they don't ask for is its own the next time.
        given = given.min(total.div_ceil(processes(&others)));
    }
    // It may go on with what it has until it hears of less, and says so.
    (given, given.max(request.using.min(own.map_or(0, |own| own.calls))))
}

/// How many there are with one more.
fn processes(others: &[&Held]) -> u32 {
    u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1)
}

/// What a process should have beside the others: an even part, and beyond it whatever they don't want.
fn target(total: u32, holder: &str, wanted: u32, others: &[&Held]) -> u32 {
    let processes = processes(others);
    if processes == 1 {
        return if wanted == 0 { (total / 2).max(1) } else { total };
    }
    let ready = (total / KEPT / processes).max(1);
    let wants = |wanted: u32| if wanted == 0 { 0 } else { wanted.saturating_add(ready) };
    if wanted == 0 {
        let wanted =
            others.iter().fold(0, |sum: u32, other| sum.saturating_add(wants(other.wanted)));
        return ready.min(total.saturating_sub(wanted));
    }
    let mut greedy: Vec<(u32, &str)> = others
        .iter()
        .filter(|other| other.wanted > 0)
        .map(|other| (wants(other.wanted), other.holder.as_str()))
        .chain([(wants(wanted), holder)])
        .collect();
    greedy.sort_unstable();
    let mut left = total;
    // Those that want less than an even part leave the rest to the others.
    while let Some((modest, who)) = greedy.first().copied() {
        let among = u32::try_from(greedy.len()).unwrap_or(u32::MAX);
        if modest > left / among {
            break;
        }
        if who == holder {
            return modest;
        }
        left -= modest;
        greedy.remove(0);
    }
    let among = u32::try_from(greedy.len()).unwrap_or(u32::MAX).max(1);
    // What does not divide evenly goes to the first of them.
    let before = greedy.iter().filter(|(_, who)| *who < holder).count();
    left / among + u32::from(u32::try_from(before).unwrap_or(u32::MAX) < left % among)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TOTAL: u32 = 50;

    /// Processes that ask in turn, as the Hub and they remember it.
    #[derive(Default)]
    struct Field {
        held: BTreeMap<String, Held>,
        /// What each uses in fact.
        using: BTreeMap<String, u32>,
    }

    impl Field {
        /// Asks; `used`: calls of its last second.
        fn asks(&mut self, who: &str, wanted: u32, used: u32) -> u32 {
            let using = self.using.get(who).copied().unwrap_or_default().max(used);
            let request = ShareRequest { bot: who.to_owned(), using, wanted, refused: 0 };
            let held: Vec<Held> = self.held.values().cloned().collect();
            let (given, calls) = divide(TOTAL, &held, who, &request);
            self.held.insert(who.to_owned(), Held { holder: who.to_owned(), calls, wanted });
            self.using.insert(who.to_owned(), given);
            let recorded: u32 = self.held.values().map(|share| share.calls).sum();
            assert!(recorded <= TOTAL, "{:?}", self.held);
            given
        }
    }

    #[test]
    fn one_process_alone_has_everything() {
        let mut field = Field::default();
        assert_eq!(field.asks("a", 0, 0), 25);
        assert_eq!(field.asks("a", 3, 0), 50);
    }

    #[test]
    fn one_that_joins_has_its_part_once_the_other_has_given_it_up() {
        let mut field = Field::default();
        assert_eq!(field.asks("a", 500, 0), 50);
        assert_eq!(field.asks("b", 500, 0), 0);
        assert_eq!(field.asks("a", 500, 50), 25);
        assert_eq!(field.asks("b", 500, 0), 0, "the other's last second still shows 50");
        assert_eq!(field.asks("a", 500, 50), 25);
        assert_eq!(field.asks("b", 500, 0), 0);
        assert_eq!(field.asks("a", 500, 25), 25);
        assert_eq!(field.asks("b", 500, 0), 25);
    }

    #[test]
    fn who_has_all_the_work_has_all_the_calls() {
        let mut field = Field::default();
        for _ in 0..3 {
            for idle in ["a", "b", "c"] {
                field.asks(idle, 0, 0);
            }
            field.asks("d", 500, 0);
        }
        assert_eq!(field.using["d"], 50);
        assert_eq!((field.asks("a", 500, 0), field.asks("d", 500, 50)), (0, 25));
        assert_eq!((field.asks("d", 500, 25), field.asks("a", 500, 0)), (25, 25));
    }

    #[test]
    fn work_that_comes_to_all_at_once_is_divided_at_once() {
        let mut field = Field::default();
        let all = ["a", "b", "c", "d"];
        for _ in 0..2 {
            for idle in all {
                field.asks(idle, 0, 0);
            }
        }
        assert_eq!(all.map(|who| field.asks(who, 500, 0)), [13, 13, 13, 11]);
    }

    #[test]
    fn what_one_does_not_want_is_the_others() {
        let mut field = Field::default();
        for _ in 0..3 {
            field.asks("a", 500, 0);
            field.asks("b", 500, 0);
            field.asks("c", 10, 0);
        }
        // It keeps one more ready.
        assert_eq!((field.using["a"], field.using["b"], field.using["c"]), (20, 19, 11));
    }

    #[test]
    fn even_parts_leave_nothing_over() {
        let mut field = Field::default();
        for _ in 0..3 {
            for who in ["a", "b", "c", "d"] {
                field.asks(who, 500, 0);
            }
        }
        let parts: Vec<u32> = field.using.values().copied().collect();
        assert_eq!(parts, [13, 13, 12, 12]);
    }

    #[test]
    fn the_sum_never_exceeds_the_limit_whatever_is_asked() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut field = Field::default();
        for _ in 0..20_000 {
            let who = format!("p{}", random(70));
            let wanted = if random(2) == 0 { 0 } else { u32::try_from(random(200)).unwrap() };
            let used = field.using.get(&who).copied().unwrap_or_default();
            if random(50) == 0 {
                // It dies, and its share ends.
                field.held.remove(&who);
                field.using.remove(&who);
            } else {
                field.asks(&who, wanted, used);
            }
            assert!(field.using.values().sum::<u32>() <= TOTAL);
        }
    }
}
