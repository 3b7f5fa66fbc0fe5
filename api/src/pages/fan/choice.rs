//! A fan's own choice for an integration: in, or out.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{FanId, IntegrationId};

use crate::{
    app::AppState,
    auth::ByFan,
    error::ApiError,
    extract::{Body, Nothing, Path},
    pages::{
        fan::{
            HOME,
            access::{self, Access},
            account::step,
        },
        forms::Sent,
        frame::{Frame, page, see_other},
        session::{Destination, Signed},
        texts,
    },
    routes::fans,
};

#[derive(Template)]
#[template(path = "fan/leave.html")]
struct LeavePage {
    frame: Frame,
    access: Access,
}

pub(crate) async fn activate(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<FanId>,
) -> Result<Response, ApiError> {
    let (caller, fan) = (ByFan::of(signed.caller)?, signed.who);
    fans::activate(State(Arc::clone(&app)), caller, Path((fan, id)), Body(Nothing)).await?;
    let bought = values.parse("welcome").map(|bought| Destination::Welcome(bought).path());
    Ok(see_other(&format!("{}?done=activated", bought.as_deref().unwrap_or(HOME))))
}

pub(crate) async fn ask_leave(
    State(app): AppState,
    signed: Signed<FanId>,
    Path(id): Path<IntegrationId>,
) -> Result<Response, ApiError> {
    let mut all = access::all(&app, &signed).await?.into_iter();
    let shown = all.find(|shown| shown.id == id).ok_or_else(ApiError::not_found)?;
    let access = Access::of(&app, &texts::EN, &signed.who, "", &shown).await?;
    if !access.can_be_left() {
        return Ok(see_other(HOME));
    }
    let frame = step(&app, &signed, texts::EN.standing.leave_title.plain(&access.name)).await?;
    page(&LeavePage { frame, access })
}

pub(crate) async fn leave(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, .. }: Sent<FanId>,
) -> Result<Response, ApiError> {
    fans::deactivate(State(Arc::clone(&app)), ByFan::of(signed.caller)?, Path((signed.who, id)))
        .await?;
    Ok(see_other(&format!("{HOME}?done=left")))
}
