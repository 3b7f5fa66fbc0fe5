//! The sandbox's pages: a small Discord to look at and to take by the hand.
//!
//! Every page is whole without scripts: each action is a form that answers with a redirect. The script asks for
//! the page again when `/live` says that something changed, and takes over what differs.

mod actions;
mod assets;
mod calls;
mod consent;
mod faults;
mod feed;
mod guard;
mod live;
mod look;
mod people;
mod refusals;
mod server;
mod shell;
mod trouble;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{
        State as Extract,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    middleware,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};

use crate::{
    gateway,
    server::{State, lock},
};

type Sandbox = Extract<Arc<State>>;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/", get(root))
        .merge(server::routes())
        .merge(actions::routes())
        .merge(people::routes())
        .merge(calls::routes())
        .merge(faults::routes())
        .merge(consent::routes())
        .merge(live::routes())
        .merge(assets::routes())
        .layer(middleware::map_response(guard::with_headers))
        .layer(middleware::from_fn(guard::refuse_other_sites))
}

/// A bot connects to the gateway here; a browser is shown the first server.
async fn root(
    Extract(state): Sandbox,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Ok(upgrade) = upgrade {
        return gateway::connect(Extract(state), upgrade).await;
    }
    let first = lock(&state.world).guilds.keys().next().copied();
    let page = first.map_or_else(|| "/people".to_owned(), |guild| format!("/servers/{guild}"));
    Redirect::to(&page).into_response()
}

fn show(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the sandbox could not be rendered");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
