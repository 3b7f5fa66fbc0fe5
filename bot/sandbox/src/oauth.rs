//! OAuth2: codes, tokens, revocation.

use std::collections::HashMap;

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, TimeDelta, Utc};
use ring::digest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::{State, lock, now};

/// How long an access token lives.
pub(crate) const LIFETIME: TimeDelta = TimeDelta::seconds(604_800);

/// How long a code can be exchanged.
const CODE_LIFETIME: TimeDelta = TimeDelta::minutes(1);

/// What a user allowed.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) user: u64,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<String>,
    pub(crate) guild: Option<u64>,
}

#[derive(Debug)]
struct Token {
    authorisation: Uuid,
    user: u64,
    scopes: Vec<String>,
    expires: DateTime<Utc>,
}

#[derive(Debug, Default)]
pub(crate) struct OAuth {
    codes: HashMap<String, (Grant, DateTime<Utc>)>,
    access: HashMap<String, Token>,
    refresh: HashMap<String, (Uuid, u64, Vec<String>)>,
}

fn random() -> String {
    URL_SAFE_NO_PAD.encode(Uuid::new_v4())
}

impl OAuth {
    pub(crate) fn code(&mut self, grant: Grant, now: DateTime<Utc>) -> String {
        let code = random();
        self.codes.insert(code.clone(), (grant, now));
        code
    }

    /// Whose access token this is, and what it allows.
    pub(crate) fn who(&self, token: &str, now: DateTime<Utc>) -> Option<(u64, Vec<String>)> {
        let token = self.access.get(token).filter(|token| token.expires > now)?;
        Some((token.user, token.scopes.clone()))
    }

    /// Ends every authorisation of a user; whether there was one.
    pub(crate) fn deauthorize(&mut self, user: u64) -> bool {
        let before = self.access.len() + self.refresh.len();
        self.access.retain(|_, token| token.user != user);
        self.refresh.retain(|_, (_, owner, _)| *owner != user);
        self.access.len() + self.refresh.len() < before
    }

    /// Revoking one token of an authorisation revokes all of them.
    fn revoke(&mut self, token: &str) {
        let of_access = self.access.get(token).map(|token| token.authorisation);
        let Some(authorisation) = of_access.or(self.refresh.get(token).map(|(id, _, _)| *id))
        else {
            return;
        };
        self.access.retain(|_, token| token.authorisation != authorisation);
        self.refresh.retain(|_, (id, _, _)| *id != authorisation);
    }

    /// An access token without a code before it.
    pub(crate) fn token(&mut self, user: u64, scopes: &[String], now: DateTime<Utc>) -> String {
        let issued = self.issue(Uuid::new_v4(), user, scopes, now);
        issued["access_token"].as_str().unwrap_or_default().to_owned()
    }

    fn issue(
        &mut self,
        authorisation: Uuid,
        user: u64,
        scopes: &[String],
        now: DateTime<Utc>,
    ) -> Value {
        let (access, refresh) = (random(), random());
        let token = Token { authorisation, user, scopes: scopes.to_vec(), expires: now + LIFETIME };
        self.access.insert(access.clone(), token);
        self.refresh.insert(refresh.clone(), (authorisation, user, scopes.to_vec()));
        json!({
            "token_type": "Bearer",
            "access_token": access,
            "expires_in": LIFETIME.num_seconds(),
            "refresh_token": refresh,
            "scope": scopes.join(" "),
        })
    }
}

/// What `/oauth2/token` and what stands below it answer.
pub(crate) fn answer(state: &State, endpoint: &str, headers: &HeaderMap, body: &[u8]) -> Response {
    let fields = match fields(state, headers, body) {
        Ok(fields) => fields,
        Err(refused) => return *refused,
    };
    match endpoint {
        "" => token(state, &fields),
        "/revoke" => revoke(state, &fields),
        _ => error(StatusCode::NOT_FOUND, "invalid_request", "404: Not Found"),
    }
}

fn error(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({ "error": error, "error_description": description }))).into_response()
}

/// The form's fields, once the client has proven who it is.
fn fields(
    state: &State,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<HashMap<String, String>, Box<Response>> {
    let form =
        headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !form.starts_with("application/x-www-form-urlencoded") {
        let refused =
            error(StatusCode::BAD_REQUEST, "invalid_request", "The body must be form-encoded");
        return Err(Box::new(refused));
    }
    let mut fields: HashMap<String, String> =
        url::form_urlencoded::parse(body).into_owned().collect();
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|given| given.to_str().ok()?.strip_prefix("Basic "));
    if let Some(basic) = basic {
        let decoded = STANDARD
            .decode(basic)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        let (id, secret) = decoded.split_once(':').unwrap_or_default();
        fields.insert("client_id".into(), id.to_owned());
        fields.insert("client_secret".into(), secret.to_owned());
    }
    let application = &state.config.application;
    let proven = fields.get("client_id") == Some(&application.client_id)
        && fields.get("client_secret") == Some(&application.client_secret);
    if proven {
        Ok(fields)
    } else {
        Err(Box::new(error(StatusCode::UNAUTHORIZED, "invalid_client", "Invalid client")))
    }
}

/// Answers tokens for a code or for a refresh token.
fn token(state: &State, fields: &HashMap<String, String>) -> Response {
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let refused = |what: &str| {
        error(StatusCode::BAD_REQUEST, "invalid_grant", &format!("Invalid \"{what}\" in request."))
    };
    match field("grant_type") {
        "authorization_code" => {
            let Some(grant) =
                spend(state, field("code"), field("redirect_uri"), field("code_verifier"))
            else {
                return refused("code");
            };
            let mut answer =
                lock(&state.oauth).issue(Uuid::new_v4(), grant.user, &grant.scopes, now());
            if let Some(guild) = grant.guild {
                answer["guild"] = state.with(|world| world.guild_json(guild));
            }
            Json(answer).into_response()
        }
        "refresh_token" => {
            let mut oauth = lock(&state.oauth);
            match oauth.refresh.remove(field("refresh_token")) {
                Some((authorisation, user, scopes)) => {
                    oauth.access.retain(|_, token| token.authorisation != authorisation);
                    Json(oauth.issue(authorisation, user, &scopes, now())).into_response()
                }
                None => refused("refresh_token"),
            }
        }
        _ => error(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "Grant type None is not supported",
        ),
    }
}

/// Uses a code up; `None` where it does not fit the request that spends it.
fn spend(state: &State, code: &str, redirect_uri: &str, verifier: &str) -> Option<Grant> {
    let (grant, made) = lock(&state.oauth).codes.remove(code)?;
    let proof = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    let fits = grant.redirect_uri == redirect_uri
        && now() - made <= CODE_LIFETIME
        && grant.challenge.as_ref().is_none_or(|challenge| *challenge == proof);
    fits.then_some(grant)
}

fn revoke(state: &State, fields: &HashMap<String, String>) -> Response {
    lock(&state.oauth).revoke(fields.get("token").map(String::as_str).unwrap_or_default());
    Json(json!({})).into_response()
}
