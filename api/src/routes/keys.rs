//! API keys, for platforms that hand them on. The command line makes the first one.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use eventstore::keys::{ApiKey, InvalidRole, Role};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::Written,
    app::AppState,
    auth::ByPlatform,
    error::ApiError,
    extract::{Body, Fields, FromFields, NO_CONTENT, Path, Query},
    paging::{Page, Paging},
};

#[derive(ToSchema)]
pub(crate) struct KeyBody {
    /// `platform`, `creator:<id>`, `fan:<id>`, `auditor` or `bot`.
    #[schema(value_type = String, pattern = "^(platform|auditor|bot|(creator|fan):[A-Za-z0-9._:@-]{1,128})$")]
    role: Role,
    /// What it is for, to tell keys apart.
    #[schema(max_length = 128)]
    name: Option<String>,
    expires_at: Option<DateTime<Utc>>,
}

impl FromFields for KeyBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let role: Option<String> = fields.required("role");
        let (name, expires_at) = (fields.one_line("name", 128), fields.time("expires_at"));
        let role: Option<Role> = match role?.parse() {
            Ok(role) => Some(role),
            Err::<_, InvalidRole>(error) => {
                fields.fault("role", error.to_string());
                None
            }
        };
        Some(Self { role: role?, name: name?, expires_at: expires_at? })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyAnswer {
    id: Uuid,
    role: String,
    name: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    /// Shown once, when the key is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl KeyAnswer {
    fn of(key: ApiKey, secret: Option<String>) -> Self {
        let ApiKey { id, role, name, created_at, expires_at, revoked_at } = key;
        Self { id, role: role.to_string(), name, created_at, expires_at, revoked_at, key: secret }
    }
}

/// Make a key
#[utoipa::path(post, path = "/v1/keys", tag = "Platform", operation_id = "create_key", request_body = KeyBody,
    responses((status = 201, description = "The one time that the key is shown", body = KeyAnswer)))]
pub(crate) async fn create(
    State(app): AppState,
    _: ByPlatform,
    Body(KeyBody { role, name, expires_at }): Body<KeyBody>,
) -> Result<Written<KeyAnswer>, ApiError> {
    let now = app.now();
    if expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::field("expires_at", "must be in the future"));
    }
    let (key, secret) =
        app.store.keys().create(&role, &name.unwrap_or_default(), expires_at, now).await?;
    let answer = KeyAnswer::of(key, Some(secret.expose_secret().to_owned()));
    Ok(Written::ok(app.store.log().head(), answer).status(StatusCode::CREATED))
}

/// List the keys
#[utoipa::path(get, path = "/v1/keys", tag = "Platform", operation_id = "list_keys", params(Paging),
    responses((status = 200, description = "Oldest first, without the secrets", body = Page<KeyAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    _: ByPlatform,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<KeyAnswer>>, ApiError> {
    let keys = app.store.keys().list(paging.after()?, paging.fetch()).await?;
    let (keys, next_cursor) = paging.page(keys, |key| key.id);
    let data = keys.into_iter().map(|key| KeyAnswer::of(key, None)).collect();
    Ok(Json(Page { data, next_cursor }))
}

/// Revoke a key
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "Platform", operation_id = "revoke_key",
    params(("id" = Uuid, Path)), responses((status = 204, description = "Revoked at once")))]
pub(crate) async fn revoke(
    State(app): AppState,
    _: ByPlatform,
    Path(id): Path<Uuid>,
) -> Result<Written<()>, ApiError> {
    if app.store.keys().revoke(id, app.now()).await? {
        Ok(Written::ok(app.store.log().head(), ()).status(NO_CONTENT))
    } else {
        Err(ApiError::not_found())
    }
}
