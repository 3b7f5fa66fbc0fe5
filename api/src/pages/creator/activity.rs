//! What happened in an integration, newest first, in plain words.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use domain::{CreatorId, FanId, IntegrationId};
use eventstore::Position;
use projections::{
    Change, Topic,
    audit::{Direction, Wanted},
};

use crate::{
    app::{App, AppState},
    audit,
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    pages::{
        components::When,
        creator::{
            head::{Head, Integration, Tab},
            is_within,
        },
        frame::{Frame, page},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Texts},
    },
};

/// How many events are read for a page.
const PAGE: usize = 60;

/// What is written down for machines alone: attempts are followed by what became of them, reservations by a connection.
const UNSAID: [&str; 7] = [
    "JoinAttempted",
    "RolesAttempted",
    "RemovalAttempted",
    "GuildReserved",
    "GuildReleased",
    "RemovalFoundUndone",
    "NotificationRead",
];

/// Something that happened.
pub(super) struct Happened {
    pub(super) at: When,
    pub(super) sentence: String,
    /// `good`, `bad` or nothing.
    pub(super) tone: &'static str,
}

fn tone(kind: &str) -> &'static str {
    match kind {
        "AccessGranted" | "AccessChanged" | "ServerConnected" | "BotReturned"
        | "MemberReturned" | "DriftMended" => "good",
        "AccessBlocked" | "RevokeBlocked" | "BotRemoved" | "MemberBanned" => "bad",
        "DriftObserved" | "MemberLeft" | "AccessWithheld" | "DisconnectStarted" => "warn",
        _ => "",
    }
}

/// What happened before a position, newest first; and where the rest begins, if there is more.
pub(super) async fn happened(
    app: &App,
    integration: IntegrationId,
    fan: Option<FanId>,
    before: Option<u64>,
) -> Result<(Vec<Happened>, Option<u64>), ApiError> {
    let wanted = Wanted { integration: Some(integration), fan, ..Wanted::default() };
    let from = Direction::Before(Position(before.unwrap_or(u64::MAX)));
    let told = audit::events(&app.store, app.audit().await?, &wanted, from, PAGE).await?;
    let more = told.last().filter(|_| told.len() == PAGE).map(|last| last.position);
    let said = told.into_iter().filter(|event| !UNSAID.contains(&event.r#type.as_str()));
    let happened = said.map(|event| Happened {
        at: When(event.at),
        sentence: event.sentence,
        tone: tone(&event.r#type),
    });
    Ok((happened.collect(), more))
}

#[derive(Template)]
#[template(path = "creator/activity.html")]
struct ActivityPage {
    frame: Frame,
    head: Head,
    integration: Integration,
    query: String,
    region: Region,
}

/// The part of the page that is live.
#[derive(Template)]
#[template(path = "creator/activity_live.html")]
struct Activity {
    t: &'static Texts,
    happened: Vec<Happened>,
    /// The path of the rest.
    older: Option<String>,
}

async fn activity(app: &App, id: IntegrationId, before: Option<u64>) -> Result<Region, ApiError> {
    let (happened, more) = happened(app, id, None, before).await?;
    let older = more.map(|before| super::place(id, &format!("/activity?before={before}")));
    Region::of(&Activity { t: &texts::EN, happened, older })
}

pub(crate) struct ActivityQuery {
    before: Option<u64>,
    have: Option<String>,
}

impl FromFields for ActivityQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (before, have) = (fields.optional("before"), fields.text("have"));
        Some(Self { before: before?, have })
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(ActivityQuery { before, .. }): Query<ActivityQuery>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    let frame = integration.frame(&app, &signed, texts::EN.integration.activity);
    let region = activity(&app, id, before).await?;
    let query = before.map(|before| format!("before={before}&")).unwrap_or_default();
    page(&ActivityPage { frame, head: integration.head(Tab::Activity), integration, query, region })
}

struct LiveActivity {
    id: IntegrationId,
    before: Option<u64>,
}

impl Live for LiveActivity {
    fn concerns(&self, change: &Change) -> bool {
        is_within(change, &[Topic::Activity], self.id)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        activity(app, self.id, self.before).await
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<CreatorId>,
    headers: HeaderMap,
    Path(id): Path<IntegrationId>,
    Query(ActivityQuery { before, have }): Query<ActivityQuery>,
) -> Result<Response, ApiError> {
    Integration::load(&app, &signed, id).await?;
    Ok(live::stream(&app, signed.held, &headers, have, LiveActivity { id, before }))
}
