//! REST v10: one door for every call, where faults, limits and the log of calls are.

mod guilds;
mod members;
mod users;

use std::sync::Arc;

use axum::{
    extract::{Request, State as Extract},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    calls::{By, Call, masked},
    faults::{self, Action, Scope},
    limits::{Permit, headers},
    oauth,
    server::{State, lock, now},
    world::World,
};

/// Who calls.
#[derive(Debug, Clone)]
enum Caller {
    Bot,
    Bearer { user: u64, scopes: Vec<String> },
}

/// What a call asks for.
struct Ask {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
    reason: Option<String>,
    caller: Caller,
}

/// An answer before headers are added to it.
struct Reply {
    status: u16,
    body: Option<Value>,
    code: Option<u64>,
}

impl Reply {
    fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), code: None }
    }

    fn empty() -> Self {
        Self { status: 204, body: None, code: None }
    }

    fn error(status: u16, code: u64, message: &str) -> Self {
        Self { status, body: Some(json!({ "message": message, "code": code })), code: Some(code) }
    }

    fn unauthorized() -> Self {
        Self::error(401, 0, "401: Unauthorized")
    }

    fn not_found() -> Self {
        Self::error(404, 0, "404: Not Found")
    }

    fn invalid_form(field: &str, message: &str) -> Self {
        let errors =
            json!({ field: { "_errors": [{ "code": "BASE_TYPE_BAD", "message": message }] } });
        let body = json!({ "message": "Invalid Form Body", "code": 50035, "errors": errors });
        Self { status: 400, body: Some(body), code: Some(50035) }
    }
}

/// The most that a body may have.
const MAX_BODY: usize = 1 << 20;

/// A call as the log of calls will have it, once it is known how it ends.
struct Heard<'a> {
    state: &'a State,
    call: Call,
}

impl Heard<'_> {
    fn ends(&self, status: u16, code: Option<u64>, scope: Option<Scope>) {
        let invalid = matches!(status, 401 | 403 | 429) && scope != Some(Scope::Shared);
        let call = Call { at: now(), status, code, ..self.call.clone() };
        lock(&self.state.calls).push(call, invalid);
        self.state.changed();
    }

    /// What a fault answers before the call has any effect.
    async fn struck(&self, fault: Option<&Action>) -> Option<Response> {
        match fault? {
            Action::Delay { ms } => {
                faults::wait(*ms).await;
                None
            }
            Action::DropBefore => {
                self.ends(0, None, None);
                Some(cut())
            }
            Action::Refuse { status, code, message } => {
                self.ends(*status, Some(*code), None);
                Some(respond(Reply::error(*status, *code, message), HeaderMap::new()))
            }
            Action::Error { status } => {
                self.ends(*status, None, None);
                Some(respond(Reply::error(*status, 0, "Internal Server Error"), HeaderMap::new()))
            }
            Action::RateLimit { scope, retry_after } => {
                self.ends(429, None, Some(*scope));
                Some(rate_limited(*scope, *retry_after, HeaderMap::new()))
            }
            Action::Cloudflare { retry_after } => {
                self.ends(429, None, None);
                Some(cloudflare(*retry_after))
            }
            Action::LostUpdate => {
                self.ends(204, None, None);
                Some(respond(Reply::empty(), HeaderMap::new()))
            }
            Action::DelayAfter { .. } | Action::ErrorAfterEffect { .. } | Action::DropAfter => None,
        }
    }

    /// The answer, unless a fault hides it.
    async fn answered(
        &self,
        fault: Option<&Action>,
        status: u16,
        code: Option<u64>,
        answer: Response,
    ) -> Response {
        match fault {
            Some(Action::DropAfter) => {
                self.ends(0, None, None);
                cut()
            }
            Some(Action::ErrorAfterEffect { status }) => {
                self.ends(*status, None, None);
                respond(Reply::error(*status, 0, "Internal Server Error"), HeaderMap::new())
            }
            other => {
                if let Some(Action::DelayAfter { ms }) = other {
                    faults::wait(*ms).await;
                }
                self.ends(status, code, None);
                answer
            }
        }
    }

    /// The permit's headers, or the refusal of a call that is one too many.
    fn permitted(&self) -> Result<HeaderMap, Box<Response>> {
        let Call { path, method, route, .. } = &self.call;
        let rest = path.strip_prefix("/guilds/");
        let major = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let permit = {
            let (limits, windows) = &mut *lock(&self.state.limits);
            windows.take(limits, method, route, major, now())
        };
        match permit {
            Permit::Granted(headers) => Ok(headers),
            Permit::Refused { scope, retry_after, headers } => {
                self.ends(429, None, Some(scope));
                Err(Box::new(rate_limited(scope, retry_after.as_secs_f64(), headers)))
            }
        }
    }

    /// Does what was asked.
    fn effect(&self, parts: &Parts, body: &[u8]) -> Reply {
        let Some(caller) = caller(self.state, &parts.headers) else { return Reply::unauthorized() };
        let parsed =
            if body.is_empty() { Ok(None) } else { serde_json::from_slice(body).map(Some) };
        let Ok(body) = parsed else {
            return Reply::error(400, 50109, "The request body contains invalid JSON.");
        };
        let ask = Ask {
            method: parts.method.clone(),
            path: self.call.path.clone(),
            query: url_query(parts.uri.query().unwrap_or_default()),
            body,
            reason: self.call.reason.clone(),
            caller,
        };
        self.state.with(|world| dispatch(world, self.state, &ask))
    }
}

pub(crate) async fn answer(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let Some(path) =
        ["/api/v10", "/api"].iter().find_map(|prefix| path.strip_prefix(prefix)).map(str::to_owned)
    else {
        return respond(Reply::not_found(), HeaderMap::new());
    };
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return respond(Reply::error(413, 40005, "Request entity too large"), HeaderMap::new());
    };
    let asked_at = now();
    let reason = parts.headers.get("x-audit-log-reason").and_then(|reason| reason.to_str().ok());
    let call = Call {
        n: 0,
        asked_at,
        at: asked_at,
        by: by(&state, &parts.headers),
        method: parts.method.to_string(),
        route: masked(&path),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        path,
        status: 0,
        code: None,
        reason: reason.map(percent_decoded),
        body: serde_json::from_slice::<Value>(&body).ok().map(without_tokens),
    };
    lock(&state.calls).hear(&call.method, &call.route);
    let fault = lock(&state.faults).strike(&call.method, &call.path);
    let heard = Heard { state: &state, call };
    if let Some(response) = heard.struck(fault.as_ref()).await {
        return response;
    }
    if let Some(endpoint) = heard.call.path.strip_prefix("/oauth2/token")
        && parts.method == Method::POST
    {
        let answer = oauth::answer(&state, endpoint, &parts.headers, &body);
        return heard.answered(fault.as_ref(), answer.status().as_u16(), None, answer).await;
    }
    if state.config.check_user_agent && !is_bot_agent(&parts.headers) {
        heard.ends(403, Some(40333), None);
        let message = "internal network error: set the User-Agent DiscordBot (url, version)";
        return respond(Reply::error(403, 40333, message), HeaderMap::new());
    }
    let limit_headers = match heard.permitted() {
        Ok(headers) => headers,
        Err(refused) => return *refused,
    };
    let reply = heard.effect(&parts, &body);
    let (status, code) = (reply.status, reply.code);
    heard.answered(fault.as_ref(), status, code, respond(reply, limit_headers)).await
}

fn dispatch(world: &mut World, state: &State, ask: &Ask) -> Reply {
    let parts: Vec<&str> = ask.path.trim_matches('/').split('/').collect();
    let id = |text: &str| text.parse::<u64>().ok();
    match (ask.method.as_str(), parts.as_slice()) {
        ("GET", ["users", "@me"]) => users::me(world, state, ask),
        ("GET", ["users", user]) => users::get(world, id(user)),
        ("GET", ["oauth2", "@me"]) => users::authorization(world, state, ask),
        ("GET", ["applications", "@me"] | ["oauth2", "applications", "@me"]) => {
            users::application(world, state)
        }
        ("GET", ["gateway"]) => Reply::json(200, json!({ "url": format!("ws://{}", state.addr) })),
        ("GET", ["gateway", "bot"]) => users::gateway(state),
        ("GET", ["guilds", guild]) => {
            with_guild(world, ask, guild, |world, guild| guilds::get(world, guild, ask))
        }
        ("GET", ["guilds", guild, "roles"]) => with_guild(world, ask, guild, guilds::roles),
        ("GET", ["guilds", guild, "roles", "member-counts"]) => {
            with_guild(world, ask, guild, guilds::member_counts)
        }
        ("GET", ["guilds", guild, "roles", role]) => {
            with_guild(world, ask, guild, |world, guild| guilds::role(world, guild, id(role)))
        }
        ("GET", ["guilds", guild, "bans", user]) => {
            with_guild(world, ask, guild, |world, guild| guilds::ban(world, guild, id(user)))
        }
        ("GET", ["guilds", guild, "members"]) => {
            with_guild(world, ask, guild, |world, guild| members::list(world, state, guild, ask))
        }
        (method, ["guilds", guild, "members", user]) => {
            with_guild(world, ask, guild, |world, guild| {
                let Some(user) = id(user) else { return Reply::error(404, 10013, "Unknown User") };
                match method {
                    "GET" => members::get(world, guild, user),
                    "PUT" => members::add(world, state, guild, user, ask),
                    "PATCH" => members::edit(world, guild, user, ask),
                    "DELETE" => members::remove(world, state, guild, user, ask),
                    _ => Reply::error(405, 0, "405: Method Not Allowed"),
                }
            })
        }
        (method @ ("PUT" | "DELETE"), ["guilds", guild, "members", user, "roles", role]) => {
            with_guild(world, ask, guild, |world, guild| match (id(user), id(role)) {
                (Some(user), Some(role)) => {
                    members::set_role(world, state, guild, user, role, method == "PUT", ask)
                }
                _ => Reply::error(404, 10011, "Unknown Role"),
            })
        }
        _ => Reply::not_found(),
    }
}

/// Only a bot that is in the server is answered; what it is told otherwise depends on the route.
fn with_guild(
    world: &mut World,
    ask: &Ask,
    guild: &str,
    work: impl FnOnce(&mut World, u64) -> Reply,
) -> Reply {
    if !matches!(ask.caller, Caller::Bot) {
        return Reply::unauthorized();
    }
    let Ok(id) = guild.parse::<u64>() else { return Reply::error(404, 10004, "Unknown Guild") };
    let there = world.guild(id).is_some_and(|guild| guild.members.contains_key(&world.bot_user));
    let of_members = ask.path.contains("/members");
    match (there, of_members) {
        (true, _) => work(world, id),
        (false, true) => Reply::error(403, 50001, "Missing Access"),
        (false, false) => Reply::error(404, 10004, "Unknown Guild"),
    }
}

fn caller(state: &State, headers: &HeaderMap) -> Option<Caller> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(token) = given.strip_prefix("Bot ") {
        let alive = *lock(&state.token_alive) && token == state.config.application.bot_token;
        return alive.then_some(Caller::Bot);
    }
    let token = given.strip_prefix("Bearer ")?;
    let (user, scopes) = lock(&state.oauth).who(token, now())?;
    Some(Caller::Bearer { user, scopes })
}

/// Whose token a call carries, whether it is good or not.
fn by(state: &State, headers: &HeaderMap) -> By {
    let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    match given.and_then(|given| given.split_once(' ')) {
        Some(("Bot", _)) => By::Bot,
        Some(("Basic", _)) => By::Application,
        Some(("Bearer", token)) => {
            By::Bearer(lock(&state.oauth).who(token, now()).map(|(user, _)| user))
        }
        _ => By::Nobody,
    }
}

fn is_bot_agent(headers: &HeaderMap) -> bool {
    let agent =
        headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.strip_prefix("DiscordBot (").is_some_and(|rest| rest.contains(", ") && rest.contains(')'))
}

fn respond(reply: Reply, headers: HeaderMap) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match reply.body {
        Some(body) => (status, axum::Json(body)).into_response(),
        None => status.into_response(),
    };
    response.headers_mut().extend(headers);
    response
}

fn rate_limited(scope: Scope, retry_after: f64, mut sent: HeaderMap) -> Response {
    let global = scope == Scope::Global;
    let name = match scope {
        Scope::User => "user",
        Scope::Global => "global",
        Scope::Shared => "shared",
    };
    sent.extend(headers(&[
        ("retry-after", format!("{:.0}", retry_after.ceil())),
        ("x-ratelimit-scope", name.to_owned()),
    ]));
    if global {
        sent.extend(headers(&[("x-ratelimit-global", "true".to_owned())]));
    }
    let body = json!({ "message": "You are being rate limited.", "retry_after": retry_after, "global": global });
    respond(Reply::json(429, body), sent)
}

fn cloudflare(retry_after: u64) -> Response {
    let page = "<!doctype html><title>Access denied</title><h1>Error 1015</h1><p>You are being rate limited</p>";
    let mut response = (StatusCode::TOO_MANY_REQUESTS, page).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    headers.extend(self::headers(&[("retry-after", retry_after.to_string())]));
    response
}

/// Ends the connection's task, and with it the connection, without an answer.
fn cut() -> Response {
    std::panic::resume_unwind(Box::new("cut by a fault"))
}

fn url_query(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn percent_decoded(text: &str) -> String {
    // A plus is a plus here: the header is percent-encoded, and not a form.
    let escaped = text.replace('+', "%2B");
    url::form_urlencoded::parse(format!("r={escaped}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect()
}

fn without_tokens(mut body: Value) -> Value {
    if let Some(token) = body.get_mut("access_token") {
        *token = json!("…");
    }
    body
}
