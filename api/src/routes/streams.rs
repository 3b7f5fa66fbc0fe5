//! Streams of what changes: the current rows of every key that was touched, in order, and then what comes.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use domain::{FanId, IntegrationId, integration::Phase};
use eventstore::Position;
use futures_util::stream as streams;
use projections::{CATCH_UP, Change, CommandCursor, FanChange, GoneRow, Topic, View, ViewError};
use serde_json::json;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::sleep,
};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    app::{App, AppState},
    auth::Caller,
    error::{ApiError, Kind},
    extract::{Fields, FromFields, Path, Query},
    routes::{integration_fans::FanAnswer, integrations::shown},
};

/// The most rows that are read at once.
const PAGE: u32 = 200;

/// How often a silent stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How often a silent stream looks whether its key is still valid.
const KEY: Duration = Duration::from_mins(1);

/// What a stream is read from, and how far it has come.
pub(crate) enum Source {
    Integrations(OfIntegrations),
    FanAccess((Position, Option<(IntegrationId, FanId)>)),
    Commands { shards: Vec<u32>, of: u32, after: CommandCursor },
}

impl Source {
    fn concerns(&self, change: &Change) -> bool {
        let topics: &[_] = match self {
            Self::Integrations(_) => &[Topic::Integrations, Topic::FanAccess],
            Self::FanAccess(_) => &[Topic::FanAccess],
            Self::Commands { .. } => &[Topic::Commands],
        };
        topics.contains(&change.topic)
    }

    async fn page(&mut self, app: &App) -> Result<VecDeque<Event>, ViewError> {
        let mut events = VecDeque::new();
        match self {
            Self::Integrations(of) => return of.page(app).await,
            Self::FanAccess(after) => {
                for change in app.views.fan_access().changed(after.clone(), PAGE).await? {
                    let (position, integration, fan) = change.place();
                    let id = format!("{position}/{integration}/{fan}");
                    *after = (position, Some((integration, fan.clone())));
                    let (name, data) = match change {
                        FanChange::Row(row) => {
                            ("fan_access", serde_json::to_string(&FanAnswer::from(*row))?)
                        }
                        FanChange::Gone(GoneRow { integration, fan, .. }) => {
                            let data = json!({ "integration": integration, "fan": fan });
                            ("removed", data.to_string())
                        }
                    };
                    events.push_back(event(id, name, data));
                }
            }
            Self::Commands { shards, of, after } => {
                for row in app.views.fan_access().commands(shards, *of, after, PAGE).await? {
                    if let Ok(place) = row.id.parse() {
                        *after = place;
                    }
                    if let Some(command) = bot::wire::Command::of(&row, *of) {
                        events.push_back(event(
                            row.id,
                            "command",
                            serde_json::to_string(&command)?,
                        ));
                    }
                }
            }
        }
        Ok(events)
    }
}

/// The views that an integration's row is made of: it shows how its fans stand.
const OF_INTEGRATIONS: [View; 2] = [View::Integrations, View::FanAccess];

/// How far the integrations are told.
pub(crate) struct OfIntegrations {
    after: Position,
    /// Up to here no fan has changed unheard: every integration is told from after that.
    fans: Position,
}

impl OfIntegrations {
    fn new(app: &App, after: Position) -> Self {
        let all = after == Position::default();
        Self { after, fans: if all { app.views.reached(&OF_INTEGRATIONS) } else { after } }
    }

    /// The next integrations that changed, or whose fans did.
    async fn page(&mut self, app: &App) -> Result<VecDeque<Event>, ViewError> {
        loop {
            let head = app.store.log().head();
            let behind = app.views.seen_by(&OF_INTEGRATIONS, head, CATCH_UP).await.is_err();
            let events = self.up_to(app, app.views.reached(&OF_INTEGRATIONS)).await?;
            // While one of the two is being built nothing else tells that it has come further.
            if !events.is_empty() || !behind || app.shutdown.is_cancelled() {
                return Ok(events);
            }
        }
    }

    async fn up_to(&mut self, app: &App, mut to: Position) -> Result<VecDeque<Event>, ViewError> {
        let mut rows = app.views.integrations().changed(self.after, PAGE).await?;
        if let Some(last) = rows.last().filter(|_| rows.len() == PAGE as usize) {
            to = to.min(last.position);
        }
        rows.retain(|row| row.position <= to);
        let known: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
        if to > self.fans {
            for id in app.views.fan_access().touched(self.fans.max(self.after), to).await? {
                if !known.contains(&id) {
                    rows.extend(app.views.integrations().get(id).await?);
                }
            }
        }
        let (mut events, mut left) = (VecDeque::new(), rows.len());
        for row in rows {
            let (name, data) = if row.state.phase == Phase::Removed {
                ("removed", json!({ "id": row.id }))
            } else {
                ("integration", serde_json::to_value(shown(app, &row).await?)?)
            };
            left -= 1;
            // Only the last of them says that all are told up to there.
            let told = if left == 0 { to } else { self.after };
            events.push_back(event(told.to_string(), name, data.to_string()));
        }
        self.after = self.after.max(to);
        Ok(events)
    }
}

fn event(id: String, name: &str, data: String) -> Event {
    Event::default().id(id).event(name).data(data)
}

struct Following {
    app: Arc<App>,
    /// Whose the stream is.
    key: Uuid,
    source: Source,
    changes: Receiver<Arc<Vec<Change>>>,
    waiting: VecDeque<Event>,
}

impl Following {
    /// Whether the key that the stream was asked for with may still be used. Where that cannot be told, the stream ends:
    /// whoever follows comes again.
    async fn may(&self) -> bool {
        self.app.store.keys().is_valid(self.key, self.app.now()).await.unwrap_or(false)
    }

    /// The next event; `None` where the stream ends.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some((Ok(event), self));
            }
            self.waiting = match self.source.page(&self.app).await {
                Ok(waiting) => waiting,
                Err(error) => {
                    tracing::error!(%error, "a stream ended");
                    return None;
                }
            };
            // Asked after the reading, so that what came after the key's end is not told.
            if !self.may().await {
                return None;
            }
            if !self.waiting.is_empty() {
                continue;
            }
            self.wait().await?;
        }
    }

    /// Waits until there may be something to read, or the key is to be looked at again; `None` where the Hub ends.
    async fn wait(&mut self) -> Option<()> {
        let key = sleep(KEY);
        tokio::pin!(key);
        loop {
            tokio::select! {
                () = self.app.shutdown.cancelled() => return None,
                () = &mut key => return Some(()),
                heard = self.changes.recv() => match heard {
                    Ok(changes) if !changes.iter().any(|change| self.source.concerns(change)) => {}
                    // What was missed because there was too much is found by reading.
                    Ok(_) | Err(RecvError::Lagged(_)) => return Some(()),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }
}

/// Answers a stream that goes on until the client or the Hub ends it, or its key is not valid any more.
pub(crate) fn stream(app: Arc<App>, caller: &Caller, source: Source) -> Response {
    let (key, changes) = (caller.key.id, app.views.changes());
    let following = Following { app, key, source, changes, waiting: VecDeque::new() };
    Sse::new(streams::unfold(following, Following::next))
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response()
}

/// Where a client goes on after a stream broke.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<String> {
    // What is no text is no id either, and is refused as one.
    let id = headers.get("last-event-id")?;
    Some(String::from_utf8_lossy(id.as_bytes()).into_owned())
}

/// Nothing ever comes after a position that the log has not reached: the log is another one, or was restored.
pub(crate) fn reached(app: &App, position: Position) -> Result<(), ApiError> {
    let head = app.store.log().head();
    if position <= head {
        return Ok(());
    }
    let text =
        format!("the log ends at position {head}, before this one; follow it from the beginning");
    Err(ApiError::new(Kind::BEYOND_THE_LOG, text))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// A log position: what changed after it comes first. Without it, everything.
    after: Option<u64>,
}

impl FromFields for StreamQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { after: fields.optional("after")? })
    }
}

/// Follow a view
///
/// Server-sent events: the current row of every key that changed after a position, then every change. `Last-Event-ID`
/// goes on after an event. An integration, or a fan's row in one, that there is no more comes as `removed`.
#[utoipa::path(get, path = "/v1/streams/{projection}", tag = "Bots", operation_id = "follow_view",
    params(("projection" = String, Path, description = "`integrations`, `fan_access` or `commands`"), StreamQuery,
           ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, description = "A stream of rows", body = String, content_type = "text/event-stream")))]
pub(crate) async fn follow(
    State(app): AppState,
    caller: Caller,
    Path(projection): Path<String>,
    Query(StreamQuery { after }): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let bad = || {
        ApiError::new(
            Kind::MALFORMED_REQUEST,
            "Last-Event-ID must be the id of an event of this stream",
        )
    };
    let id = last_event_id(&headers);
    let position = match &id {
        Some(id) => {
            id.split(['/', '-']).next().and_then(|first| first.parse().ok()).ok_or_else(bad)?
        }
        None => after.unwrap_or_default(),
    };
    let source = match projection.as_str() {
        "integrations" => {
            caller.auditor()?;
            Source::Integrations(OfIntegrations::new(&app, Position(position)))
        }
        "fan_access" => {
            caller.auditor()?;
            let row = id.as_deref().and_then(|id| {
                let mut parts = id.splitn(3, '/').skip(1);
                Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
            });
            Source::FanAccess((Position(position), row))
        }
        "commands" => {
            caller.bot()?;
            let after = id.map_or_else(
                || Ok(CommandCursor::after(Position(position))),
                |id| id.parse().map_err(|_| bad()),
            )?;
            Source::Commands { shards: vec![0], of: 1, after }
        }
        _ => return Err(ApiError::not_found()),
    };
    reached(&app, Position(position))?;
    Ok(stream(app, &caller, source))
}
