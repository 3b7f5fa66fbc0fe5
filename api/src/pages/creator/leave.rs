//! Disconnecting the server, or deleting the integration: what it means, and then to do it.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{CreatorId, IntegrationId, integration::Phase};

use crate::{
    app::{App, AppState},
    auth::ByCreator,
    error::ApiError,
    extract::{Body, IfMatch, Nothing, Path, Query},
    pages::{
        creator::{head::Integration, memberships::PlanShown},
        forms::Sent,
        frame::{Frame, page, see_other},
        session::{Area, Signed},
        texts::{self, Html},
    },
    plan::plan,
    routes::leaving::{self, Force},
};

#[derive(Template)]
#[template(path = "creator/leave.html")]
struct LeavePage {
    frame: Frame,
    title: Html,
    lead: &'static str,
    go: &'static str,
    action: String,
    integration: Integration,
    /// What its fans lose; none where nothing is connected.
    plan: Option<PlanShown>,
    /// It is under way already: what is left can be let go of.
    removing: bool,
    /// How many fans have something that would be left behind.
    there: u64,
}

/// What everybody would lose.
async fn all_gone(app: &App, integration: &Integration) -> Result<Option<PlanShown>, ApiError> {
    let before = &integration.row.state;
    if before.phase != Phase::Connected {
        return Ok(None);
    }
    let mut after = before.clone();
    let tiers = std::mem::take(&mut after.attachments);
    let row = &integration.row;
    let gone = plan(app, &row.creator, row.id, before, &after, &tiers).await?;
    // Who disconnects has decided already: it does not wait for approval.
    Ok(Some(PlanShown { held: false, ..PlanShown::of(integration, &gone) }))
}

async fn ask(
    app: &App,
    signed: &Signed<CreatorId>,
    integration: Integration,
    remove: bool,
) -> Result<Response, ApiError> {
    let (t, name) = (&texts::EN.leave, integration.row.name.clone());
    let (title, lead, go, action) = if remove {
        (t.delete, t.delete_lead, t.delete_go, "/delete")
    } else {
        (t.disconnect, t.disconnect_lead, t.disconnect_go, "/disconnect")
    };
    let frame = integration
        .frame_below(app, signed, &title.plain(&name))
        .under(texts::EN.integration.settings, integration.place("/settings"))
        .narrow();
    let fans = &integration.answer.fans;
    page(&LeavePage {
        frame,
        title: title.of(name),
        lead,
        go,
        action: integration.place(action),
        plan: all_gone(app, &integration).await?,
        removing: matches!(integration.row.state.phase, Phase::Removing { .. }),
        there: fans.connected + fans.blocked + fans.revoking + fans.revoke_blocked,
        integration,
    })
}

pub(crate) async fn ask_disconnect(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    if !integration.row.state.is_held() {
        return Ok(see_other(&integration.place("")));
    }
    ask(&app, &signed, integration, false).await
}

pub(crate) async fn ask_delete(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    ask(&app, &signed, integration, true).await
}

pub(crate) async fn disconnect(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let force = Force { force: values.get("force").is_some() };
    let (caller, if_match) = (ByCreator::of(signed.caller)?, IfMatch(None));
    leaving::disconnect(State(app), caller, Path(id), Query(force), if_match, Body(Nothing))
        .await?;
    Ok(see_other(&super::place(id, "?done=removing")))
}

pub(crate) async fn delete(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let force = Force { force: values.get("force").is_some() };
    leaving::delete(
        State(app),
        ByCreator::of(signed.caller)?,
        Path(id),
        Query(force),
        IfMatch(None),
    )
    .await?;
    Ok(see_other(&format!("{}?done=deleted", Area::Creator.home())))
}
