//! What creators gave a fan by hand, without a membership.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{CreatorId, FanId, IntegrationId, fan::Grant};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::AppState,
    auth::ByFan,
    error::ApiError,
    extract::{Path, Query},
    paging::{Page, Paging},
    routes::fans::FanIntegration,
};

/// Access that a creator gave a fan by hand.
#[derive(Serialize, ToSchema)]
pub(crate) struct FanGrant {
    pub(crate) creator: CreatorId,
    /// When it ends by itself.
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) integration: FanIntegration,
}

/// What a fan was given by hand
#[utoipa::path(get, path = "/v1/fans/{fan}/grants", tag = "Fan", operation_id = "list_fan_grants",
    params(("fan" = inline(FanId), Path), Paging),
    responses((status = 200, description = "By integration", body = Page<FanGrant>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: ByFan,
    Path(fan): Path<FanId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<FanGrant>>, ApiError> {
    caller.fan(&fan)?;
    let after: Option<IntegrationId> = paging.after()?;
    let facts = app.views.fan_access().facts(&fan).await?.unwrap_or_default();
    let linked = facts.link.is_some();
    let given = facts.grants.into_iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
    let given = given.take(paging.fetch_many()).collect();
    let (given, next_cursor) = paging.page(given, |(id, _): &(IntegrationId, Grant)| *id);
    let mut data = vec![];
    for (id, Grant { creator, roles, until, .. }) in given {
        let row = app.views.integrations().get(id).await?;
        let known = app.views.fan_access().fan_row(id, &fan).await?;
        if let (Some(row), Some(known)) = (row.filter(|row| row.state.is_held()), known) {
            let integration = FanIntegration::of(&row, &known, &roles, linked);
            data.push(FanGrant { creator, until, integration });
        }
    }
    Ok(Json(Page { data, next_cursor }))
}
