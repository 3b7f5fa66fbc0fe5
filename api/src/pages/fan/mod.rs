//! The fan's pages: what was bought and what it opens, the Discord account, what is new.

mod access;
mod account;
mod choice;
mod memberships;
mod notifications;
mod welcome;

use std::sync::Arc;

use axum::{
    Router,
    response::Redirect,
    routing::{get, post},
};

use domain::FanId;

use crate::{
    app::App,
    error::ApiError,
    pages::{
        frame::Frame,
        session::{Area, Signed},
    },
};

/// The page on which everything about the fan stands.
const HOME: &str = "/fan/memberships";

/// The frame of a fan's page, which says how much is new.
async fn frame(
    app: &App,
    signed: &Signed<FanId>,
    title: impl Into<String>,
) -> Result<Frame, ApiError> {
    let unread = notifications::unread(app, &signed.who).await?;
    Ok(Frame::of(app, signed, title).counting("notifications", unread))
}

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/fan", get(|| async { Redirect::to(Area::Fan.home()) }))
        .route(HOME, get(memberships::show))
        .route("/fan/memberships/live", get(memberships::follow))
        .route("/fan/welcome/{membership}", get(welcome::show))
        .route("/fan/welcome/{membership}/live", get(welcome::follow))
        .route("/fan/discord", get(account::to_discord))
        .route("/fan/discord/switch", get(account::ask_switch))
        .route("/fan/discord/disconnect", get(account::ask_disconnect).post(account::disconnect))
        .route("/fan/integrations/{id}/activate", post(choice::activate))
        .route("/fan/integrations/{id}/leave", get(choice::ask_leave).post(choice::leave))
        .route("/fan/notifications", get(notifications::show))
        .route("/fan/notifications/{id}/read", post(notifications::read))
}
