//! Who calls next, told as stories.

use super::{token::TOKEN_PAUSE, *};
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
