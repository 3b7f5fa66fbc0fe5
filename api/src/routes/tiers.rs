//! Tiers: what a creator sells, as the platform names it.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    CreatorId, DisplayName, IntegrationId, TierId,
    tier::{self, Tier},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::AppState,
    auth::{ByCreator, ByPlatform},
    error::ApiError,
    extract::{Body, Fields, FromFields, Path, Query},
    paging::{Page, Paging},
};

#[derive(ToSchema)]
pub(crate) struct TierBody {
    /// 1 to 128 characters, for people.
    name: DisplayName,
}

impl FromFields for TierBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { name: fields.required("name")? })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TierAnswer {
    creator: CreatorId,
    tier: TierId,
    name: DisplayName,
    /// The integrations that the tier gives access to, for "includes access to …" before a purchase.
    integrations: Vec<IntegrationId>,
}

/// Register or rename a tier
#[utoipa::path(put, path = "/v1/creators/{creator}/tiers/{tier}", tag = "Platform", operation_id = "put_tier",
    params(("creator" = inline(CreatorId), Path), ("tier" = inline(TierId), Path)), request_body = TierBody,
    responses((status = 200, description = "Known, renamed where the name is new", body = TierAnswer),
              (status = 201, description = "Registered", body = TierAnswer)))]
pub(crate) async fn put(
    State(app): AppState,
    caller: ByPlatform,
    Path((creator, tier)): Path<(CreatorId, TierId)>,
    Body(TierBody { name }): Body<TierBody>,
) -> Result<Response, ApiError> {
    let stream = tier::stream(&creator, &tier);
    let new = app.store.load::<Tier>(&stream).await?.version == 0;
    let register = tier::Command::Register {
        creator: creator.clone(),
        tier: tier.clone(),
        name: name.clone(),
    };
    let decided = app
        .store
        .handle::<Tier>(&stream, register, caller.metadata(&app), None)
        .await
        .map_err(eventstore::StoreError::from)?;
    let known = app.views.integrations().tier(&creator, &tier).await?;
    let integrations = known.map(|known| known.integrations).unwrap_or_default();
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let body = TierAnswer { creator, tier, name, integrations };
    Ok(Written::ok(decided.position, body).status(status).into_response())
}

/// List a creator's tiers
#[utoipa::path(get, path = "/v1/creators/{creator}/tiers", tag = "Creator", operation_id = "list_tiers",
    params(("creator" = inline(CreatorId), Path), Paging),
    responses((status = 200, description = "By id", body = Page<TierAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: ByCreator,
    Path(creator): Path<CreatorId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<TierAnswer>>, ApiError> {
    caller.creator(&creator)?;
    let after: Option<TierId> = paging.after()?;
    let rows = app.views.integrations().tiers(&creator, after.as_ref(), paging.fetch()).await?;
    let (rows, next_cursor) = paging.page(rows, |row| row.tier.clone());
    let data = rows
        .into_iter()
        .map(|row| TierAnswer {
            creator: row.creator,
            tier: row.tier,
            name: row.name,
            integrations: row.integrations,
        })
        .collect();
    Ok(Json(Page { data, next_cursor }))
}
