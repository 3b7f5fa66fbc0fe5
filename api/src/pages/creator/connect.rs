//! Connect your Discord: what will happen there, the way there, and what came of it.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{CreatorId, IntegrationId, integration::Phase};
use projections::IntegrationRow;

use crate::{
    app::AppState,
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    pages::{
        creator::{place, setup},
        frame::{Frame, page, see_other},
        session::Signed,
        texts,
    },
    routes::{connect, integrations},
};

#[derive(Template)]
#[template(path = "creator/connect.html")]
struct ConnectPage {
    frame: Frame,
    row: IntegrationRow,
    /// Why it did not work the last time.
    failed: Option<&'static str>,
    removing: bool,
}

/// What the way back from Discord says.
pub(crate) struct BackQuery {
    status: Option<String>,
    error: Option<String>,
}

impl FromFields for BackQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (status, error) = (fields.text("status"), fields.text("error"));
        fields.ignore_the_rest();
        Some(Self { status, error })
    }
}

impl BackQuery {
    fn failed(&self) -> Option<&'static str> {
        let t = &texts::EN.connect;
        Some(match self.error.as_deref()? {
            "oauth_denied" => t.denied,
            "guild_taken" => t.taken,
            "connected_elsewhere" => t.elsewhere,
            "discord_unavailable" => t.unavailable,
            "discord_refused" => t.refused,
            "removing" => t.removing_lead,
            _ => t.failed_lead,
        })
    }
}

/// Who goes back in the browser, or is done in another tab, goes on where the integration stands.
fn is_done(row: &IntegrationRow) -> bool {
    row.state.phase == Phase::Connected && !row.state.bot_missing
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(back): Query<BackQuery>,
) -> Result<Response, ApiError> {
    let row = integrations::row(&app, &signed.caller, id).await?;
    if is_done(&row) && back.error.is_none() {
        let done = if back.status.is_some() { "?done=connected" } else { "" };
        return Ok(see_other(&format!("{}{done}", place(id, "/roles"))));
    }
    let t = &texts::EN;
    let frame = setup(&app, &signed, &row, t.connect.title).await?;
    let removing = matches!(row.state.phase, Phase::Removing { .. }) && !row.state.bot_missing;
    page(&ConnectPage { frame, failed: back.failed(), removing, row })
}

/// Sends the browser to Discord. A link rather than a form: a form may not lead to another site.
pub(crate) async fn to_discord(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
) -> Result<Response, ApiError> {
    if is_done(&integrations::row(&app, &signed.caller, id).await?) {
        return Ok(see_other(&place(id, "/roles")));
    }
    let back = app.pages.url(&place(id, "/connect")).parse().ok();
    let browser = Some(signed.held.browser());
    let url = connect::begin(&app, &signed.caller, id, back, browser).await?;
    Ok(see_other(url.as_str()))
}
