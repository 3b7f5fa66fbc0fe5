//! Discord's limits in scaled time, and the least time that they allow.

use std::time::Duration;

use discord_sandbox::{Limit, Limits};

use crate::field::Club;

/// How many times shorter windows are where the fans fall into many servers. With more, the machine becomes the limit.
pub(crate) const SCALE: u64 = 5;

/// And where all of them are in one, whose windows follow each other: what the machine takes for each adds up.
pub(crate) const SCALE_OF_ONE: u64 = 50;

/// 50 a second, in time that is `SCALE` times faster. A second stays a second, as the bot counts it.
pub(crate) const CALLS_PER_SECOND: u32 = 250;

fn scaled(by: u64) -> Limits {
    let window = Limit { calls: 10, per_ms: 10_000 / by };
    Limits {
        member_roles: window,
        members: window,
        global: Limit { calls: CALLS_PER_SECOND, per_ms: 1_000 },
        ..Limits::default()
    }
}

pub(crate) fn many_servers() -> Limits {
    scaled(SCALE)
}

pub(crate) fn one_server() -> Limits {
    scaled(SCALE_OF_ONE)
}

/// After this without calls every window is new.
pub(crate) fn window(limits: &Limits) -> Duration {
    Duration::from_millis(
        limits.members.per_ms.max(limits.member_roles.per_ms).max(limits.global.per_ms),
    )
}

/// What a scenario takes at least.
pub(crate) struct Least {
    pub(crate) fans: usize,
    pub(crate) calls: usize,
    pub(crate) time: Duration,
}

/// Calls beyond the first window wait for the windows before theirs to end.
fn least(calls: usize, limit: Limit) -> Duration {
    let windows = calls.div_ceil(limit.calls as usize).saturating_sub(1);
    Duration::from_millis(limit.per_ms) * u32::try_from(windows).unwrap()
}

impl Least {
    /// Each fan is brought in and given one role: two calls, in a bucket each.
    pub(crate) fn of_grants(clubs: &[Club], limits: &Limits) -> Self {
        Self::of(clubs, 2, limits)
    }

    /// Each fan is removed from the server, and the role with them: one call.
    pub(crate) fn of_removals(clubs: &[Club], limits: &Limits) -> Self {
        Self::of(clubs, 1, limits)
    }

    fn of(clubs: &[Club], each: usize, limits: &Limits) -> Self {
        let fans = clubs.iter().map(|club| club.fans.len()).sum();
        let largest = clubs.iter().map(|club| club.fans.len()).max().unwrap_or_default();
        let in_one = least(largest, limits.members).max(least(largest, limits.member_roles));
        let calls = fans * each;
        Self { fans, calls, time: in_one.max(least(calls, limits.global)) }
    }
}
