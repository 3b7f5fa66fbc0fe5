//! Who somebody is: users, authorisations, the application, where the gateway is.

use serde_json::{Value, json};

use super::{Ask, Caller, Reply};
use crate::{
    server::State,
    world::{World, timestamp},
};

pub(super) fn me(world: &World, state: &State, ask: &Ask) -> Reply {
    let user = match &ask.caller {
        Caller::Bot => world.bot_user,
        Caller::Bearer { user, scopes } if scopes.iter().any(|scope| scope == "identify") => *user,
        Caller::Bearer { .. } => return Reply::unauthorized(),
    };
    let mut json = world.user_json(user);
    // Of a bot it tells whether its owner has it.
    json["mfa_enabled"] = json!(user != world.bot_user || state.config.owner_mfa);
    json["locale"] = json!("en-US");
    json["verified"] = json!(true);
    json["premium_type"] = json!(0);
    Reply::json(200, json)
}

pub(super) fn get(world: &World, user: Option<u64>) -> Reply {
    match user.filter(|user| world.users.contains_key(user)) {
        Some(user) => Reply::json(200, world.user_json(user)),
        None => Reply::error(404, 10013, "Unknown User"),
    }
}

pub(super) fn authorization(world: &World, state: &State, ask: &Ask) -> Reply {
    let Caller::Bearer { user, scopes } = &ask.caller else { return Reply::unauthorized() };
    let application = public_application(world, state);
    let expires = timestamp(world.now + crate::oauth::LIFETIME);
    let user = world.user_json(*user);
    Reply::json(
        200,
        json!({ "application": application, "scopes": scopes, "expires": expires, "user": user }),
    )
}

/// The application as everybody sees it.
fn public_application(world: &World, state: &State) -> Value {
    let flags = if state.config.members_intent { 1 << 15 } else { 0 };
    json!({
        "id": state.config.application.client_id,
        "name": "Integrations Hub",
        "icon": null,
        "description": "",
        "type": null,
        "bot": world.user_json(world.bot_user),
        "bot_public": true,
        "bot_require_code_grant": true,
        "verify_key": state.teller.public_key(),
        "flags": flags,
        "flags_new": flags.to_string(),
        "max_participants": null,
        "tags": [],
        "integration_types_config": {},
    })
}

/// The application as its own bot sees it.
pub(super) fn application(world: &World, state: &State) -> Reply {
    let mut json = public_application(world, state);
    json["redirect_uris"] = json!([]);
    json["interactions_endpoint_url"] = json!(null);
    json["role_connections_verification_url"] = json!(null);
    json["owner"] = world.user_json(world.bot_user);
    json["team"] = json!(null);
    json["approximate_guild_count"] = json!(world.guilds.len());
    json["approximate_user_install_count"] = json!(0);
    json["approximate_user_authorization_count"] = json!(0);
    json["explicit_content_filter"] = json!(0);
    json["eligible_oauth2_scopes"] = json!(["bot", "identify", "guilds.join"]);
    Reply::json(200, json)
}

pub(super) fn gateway(state: &State) -> Reply {
    let limit = state.gateway.session_start_limit(state.config.max_concurrency);
    let url = format!("ws://{}", state.addr);
    Reply::json(200, json!({ "url": url, "shards": 1, "session_start_limit": limit }))
}
