//! The log, decoded, for auditors.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    CreatorId, Event, FanId, IntegrationId, account::Event as AccountEvent,
    guild::Event as GuildEvent, integration::Event as IntegrationEvent, tier::Event as TierEvent,
};
use eventstore::{Envelope, Position};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    error::ApiError,
    extract::{Fields, FromFields, Query},
    paging::{Page, Paging},
};

/// The most events that one request looks through; the next page goes on from there.
const SCAN: u64 = 20_000;

/// How many events are read at once.
const READ: usize = 1_000;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    #[param(value_type = Option<String>)]
    fan: Option<FanId>,
    #[param(value_type = Option<String>)]
    creator: Option<CreatorId>,
    #[param(value_type = Option<String>)]
    integration: Option<IntegrationId>,
    /// An event's name, for example `FanLinked`.
    r#type: Option<String>,
    /// Not before this time.
    from: Option<DateTime<Utc>>,
    /// Before this time.
    to: Option<DateTime<Utc>>,
    /// After this log position.
    after: Option<u64>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for EventsQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (fan, creator, integration) =
            (fields.optional("fan"), fields.optional("creator"), fields.optional("integration"));
        let (kind, from, to) =
            (fields.optional("type"), fields.optional("from"), fields.optional("to"));
        let (after, paging) = (fields.optional("after"), Paging::from_fields(fields));
        Some(Self {
            fan: fan?,
            creator: creator?,
            integration: integration?,
            r#type: kind?,
            from: from?,
            to: to?,
            after: after?,
            paging: paging?,
        })
    }
}

impl EventsQuery {
    fn matches(&self, envelope: &Envelope) -> bool {
        let about = About::of(&envelope.event);
        let at = envelope.metadata.at;
        self.fan.as_ref().is_none_or(|fan| about.fan == Some(fan))
            && self.creator.as_ref().is_none_or(|creator| about.creator == Some(creator))
            && self.integration.is_none_or(|integration| about.integration == Some(integration))
            && self.r#type.as_ref().is_none_or(|kind| *kind == envelope.kind)
            && self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
    }
}

/// Whom and what an event names.
#[derive(Default)]
struct About<'a> {
    fan: Option<&'a FanId>,
    creator: Option<&'a CreatorId>,
    integration: Option<IntegrationId>,
}

impl<'a> About<'a> {
    fn of(event: &'a Event) -> Self {
        match event {
            Event::Tier(
                TierEvent::TierRegistered { creator, .. } | TierEvent::TierRenamed { creator, .. },
            ) => Self { creator: Some(creator), ..Self::default() },
            Event::Membership(event) => {
                let terms = event.terms();
                Self { fan: Some(&terms.fan), creator: Some(&terms.creator), integration: None }
            }
            Event::Integration(event) => {
                let creator = if let IntegrationEvent::IntegrationCreated { creator, .. } = event {
                    Some(creator)
                } else {
                    None
                };
                Self { creator, integration: Some(event.integration()), fan: None }
            }
            Event::Guild(
                GuildEvent::GuildReserved { creator, integration, .. }
                | GuildEvent::GuildReleased { creator, integration, .. },
            ) => Self { creator: Some(creator), integration: Some(*integration), fan: None },
            Event::Fan(event) => Self { fan: Some(event.fan()), ..Self::default() },
            Event::DiscordAccount(
                AccountEvent::AccountReserved { fan, .. }
                | AccountEvent::AccountReleased { fan, .. },
            ) => Self { fan: Some(fan), ..Self::default() },
            Event::Access(event) => Self { fan: Some(&event.holder().fan), ..Self::default() },
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RecordedEvent {
    position: u64,
    id: Uuid,
    r#type: String,
    stream: String,
    /// Its place in the stream, from 1.
    version: u64,
    at: DateTime<Utc>,
    actor: String,
    /// Ties together what followed from one request.
    correlation: Uuid,
    #[schema(value_type = Object)]
    data: Value,
}

impl RecordedEvent {
    fn of(envelope: Envelope) -> Self {
        let data = serde_json::to_value(&envelope.event).map(|mut json| json["data"].take());
        Self {
            position: envelope.position.0,
            id: envelope.id,
            r#type: envelope.kind,
            stream: envelope.stream.to_string(),
            version: envelope.version,
            at: envelope.metadata.at,
            actor: envelope.metadata.actor.to_string(),
            correlation: envelope.metadata.correlation,
            data: data.unwrap_or_default(),
        }
    }
}

/// The log
///
/// Oldest first. A page may have fewer events than asked for, even none, and still a `next_cursor`: the log is
/// looked through in parts.
#[utoipa::path(get, path = "/v1/audit/events", tag = "Auditor", operation_id = "list_events", params(EventsQuery, Paging),
    responses((status = 200, description = "In log order", body = Page<RecordedEvent>)))]
pub(crate) async fn events(
    State(app): AppState,
    caller: Caller,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Page<RecordedEvent>>, ApiError> {
    caller.auditor()?;
    let cursor: Option<Position> = query.paging.after()?;
    let start = cursor.unwrap_or(Position(query.after.unwrap_or_default()));
    let (mut last, mut found) = (start, vec![]);
    let wanted = usize::try_from(query.paging.fetch()).unwrap_or(usize::MAX);
    let mut ended = false;
    while found.len() < wanted && last.0 - start.0 < SCAN && !ended {
        let read = app.store.log().read_after(last, READ).await?;
        ended = read.len() < READ;
        for envelope in app.store.decode(read).await? {
            last = envelope.position;
            if query.matches(&envelope) {
                found.push(envelope);
                if found.len() == wanted {
                    break;
                }
            }
        }
    }
    let full = found.len() == wanted;
    let (found, next_cursor) = query.paging.page(found, |envelope| envelope.position);
    // Where the search stopped for its length, the next page begins where this one ended.
    let next_cursor = if full || ended { next_cursor } else { Paging::cursor_at(&last) };
    Ok(Json(Page { data: found.into_iter().map(RecordedEvent::of).collect(), next_cursor }))
}
