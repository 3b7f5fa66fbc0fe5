//! The platform's endpoints: where it is told what changed, and of what.

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use eventstore::{
    Secret,
    webhooks::{self, Endpoint, OLD_SECRET},
};
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::{App, AppState},
    auth::ByPlatform,
    error::{ApiError, Kind},
    extract::{Body, Fields, FromFields, NO_CONTENT, Nothing, Path, Query},
    idempotency::Idempotency,
    paging::{Page, Paging},
    webhooks::{TYPES, target},
};

/// The most endpoints that a platform may have.
const MOST: usize = 32;

/// The longest URL, and the longest description, in characters.
const LONGEST: usize = 500;

#[derive(ToSchema)]
pub(crate) struct EndpointBody {
    url: String,
    /// The types that it is told; all of them where none is named.
    types: Option<Vec<String>>,
    /// What it is for, to tell endpoints apart.
    description: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct EndpointChange {
    url: Option<String>,
    types: Option<Vec<String>>,
    description: Option<String>,
    /// An endpoint that is enabled again is told what happens from then on, and what still waited for it.
    enabled: Option<bool>,
}

#[expect(clippy::option_option, reason = "at fault and missing are two answers")]
fn types(fields: &mut Fields) -> Option<Option<Vec<String>>> {
    let types: Option<Vec<String>> = fields.optional("types")?;
    let unknown = types.iter().flatten().find(|kind| !TYPES.contains(&kind.as_str()));
    if let Some(unknown) = unknown {
        let known = TYPES.join(", ");
        fields.fault("types", format!("{unknown:?} is not known; choose from {known}"));
        return None;
    }
    Some(types)
}

impl FromFields for EndpointBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let url = fields.one_line("url", LONGEST);
        let (types, description) = (types(fields), fields.one_line("description", LONGEST));
        let Some(url) = url? else {
            fields.fault("url", "must be given");
            return None;
        };
        Some(Self { url, types: types?, description: description? })
    }
}

impl FromFields for EndpointChange {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (url, types) = (fields.one_line("url", LONGEST), types(fields));
        let (description, enabled) =
            (fields.one_line("description", LONGEST), fields.optional("enabled"));
        Some(Self { url: url?, types: types?, description: description?, enabled: enabled? })
    }
}

/// Why nothing is sent to an endpoint.
#[derive(Serialize, ToSchema)]
pub(crate) struct DisabledAnswer {
    at: DateTime<Utc>,
    /// `hand`, `gone` (it answered 410) or `failures` (a message was tried for three days in vain, and nothing taken).
    by: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointAnswer {
    id: Uuid,
    url: String,
    types: Vec<String>,
    description: String,
    enabled: bool,
    disabled: Option<DisabledAnswer>,
    created_at: DateTime<Utc>,
    /// `whsec_` and base64. Shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl EndpointAnswer {
    fn of(endpoint: Endpoint, secret: Option<&[u8]>) -> Self {
        let Endpoint { id, url, description, types, created_at, since: _, disabled } = endpoint;
        Self {
            id,
            url,
            types,
            description,
            enabled: disabled.is_none(),
            disabled: disabled.map(|(at, by)| DisabledAnswer { at, by: by.as_str() }),
            created_at,
            secret: secret.map(shown),
        }
    }
}

fn shown(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// A secret that has taken another one's place.
#[derive(Serialize, ToSchema)]
pub(crate) struct RotatedSecret {
    /// Shown once.
    secret: String,
    /// Until then the one before signs too, beside it.
    previous_until: DateTime<Utc>,
}

fn allowed(app: &App, url: &str) -> Result<(), ApiError> {
    let url = Url::parse(url)
        .map_err(|_| ApiError::field("url", target::Forbidden::NoTarget.to_string()));
    target::check(&url?, app.telling.private())
        .map_err(|forbidden| ApiError::field("url", forbidden.to_string()))
}

pub(crate) async fn known(app: &App, id: Uuid) -> Result<Endpoint, ApiError> {
    app.store.webhooks().endpoint(id).await?.ok_or_else(ApiError::not_found)
}

/// Make an endpoint
///
/// It is told what happens from now on, as Standard Webhooks.
#[utoipa::path(post, path = "/v1/webhook_endpoints", tag = "Platform", operation_id = "create_webhook_endpoint",
    request_body = EndpointBody,
    responses((status = 201, description = "The one time that the secret is shown", body = EndpointAnswer)))]
pub(crate) async fn create(
    State(app): AppState,
    _: ByPlatform,
    key: Idempotency,
    Body(EndpointBody { url, types, description }): Body<EndpointBody>,
) -> Result<(StatusCode, Json<EndpointAnswer>), ApiError> {
    allowed(&app, &url)?;
    if app.store.webhooks().endpoints().await?.len() >= MOST {
        let detail = format!("there may be at most {MOST} endpoints; delete one first");
        return Err(ApiError::new(Kind::CONFLICT, detail));
    }
    let (since, now) = (app.store.log().head(), app.now());
    let (types, description) = (types.unwrap_or_default(), description.unwrap_or_default());
    let answer = |endpoint: &Endpoint, secret: &Secret| {
        EndpointAnswer::of(endpoint.clone(), Some(secret.as_ref()))
    };
    let kept = |endpoint: &Endpoint, secret: &Secret| {
        key.sealed(&app, since, StatusCode::CREATED, &answer(endpoint, secret))
    };
    let webhooks = app.store.webhooks();
    let (endpoint, secret) = webhooks.create(&url, &description, &types, since, now, kept).await?;
    app.telling.look();
    Ok((StatusCode::CREATED, Json(answer(&endpoint, &secret))))
}

/// List the endpoints
#[utoipa::path(get, path = "/v1/webhook_endpoints", tag = "Platform", operation_id = "list_webhook_endpoints",
    params(Paging), responses((status = 200, description = "Oldest first", body = Page<EndpointAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    _: ByPlatform,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<EndpointAnswer>>, ApiError> {
    let after: Option<Uuid> = paging.after()?;
    let mut endpoints = app.store.webhooks().endpoints().await?;
    endpoints.retain(|endpoint| after.is_none_or(|after| endpoint.id > after));
    let (endpoints, next_cursor) = paging.page(endpoints, |endpoint| endpoint.id);
    let data = endpoints.into_iter().map(|endpoint| EndpointAnswer::of(endpoint, None)).collect();
    Ok(Json(Page { data, next_cursor }))
}

/// One endpoint
#[utoipa::path(get, path = "/v1/webhook_endpoints/{id}", tag = "Platform", operation_id = "get_webhook_endpoint",
    params(("id" = Uuid, Path)), responses((status = 200, description = "As it stands", body = EndpointAnswer)))]
pub(crate) async fn get(
    State(app): AppState,
    _: ByPlatform,
    Path(id): Path<Uuid>,
) -> Result<Json<EndpointAnswer>, ApiError> {
    Ok(Json(EndpointAnswer::of(known(&app, id).await?, None)))
}

/// Change, disable or enable an endpoint
#[utoipa::path(patch, path = "/v1/webhook_endpoints/{id}", tag = "Platform", operation_id = "change_webhook_endpoint",
    params(("id" = Uuid, Path)), request_body = EndpointChange,
    responses((status = 200, description = "As it stands now", body = EndpointAnswer)))]
pub(crate) async fn change(
    State(app): AppState,
    _: ByPlatform,
    Path(id): Path<Uuid>,
    Body(EndpointChange { url, types, description, enabled }): Body<EndpointChange>,
) -> Result<Json<EndpointAnswer>, ApiError> {
    if let Some(url) = &url {
        allowed(&app, url)?;
    }
    let change = webhooks::EndpointChange { url, description, types, enabled };
    let (head, now) = (app.store.log().head(), app.now());
    let changed = app.store.webhooks().change(id, &change, head, now).await?;
    let endpoint = changed.ok_or_else(ApiError::not_found)?;
    app.telling.look();
    Ok(Json(EndpointAnswer::of(endpoint, None)))
}

/// Delete an endpoint
#[utoipa::path(delete, path = "/v1/webhook_endpoints/{id}", tag = "Platform", operation_id = "delete_webhook_endpoint",
    params(("id" = Uuid, Path)),
    responses((status = 204, description = "Gone at once, with what still waited for it")))]
pub(crate) async fn delete(
    State(app): AppState,
    _: ByPlatform,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ApiError> {
    let deleted = app.store.webhooks().delete(id, app.now()).await?;
    if deleted { Ok(NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// Give an endpoint another secret
///
/// For a day, every message is signed with both.
#[utoipa::path(post, path = "/v1/webhook_endpoints/{id}/rotate_secret", tag = "Platform",
    operation_id = "rotate_webhook_secret", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The one time that the secret is shown", body = RotatedSecret)))]
pub(crate) async fn rotate_secret(
    State(app): AppState,
    _: ByPlatform,
    Path(id): Path<Uuid>,
    key: Idempotency,
    Body(Nothing): Body<Nothing>,
) -> Result<Json<RotatedSecret>, ApiError> {
    let now = app.now();
    let answer = |secret: &Secret| RotatedSecret {
        secret: shown(secret.as_ref()),
        previous_until: now + OLD_SECRET,
    };
    let kept =
        |secret: &Secret| key.sealed(&app, app.store.log().head(), StatusCode::OK, &answer(secret));
    let secret = app.store.webhooks().rotate(id, now, kept).await?;
    Ok(Json(answer(&secret.ok_or_else(ApiError::not_found)?)))
}
