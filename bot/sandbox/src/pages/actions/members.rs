//! Members by hand: joining, removing, banning, their roles.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Path, State as Extract},
    response::Redirect,
    routing::post,
};
use serde::Deserialize;

use super::{Done, server, shown};
use crate::{
    pages::{Sandbox, trouble::Trouble},
    server::State,
};

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/servers/{guild}/join", post(join))
        .route("/servers/{guild}/members/{user}/kick", post(kick))
        .route("/servers/{guild}/members/{user}/ban", post(ban))
        .route("/servers/{guild}/members/{user}/accept", post(accept))
        .route("/servers/{guild}/members/{user}/give", post(give))
        .route("/servers/{guild}/members/{user}/take", post(take))
        .route("/servers/{guild}/bans/{user}/lift", post(unban))
}

#[derive(Deserialize)]
struct Who {
    user: u64,
}

async fn join(
    Extract(state): Sandbox,
    Path(guild): Path<u64>,
    Form(Who { user }): Form<Who>,
) -> Done {
    let back = server(guild);
    state.with(|world| {
        if !world.users.contains_key(&user) {
            return Err(Trouble::missing("person").back(&back));
        }
        let known = world.guild(guild).ok_or_else(|| Trouble::missing("server"))?;
        if known.bans.contains(&user) {
            let banned = Trouble::invalid("They are banned from this server.");
            return Err(banned.fix("Lift the ban first.").back(&back));
        }
        world.add_member(guild, user);
        Ok(Redirect::to(&back))
    })
}

async fn kick(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Done {
    removable(&state, guild, user)?;
    shown(state.with(|world| world.kick(guild, user, None)), "member", guild, "")
}

async fn ban(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Done {
    removable(&state, guild, user)?;
    let there = state.with(|world| {
        let there = world.users.contains_key(&user) && world.guild(guild).is_some();
        if there {
            world.ban(guild, user);
        }
        there
    });
    shown(there, "member", guild, "")
}

/// Nobody can remove a server's owner.
fn removable(state: &State, guild: u64, user: u64) -> Result<(), Trouble> {
    let owner = state.with(|world| world.guild(guild).is_some_and(|known| known.owner == user));
    if owner {
        let refused = Trouble::invalid("The owner cannot be removed from their own server.");
        return Err(refused.fix("Choose somebody else.").back(server(guild)));
    }
    Ok(())
}

async fn unban(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Done {
    state.with(|world| world.unban(guild, user));
    shown(true, "ban", guild, "")
}

async fn accept(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Done {
    state.with(|world| world.accept_rules(guild, user));
    shown(true, "member", guild, &format!("?member={user}"))
}

#[derive(Deserialize)]
struct Which {
    role: u64,
}

async fn give(
    Extract(state): Sandbox,
    Path((guild, user)): Path<(u64, u64)>,
    Form(Which { role }): Form<Which>,
) -> Done {
    set_role(&state, guild, user, role, true)
}

async fn take(
    Extract(state): Sandbox,
    Path((guild, user)): Path<(u64, u64)>,
    Form(Which { role }): Form<Which>,
) -> Done {
    set_role(&state, guild, user, role, false)
}

fn set_role(state: &State, guild: u64, user: u64, role: u64, held: bool) -> Done {
    let done = state.with(|world| {
        let known = world.guild(guild).and_then(|guild| guild.roles.get(&role));
        let by_hand = known.is_some_and(|role| !role.managed && role.id != guild);
        by_hand && world.set_role(guild, user, role, held)
    });
    shown(done, "role to give or take by hand", guild, &format!("?member={user}"))
}
