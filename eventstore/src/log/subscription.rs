//! Following the log: every event once, in order, whatever happens between.

use std::sync::Arc;

use super::{Log, Recorded};
use crate::{error::StoreError, metadata::Position};

/// The most events that are handed over at once; fewer where they are large.
const READ: usize = 4_096;

/// A reader that keeps nothing but its position.
pub struct Subscription {
    log: Log,
    last: Position,
}

impl Subscription {
    pub(super) fn new(log: Log, last: Position) -> Self {
        Self { log, last }
    }

    /// The next events; waits until there are some. Dropping the wait loses nothing.
    pub async fn next(&mut self) -> Result<Vec<Arc<Recorded>>, StoreError> {
        loop {
            let mut head = self.log.watch();
            let seen = *head.borrow_and_update();
            if seen > self.last {
                let events = self.log.read_after(self.last, READ).await?;
                self.advance(&events)?;
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            head.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    /// Positions are gapless, so a skip is a defect and never a reason to guess.
    fn advance(&mut self, events: &[Arc<Recorded>]) -> Result<(), StoreError> {
        for event in events {
            if event.position.0 != self.last.0 + 1 {
                return Err(StoreError::Gap { last: self.last.0, next: event.position.0 });
            }
            self.last = event.position;
        }
        Ok(())
    }
}
