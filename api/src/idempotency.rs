//! `Idempotency-Key`: a request that is sent twice is carried out once, and answered alike.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use eventstore::{AppendKey, Position, StoreError, idempotency::Kept};
use ring::digest;
use serde::{Deserialize, Serialize};

use crate::{
    answer::POSITION,
    app::{App, AppState},
    auth::Caller,
    error::{ApiError, Kind},
    extract,
    routes::import,
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key.
const LONGEST: usize = 255;

/// The largest answer that is stored; none of the routes comes near it.
const MAX_ANSWER: usize = 4 << 20;

/// The keys whose first request still runs.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<String>>>);

pub(crate) struct Running {
    all: InFlight,
    key: String,
}

impl InFlight {
    /// `None` while another request under the key still runs.
    pub(crate) fn begin(&self, key: &str) -> Option<Running> {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        new.then(|| Running { all: self.clone(), key: key.to_owned() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// An answer as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    status: u16,
    /// What matters of the headers.
    headers: Vec<(String, String)>,
    /// In base64.
    body: String,
}

/// The key of a request, for a route that stores its answer with what it does.
#[derive(Debug, Clone)]
pub(crate) struct Idempotency(pub(crate) Option<AppendKey>);

impl Idempotency {
    /// An answer that has a secret in it, sealed, to be stored with its effect; `None` where the request has no key.
    pub(crate) fn sealed(
        self,
        app: &App,
        position: Position,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Option<Kept>, StoreError> {
        let Some(AppendKey { key, request_hash, .. }) = self.0 else { return Ok(None) };
        let body = app.store.vault().seal_secret(&key, &stored(status, &[], body))?;
        Ok(Some(Kept { key: key.to_string(), request_hash, position, body }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self(None)))
    }
}

/// An answer in the form in which it is stored with an append.
pub(crate) fn stored(
    status: StatusCode,
    headers: &[(HeaderName, String)],
    body: &impl Serialize,
) -> Vec<u8> {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let json = (header::CONTENT_TYPE, "application/json".to_owned());
    let headers = headers
        .iter()
        .chain([&json])
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect();
    let answer = Stored { status: status.as_u16(), headers, body: STANDARD.encode(body) };
    serde_json::to_vec(&answer).unwrap_or_default()
}

/// Whether an answer is a secret that is not even kept sealed.
pub(crate) fn answers_secret(path: &str) -> bool {
    matches!(path, "/v1/sessions" | "/v1/keys")
}

/// Whether an answer has a secret in it, and is kept sealed, by its route.
fn is_sealed(path: &str) -> bool {
    path == "/v1/webhook_endpoints" || path.ends_with("/rotate_secret")
}

/// Honours the key of every POST, except where the answer is a secret.
pub(crate) async fn guard(State(app): AppState, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if request.method() != Method::POST
        || answers_secret(path)
        || !request.headers().contains_key(KEY)
    {
        return next.run(request).await;
    }
    match guarded(&app, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn guarded(app: &Arc<App>, request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, app).await?;
    let named = parts.headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    if !(1..=LONGEST).contains(&named.len()) || !named.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::new(
            Kind::MALFORMED_REQUEST,
            format!(
                "Idempotency-Key must be 1 to {LONGEST} visible ASCII characters, without spaces"
            ),
        ));
    }
    let path = parts.uri.path_and_query().map_or(parts.uri.path(), |path| path.as_str());
    let key = format!("http:{}:{}:{path}:{named}", caller.key.id, parts.method);
    let sealed = is_sealed(parts.uri.path());
    let limit = if parts.uri.path() == import::PATH {
        caller.platform()?;
        import::MAX_BODY
    } else {
        extract::MAX_BODY
    };
    let body = extract::bytes(Request::from_parts(parts.clone(), body), limit).await?;
    let hash = digest::digest(&digest::SHA256, &body);
    let mut request_hash = [0; 32];
    request_hash.copy_from_slice(hash.as_ref());

    let Some(running) = app.in_flight.begin(&key) else {
        return Err(ApiError::new(
            Kind::KEY_IN_USE,
            "wait for the first request's answer, then repeat this one",
        ));
    };
    if let Some(first) = app.store.answers().get(&key).await? {
        if first.request_hash != request_hash {
            return Err(ApiError::new(
                Kind::KEY_REUSED,
                "this key came with another body before; use a new key",
            ));
        }
        if let Some(stored) = first.body {
            let stored = if sealed {
                app.store.vault().open_secret(&key, &stored)?.to_vec()
            } else {
                stored
            };
            return replay(&stored, first.position);
        }
    }
    let append = AppendKey { key: key.as_str().into(), request_hash, answer: None };
    parts.extensions.insert(Idempotency(Some(append)));
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let response = if sealed { response } else { keep(app, &key, &request_hash, response).await? };
    drop(running);
    Ok(response)
}

/// Stores an answer that had an effect. A refusal is not kept: the same request may succeed later.
async fn keep(
    app: &App,
    key: &str,
    hash: &[u8; 32],
    response: Response,
) -> Result<Response, ApiError> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body =
        axum::body::to_bytes(body, MAX_ANSWER).await.map_err(|error| ApiError::internal(&error))?;
    let headers =
        [header::CONTENT_TYPE, header::ETAG, header::LOCATION].iter().filter_map(|name| {
            Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned()))
        });
    let stored = Stored {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: STANDARD.encode(&body),
    };
    let reached =
        parts.headers.get(POSITION).and_then(|position| position.to_str().ok()?.parse().ok());
    let position = reached.map_or_else(|| app.store.log().head(), Position);
    let json = serde_json::to_vec(&stored).unwrap_or_default();
    let stands = app.store.answers().put(key, hash, position, &json, app.now()).await?;
    match stands.body {
        // The first request was appended after this one had looked for it, and counts.
        Some(first) if !says(&first, &stored)? => replay(&first, stands.position),
        Some(_) | None => Ok(Response::from_parts(parts, Body::from(body))),
    }
}

/// Whether a stored answer says what another one does.
fn says(first: &[u8], other: &Stored) -> Result<bool, ApiError> {
    let first: Stored =
        serde_json::from_slice(first).map_err(|error| ApiError::internal(&error))?;
    Ok((first.status, first.body) == (other.status, other.body.clone()))
}

fn replay(stored: &[u8], position: Position) -> Result<Response, ApiError> {
    let stored: Stored =
        serde_json::from_slice(stored).map_err(|error| ApiError::internal(&error))?;
    let body = STANDARD.decode(&stored.body).map_err(|error| ApiError::internal(&error))?;
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in &stored.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(POSITION, position.0.into());
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
