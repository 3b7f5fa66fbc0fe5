//! The newest events in memory: whoever follows the log live reads no SQL.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::Recorded;
use crate::metadata::Position;

/// How many events are kept.
const KEPT: usize = 16_384;

#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Recorded>>>);

impl Recent {
    /// Adds events that follow on what is kept.
    pub(super) fn extend(&self, events: impl IntoIterator<Item = Arc<Recorded>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
    }

    /// Lets the oldest go.
    pub(super) fn trim(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = kept.len().saturating_sub(KEPT);
        kept.drain(..old);
    }

    /// The events after a position; `None` where that lies before what is kept.
    pub(super) fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.front()?.position.0;
        let skip = usize::try_from(after.0.saturating_add(1).checked_sub(first)?).ok()?;
        Some(kept.iter().skip(skip).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::StreamName;
    use uuid::Uuid;

    use super::*;
    use crate::metadata::{Actor, Metadata};

    fn event(position: u64) -> Arc<Recorded> {
        Arc::new(Recorded {
            position: Position(position),
            id: Uuid::nil(),
            stream: StreamName::new("test", 1),
            version: position,
            kind: "Tested".into(),
            schema: 1,
            data: "{}".into(),
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
}
