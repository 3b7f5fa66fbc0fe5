//! An integration at a glance, live: how it stands, what needs the creator, and keeping it in step with Discord.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use bot::Progress;
use domain::{CreatorId, IntegrationId, integration::Phase, status::Status};
use projections::{Change, Topic};

use crate::{
    app::{App, AppState},
    auth::ByCreator,
    error::ApiError,
    extract::{Body, Fields, FromFields, Nothing, Path, Query},
    pages::{
        components::{RolePill, When},
        creator::{
            head::{Head, Integration, Tab},
            is_within,
            table::{there, waits},
        },
        forms::Sent,
        frame::{Frame, page, see_other},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Texts},
    },
    reason::Reason,
    routes::health,
};

/// How often a comparison that runs is looked at.
const STEP: Duration = Duration::from_millis(500);

#[derive(Template)]
#[template(path = "creator/overview.html")]
struct OverviewPage {
    frame: Frame,
    integration: IntegrationId,
    /// The set-up has just been finished.
    set_up: bool,
    region: Region,
}

/// The part of the page that is live. It has forms without anything to type, so it may be sent anew at any time.
#[derive(Template)]
#[template(path = "creator/overview_live.html")]
struct Overview {
    t: &'static Texts,
    form_token: String,
    head: Head,
    integration: Integration,
    troubles: Vec<Matter>,
    figures: Vec<(u64, &'static str, String)>,
    gives: Vec<(String, Vec<RolePill>)>,
    comparison: Option<Progress>,
    /// How many fans have, or are owed, something there.
    there: u64,
}

/// Something that needs somebody.
struct Matter {
    reason: Reason,
    /// The roles that it is about.
    roles: Vec<RolePill>,
    /// The way to mend it: a text and a path.
    way: Option<(&'static str, String)>,
}

impl Matter {
    fn of(integration: &Integration, reason: &Reason) -> Self {
        let o = &texts::EN.overview;
        let way = match reason.code.as_str() {
            "removal_held" => Some((o.see_held, integration.held_at.clone())),
            "bot_missing" => Some((o.connect_again, integration.place("/connect"))),
            "fans_blocked" => Some((o.see_fans, integration.place("/fans?status=blocked"))),
            _ if reason.role.is_some() || reason.code.starts_with("missing_") => {
                Some((o.see_roles, integration.place("/roles")))
            }
            _ => None,
        };
        let alike = integration.answer.reasons.iter().filter(|other| other.code == reason.code);
        let roles = alike.filter_map(|other| other.role).map(|role| integration.role(role));
        Self { reason: reason.clone(), roles: roles.collect(), way }
    }
}

impl Overview {
    fn of(app: &App, signed: &Signed<CreatorId>, integration: Integration) -> Self {
        let t = &texts::EN;
        let place = |page: &str| integration.place(page);
        let mut reasons: Vec<_> = integration.answer.reasons.iter().collect();
        reasons.dedup_by(|a, b| a.code == b.code);
        let fans = &integration.answer.fans;
        let figures = [
            (fans.connected, t.overview.connected, Status::Connected),
            (fans.pending, t.overview.pending, Status::Pending),
            (fans.action_required, t.overview.action_required, Status::ActionRequired),
            (fans.need_creator(), t.overview.blocked, Status::Blocked),
            (fans.available, t.overview.available, Status::Available),
        ];
        let leaving = if waits(&integration.answer) { t.overview.held } else { t.overview.leaving };
        let leaving = (fans.revoking, leaving, Status::Revoking);
        let kept_out = (fans.kept_out, t.overview.kept_out, Status::Blocked);
        let some = [leaving, kept_out].into_iter().filter(|(count, ..)| *count > 0);
        let figures = figures.into_iter().chain(some).map(|(count, text, status)| {
            (count, text, place(&format!("/fans?status={}", status.as_str())))
        });
        let attached = integration.row.state.attachments.iter();
        let gives = attached
            .map(|(tier, roles)| (integration.tier(tier).to_owned(), integration.pills(roles)));
        let server = integration.row.state.server.as_ref();
        Self {
            t,
            form_token: signed.held.form_token(),
            head: integration.head(Tab::Overview),
            troubles: reasons.into_iter().map(|reason| Matter::of(&integration, reason)).collect(),
            figures: figures.collect(),
            gives: gives.collect(),
            comparison: server.and_then(|server| app.desk.progress(server.id)),
            there: there(fans),
            integration,
        }
    }

    fn comparing(&self) -> Option<&Progress> {
        self.comparison.as_ref().filter(|progress| progress.ended.is_none())
    }

    fn compared(&self) -> Option<When> {
        self.comparison.as_ref().and_then(|progress| progress.ended).map(When)
    }

    fn removing(&self) -> bool {
        matches!(self.integration.row.state.phase, Phase::Removing { .. })
    }

    fn region(&self) -> Result<Region, ApiError> {
        let again = self.comparing().is_some().then_some(STEP);
        Ok(Region { again, ..Region::of(self)? })
    }
}

pub(crate) struct OverviewQuery {
    done: Option<String>,
    pub(super) have: Option<String>,
}

impl FromFields for OverviewQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (done, have) = (fields.text("done"), fields.text("have"));
        Some(Self { done, have })
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(OverviewQuery { done, .. }): Query<OverviewQuery>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    let t = &texts::EN.overview;
    let said = match done.as_deref() {
        Some("sync") => Some(t.sync_started),
        Some("removing") => Some(t.removing_started),
        _ => None,
    };
    let frame = integration.frame(&app, &signed, texts::EN.integration.overview);
    let region = Overview::of(&app, &signed, integration).region()?;
    let set_up = done.as_deref() == Some("set_up");
    let frame = frame.saying(said.map(str::to_owned));
    page(&OverviewPage { frame, integration: id, set_up, region })
}

struct LiveOverview {
    signed: Signed<CreatorId>,
    id: IntegrationId,
}

impl Live for LiveOverview {
    fn concerns(&self, change: &Change) -> bool {
        is_within(change, &[Topic::Integrations, Topic::FanAccess, Topic::Holds], self.id)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        let integration = Integration::load(app, &self.signed, self.id).await?;
        Overview::of(app, &self.signed, integration).region()
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<CreatorId>,
    headers: HeaderMap,
    Path(id): Path<IntegrationId>,
    Query(OverviewQuery { have, .. }): Query<OverviewQuery>,
) -> Result<Response, ApiError> {
    Integration::load(&app, &signed, id).await?;
    let held = signed.held.clone();
    Ok(live::stream(&app, held, &headers, have, LiveOverview { signed, id }))
}

pub(crate) async fn sync(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, .. }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    health::sync(State(app), ByCreator::of(signed.caller)?, Path(id), Body(Nothing)).await?;
    Ok(see_other(&super::place(id, "?done=sync")))
}
