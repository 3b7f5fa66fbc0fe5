//! What endpoints were told: listed, and sent again on demand.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use eventstore::{
    Position,
    webhooks::{Delivery, DeliveryState},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::ByPlatform,
    error::ApiError,
    extract::{Body, Fields, FromFields, Nothing, Path, Query},
    paging::{Page, Paging},
    routes::webhook_endpoints::known,
};

/// Which deliveries are asked for.
pub(crate) struct Wanted {
    paging: Paging,
    state: Option<DeliveryState>,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let state: Option<Option<String>> = fields.optional("state");
        let paging = Paging::from_fields(fields);
        let Some(state) = state? else { return Some(Self { paging: paging?, state: None }) };
        let known = DeliveryState::ALL.into_iter().find(|known| known.as_str() == state);
        if known.is_none() {
            fields.fault("state", "must be waiting, delivered or failed");
        }
        Some(Self { paging: paging?, state: Some(known?) })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryAnswer {
    /// The `webhook-id` of every attempt.
    id: Uuid,
    r#type: String,
    /// The log position of what is told.
    #[schema(value_type = u64)]
    position: Position,
    fan: Option<String>,
    /// `waiting`, `delivered` or `failed`.
    state: &'static str,
    attempts: u32,
    next_attempt_at: Option<DateTime<Utc>>,
    /// What the last attempt was answered.
    http_status: Option<u16>,
    /// What the matter was with the last attempt.
    problem: Option<String>,
    created_at: DateTime<Utc>,
    /// When it was delivered, or given up.
    done_at: Option<DateTime<Utc>>,
    /// The message as it is sent.
    #[schema(value_type = Object)]
    body: Value,
}

impl From<Delivery> for DeliveryAnswer {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            r#type: delivery.kind,
            position: delivery.position,
            fan: delivery.fan,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            next_attempt_at: delivery.next_at,
            http_status: delivery.http_status,
            problem: delivery.problem,
            created_at: delivery.created_at,
            done_at: delivery.done_at,
            body: serde_json::from_str(&delivery.body).unwrap_or_default(),
        }
    }
}

/// What an endpoint was told
#[utoipa::path(get, path = "/v1/webhook_endpoints/{id}/deliveries", tag = "Platform",
    operation_id = "list_webhook_deliveries",
    params(("id" = Uuid, Path), Paging, ("state" = Option<String>, Query, description = "`waiting`, `delivered` or `failed`")),
    responses((status = 200, description = "Newest first, of the last 30 days", body = Page<DeliveryAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    _: ByPlatform,
    Path(id): Path<Uuid>,
    Query(Wanted { paging, state }): Query<Wanted>,
) -> Result<Json<Page<DeliveryAnswer>>, ApiError> {
    known(&app, id).await?;
    let before: Option<(Position, Uuid)> = paging.after()?;
    let rows = app.store.webhooks().deliveries(id, state, before, paging.fetch()).await?;
    let (rows, next_cursor) = paging.page(rows, |row| (row.position, row.id));
    Ok(Json(Page { data: rows.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Send a message again
///
/// Whatever became of it: at once, under the same id, with as many attempts as a new one.
#[utoipa::path(post, path = "/v1/webhook_endpoints/{id}/deliveries/{delivery}/replay", tag = "Platform",
    operation_id = "replay_webhook_delivery", params(("id" = Uuid, Path), ("delivery" = String, Path)),
    responses((status = 202, description = "It waits for its first attempt", body = DeliveryAnswer)))]
pub(crate) async fn replay(
    State(app): AppState,
    _: ByPlatform,
    Path((id, delivery)): Path<(Uuid, String)>,
    Body(Nothing): Body<Nothing>,
) -> Result<(StatusCode, Json<DeliveryAnswer>), ApiError> {
    let delivery = delivery.parse().map_err(|_| ApiError::not_found())?;
    let replayed = app.store.webhooks().replay(id, delivery, app.now()).await?;
    let replayed = replayed.ok_or_else(ApiError::not_found)?;
    app.telling.look();
    Ok((StatusCode::ACCEPTED, Json(replayed.into())))
}
