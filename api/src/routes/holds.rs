//! Mass removals that wait for a person, and what that person decides.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    CreatorId, FanId, HoldId, IntegrationId, RoleId,
    hold::{self, Cause, Hold, RemovalLimit},
    personal::Personal,
};
use eventstore::{HandleError, Position};
use projections::{HeldFan, HoldRow, HoldStatus, HoldsWanted};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByCreator, Caller},
    error::{ApiError, Kind},
    extract::{Body, Fields, FromFields, Nothing, Path, Query},
    paging::{Page, Paging},
    plan::RoleCount,
    routes::integration_fans::AccountAnswer,
};

/// How many removals of an integration at once wait for approval: more fans than this, or a larger share.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct LimitAnswer {
    pub(crate) fans: u32,
    /// Of the fans who have access, counted from ten fans on; 100 sets no share.
    pub(crate) percent: u8,
}

impl From<RemovalLimit> for LimitAnswer {
    fn from(RemovalLimit { fans, percent }: RemovalLimit) -> Self {
        Self { fans, percent }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HoldAnswer {
    pub(crate) id: HoldId,
    pub(crate) creator: CreatorId,
    pub(crate) integration: IntegrationId,
    /// `waiting`, `approved`, `rejected`, or `resolved`: nobody is left in it, because their memberships came back or
    /// they left.
    pub(crate) status: HoldStatus,
    /// `import`, `attachments`, `removal_policy` or `lapses`.
    pub(crate) cause: Cause,
    /// How many fans keep something through it now.
    pub(crate) fans: u64,
    /// How many would have lost something when it was opened.
    pub(crate) losing: u64,
    /// Of how many who had access then.
    pub(crate) of: u64,
    /// The limit that was exceeded.
    pub(crate) limit: LimitAnswer,
    /// The events that it holds have it too.
    pub(crate) correlation: Uuid,
    pub(crate) opened_at: DateTime<Utc>,
    /// Who caused it, as in the audit.
    pub(crate) opened_by: String,
    pub(crate) decided_at: Option<DateTime<Utc>>,
    pub(crate) decided_by: Option<String>,
}

impl From<HoldRow> for HoldAnswer {
    fn from(row: HoldRow) -> Self {
        let HoldRow { id, creator, integration, status, fans, opened, decided, .. } = row;
        Self {
            id,
            creator,
            integration,
            status,
            cause: opened.cause,
            fans,
            losing: opened.losing,
            of: opened.of,
            limit: opened.limit.into(),
            correlation: opened.correlation,
            opened_at: opened.by.at,
            opened_by: opened.by.actor.to_string(),
            decided_at: decided.as_ref().map(|by| by.at),
            decided_by: decided.map(|by| by.actor.to_string()),
        }
    }
}

/// What a fan keeps through a hold.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeldAnswer {
    pub(crate) fan: FanId,
    pub(crate) discord: Option<AccountAnswer>,
    /// The roles that approving takes away.
    pub(crate) roles: Vec<RoleId>,
    /// Whether approving removes the fan from the server.
    pub(crate) leaves_server: bool,
}

impl From<HeldFan> for HeldAnswer {
    fn from(HeldFan { fan, account, roles, server }: HeldFan) -> Self {
        Self {
            fan,
            discord: account.as_ref().and_then(Personal::known).map(AccountAnswer::of),
            roles: roles.into_iter().collect(),
            leaves_server: server,
        }
    }
}

/// A hold, what approving it takes away over all, and a page of its fans.
#[derive(Serialize, ToSchema)]
pub(crate) struct HoldDetail {
    #[serde(flatten)]
    pub(crate) hold: HoldAnswer,
    pub(crate) lose: Vec<RoleCount>,
    pub(crate) leave_server: u64,
    pub(crate) data: Vec<HeldAnswer>,
    /// Where the next page of fans begins; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoldsQuery {
    #[param(inline)]
    integration: Option<IntegrationId>,
    /// `waiting`, `approved`, `rejected` or `resolved`.
    #[param(inline)]
    status: Option<HoldStatus>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for HoldsQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (integration, status) = (fields.optional("integration"), fields.optional("status"));
        let paging = Paging::from_fields(fields);
        Some(Self { integration: integration?, status: status?, paging: paging? })
    }
}

/// List held removals
///
/// A creator sees their own, the platform all.
#[utoipa::path(get, path = "/v1/holds", tag = "Creator", operation_id = "list_holds", params(HoldsQuery, Paging),
    responses((status = 200, description = "Newest first", body = Page<HoldAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: ByCreator,
    Query(HoldsQuery { integration, status, paging }): Query<HoldsQuery>,
) -> Result<Json<Page<HoldAnswer>>, ApiError> {
    let creator = caller.own_creator()?;
    Ok(Json(page(&app, HoldsWanted { creator, integration, status }, &paging).await?))
}

/// A page of holds, newest first.
pub(crate) async fn page(
    app: &App,
    wanted: HoldsWanted,
    paging: &Paging,
) -> Result<Page<HoldAnswer>, ApiError> {
    let before: Option<Position> = paging.after()?;
    let rows = app.views.fan_access().holds(&wanted, before, paging.fetch()).await?;
    let (rows, next_cursor) = paging.page(rows, |row| row.position);
    Ok(Page { data: rows.into_iter().map(Into::into).collect(), next_cursor })
}

/// A hold and its fans
#[utoipa::path(get, path = "/v1/holds/{id}", tag = "Creator", operation_id = "get_hold", params(("id" = Uuid, Path), Paging),
    responses((status = 200, description = "The hold, and its fans in pages", body = HoldDetail)))]
pub(crate) async fn get(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<HoldId>,
    Query(paging): Query<Paging>,
) -> Result<Json<HoldDetail>, ApiError> {
    detail(&app, &caller, id, &paging).await.map(Json)
}

/// A hold, if it is the caller's, and a page of its fans.
pub(crate) async fn detail(
    app: &App,
    caller: &Caller,
    id: HoldId,
    paging: &Paging,
) -> Result<HoldDetail, ApiError> {
    caller.any_creator()?;
    let access = app.views.fan_access();
    let row = access.hold(id).await?.ok_or_else(ApiError::not_found)?;
    caller.creator(&row.creator)?;
    let after: Option<FanId> = paging.after()?;
    let stake = access.at_stake(id).await?;
    let fans = access.held_fans(id, after.as_ref(), paging.fetch()).await?;
    let (fans, next_cursor) = paging.page(fans, |held| held.fan.clone());
    Ok(HoldDetail {
        hold: row.into(),
        lose: stake.roles.into_iter().map(|(role, fans)| RoleCount { role, fans }).collect(),
        leave_server: stake.leave_server,
        data: fans.into_iter().map(Into::into).collect(),
        next_cursor,
    })
}

/// Approve held removals
///
/// The access is taken away from whoever is still in the hold. Saying it again changes nothing; after a rejection it is
/// refused with `hold_decided`.
#[utoipa::path(post, path = "/v1/holds/{id}/approve", tag = "Creator", operation_id = "approve_hold",
    params(("id" = Uuid, Path)), responses((status = 200, description = "The removals run", body = HoldAnswer)))]
pub(crate) async fn approve(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<HoldId>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<HoldAnswer>, ApiError> {
    decide(&app, &caller, id, hold::Command::Approve).await
}

/// Reject held removals
///
/// Whoever is in the hold keeps their access, until the platform reports their membership again, or the creator changes
/// the tier again or withholds the access. Saying it again changes nothing; after an approval it is refused with
/// `hold_decided`.
#[utoipa::path(post, path = "/v1/holds/{id}/reject", tag = "Creator", operation_id = "reject_hold",
    params(("id" = Uuid, Path)), responses((status = 200, description = "The access stays", body = HoldAnswer)))]
pub(crate) async fn reject(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<HoldId>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<HoldAnswer>, ApiError> {
    decide(&app, &caller, id, hold::Command::Reject).await
}

/// Decides on a hold, if it is the caller's.
pub(crate) async fn decide(
    app: &Arc<App>,
    caller: &Caller,
    id: HoldId,
    command: hold::Command,
) -> Result<Written<HoldAnswer>, ApiError> {
    caller.any_creator()?;
    let stream = hold::stream(id);
    let held = app.store.load::<Hold>(&stream).await?.state.held;
    caller.creator(&held.ok_or_else(ApiError::not_found)?.creator)?;
    match app.store.handle::<Hold>(&stream, command, caller.metadata(app), None).await {
        Ok(decided) => {
            app.seen(decided.position).await?;
            let row = app.views.fan_access().hold(id).await?.ok_or_else(ApiError::not_found)?;
            Ok(Written::ok(decided.position, row.into()))
        }
        Err(HandleError::Refused(refusal)) => Err(refused(&refusal)),
        Err(HandleError::Store(error)) => Err(error.into()),
    }
}

pub(crate) fn refused(refusal: &hold::Refusal) -> ApiError {
    match refusal {
        hold::Refusal::Unknown => ApiError::not_found(),
        hold::Refusal::Approved | hold::Refusal::Rejected => {
            ApiError::new(Kind::HOLD_DECIDED, refusal.to_string())
        }
    }
}
