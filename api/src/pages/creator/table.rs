//! The Active Integrations table, live.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use domain::{CreatorId, TierId, Trouble};
use projections::{Change, Topic};

use crate::{
    app::{App, AppState},
    auth::{ByCreator, Caller},
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    pages::{
        components::{Chip, Tile},
        creator::{approvals::waiting, is_of},
        frame::{Frame, page},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Texts},
    },
    paging::{Page, Paging},
    routes::integrations::{self, FanCounts, IntegrationAnswer},
};

/// How many names of tiers a row shows.
const NAMES: usize = 3;

#[derive(Template)]
#[template(path = "creator/table.html")]
struct TablePage {
    frame: Frame,
    any: bool,
    /// The part of the list that is shown, for the stream.
    query: String,
    region: Region,
}

/// The part of the page that is live.
#[derive(Template)]
#[template(path = "creator/table_rows.html")]
struct Rows {
    t: &'static Texts,
    page: Page<IntegrationAnswer>,
    /// What the creator's tiers are called.
    tiers: BTreeMap<TierId, String>,
    /// How many removals wait for approval.
    waiting: usize,
}

impl Rows {
    fn chip(&self, row: &IntegrationAnswer) -> Chip {
        Chip::of_integration(&self.t.status, row.status)
    }

    fn names<'a>(&'a self, row: &'a IntegrationAnswer) -> Vec<&'a str> {
        let attached = row.memberships.iter().take(NAMES).map(|attached| &attached.tier);
        attached.map(|tier| self.tiers.get(tier).map_or(tier.as_str(), String::as_str)).collect()
    }

    /// Nobody has anything there, and nobody is to have.
    fn nobody(row: &IntegrationAnswer) -> bool {
        there(&row.fans) + row.fans.available == 0
    }

    /// How many are on their way out, or are until somebody approves that they go.
    fn leaving(&self, row: &IntegrationAnswer) -> Option<String> {
        let t = &self.t.table;
        let count = if waits(row) { t.held } else { t.leaving };
        (row.fans.revoking > 0).then(|| count.of(row.fans.revoking))
    }

    fn more(row: &IntegrationAnswer) -> usize {
        row.memberships.len().saturating_sub(NAMES)
    }

    /// What the creator does next, and where; nothing where all is well.
    fn next(&self, row: &IntegrationAnswer) -> Option<(&'static str, String)> {
        let t = &self.t.table;
        let to = |page: &str| format!("/creator/integrations/{}{page}", row.id);
        match row.status {
            "not_connected" => Some((t.continue_setup, to("/connect"))),
            "connected" => Some((t.add_memberships, to("/roles"))),
            "needs_attention" => Some((t.fix, to(""))),
            "disconnected" => Some((t.connect_again, to("/connect"))),
            _ => None,
        }
    }
}

/// Whether removals wait for the creator.
pub(super) fn waits(row: &IntegrationAnswer) -> bool {
    let held = Trouble::RemovalHeld.code();
    row.reasons.iter().any(|reason| reason.code == held)
}

/// How many fans have, or are owed, something.
pub(super) fn there(fans: &FanCounts) -> u64 {
    fans.connected
        + fans.pending
        + fans.action_required
        + fans.blocked
        + fans.revoking
        + fans.revoke_blocked
}

/// Everything that the table shows.
async fn rows(
    app: &Arc<App>,
    caller: &Caller,
    creator: &CreatorId,
    paging: Paging,
) -> Result<Rows, ApiError> {
    let state = State(Arc::clone(app));
    let page = integrations::list(
        state,
        ByCreator::of(caller.clone())?,
        Path(creator.clone()),
        Query(paging),
    )
    .await?
    .0;
    let (tiers, waiting) = (tier_names(app, creator).await?, waiting(app, creator).await?.len());
    Ok(Rows { t: &texts::EN, page, tiers, waiting })
}

/// What a creator's tiers are called.
pub(super) async fn tier_names(
    app: &App,
    creator: &CreatorId,
) -> Result<BTreeMap<TierId, String>, ApiError> {
    let (mut names, mut after) = (BTreeMap::new(), None);
    loop {
        let tiers = app.views.integrations().tiers(creator, after.as_ref(), 500).await?;
        let Some(last) = tiers.last() else { return Ok(names) };
        after = Some(last.tier.clone());
        names.extend(tiers.into_iter().map(|row| (row.tier, row.name.to_string())));
    }
}

pub(crate) struct TableQuery {
    pub(super) done: Option<String>,
    pub(super) paging: Paging,
}

impl FromFields for TableQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (done, paging) = (fields.text("done"), Paging::from_fields(fields));
        Some(Self { done, paging: paging? })
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Query(TableQuery { done, paging }): Query<TableQuery>,
) -> Result<Response, ApiError> {
    let query = paging.query();
    let rows = rows(&app, &signed.caller, &signed.who, paging).await?;
    let frame = Frame::of(&app, &signed, rows.t.table.title).at("integrations");
    let frame = frame.counting("approvals", rows.waiting);
    let frame = frame.saying(done.map(|_| texts::EN.table.done_deleted.to_owned()));
    let any = !rows.page.data.is_empty();
    page(&TablePage { frame, any, query, region: Region::of(&rows)? })
}

/// What a browser has of a live region, and which part of a list it shows.
pub(super) struct LiveQuery {
    pub(super) have: Option<String>,
    pub(super) paging: Paging,
}

impl FromFields for LiveQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (have, paging) = (fields.optional("have"), Paging::from_fields(fields));
        Some(Self { have: have?, paging: paging? })
    }
}

struct LiveTable {
    signed: Signed<CreatorId>,
    paging: Paging,
}

impl Live for LiveTable {
    fn concerns(&self, change: &Change) -> bool {
        is_of(change, &[Topic::Integrations, Topic::FanAccess, Topic::Holds], &self.signed.who)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        let Signed { caller, who, .. } = &self.signed;
        Region::of(&rows(app, caller, who, self.paging.clone()).await?)
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<CreatorId>,
    headers: HeaderMap,
    Query(LiveQuery { have, paging }): Query<LiveQuery>,
) -> Response {
    let held = signed.held.clone();
    live::stream(&app, held, &headers, have, LiveTable { signed, paging })
}
