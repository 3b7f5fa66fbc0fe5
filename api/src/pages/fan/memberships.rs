//! The Memberships page: the Discord account, and each membership with what it opens, live.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use domain::{FanId, membership};
use projections::Change;

use crate::{
    app::{App, AppState},
    auth::{ByFan, Caller},
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    pages::{
        components::{Chip, Tile, When},
        fan::{
            access::{self, Access, Action, concerns},
            account::{Account, BackQuery},
            notifications::unread,
        },
        frame::{Frame, page},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Html, Texts},
    },
    paging::Paging,
    routes::{
        fan_grants::{self, FanGrant},
        fans::{self, FanMembership},
    },
};

/// What a page says that was just done, by the word in its address.
fn said(back: &BackQuery) -> Option<String> {
    let t = &texts::EN;
    let said = match (back.done.as_deref(), back.status.as_deref()) {
        (Some("activated"), _) => t.standing.activated,
        (Some("left"), _) => t.standing.left,
        (Some("disconnected"), _) => t.account.disconnected_now,
        (None, Some("connected")) => t.account.connected_now,
        _ => return None,
    };
    Some(said.to_owned())
}

#[derive(Template)]
#[template(path = "fan/memberships.html")]
struct MembershipsPage {
    frame: Frame,
    /// Why Discord was not connected the last time.
    failed: Option<&'static str>,
    query: String,
    region: Region,
}

/// A membership as its fan sees it.
pub(super) struct Membership {
    pub(super) tier: String,
    pub(super) creator: String,
    chip: Chip,
    /// What its end means, and when that is.
    end: Option<(&'static str, When)>,
    pub(super) access: Vec<Access>,
    /// What is said where it opens nothing.
    nothing: &'static str,
}

impl Membership {
    pub(super) async fn of(
        app: &App,
        t: &'static Texts,
        fan: &FanId,
        held: &FanMembership,
    ) -> Result<Self, ApiError> {
        let m = &t.held;
        let mut access = vec![];
        for shown in &held.integrations {
            let stands = Access::of(app, t, fan, held.membership.as_str(), shown).await?;
            access.push(if held.live {
                stands.of_what_is_live(t)
            } else {
                stands.of_what_is_over(t, shown)
            });
        }
        let (chip, end) = match (held.live, held.status) {
            (true, membership::Status::Canceled) => (Chip::new(m.canceled, "warn"), m.access_until),
            (true, _) => (Chip::new(m.active, "good"), m.paid_through),
            (false, membership::Status::Paused) => (Chip::new(m.paused, ""), m.paid_through),
            (false, _) => (Chip::new(m.over, ""), m.ended_at),
        };
        Ok(Self {
            tier: held.tier_name.clone().unwrap_or_else(|| held.tier.to_string()),
            creator: held.creator.to_string(),
            chip,
            end: held.ends_at.map(|at| (end, When(at))),
            access,
            nothing: if held.live { m.nothing } else { m.nothing_over },
        })
    }

    /// What a creator gave by hand stands among the memberships, as what it is.
    async fn by_hand(
        app: &App,
        t: &'static Texts,
        fan: &FanId,
        given: &FanGrant,
    ) -> Result<Self, ApiError> {
        let m = &t.held;
        Ok(Self {
            tier: m.given.to_owned(),
            creator: given.creator.to_string(),
            chip: Chip::new(m.by_hand, ""),
            end: given.until.map(|at| (m.access_until, When(at))),
            access: vec![Access::of(app, t, fan, "by-hand", &given.integration).await?],
            nothing: m.nothing,
        })
    }
}

/// The part of the page that is live.
#[derive(Template)]
#[template(path = "fan/memberships_list.html")]
struct List {
    t: &'static Texts,
    platform: String,
    form_token: String,
    account: Account,
    /// How many notifications were not read yet.
    unread: usize,
    memberships: Vec<Membership>,
    next_cursor: Option<String>,
}

impl List {
    fn empty_lead(&self) -> Html {
        self.t.held.empty_lead.of(&self.platform)
    }
}

async fn list(app: &Arc<App>, signed: &Signed<FanId>, paging: Paging) -> Result<List, ApiError> {
    let t = &texts::EN;
    let Signed { who, caller, held } = signed;
    let held_now = memberships(app, caller, who, paging).await?;
    let facts = app.views.fan_access().facts(who).await?.unwrap_or_default();
    let mut given: BTreeSet<_> = facts.grants.keys().copied().collect();
    let all = held_now.0.iter().flat_map(|held| &held.integrations);
    given.extend(all.map(|shown| shown.id));
    let mut shown = vec![];
    for held in &held_now.0 {
        let mut membership = Membership::of(app, t, who, held).await?;
        if membership.access.is_empty() {
            for kept in access::kept(app, who, &held.creator, &given).await? {
                given.insert(kept.id);
                let access = Access::of(app, t, who, held.membership.as_str(), &kept).await?;
                membership.access.push(access.of_what_is_kept(t));
            }
        }
        shown.push(membership);
    }
    if held_now.1.is_none() {
        let (state, path) = (State(Arc::clone(app)), Path(who.clone()));
        let given =
            fan_grants::list(state, ByFan::of(caller.clone())?, path, Query(Paging::whole()))
                .await?
                .0;
        for given in &given.data {
            shown.push(Membership::by_hand(app, t, who, given).await?);
        }
    }
    Ok(List {
        t,
        unread: unread(app, who).await?,
        platform: app.pages.platform_name.clone().unwrap_or(t.frame.your_platform.to_owned()),
        form_token: held.form_token(),
        account: Account::of(app, caller, who).await?,
        memberships: shown,
        next_cursor: held_now.1,
    })
}

/// What a fan holds or held, and where the rest of it begins.
async fn memberships(
    app: &Arc<App>,
    caller: &Caller,
    fan: &FanId,
    paging: Paging,
) -> Result<(Vec<FanMembership>, Option<String>), ApiError> {
    let (state, path) = (State(Arc::clone(app)), Path(fan.clone()));
    let page = fans::integrations(state, ByFan::of(caller.clone())?, path, Query(paging)).await?.0;
    Ok((page.data, page.next_cursor))
}

/// Which part of the list, and what was just done.
pub(crate) struct ShowQuery {
    paging: Paging,
    back: BackQuery,
}

impl FromFields for ShowQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (paging, back) = (Paging::from_fields(fields), BackQuery::from_fields(fields));
        Some(Self { paging: paging?, back: back? })
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<FanId>,
    Query(ShowQuery { paging, back }): Query<ShowQuery>,
) -> Result<Response, ApiError> {
    let query = paging.query();
    let list = list(&app, &signed, paging).await?;
    let frame = super::frame(&app, &signed, list.t.held.title).await?;
    let frame = frame.at("memberships").narrow().saying(said(&back));
    page(&MembershipsPage { frame, failed: back.failed(), query, region: Region::of(&list)? })
}

struct LiveList {
    signed: Signed<FanId>,
    paging: Paging,
}

impl Live for LiveList {
    fn concerns(&self, change: &Change) -> bool {
        concerns(&self.signed.who, change)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        Region::of(&list(app, &self.signed, self.paging.clone()).await?)
    }
}

/// Which part of the list a browser shows, and which edition of it.
pub(crate) struct LiveQuery {
    paging: Paging,
    have: Option<String>,
}

impl FromFields for LiveQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (have, paging) = (fields.optional("have"), Paging::from_fields(fields));
        Some(Self { have: have?, paging: paging? })
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<FanId>,
    headers: HeaderMap,
    Query(LiveQuery { paging, have }): Query<LiveQuery>,
) -> Response {
    let held = signed.held.clone();
    live::stream(&app, held, &headers, have, LiveList { signed, paging })
}
