//! How much of the log is handed over at once: so many events, and so many bytes.

use std::sync::Arc;

use super::Recorded;

/// The most event data, in bytes. One event is handed over however large it is.
pub(super) const PART_BYTES: usize = 4 << 20;

/// Events that are handed over together.
pub(super) struct Part {
    pub(super) events: Vec<Arc<Recorded>>,
    limit: usize,
    /// How much data they carry.
    bytes: usize,
}

impl Part {
    pub(super) fn of(limit: usize) -> Self {
        Self { events: vec![], limit, bytes: 0 }
    }

    /// Takes an event, where there is room for it.
    pub(super) fn takes(&mut self, event: &Arc<Recorded>) -> bool {
        let bytes = self.bytes + event.data.len();
        let has_room =
            self.events.len() < self.limit && (bytes <= PART_BYTES || self.events.is_empty());
        if has_room {
            self.bytes = bytes;
            self.events.push(Arc::clone(event));
        }
        has_room
    }
}
