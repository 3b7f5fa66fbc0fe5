//! A server's page: its roles in Discord's order, what happens in it, and its members.

mod card;
mod members;
mod roles;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State as Extract},
    response::{Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use self::{
    card::Card,
    members::{Group, Person},
    roles::RoleRow,
};
use super::{
    Sandbox,
    faults::{ARMED_BY_ONE_CLICK, Armed, Preset},
    feed::{self, Entry},
    shell::{Here, Shell},
    show,
    trouble::Trouble,
};
use crate::server::{State, lock};

/// How many messages are shown.
const MESSAGES: usize = 60;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route("/servers/{guild}", get(page)).route("/channels/{guild}", get(as_discord))
}

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    shell: Shell,
    id: u64,
    name: String,
    roles: Vec<RoleRow>,
    bot_in: bool,
    bot_name: String,
    outage: bool,
    members: usize,
    groups: Vec<Group>,
    /// How many members are not shown.
    hidden: usize,
    find: String,
    outside: Vec<Person>,
    banned: Vec<Person>,
    feed: Vec<Entry>,
    armed: Vec<Armed>,
    presets: &'static [Preset],
    card: Option<Card>,
}

/// What of the server is looked at closely.
#[derive(Deserialize)]
pub(super) struct Looked {
    member: Option<u64>,
    role: Option<u64>,
    settings: Option<String>,
    #[serde(default)]
    find: String,
}

/// Where Discord has the server in a browser.
async fn as_discord(Path(guild): Path<u64>) -> Redirect {
    Redirect::to(&format!("/servers/{guild}"))
}

async fn page(
    Extract(state): Sandbox,
    Path(guild): Path<u64>,
    Query(looked): Query<Looked>,
) -> Result<Response, Trouble> {
    let world = lock(&state.world);
    let known = world.guild(guild).ok_or_else(|| Trouble::missing("server"))?;
    let shown = members::shown(&world, known, &looked.find);
    let page = ServerPage {
        shell: Shell::new(&state, &world, Here::Server(guild)),
        id: guild,
        name: known.name.clone(),
        roles: roles::rows(&world, known),
        bot_in: known.members.contains_key(&world.bot_user),
        bot_name: members::name_of(&world, world.bot_user),
        outage: known.unavailable,
        members: known.members.len(),
        groups: shown.groups,
        hidden: shown.hidden,
        outside: members::outside(&world, known),
        banned: members::banned(&world, known),
        feed: feed::of_server(&world, &lock(&state.calls), guild, MESSAGES),
        armed: Armed::all(&state),
        presets: ARMED_BY_ONE_CLICK,
        card: Card::of(&world, known, &looked),
        find: looked.find,
    };
    drop(world);
    Ok(show(&page))
}
