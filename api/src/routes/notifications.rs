//! What a fan is told.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    FanId, IntegrationId, TierId,
    fan::{self, Fan},
};
use eventstore::{HandleError, Position};
use projections::Notification;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::Written,
    app::AppState,
    auth::Caller,
    error::{ApiError, Kind},
    extract::{Body, NO_CONTENT, Nothing, Path, Query},
    paging::{Page, Paging},
};

#[derive(Serialize, ToSchema)]
pub(crate) struct NotificationAnswer {
    id: Uuid,
    /// `integration_available`: a membership that the fan holds gives access to one more integration.
    kind: String,
    #[schema(value_type = String)]
    integration: IntegrationId,
    #[schema(value_type = String)]
    tier: TierId,
    at: DateTime<Utc>,
    read: bool,
}

impl From<Notification> for NotificationAnswer {
    fn from(told: Notification) -> Self {
        let Notification { id, kind, integration, tier, at, read, .. } = told;
        Self { id, kind, integration, tier, at, read }
    }
}

/// A fan's notifications
#[utoipa::path(get, path = "/v1/fans/{fan}/notifications", tag = "Fan", operation_id = "list_notifications",
    params(("fan" = String, Path), Paging),
    responses((status = 200, description = "Newest first", body = Page<NotificationAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: Caller,
    Path(fan): Path<FanId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<NotificationAnswer>>, ApiError> {
    caller.fan(&fan)?;
    let before: Option<(Position, Uuid)> = paging.after()?;
    let rows = app.views.notifications().of_fan(&fan, before, paging.fetch()).await?;
    let (rows, next_cursor) = paging.page(rows, |row| (row.position, row.id));
    Ok(Json(Page { data: rows.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Mark a notification as read
#[utoipa::path(post, path = "/v1/fans/{fan}/notifications/{id}/read", tag = "Fan", operation_id = "read_notification",
    params(("fan" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "Read")))]
pub(crate) async fn read(
    State(app): AppState,
    caller: Caller,
    Path((fan, id)): Path<(FanId, Uuid)>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<()>, ApiError> {
    caller.fan(&fan)?;
    app.caught_up().await?;
    if !app.views.notifications().has(&fan, id).await? {
        return Err(ApiError::not_found());
    }
    let command = fan::Command::ReadNotification { fan: fan.clone(), notification: id };
    match app.store.handle::<Fan>(&fan::stream(&fan), command, caller.metadata(&app), None).await {
        Ok(decided) => Ok(Written::ok(decided.position, ()).status(NO_CONTENT)),
        Err(HandleError::Refused(refusal)) => {
            Err(ApiError::new(Kind::CONFLICT, refusal.to_string()))
        }
        Err(HandleError::Store(error)) => Err(error.into()),
    }
}
