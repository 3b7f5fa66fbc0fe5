//! The log of calls, of all servers.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Query, State as Extract},
    response::{Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Sandbox,
    feed::{self, CallLine},
    shell::{Here, Shell},
    show,
};
use crate::server::{State, lock, now};

/// How many calls are shown.
const SHOWN: usize = 150;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route("/calls", get(page)).route("/calls/forget", post(forget))
}

#[derive(Template)]
#[template(path = "calls.html")]
struct CallsPage {
    shell: Shell,
    calls: Vec<CallLine>,
    kept: usize,
    /// Calls of the last ten minutes that count against the address.
    invalid: usize,
    refused_only: bool,
}

#[derive(Deserialize)]
struct Filter {
    only: Option<String>,
}

async fn page(Extract(state): Sandbox, Query(filter): Query<Filter>) -> Response {
    let refused_only = filter.only.as_deref() == Some("refused");
    let world = lock(&state.world);
    let shell = Shell::new(&state, &world, Here::Calls);
    let mut log = lock(&state.calls);
    let wanted = |status: u16| !refused_only || !(200..400).contains(&status);
    let calls = log.kept.iter().rev().filter(|call| wanted(call.status)).take(SHOWN);
    let page = CallsPage {
        shell,
        calls: calls.map(|call| feed::line(&world, call)).collect(),
        kept: log.kept.len(),
        invalid: log.invalid(now()),
        refused_only,
    };
    drop((log, world));
    show(&page)
}

async fn forget(Extract(state): Sandbox) -> Redirect {
    state.forget_calls();
    Redirect::to("/calls")
}
