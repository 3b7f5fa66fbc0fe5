//! What goes wrong: faults armed by one click or by a form, and the bot's token and connection.

mod armed;
mod form;
mod offered;

use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State as Extract},
    response::{Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

pub(super) use self::{
    armed::Armed,
    offered::{ARMED_BY_ONE_CLICK, Preset},
};
use self::{
    form::Wanted,
    offered::{CALLS, Calls},
};
use super::{
    Sandbox,
    refusals::{REFUSALS, Refusal},
    shell::{Here, Shell},
    show,
    trouble::Trouble,
};
use crate::server::{State, lock};

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/faults", get(page).post(arm))
        .route("/faults/preset", post(arm_preset))
        .route("/faults/{number}/disarm", post(disarm))
        .route("/faults/clear", post(clear))
        .route("/faults/token", post(token))
        .route("/faults/gateway", post(gateway))
}

#[derive(Template)]
#[template(path = "faults.html")]
struct FaultsPage {
    shell: Shell,
    faults: Vec<Armed>,
    presets: &'static [Preset],
    calls: &'static [Calls],
    refusals: &'static [Refusal],
}

async fn page(Extract(state): Sandbox) -> Response {
    let world = lock(&state.world);
    let page = FaultsPage {
        shell: Shell::new(&state, &world, Here::Faults),
        faults: Armed::all(&state),
        presets: ARMED_BY_ONE_CLICK,
        calls: CALLS,
        refusals: REFUSALS,
    };
    drop(world);
    show(&page)
}

async fn arm(Extract(state): Sandbox, Form(wanted): Form<Wanted>) -> Result<Redirect, Trouble> {
    state.arm(wanted.fault()?);
    Ok(Redirect::to("/faults"))
}

/// From where a form was sent: a server's page, or the page of faults.
#[derive(Deserialize)]
struct From {
    server: Option<u64>,
}

impl From {
    fn back(&self) -> Redirect {
        let page = self.server.map_or_else(|| "/faults".to_owned(), |id| format!("/servers/{id}"));
        Redirect::to(&page)
    }
}

#[derive(Deserialize)]
struct Chosen {
    preset: usize,
    server: Option<u64>,
}

async fn arm_preset(
    Extract(state): Sandbox,
    Form(Chosen { preset, server }): Form<Chosen>,
) -> Result<Redirect, Trouble> {
    let preset = ARMED_BY_ONE_CLICK.get(preset);
    let preset = preset.ok_or_else(|| Trouble::missing("fault").back("/faults"))?;
    state.arm((preset.make)());
    Ok(From { server }.back())
}

async fn disarm(
    Extract(state): Sandbox,
    Path(number): Path<u64>,
    Form(from): Form<From>,
) -> Redirect {
    lock(&state.faults).disarm(number);
    state.changed();
    from.back()
}

async fn clear(Extract(state): Sandbox) -> Redirect {
    state.clear_faults();
    Redirect::to("/faults")
}

#[derive(Deserialize)]
struct Token {
    alive: bool,
}

async fn token(Extract(state): Sandbox, Form(token): Form<Token>) -> Redirect {
    state.set_token_alive(token.alive);
    Redirect::to("/faults")
}

#[derive(Deserialize)]
struct Cut {
    resumable: bool,
}

async fn gateway(Extract(state): Sandbox, Form(cut): Form<Cut>) -> Redirect {
    state.gateway.cut(cut.resumable);
    state.changed();
    Redirect::to("/faults")
}
