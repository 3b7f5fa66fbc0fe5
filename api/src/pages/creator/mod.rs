//! The creator's pages: Creator Tools → Integrations.

mod add;
mod connect;
mod table;

use std::sync::Arc;

use axum::{Router, response::Redirect, routing::get};
use domain::{CreatorId, IntegrationId};
use projections::IntegrationRow;

use crate::{
    app::App,
    pages::{
        frame::Frame,
        session::{Area, Signed},
        texts,
    },
};

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/creator", get(|| async { Redirect::to(Area::Creator.home()) }))
        .route("/creator/integrations", get(table::show))
        .route("/creator/integrations/live", get(table::follow))
        .route("/creator/integrations/new", get(add::providers))
        .route("/creator/integrations/new/discord", get(add::ask_name).post(add::create))
        .route("/creator/integrations/{id}/connect", get(connect::show))
        .route("/creator/integrations/{id}/connect/discord", get(connect::to_discord))
}

/// A page of an integration.
fn place(id: IntegrationId, page: &str) -> String {
    format!("/creator/integrations/{id}{page}")
}

/// The frame of a step of an integration's set-up.
fn setup(app: &App, signed: &Signed<CreatorId>, row: &IntegrationRow, title: &str) -> Frame {
    Frame::of(app, signed, title)
        .at("integrations")
        .under(texts::EN.frame.integrations, Area::Creator.home())
        .under(row.name.to_string(), place(row.id, ""))
        .narrow()
}
