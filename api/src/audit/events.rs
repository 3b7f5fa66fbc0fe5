//! The log, decoded, with a sentence for each event; found by whom and what it names, and by its time.

use chrono::{DateTime, Utc};
use domain::Event;
use eventstore::{Envelope, Position, Store};
use projections::{
    Audit,
    audit::{Direction, Wanted},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AuditError, names::Names, words::sentence};

/// An event as auditors see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RecordedEvent)]
pub(crate) struct Told {
    pub(crate) position: u64,
    pub(crate) id: Uuid,
    pub(crate) r#type: String,
    pub(crate) stream: String,
    /// Its place in the stream, from 1.
    pub(crate) version: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
    /// Ties together what followed from one request.
    pub(crate) correlation: Uuid,
    /// What happened, in plain words.
    pub(crate) sentence: String,
    #[schema(value_type = Object)]
    pub(crate) data: Value,
    /// For pages, which link to whom it names.
    #[serde(skip)]
    pub(crate) event: Event,
}

impl Told {
    fn of(envelope: Envelope, names: &Names) -> Self {
        let data = serde_json::to_value(&envelope.event).map(|mut json| json["data"].take());
        Self {
            position: envelope.position.0,
            id: envelope.id,
            r#type: envelope.kind.to_string(),
            stream: envelope.stream.to_string(),
            version: envelope.version,
            at: envelope.metadata.at,
            actor: envelope.metadata.actor.to_string(),
            correlation: envelope.metadata.correlation,
            sentence: sentence(&envelope.event, names),
            data: data.unwrap_or_default(),
            event: envelope.event,
        }
    }
}

/// At most `limit` events that are wanted, in the direction's order.
pub(crate) async fn events(
    store: &Store,
    audit: &Audit,
    wanted: &Wanted,
    mut from: Direction,
    limit: usize,
) -> Result<Vec<Told>, AuditError> {
    let mut envelopes: Vec<Envelope> = vec![];
    while envelopes.len() < limit {
        let found = audit.find(wanted, from, limit - envelopes.len()).await?;
        let Some(last) = found.last().copied() else { break };
        let mut read = store.decode(store.log().read_at(&found).await?).await?;
        from = match from {
            Direction::After(_) => Direction::After(last),
            Direction::Before(_) => {
                read.reverse();
                Direction::Before(last)
            }
        };
        envelopes.extend(read.into_iter().filter(|envelope| {
            let at = envelope.metadata.at;
            wanted.from.is_none_or(|from| at >= from) && wanted.to.is_none_or(|to| at < to)
        }));
    }
    let names = Names::of(store, audit, &envelopes).await?;
    Ok(envelopes.into_iter().map(|envelope| Told::of(envelope, &names)).collect())
}

/// One event; `None` where the log does not go that far.
pub(crate) async fn event(
    store: &Store,
    audit: &Audit,
    position: Position,
) -> Result<Option<Told>, AuditError> {
    let envelopes = store.decode(store.log().read_at(&[position]).await?).await?;
    let names = Names::of(store, audit, &envelopes).await?;
    Ok(envelopes.into_iter().next().map(|envelope| Told::of(envelope, &names)))
}
