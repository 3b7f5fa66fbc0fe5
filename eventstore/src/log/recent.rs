//! The newest events in memory: whoever follows the log live reads no SQL.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Recorded, part::Part};
use crate::metadata::Position;

/// How many events are kept.
const KEPT: usize = 16_384;

/// How much event data is kept, in bytes: a server's list of roles may have 30 KB.
const KEPT_BYTES: usize = 32 << 20;

#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    events: VecDeque<Arc<Recorded>>,
    /// How much data they carry.
    bytes: usize,
}

impl Recent {
    /// Adds events that follow on what is kept.
    pub(super) fn extend(&self, events: impl IntoIterator<Item = Arc<Recorded>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { events: all, bytes } = &mut *kept;
        all.extend(events.into_iter().inspect(|event| *bytes += event.data.len()));
    }

    /// Lets the oldest go.
    pub(super) fn trim(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.events.len() > KEPT || kept.bytes > KEPT_BYTES {
            let Some(oldest) = kept.events.pop_front() else { return };
            kept.bytes -= oldest.data.len();
        }
    }

    /// The events after a position, as many as are handed over at once; `None` where that lies before what is kept.
    pub(super) fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.events.front()?.position.0;
        let skip = usize::try_from(after.0.saturating_add(1).checked_sub(first)?).ok()?;
        let mut part = Part::of(limit);
        for event in kept.events.iter().skip(skip) {
            if !part.takes(event) {
                break;
            }
        }
        Some(part.events)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::StreamName;
    use uuid::Uuid;

    use super::{super::part::PART_BYTES, *};
    use crate::metadata::{Actor, Metadata};

    fn event(position: u64) -> Arc<Recorded> {
        carrying(position, "{}")
    }

    fn carrying(position: u64, data: &str) -> Arc<Recorded> {
        Arc::new(Recorded {
            position: Position(position),
            id: Uuid::nil(),
            stream: StreamName::new("test", 1),
            version: position,
            kind: "Tested".into(),
            schema: 1,
            data: data.into(),
            metadata: Metadata {
                at: DateTime::UNIX_EPOCH,
                actor: Actor::Hub,
                correlation: Uuid::nil(),
            },
        })
    }

    fn positions(recent: &Recent, after: u64, limit: usize) -> Option<Vec<u64>> {
        Some(recent.after(Position(after), limit)?.iter().map(|event| event.position.0).collect())
    }

    #[test]
    fn it_answers_only_for_what_it_has_whole() {
        let recent = Recent::default();
        assert_eq!(positions(&recent, 0, 10), None);
        recent.extend((5..=8).map(event));
        assert_eq!(positions(&recent, 3, 10), None, "4 is not kept");
        assert_eq!(positions(&recent, 4, 10), Some(vec![5, 6, 7, 8]));
        assert_eq!(positions(&recent, 6, 1), Some(vec![7]));
        assert_eq!(positions(&recent, 8, 10), Some(vec![]));
    }

    #[test]
    fn it_forgets_the_oldest_first() {
        let recent = Recent::default();
        recent.extend((1..=u64::try_from(KEPT).unwrap() + 10).map(event));
        recent.trim();
        assert_eq!(positions(&recent, 9, 1), None);
        assert_eq!(positions(&recent, 10, 1), Some(vec![11]));
    }

    #[test]
    fn large_events_are_kept_and_handed_over_by_their_bytes() {
        let recent = Recent::default();
        let roles = "x".repeat(30_000);
        recent.extend((1..=2_000).map(|position| carrying(position, &roles)));
        recent.trim();
        let kept = recent.0.lock().unwrap();
        let (count, bytes) = (kept.events.len(), kept.bytes);
        drop(kept);
        assert_eq!(bytes, count * roles.len());
        assert_eq!(count, KEPT_BYTES / roles.len(), "as many as there is room for");

        let all = 2_000 - u64::try_from(count).unwrap();
        assert_eq!(positions(&recent, all - 1, 1), None, "what went is read from the disk");
        let part = positions(&recent, all, 4_096).unwrap();
        assert_eq!(part.first(), Some(&(all + 1)));
        assert_eq!(part.len(), PART_BYTES / roles.len());
    }

    #[test]
    fn an_event_that_is_larger_than_a_part_is_handed_over_alone() {
        let recent = Recent::default();
        let huge = "x".repeat(PART_BYTES + 1);
        recent.extend((1..=2).map(|position| carrying(position, &huge)));
        assert_eq!(positions(&recent, 0, 10), Some(vec![1]));
        assert_eq!(positions(&recent, 1, 10), Some(vec![2]));
    }
}
