//! The control API: what tests in any language, and people, change in the world by hand.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, patch, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    consent::{self, Choice},
    faults::Fault,
    limits::{Limits, Windows},
    server::{State, lock, now},
    world::{NewGuild, NewRole},
};

type Sandbox = Extract<Arc<State>>;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/sandbox/world", get(world))
        .route("/sandbox/users", post(add_user))
        .route("/sandbox/users/{user}", patch(edit_user).delete(delete_user))
        .route("/sandbox/users/{user}/tokens", axum::routing::delete(deauthorize))
        .route("/sandbox/guilds", post(add_guild))
        .route("/sandbox/guilds/{guild}", patch(edit_guild))
        .route("/sandbox/guilds/{guild}/bot", put(add_bot).delete(remove_bot))
        .route("/sandbox/guilds/{guild}/roles", post(add_role))
        .route("/sandbox/guilds/{guild}/roles/{role}", patch(edit_role).delete(delete_role))
        .route(
            "/sandbox/guilds/{guild}/members/{user}",
            put(add_member).patch(edit_member).delete(remove_member),
        )
        .route(
            "/sandbox/guilds/{guild}/members/{user}/roles/{role}",
            put(give_role).delete(take_role),
        )
        .route("/sandbox/guilds/{guild}/bans/{user}", put(ban).delete(unban))
        .route("/sandbox/consent", post(consent))
        .route("/sandbox/faults", post(add_fault).get(faults).delete(clear_faults))
        .route("/sandbox/limits", put(set_limits))
        .route("/sandbox/calls", get(calls).delete(forget_calls))
        .route("/sandbox/counters", get(counters))
        .route("/sandbox/bot_token", put(revive_token).delete(kill_token))
        .route("/sandbox/gateway/cut", post(cut_gateway))
        .route("/sandbox/webhook", put(tell_to))
}

fn done(found: bool) -> Response {
    if found {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::NOT_FOUND, Json(json!({ "message": "there is no such thing in the sandbox" })))
            .into_response()
    }
}

async fn world(Extract(state): Sandbox) -> Json<Value> {
    let world = lock(&state.world);
    Json(
        json!({ "users": world.users.values().collect::<Vec<_>>(), "guilds": world.guilds.values().collect::<Vec<_>>() }),
    )
}

#[derive(Deserialize)]
struct NewUser {
    #[serde(default, with = "crate::ids::optional")]
    id: Option<u64>,
    username: String,
}

async fn add_user(Extract(state): Sandbox, Json(new): Json<NewUser>) -> Json<Value> {
    let id = state.with(|world| world.add_user(new.id, &new.username));
    Json(json!({ "id": id.to_string() }))
}

#[derive(Deserialize)]
struct EditUser {
    at_guild_limit: bool,
}

async fn edit_user(
    Extract(state): Sandbox,
    Path(user): Path<u64>,
    Json(edit): Json<EditUser>,
) -> Response {
    done(state.with(|world| {
        world.users.get_mut(&user).map(|user| user.at_guild_limit = edit.at_guild_limit).is_some()
    }))
}

async fn delete_user(Extract(state): Sandbox, Path(user): Path<u64>) -> Response {
    state.deauthorize(user);
    state.with(|world| world.delete_user(user));
    done(true)
}

async fn deauthorize(Extract(state): Sandbox, Path(user): Path<u64>) -> Response {
    state.deauthorize(user);
    done(true)
}

async fn add_guild(Extract(state): Sandbox, Json(new): Json<NewGuild>) -> Json<Value> {
    let id = state.with(|world| world.add_guild(new));
    Json(json!({ "id": id.to_string() }))
}

#[derive(Deserialize)]
struct EditGuild {
    name: Option<String>,
    #[expect(clippy::option_option, reason = "missing leaves it, null takes it away")]
    member_limit: Option<Option<usize>>,
    screening: Option<bool>,
    mfa_level: Option<u8>,
    unavailable: Option<bool>,
}

async fn edit_guild(
    Extract(state): Sandbox,
    Path(guild): Path<u64>,
    Json(edit): Json<EditGuild>,
) -> Response {
    done(state.with(|world| {
        if let Some(unavailable) = edit.unavailable {
            world.set_unavailable(guild, unavailable);
        }
        let Some(known) = world.guilds.get_mut(&guild) else { return false };
        known.name = edit.name.unwrap_or_else(|| known.name.clone());
        known.member_limit = edit.member_limit.unwrap_or(known.member_limit);
        known.screening = edit.screening.unwrap_or(known.screening);
        known.mfa_level = edit.mfa_level.unwrap_or(known.mfa_level);
        true
    }))
}

#[derive(Deserialize)]
struct NewBot {
    permissions: u64,
}

async fn add_bot(
    Extract(state): Sandbox,
    Path(guild): Path<u64>,
    Json(bot): Json<NewBot>,
) -> Response {
    state.with(|world| world.add_bot(guild, bot.permissions));
    done(true)
}

async fn remove_bot(Extract(state): Sandbox, Path(guild): Path<u64>) -> Response {
    done(state.with(|world| world.remove_member(guild, world.bot_user)))
}

async fn add_role(
    Extract(state): Sandbox,
    Path(guild): Path<u64>,
    Json(new): Json<NewRole>,
) -> Response {
    match state.with(|world| world.add_role(guild, new)) {
        Some(id) => Json(json!({ "id": id.to_string() })).into_response(),
        None => done(false),
    }
}

#[derive(Deserialize)]
struct EditRole {
    name: Option<String>,
    position: Option<i64>,
    permissions: Option<u64>,
    managed: Option<bool>,
}

async fn edit_role(
    Extract(state): Sandbox,
    Path((guild, role)): Path<(u64, u64)>,
    Json(edit): Json<EditRole>,
) -> Response {
    done(state.with(|world| {
        world.edit_role(guild, role, |role| {
            role.name = edit.name.unwrap_or_else(|| role.name.clone());
            role.position = edit.position.unwrap_or(role.position);
            role.permissions = edit.permissions.unwrap_or(role.permissions);
            role.managed = edit.managed.unwrap_or(role.managed);
        })
    }))
}

async fn delete_role(Extract(state): Sandbox, Path((guild, role)): Path<(u64, u64)>) -> Response {
    done(state.with(|world| world.delete_role(guild, role)))
}

async fn add_member(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Response {
    state.with(|world| world.add_member(guild, user));
    done(true)
}

#[derive(Deserialize)]
struct EditMember {
    pending: bool,
}

async fn edit_member(
    Extract(state): Sandbox,
    Path((guild, user)): Path<(u64, u64)>,
    Json(edit): Json<EditMember>,
) -> Response {
    if !edit.pending {
        state.with(|world| world.accept_rules(guild, user));
    }
    done(true)
}

async fn remove_member(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Response {
    done(state.with(|world| world.remove_member(guild, user)))
}

async fn give_role(
    Extract(state): Sandbox,
    Path((guild, user, role)): Path<(u64, u64, u64)>,
) -> Response {
    done(state.with(|world| world.set_role(guild, user, role, true)))
}

async fn take_role(
    Extract(state): Sandbox,
    Path((guild, user, role)): Path<(u64, u64, u64)>,
) -> Response {
    done(state.with(|world| world.set_role(guild, user, role, false)))
}

async fn ban(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Response {
    state.with(|world| world.ban(guild, user));
    done(true)
}

async fn unban(Extract(state): Sandbox, Path((guild, user)): Path<(u64, u64)>) -> Response {
    state.with(|world| world.unban(guild, user));
    done(true)
}

#[derive(Deserialize)]
struct Consent {
    authorize_url: String,
    #[serde(flatten)]
    choice: Choice,
}

async fn consent(Extract(state): Sandbox, Json(asked): Json<Consent>) -> Response {
    match consent::decide(&state, &asked.authorize_url, &asked.choice) {
        Ok(redirect) => Json(json!({ "redirect": redirect })).into_response(),
        Err(message) => {
            (StatusCode::BAD_REQUEST, Json(json!({ "message": message }))).into_response()
        }
    }
}

async fn add_fault(Extract(state): Sandbox, Json(fault): Json<Fault>) -> Response {
    state.arm(fault);
    done(true)
}

async fn faults(Extract(state): Sandbox) -> Json<Vec<Fault>> {
    Json(lock(&state.faults).armed().iter().map(|(_, fault)| fault.clone()).collect())
}

async fn clear_faults(Extract(state): Sandbox) -> Response {
    state.clear_faults();
    done(true)
}

async fn set_limits(Extract(state): Sandbox, Json(limits): Json<Limits>) -> Response {
    *lock(&state.limits) = (limits, Windows::default());
    done(true)
}

async fn calls(Extract(state): Sandbox) -> Json<Value> {
    Json(json!({ "data": lock(&state.calls).kept }))
}

async fn forget_calls(Extract(state): Sandbox) -> Response {
    state.forget_calls();
    done(true)
}

async fn counters(Extract(state): Sandbox) -> Json<Value> {
    let mut calls = lock(&state.calls);
    Json(json!({ "calls": calls.kept.len(), "invalid": calls.invalid(now()) }))
}

async fn revive_token(Extract(state): Sandbox) -> Response {
    state.set_token_alive(true);
    done(true)
}

async fn kill_token(Extract(state): Sandbox) -> Response {
    state.set_token_alive(false);
    done(true)
}

#[derive(Deserialize)]
struct Told {
    url: Url,
}

async fn tell_to(Extract(state): Sandbox, Json(told): Json<Told>) -> Response {
    match state.teller.tell_to(&state.config.application.client_id, told.url).await {
        Ok(()) => done(true),
        Err(message) => {
            (StatusCode::BAD_REQUEST, Json(json!({ "message": message }))).into_response()
        }
    }
}

#[derive(Deserialize)]
struct Cut {
    resumable: bool,
}

async fn cut_gateway(Extract(state): Sandbox, Json(cut): Json<Cut>) -> Response {
    state.gateway.cut(cut.resumable);
    done(true)
}
