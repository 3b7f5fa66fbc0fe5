//! Deciding: read, fold, decide, append; again from the start where somebody was faster.

use std::{any::Any, collections::BTreeMap, convert::Infallible, error::Error, sync::Arc};

use domain::{Decider, Event, StreamName};

use crate::{
    error::StoreError,
    log::{Append, AppendError, AppendKey, NewEvent, Write},
    metadata::{Metadata, Position},
    store::Store,
    to_its_end::ToItsEnd,
};

/// How often a decision is made anew before whoever asked is told to come again.
const ATTEMPTS: u32 = 16;

/// What a decision came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The last event's position; the log's head where there was nothing to append.
    pub position: Position,
    pub appended: bool,
    /// The idempotency key was known: nothing was appended now.
    pub replayed: bool,
}

/// Whether a decision still stands.
pub type Committed = Option<Decided>;

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum HandleError<R: Error> {
    #[error(transparent)]
    Refused(R),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<HandleError<Infallible>> for StoreError {
    fn from(error: HandleError<Infallible>) -> Self {
        match error {
            HandleError::Store(error) => error,
            HandleError::Refused(never) => match never {},
        }
    }
}

/// Counts how often a decision was made in vain.
#[derive(Debug, Default)]
pub struct Attempts(u32);

/// A stream as the decision sees it: what is stored, and what the decision adds.
struct Touched {
    expected: u64,
    events: Vec<Event>,
    state: Arc<dyn Any + Send + Sync>,
}

/// Commands for one or several streams whose events are appended together, or not at all.
pub struct Decision {
    store: Store,
    metadata: Metadata,
    key: Option<AppendKey>,
    streams: BTreeMap<StreamName, Touched>,
    /// The order in which streams were first written to; their events follow it in the log.
    order: Vec<StreamName>,
}

impl Decision {
    pub(crate) fn new(store: Store, metadata: Metadata, key: Option<AppendKey>) -> Self {
        Self { store, metadata, key, streams: BTreeMap::new(), order: vec![] }
    }

    /// A stream's state, with what this decision has added to it.
    pub async fn load<D: Decider>(&mut self, stream: &StreamName) -> Result<D::State, StoreError> {
        if let Some(state) =
            self.streams.get(stream).and_then(|touched| touched.state.downcast_ref::<D::State>())
        {
            return Ok(state.clone());
        }
        let loaded = self.store.load::<D>(stream).await?;
        let touched = Touched {
            expected: loaded.version,
            events: vec![],
            state: Arc::new(loaded.state.clone()),
        };
        self.streams.insert(stream.clone(), touched);
        Ok(loaded.state)
    }

    /// Decides on a command and keeps its events for the commit.
    pub async fn handle<D: Decider>(
        &mut self,
        stream: &StreamName,
        command: D::Command,
    ) -> Result<Vec<D::Event>, HandleError<D::Refusal>> {
        let mut state = self.load::<D>(stream).await?;
        let events = D::decide(&state, command).map_err(HandleError::Refused)?;
        if events.is_empty() {
            return Ok(events);
        }
        for event in &events {
            D::evolve(&mut state, event);
        }
        if let Some(touched) = self.streams.get_mut(stream) {
            touched.state = Arc::new(state);
            if touched.events.is_empty() {
                self.order.push(stream.clone());
            }
            touched.events.extend(events.iter().cloned().map(Into::into));
        }
        Ok(events)
    }

    /// The version that a stream will have once this is committed.
    pub fn version(&self, stream: &StreamName) -> u64 {
        self.streams.get(stream).map_or(0, |touched| touched.expected + touched.events.len() as u64)
    }

    /// Stores an answer in the same commit, for whoever repeats the request under its idempotency key.
    pub fn answer(&mut self, answer: Vec<u8>) {
        if let Some(key) = &mut self.key {
            key.answer = Some(answer);
        }
    }

    /// Appends what was decided. `None` where a stream has moved on: the decision must be made anew.
    pub async fn commit(self, attempts: &mut Attempts) -> Result<Committed, StoreError> {
        let Self { store, metadata, key, mut streams, order } = self;
        if order.is_empty() && key.is_none() {
            return Ok(Some(Decided {
                position: store.log().head(),
                appended: false,
                replayed: false,
            }));
        }
        let (mut writes, mut states) = (vec![], vec![]);
        for stream in order {
            let Some(Touched { expected, events, state }) = streams.remove(&stream) else {
                continue;
            };
            let mut new = Vec::with_capacity(events.len());
            for mut event in events {
                store.vault().seal_event(&mut event).await?;
                let encoded = event.encode().map_err(StoreError::Encode)?;
                new.push(NewEvent {
                    kind: encoded.kind.into(),
                    schema: encoded.schema,
                    data: encoded.data.into(),
                });
            }
            states.push((stream.clone(), expected + new.len() as u64, state));
            writes.push(Write { stream, expected, events: new });
        }
        let appended = !writes.is_empty();
        // A decision stands on everything that it read, so what was only read must not have moved either.
        writes.extend(streams.into_iter().map(|(stream, read)| Write {
            stream,
            expected: read.expected,
            events: vec![],
        }));
        let appending = async move {
            match store.log().append(Append { writes, metadata, key }).await {
                Ok(done) => {
                    if !done.replayed {
                        for (stream, version, state) in states {
                            store.remember(stream, version, state);
                        }
                    }
                    let (position, replayed) = (done.last, done.replayed);
                    Ok(Some(Decided { position, appended: appended && !replayed, replayed }))
                }
                Err(AppendError::Conflict { stream }) => {
                    store.forget(&stream);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        // What is remembered must follow the log, also where whoever asked has gone meanwhile.
        let committed = ToItsEnd::new(appending).await?;
        if committed.is_none() {
            attempts.0 += 1;
            if attempts.0 == ATTEMPTS {
                return Err(AppendError::Overloaded.into());
            }
        }
        Ok(committed)
    }
}
