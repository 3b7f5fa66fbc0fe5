//! The screen after a purchase: connect Discord, and see how one is brought in, live.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use domain::{FanId, MembershipId, status::Status};
use projections::Change;

use crate::{
    app::{App, AppState},
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    pages::{
        components::Tile,
        fan::{
            access::{Access, Action, concerns},
            account::BackQuery,
            memberships::Membership,
        },
        frame::{Frame, page},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Texts},
    },
    routes::fans,
};

#[derive(Template)]
#[template(path = "fan/welcome.html")]
struct WelcomePage {
    frame: Frame,
    bought: MembershipId,
    failed: Option<&'static str>,
    region: Region,
}

/// How far the fan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The platform has not reported the purchase yet.
    Confirming,
    /// There is no server to get into.
    Nothing,
    Connect,
    Waiting,
    /// Something needs somebody else, and the fan can do nothing about it.
    Blocked,
    /// Something needs the fan.
    Look,
    Done,
}

impl Step {
    fn of(membership: Option<&Membership>) -> Self {
        let Some(membership) = membership else { return Self::Confirming };
        let stands = |status| membership.access.iter().any(|access| access.status == status);
        let is_settled =
            |access: &Access| matches!(access.status, Status::Connected | Status::Blocked);
        let not_linked = |access: &Access| matches!(access.action, Some(Action::Connect));
        if membership.access.is_empty() {
            Self::Nothing
        } else if membership.access.iter().any(not_linked) {
            Self::Connect
        } else if stands(Status::Pending) {
            Self::Waiting
        } else if membership.access.iter().all(|access| access.status == Status::Connected) {
            Self::Done
        } else if membership.access.iter().all(is_settled) {
            Self::Blocked
        } else {
            Self::Look
        }
    }
}

/// The part of the page that is live.
#[derive(Template)]
#[template(path = "fan/welcome_now.html")]
struct Now {
    t: &'static Texts,
    form_token: String,
    bought: MembershipId,
    membership: Option<Membership>,
    step: Step,
}

impl Now {
    /// The access rows, none before the purchase is known.
    fn access(&self) -> &[Access] {
        self.membership.as_ref().map_or(&[], |membership| &membership.access)
    }
}

async fn now(
    app: &Arc<App>,
    signed: &Signed<FanId>,
    bought: &MembershipId,
) -> Result<Now, ApiError> {
    let t = &texts::EN;
    let held = fans::held(app, &signed.caller, &signed.who, bought).await?;
    let membership = match held {
        Some(held) => Some(Membership::of(app, t, &signed.who, &held).await?),
        None => None,
    };
    let step = Step::of(membership.as_ref());
    let form_token = signed.held.form_token();
    Ok(Now { t, form_token, bought: bought.clone(), membership, step })
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<FanId>,
    Path(bought): Path<MembershipId>,
    Query(back): Query<BackQuery>,
) -> Result<Response, ApiError> {
    let now = now(&app, &signed, &bought).await?;
    let t = now.t;
    let title = match &now.membership {
        Some(membership) => t.welcome.title.plain(&membership.tier),
        None => t.welcome.confirming.to_owned(),
    };
    let said = match (back.done.as_deref(), back.status.as_deref()) {
        (Some("activated"), _) => Some(t.standing.activated.to_owned()),
        (None, Some("connected")) => Some(t.account.connected_now.to_owned()),
        _ => None,
    };
    let frame = super::frame(&app, &signed, title).await?.at("memberships").slim().saying(said);
    let failed = back.failed();
    page(&WelcomePage { frame, bought, failed, region: Region::of(&now)? })
}

struct LiveWelcome {
    signed: Signed<FanId>,
    bought: MembershipId,
}

impl Live for LiveWelcome {
    fn concerns(&self, change: &Change) -> bool {
        concerns(&self.signed.who, change)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        Region::of(&now(app, &self.signed, &self.bought).await?)
    }
}

/// Which edition a browser shows.
pub(crate) struct HaveQuery(Option<String>);

impl FromFields for HaveQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.optional("have")?))
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<FanId>,
    headers: HeaderMap,
    Path(bought): Path<MembershipId>,
    Query(HaveQuery(have)): Query<HaveQuery>,
) -> Response {
    let held = signed.held.clone();
    live::stream(&app, held, &headers, have, LiveWelcome { signed, bought })
}
