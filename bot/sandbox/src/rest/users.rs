//! Who somebody is: users, authorisations, the application, where the gateway is.

use serde_json::json;

use super::{Ask, Caller, Reply};
use crate::{server::State, world::World};

pub(super) fn me(world: &World, ask: &Ask) -> Reply {
    let user = match &ask.caller {
        Caller::Bot => world.bot_user,
        Caller::Bearer { user, scopes } if scopes.iter().any(|scope| scope == "identify") => *user,
        Caller::Bearer { .. } => return Reply::unauthorized(),
    };
    let mut json = world.user_json(user);
    json["mfa_enabled"] = json!(true);
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
    let application = application(world, state).body;
    let expires = (world.now + crate::oauth::LIFETIME).to_rfc3339();
    let user = world.user_json(*user);
    Reply::json(
        200,
        json!({ "application": application, "scopes": scopes, "expires": expires, "user": user }),
    )
}

pub(super) fn application(world: &World, state: &State) -> Reply {
    let flags = if state.config.members_intent { 1 << 15 } else { 0 };
    Reply::json(
        200,
        json!({
            "id": state.config.application.client_id,
            "name": "Integrations Hub",
            "icon": null,
            "description": "",
            "type": null,
            "bot": world.user_json(world.bot_user),
            "bot_public": true,
            "bot_require_code_grant": true,
            "verify_key": "0".repeat(64),
            "flags": flags,
            "max_participants": null,
            "tags": [],
            "integration_types_config": {},
            "redirect_uris": [],
        }),
    )
}

pub(super) fn gateway(state: &State) -> Reply {
    let limit =
        json!({ "total": 1000, "remaining": 999, "reset_after": 86_400_000, "max_concurrency": 1 });
    let url = format!("ws://{}", state.addr);
    Reply::json(200, json!({ "url": url, "shards": 1, "session_start_limit": limit }))
}
