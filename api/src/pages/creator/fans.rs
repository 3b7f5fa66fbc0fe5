//! The fans of an integration, live: how each stands, why, and what mends it.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use domain::{CreatorId, FanId, IntegrationId, RoleId, Who, status::Status};
use projections::{Change, Topic};

use crate::{
    app::{App, AppState},
    auth::ByCreator,
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    pages::{
        components::{Chip, Tile},
        creator::{
            head::{Head, Integration, Tab},
            is_within,
        },
        frame::{Frame, page, see_other},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Texts},
    },
    paging::{Page, Paging},
    routes::integration_fans::{self, FanAnswer, FansQuery},
};

#[derive(Template)]
#[template(path = "creator/fans.html")]
struct FansPage {
    frame: Frame,
    head: Head,
    integration: Integration,
    /// Where the part is that is live, with what is shown of it.
    live: String,
    searched: String,
    region: Region,
}

/// The part of the page that is live.
#[derive(Template)]
#[template(path = "creator/fans_live.html")]
struct Fans {
    t: &'static Texts,
    integration: Integration,
    /// A filter's path, text and count, and whether it is the one that is shown.
    filters: Vec<(String, &'static str, u64, bool)>,
    page: Page<FanAnswer>,
    /// The path of the same list from another place on.
    here: String,
    searched: bool,
}

impl Fans {
    fn chip(&self, fan: &FanAnswer) -> Chip {
        let code = fan.reason.as_ref().map(|reason| reason.code.as_str());
        Chip::of_fan(&self.t.status, fan.status, code)
    }

    /// The role that the matter is about.
    fn role(fan: &FanAnswer) -> Option<&RoleId> {
        fan.reason.as_ref()?.role.as_ref()
    }

    /// What the matter is, who mends it and how; nothing where the status says all.
    fn why<'a>(&self, fan: &'a FanAnswer) -> Option<(&'a str, &'static str, &'a str)> {
        let reason = fan.reason.as_ref().filter(|_| fan.status != Status::Available)?;
        let who = if reason.who == Who::Fan { self.t.fans.the_fan } else { "" };
        Some((&reason.detail, who, &reason.fix))
    }
}

#[derive(Clone)]
pub(crate) struct ListQuery {
    status: Option<Status>,
    q: String,
    have: Option<String>,
    paging: Paging,
}

impl FromFields for ListQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let status = fields.text("status").filter(|status| !status.is_empty());
        let status = status
            .and_then(|status| Status::ALL.into_iter().find(|known| known.as_str() == status));
        let q = fields.text("q").unwrap_or_default().trim().to_owned();
        let (have, paging) = (fields.text("have"), Paging::from_fields(fields));
        Some(Self { status, q, have, paging: paging? })
    }
}

impl ListQuery {
    /// The list's path, without the place in it.
    fn path(&self, integration: &Integration, page: &str) -> String {
        let status = self.status.map_or("", Status::as_str);
        let q: String = url::form_urlencoded::byte_serialize(self.q.as_bytes()).collect();
        integration.place(&format!("{page}?status={status}&q={q}&"))
    }
}

async fn fans(
    app: &Arc<App>,
    signed: &Signed<CreatorId>,
    id: IntegrationId,
    query: &ListQuery,
) -> Result<Fans, ApiError> {
    let integration = Integration::load(app, signed, id).await?;
    let t = &texts::EN;
    let page = if query.q.is_empty() {
        let asked = FansQuery { status: query.status, paging: query.paging.clone() };
        integration_fans::list(
            State(Arc::clone(app)),
            ByCreator::of(signed.caller.clone())?,
            Path(id),
            Query(asked),
        )
        .await?
        .0
    } else {
        found(app, id, &query.q).await?
    };
    let counts = app.views.fan_access().counts(id).await?;
    let place = |status: &str| integration.place(&format!("/fans{status}"));
    let mut filters = vec![(place(""), t.fans.all, counts.values().sum(), query.status.is_none())];
    for status in Status::ALL {
        let count = counts.get(&status).copied().unwrap_or_default();
        let shown = query.status == Some(status);
        if count > 0 || shown {
            let text = Chip::of_fan(&t.status, status, None).text;
            filters.push((place(&format!("?status={}", status.as_str())), text, count, shown));
        }
    }
    let here = query.path(&integration, "/fans");
    Ok(Fans { t, filters, page, here, searched: !query.q.is_empty(), integration })
}

/// The fans whose id begins with a text.
async fn found(app: &App, id: IntegrationId, beginning: &str) -> Result<Page<FanAnswer>, ApiError> {
    let Ok(from) = beginning.parse::<FanId>() else {
        return Ok(Page { data: vec![], next_cursor: None });
    };
    let access = app.views.fan_access();
    let exact = access.fan_row(id, &from).await?;
    let after = access.fans(id, None, Some(&from), 50).await?;
    let begins = after.into_iter().take_while(|row| row.fan.as_str().starts_with(beginning));
    Ok(Page { data: exact.into_iter().chain(begins).map(Into::into).collect(), next_cursor: None })
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    let shown = fans(&app, &signed, id, &query).await?;
    // Nobody to search among, but somebody to give access to by hand.
    if let (true, Ok(fan)) = (shown.page.data.is_empty(), query.q.parse::<FanId>()) {
        return Ok(see_other(&shown.integration.place(&format!("/fans/{fan}"))));
    }
    let region = Region::of(&shown)?;
    let integration = shown.integration;
    let frame = integration.frame(&app, &signed, texts::EN.integration.fans);
    let live = format!("{}{}", query.path(&integration, "/fans/live"), query.paging.query());
    let head = integration.head(Tab::Fans);
    page(&FansPage { frame, head, integration, live, searched: query.q, region })
}

struct LiveFans {
    signed: Signed<CreatorId>,
    id: IntegrationId,
    query: ListQuery,
}

impl Live for LiveFans {
    fn concerns(&self, change: &Change) -> bool {
        is_within(change, &[Topic::Integrations, Topic::FanAccess], self.id)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        Region::of(&fans(app, &self.signed, self.id, &self.query).await?)
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<CreatorId>,
    headers: HeaderMap,
    Path(id): Path<IntegrationId>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    Integration::load(&app, &signed, id).await?;
    let (held, have) = (signed.held.clone(), query.have.clone());
    Ok(live::stream(&app, held, &headers, have, LiveFans { signed, id, query }))
}
