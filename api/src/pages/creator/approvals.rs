//! Approvals: mass removals that wait for the creator, with whom they concern and what they take away.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{
    CreatorId, HoldId,
    hold::{self, Cause},
};
use eventstore::Actor;
use projections::{HoldStatus, HoldsWanted};

use crate::{
    app::{App, AppState},
    error::{ApiError, Kind},
    extract::{Path, Query},
    pages::{
        components::{Chip, RolePill, When},
        creator::{head::Integration, table::TableQuery},
        forms::Sent,
        frame::{Frame, page, see_other},
        session::Signed,
        texts::{self, Count, Html},
    },
    paging::Paging,
    routes::holds::{self, HoldAnswer, HoldDetail},
};

const PATH: &str = "/creator/approvals";

#[derive(Template)]
#[template(path = "creator/approvals.html")]
struct ApprovalsPage {
    frame: Frame,
    waiting: Vec<Held>,
    decided: Vec<Held>,
    older: Option<String>,
}

/// A hold as a line of the list.
struct Held {
    hold: HoldAnswer,
    title: Html,
    chip: Chip,
}

#[derive(Template)]
#[template(path = "creator/approval.html")]
struct ApprovalPage {
    frame: Frame,
    title: Html,
    why: &'static str,
    detail: HoldDetail,
    integration: Option<Integration>,
    chip: Chip,
    older: Option<String>,
}

impl ApprovalPage {
    fn pill(&self, role: domain::RoleId) -> RolePill {
        match &self.integration {
            Some(integration) => integration.role(role),
            None => RolePill::gone(self.frame.t.integration.deleted_role),
        }
    }

    /// Who did something, as this creator calls them.
    fn who(&self, actor: &str) -> String {
        let t = &self.frame.t.approvals;
        match actor.parse() {
            Ok(Actor::Creator(creator)) if creator == self.detail.hold.creator => t.you.to_owned(),
            Ok(Actor::Platform) => self.frame.platform().to_owned(),
            Ok(Actor::Hub) => t.hub.to_owned(),
            Ok(Actor::Creator(_) | Actor::Fan(_) | Actor::Auditor | Actor::Bot(_)) | Err(_) => {
                actor.to_owned()
            }
        }
    }

    fn waits(&self) -> bool {
        self.detail.hold.status == HoldStatus::Waiting
    }
}

fn chip(status: HoldStatus) -> Chip {
    let t = &texts::EN.approvals;
    match status {
        HoldStatus::Waiting => Chip::new(t.waiting, "warn"),
        HoldStatus::Approved => Chip::new(t.approved, ""),
        HoldStatus::Rejected => Chip::new(t.rejected, ""),
        HoldStatus::Resolved => Chip::new(t.resolved, "good"),
    }
}

fn why(cause: Cause) -> &'static str {
    let t = &texts::EN.approvals;
    match cause {
        Cause::Import => t.import,
        Cause::Attachments => t.attachments,
        Cause::RemovalPolicy => t.removal_policy,
        Cause::Lapses => t.lapses,
    }
}

/// Whom it concerns, and where.
async fn title(app: &App, hold: &HoldAnswer) -> Result<Html, ApiError> {
    let t = &texts::EN.approvals;
    let known = app.views.integrations().get(hold.integration).await?;
    let name = known.map_or_else(|| t.deleted.to_owned(), |row| row.name.to_string());
    let fans = if hold.status == HoldStatus::Waiting { hold.fans } else { hold.losing };
    let many: Count = t.fans;
    Ok(t.title_of.of2(many.of(fans), name))
}

async fn shown(app: &App, holds: Vec<HoldAnswer>) -> Result<Vec<Held>, ApiError> {
    let mut shown = vec![];
    for hold in holds {
        let (title, chip) = (title(app, &hold).await?, chip(hold.status));
        shown.push(Held { hold, title, chip });
    }
    Ok(shown)
}

fn wanted(creator: &CreatorId, status: Option<HoldStatus>) -> HoldsWanted {
    HoldsWanted { creator: Some(creator.clone()), integration: None, status }
}

/// The removals that wait for a creator.
pub(super) async fn waiting(app: &App, creator: &CreatorId) -> Result<Vec<HoldAnswer>, ApiError> {
    let waiting = wanted(creator, Some(HoldStatus::Waiting));
    Ok(holds::page(app, waiting, &Paging::whole()).await?.data)
}

/// Where removals are approved: one, or all of them.
pub(super) fn path(one: Option<HoldId>) -> String {
    one.map_or_else(|| PATH.to_owned(), |id| format!("{PATH}/{id}"))
}

pub(crate) async fn list(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Query(paging): Query<Paging>,
) -> Result<Response, ApiError> {
    let t = &texts::EN.approvals;
    let waiting = waiting(&app, &signed.who).await?;
    let all = holds::page(&app, wanted(&signed.who, None), &paging).await?;
    let older =
        all.next_cursor.as_ref().map(|cursor| format!("/creator/approvals?cursor={cursor}"));
    let mut decided = shown(&app, all.data).await?;
    decided.retain(|held| held.hold.status != HoldStatus::Waiting);
    let waiting = shown(&app, waiting).await?;
    let frame = super::frame(&app, &signed, t.title).await?.at("approvals").narrow();
    page(&ApprovalsPage { frame, waiting, decided, older })
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<HoldId>,
    Query(TableQuery { done, paging }): Query<TableQuery>,
) -> Result<Response, ApiError> {
    let t = &texts::EN.approvals;
    let detail = holds::detail(&app, &signed.caller, id, &paging).await?;
    let integration = gone_or(Integration::load(&app, &signed, detail.hold.integration).await)?;
    let said = match done.as_deref() {
        Some("approved") => Some(t.done_approved),
        Some("rejected") => Some(t.done_rejected),
        Some("decided") => Some(t.done_decided),
        _ => None,
    };
    let frame = super::frame(&app, &signed, t.title)
        .await?
        .at("approvals")
        .under(t.title, PATH)
        .narrow()
        .saying(said.map(str::to_owned));
    let older = detail
        .next_cursor
        .as_ref()
        .map(|cursor| format!("/creator/approvals/{id}?cursor={cursor}"));
    page(&ApprovalPage {
        frame,
        title: title(&app, &detail.hold).await?,
        why: why(detail.hold.cause),
        chip: chip(detail.hold.status),
        detail,
        integration,
        older,
    })
}

/// An integration, unless it has been deleted meanwhile.
fn gone_or(loaded: Result<Integration, ApiError>) -> Result<Option<Integration>, ApiError> {
    match loaded {
        Ok(integration) => Ok(Some(integration)),
        Err(error) if error.is(Kind::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn decide(
    app: &Arc<App>,
    signed: &Signed<CreatorId>,
    id: HoldId,
    command: hold::Command,
    done: &str,
) -> Result<Response, ApiError> {
    let done = match holds::decide(app, &signed.caller, id, command).await {
        Ok(_) => done,
        // Somebody else was first: the page says how it was decided.
        Err(error) if error.is(Kind::HOLD_DECIDED) => "decided",
        Err(error) => return Err(error),
    };
    Ok(see_other(&format!("/creator/approvals/{id}?done={done}")))
}

pub(crate) async fn approve(
    State(app): AppState,
    Path(id): Path<HoldId>,
    Sent { signed, .. }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    decide(&app, &signed, id, hold::Command::Approve, "approved").await
}

pub(crate) async fn reject(
    State(app): AppState,
    Path(id): Path<HoldId>,
    Sent { signed, .. }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    decide(&app, &signed, id, hold::Command::Reject, "rejected").await
}
