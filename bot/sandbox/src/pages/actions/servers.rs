//! Servers by hand: made, changed, with the bot and without it, in an outage.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Path, State as Extract},
    response::Redirect,
    routing::post,
};
use serde::Deserialize;

use super::{Done, name, server, shown};
use crate::{
    pages::{Sandbox, trouble::Trouble},
    permissions::{CREATE_INSTANT_INVITE, KICK_MEMBERS, MANAGE_ROLES},
    server::State,
    world::NewGuild,
};

/// What the bot is given where it is added by hand.
pub(in crate::pages) const INSTALL: u64 = MANAGE_ROLES | KICK_MEMBERS | CREATE_INSTANT_INVITE;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/servers", post(make))
        .route("/servers/{guild}/edit", post(edit))
        .route("/servers/{guild}/outage", post(outage))
        .route("/servers/{guild}/bot/add", post(add_bot))
        .route("/servers/{guild}/bot/remove", post(remove_bot))
}

#[derive(Deserialize)]
struct Make {
    name: String,
    owner: u64,
}

async fn make(Extract(state): Sandbox, Form(new): Form<Make>) -> Done {
    let name = name(&new.name, "/people")?;
    let made = state.with(|world| {
        world
            .users
            .contains_key(&new.owner)
            .then(|| world.add_guild(NewGuild { name, owner: new.owner, ..NewGuild::default() }))
    });
    let made = made.ok_or_else(|| Trouble::missing("person").back("/people"))?;
    Ok(Redirect::to(&server(made)))
}

#[derive(Deserialize)]
struct Edit {
    name: String,
    screening: Option<String>,
    mfa: Option<String>,
    #[serde(default)]
    member_limit: String,
}

async fn edit(Extract(state): Sandbox, Path(guild): Path<u64>, Form(edit): Form<Edit>) -> Done {
    let looked = "?settings=1";
    let back = format!("{}{looked}", server(guild));
    let named = name(&edit.name, &back)?;
    let limit = match edit.member_limit.trim() {
        "" => None,
        typed => Some(typed.parse().map_err(|_| {
            Trouble::invalid("The most members is a number.")
                .fix("Leave it empty for no limit.")
                .back(&back)
        })?),
    };
    let found = state.with(|world| {
        let known = world.guilds.get_mut(&guild)?;
        known.name = named;
        known.screening = edit.screening.is_some();
        known.mfa_level = edit.mfa.is_some().into();
        known.member_limit = limit;
        Some(())
    });
    shown(found.is_some(), "server", guild, looked)
}

#[derive(Deserialize)]
struct Outage {
    begins: bool,
}

async fn outage(
    Extract(state): Sandbox,
    Path(guild): Path<u64>,
    Form(outage): Form<Outage>,
) -> Done {
    state.with(|world| world.set_unavailable(guild, outage.begins));
    shown(state.with(|world| world.guild(guild).is_some()), "server", guild, "")
}

async fn add_bot(Extract(state): Sandbox, Path(guild): Path<u64>) -> Done {
    state.with(|world| world.add_bot(guild, INSTALL));
    shown(state.with(|world| world.guild(guild).is_some()), "server", guild, "")
}

async fn remove_bot(Extract(state): Sandbox, Path(guild): Path<u64>) -> Done {
    let removed = state.with(|world| world.kick(guild, world.bot_user, None));
    shown(removed, "bot in this server", guild, "")
}
