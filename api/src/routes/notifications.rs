//! What fans and creators are told: once for each cause, until it is mended.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    CreatorId, FanId, IntegrationId, TierId,
    creator::{self, Creator},
    fan::{self, Fan},
};
use eventstore::{Decided, HandleError, Position};
use projections::{Audience, Notice, Notification};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByCreator, ByFan},
    error::{ApiError, Kind},
    extract::{Body, NO_CONTENT, Nothing, Path, Query},
    paging::{Page, Paging},
    reason::Reason,
};

#[derive(Serialize, ToSchema)]
pub(crate) struct NotificationAnswer {
    pub(crate) id: Uuid,
    /// For fans: `integration_available`, a membership gives access to one more integration; `action_required`, only
    /// the fan can mend something. For creators: `needs_attention`.
    pub(crate) kind: String,
    /// Null where it is about the fan's Discord account.
    pub(crate) integration: Option<IntegrationId>,
    /// Which tier gives access, for `integration_available`.
    pub(crate) tier: Option<TierId>,
    /// What the matter is and what to do; null for `integration_available`.
    pub(crate) reason: Option<Reason>,
    pub(crate) at: DateTime<Utc>,
    /// When it was mended; it is told again when it comes again.
    pub(crate) resolved_at: Option<DateTime<Utc>>,
    pub(crate) read: bool,
}

impl NotificationAnswer {
    /// Whether it waits for somebody to read it.
    pub(crate) fn is_new(&self) -> bool {
        !self.read && self.resolved_at.is_none()
    }
}

/// A notification and its place in the list.
type Told = ((Position, Uuid), NotificationAnswer);

fn offer(told: Notification) -> Told {
    let Notification { id, kind, integration, tier, at, read, position, .. } = told;
    let answer = NotificationAnswer {
        id,
        kind,
        integration: Some(integration),
        tier: Some(tier),
        reason: None,
        at,
        resolved_at: None,
        read,
    };
    ((position, id), answer)
}

fn notice(kind: &str, told: &Notice) -> Told {
    let answer = NotificationAnswer {
        id: told.id,
        kind: kind.to_owned(),
        integration: told.integration,
        tier: None,
        reason: Some(Reason::of((told.trouble, told.role))),
        at: told.at,
        resolved_at: told.resolved_at,
        read: told.read,
    };
    ((told.position, told.id), answer)
}

/// What a fan is told, newest first: what they can activate, and what only they can mend.
pub(crate) async fn of_fan(
    app: &App,
    fan: &FanId,
    paging: &Paging,
) -> Result<Page<NotificationAnswer>, ApiError> {
    let before: Option<(Position, Uuid)> = paging.after()?;
    let offers = app.views.notifications().of_fan(fan, before, paging.fetch()).await?;
    let audience = Audience::Fan(fan.clone());
    let notices = app.views.fan_access().notices(&audience, before, paging.fetch()).await?;
    let mut told: Vec<Told> = offers.into_iter().map(offer).collect();
    told.extend(notices.iter().map(|told| notice("action_required", told)));
    told.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    let (told, next_cursor) = paging.page(told, |(place, _)| *place);
    Ok(Page { data: told.into_iter().map(|(_, answer)| answer).collect(), next_cursor })
}

/// What a creator is told, newest first: what only they, or the operator, can mend.
pub(crate) async fn of_creator(
    app: &App,
    creator: &CreatorId,
    paging: &Paging,
) -> Result<Page<NotificationAnswer>, ApiError> {
    let before: Option<(Position, Uuid)> = paging.after()?;
    let audience = Audience::Creator(creator.clone());
    let notices = app.views.fan_access().notices(&audience, before, paging.fetch()).await?;
    let told = notices.iter().map(|told| notice("needs_attention", told)).collect();
    let (told, next_cursor) = paging.page(told, |(place, _): &Told| *place);
    Ok(Page { data: told.into_iter().map(|(_, answer)| answer).collect(), next_cursor })
}

/// A fan's notifications
#[utoipa::path(get, path = "/v1/fans/{fan}/notifications", tag = "Fan", operation_id = "list_notifications",
    params(("fan" = inline(FanId), Path), Paging),
    responses((status = 200, description = "Newest first", body = Page<NotificationAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: ByFan,
    Path(fan): Path<FanId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<NotificationAnswer>>, ApiError> {
    caller.fan(&fan)?;
    of_fan(&app, &fan, &paging).await.map(Json)
}

/// A creator's notifications
#[utoipa::path(get, path = "/v1/creators/{creator}/notifications", tag = "Creator",
    operation_id = "list_creator_notifications", params(("creator" = inline(CreatorId), Path), Paging),
    responses((status = 200, description = "Newest first", body = Page<NotificationAnswer>)))]
pub(crate) async fn list_of_creator(
    State(app): AppState,
    caller: ByCreator,
    Path(creator): Path<CreatorId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<NotificationAnswer>>, ApiError> {
    caller.creator(&creator)?;
    of_creator(&app, &creator, &paging).await.map(Json)
}

fn read_at(
    decided: Result<Decided, HandleError<impl std::error::Error>>,
) -> Result<Written<()>, ApiError> {
    match decided {
        Ok(decided) => Ok(Written::ok(decided.position, ()).status(NO_CONTENT)),
        Err(HandleError::Refused(refusal)) => {
            Err(ApiError::new(Kind::CONFLICT, refusal.to_string()))
        }
        Err(HandleError::Store(error)) => Err(error.into()),
    }
}

/// Mark a notification as read
#[utoipa::path(post, path = "/v1/fans/{fan}/notifications/{id}/read", tag = "Fan", operation_id = "read_notification",
    params(("fan" = inline(FanId), Path), ("id" = Uuid, Path)),
    responses((status = 204, description = "Read")))]
pub(crate) async fn read(
    State(app): AppState,
    caller: ByFan,
    Path((fan, id)): Path<(FanId, Uuid)>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<()>, ApiError> {
    caller.fan(&fan)?;
    app.caught_up().await?;
    let audience = Audience::Fan(fan.clone());
    let known = app.views.notifications().has(&fan, id).await?
        || app.views.fan_access().was_told(&audience, id).await?;
    if !known {
        return Err(ApiError::not_found());
    }
    let command = fan::Command::ReadNotification { fan: fan.clone(), notification: id };
    read_at(app.store.handle::<Fan>(&fan::stream(&fan), command, caller.metadata(&app), None).await)
}

/// Mark a creator's notification as read
#[utoipa::path(post, path = "/v1/creators/{creator}/notifications/{id}/read", tag = "Creator",
    operation_id = "read_creator_notification", params(("creator" = inline(CreatorId), Path), ("id" = Uuid, Path)),
    responses((status = 204, description = "Read")))]
pub(crate) async fn read_of_creator(
    State(app): AppState,
    caller: ByCreator,
    Path((creator, id)): Path<(CreatorId, Uuid)>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<()>, ApiError> {
    caller.creator(&creator)?;
    app.caught_up().await?;
    if !app.views.fan_access().was_told(&Audience::Creator(creator.clone()), id).await? {
        return Err(ApiError::not_found());
    }
    let stream = creator::stream(&creator);
    let command = creator::Command::ReadNotice { creator, notice: id };
    read_at(app.store.handle::<Creator>(&stream, command, caller.metadata(&app), None).await)
}
