//! The people with an account here, and the way to make people and servers.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, Query, State as Extract},
    response::{Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Sandbox, actions,
    look::Avatar,
    shell::{Here, Shell},
    show,
    trouble::Trouble,
};
use crate::{
    server::{State, lock},
    world::{NewGuild, NewRole, User, World},
};

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/people", get(page).post(make))
        .route("/people/example", post(example))
        .route("/people/{user}/limit", post(limit))
        .route("/people/{user}/deauthorize", post(deauthorize))
        .route("/people/{user}/delete", post(delete))
}

/// More are found by their name.
const SHOWN: usize = 60;

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    shell: Shell,
    people: Vec<Account>,
    hidden: usize,
    find: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    find: String,
}

struct Account {
    id: u64,
    name: String,
    avatar: Avatar,
    at_guild_limit: bool,
    servers: Vec<(u64, String)>,
    /// Servers that would be without their owner.
    owns: bool,
}

fn account(world: &World, user: &User) -> Account {
    let servers = world.guilds.values().filter(|guild| guild.members.contains_key(&user.id));
    Account {
        id: user.id,
        name: user.username.clone(),
        avatar: Avatar::new(user.id, &user.username),
        at_guild_limit: user.at_guild_limit,
        servers: servers.map(|guild| (guild.id, guild.name.clone())).collect(),
        owns: world.guilds.values().any(|guild| guild.owner == user.id),
    }
}

async fn page(Extract(state): Sandbox, Query(Found { find }): Query<Found>) -> Response {
    let world = lock(&state.world);
    let wanted = find.trim().to_lowercase();
    let found = |user: &&User| !user.bot && user.username.to_lowercase().contains(&wanted);
    let people = world.users.values().filter(found);
    let page = PeoplePage {
        shell: Shell::new(&state, &world, Here::People),
        hidden: people.clone().count().saturating_sub(SHOWN),
        people: people.take(SHOWN).map(|user| account(&world, user)).collect(),
        find,
    };
    drop(world);
    show(&page)
}

#[derive(Deserialize)]
struct Make {
    name: String,
}

async fn make(Extract(state): Sandbox, Form(new): Form<Make>) -> Result<Redirect, Trouble> {
    let name = actions::name(&new.name, "/people")?;
    state.with(|world| world.add_user(None, &name));
    Ok(Redirect::to("/people"))
}

/// Three people, a server with two roles, and the bot in it.
async fn example(Extract(state): Sandbox) -> Redirect {
    let guild = state.with(|world| {
        let owner = world.add_user(None, "kim");
        world.add_user(None, "ada");
        world.add_user(None, "ben");
        let role = |name: &str, position, color| NewRole {
            name: name.to_owned(),
            position,
            color,
            ..NewRole::default()
        };
        let guild = world.add_guild(NewGuild {
            name: "Kim's Club".to_owned(),
            owner,
            roles: vec![role("Silver", 1, 0x00a0_a0b0), role("Gold", 2, 0x00d4_a017)],
            ..NewGuild::default()
        });
        world.add_bot(guild, actions::INSTALL);
        guild
    });
    Redirect::to(&format!("/servers/{guild}"))
}

#[derive(Deserialize)]
struct Limit {
    reached: bool,
}

async fn limit(
    Extract(state): Sandbox,
    Path(user): Path<u64>,
    Form(limit): Form<Limit>,
) -> Result<Redirect, Trouble> {
    let found = state
        .with(|world| world.users.get_mut(&user).map(|user| user.at_guild_limit = limit.reached));
    shown(found)
}

async fn deauthorize(Extract(state): Sandbox, Path(user): Path<u64>) -> Result<Redirect, Trouble> {
    state.deauthorize(user);
    shown(state.with(|world| world.users.contains_key(&user).then_some(())))
}

async fn delete(Extract(state): Sandbox, Path(user): Path<u64>) -> Result<Redirect, Trouble> {
    let owns = state.with(|world| {
        user == world.bot_user || world.guilds.values().any(|guild| guild.owner == user)
    });
    if owns {
        let refused = Trouble::invalid("Whoever owns a server cannot delete their account.");
        return Err(refused.fix("Delete somebody else's.").back("/people"));
    }
    state.deauthorize(user);
    let found = state.with(|world| {
        let found = world.users.contains_key(&user);
        world.delete_user(user);
        found
    });
    shown(found.then_some(()))
}

fn shown(found: Option<()>) -> Result<Redirect, Trouble> {
    found
        .map(|()| Redirect::to("/people"))
        .ok_or_else(|| Trouble::missing("person").back("/people"))
}
