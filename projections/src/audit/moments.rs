//! Finding what lasted at a moment, without looking at everything that ever began before it.
//!
//! An interval is filed under the roundest moment within it: the one that most powers of two divide. Whatever holds a
//! moment is filed under one of the moments that halving the whole of time goes through on its way there, one for each
//! power of two: few places to look in, however many intervals there are. (A relational interval tree, after Kriegel,
//! Pötke and Seidl.)

use chrono::{DateTime, Utc};

/// Microseconds since 1970, and nothing before.
pub(super) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros().max(0)
}

/// Where an interval from `began` until just before `ended` is filed; `None` where it holds no moment.
pub(super) fn fork(began: i64, ended: i64) -> Option<i64> {
    let last = ended - 1;
    if began > last {
        return None;
    }
    // Its last moment has a one where it first differs from the moment before it; no moment within is rounder than
    // the one that has nothing after that.
    let differ = ((began - 1) ^ last).checked_ilog2();
    Some(differ.map_or(0, |bit| (last >> bit) << bit))
}

/// The moments under which everything that holds `at` is filed.
pub(super) fn path(at: i64) -> Vec<i64> {
    let way = (0..i64::BITS - 1).map(|bit| ((at >> bit) | 1) << bit);
    [0].into_iter().chain(way).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_holds_a_moment_is_filed_on_the_way_to_it(began in 0i64..5_000, lasts in 1i64..5_000, offset in 0i64..5_000) {
            let ended = began + lasts;
            let fork = fork(began, ended).unwrap();
            prop_assert!((began..ended).contains(&fork));
            let at = began + offset % lasts;
            prop_assert!(path(at).contains(&fork), "{began}..{ended} is filed under {fork}, not on the way to {at}");
        }

        #[test]
        fn the_way_is_short_whatever_the_time(at in 0i64..i64::MAX) {
            prop_assert!(path(at).len() <= 64);
        }
    }

    #[test]
    fn what_ends_as_it_begins_holds_no_moment() {
        assert_eq!(fork(7, 7), None);
        assert_eq!(fork(9, 7), None);
    }
}
