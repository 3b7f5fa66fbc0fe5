//! What can be integrated.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::ByCreator,
    error::ApiError,
    extract::Query,
    paging::{Page, Paging},
};

#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderAnswer {
    /// What an integration is created with.
    provider: &'static str,
    name: &'static str,
    /// What fans get through it.
    description: &'static str,
}

/// List what can be integrated
#[utoipa::path(get, path = "/v1/providers", tag = "Creator", operation_id = "list_providers",
    params(Paging), responses((status = 200, description = "All of them", body = Page<ProviderAnswer>)))]
pub(crate) async fn list(
    _: ByCreator,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ProviderAnswer>>, ApiError> {
    let after: Option<String> = paging.after()?;
    let discord = ProviderAnswer {
        provider: "discord",
        name: "Discord",
        description: "Brings fans into a Discord server and gives them the roles of their membership",
    };
    let mut all = vec![discord];
    all.retain(|provider| after.as_deref().is_none_or(|after| provider.provider > after));
    let (data, next_cursor) = paging.page(all, |provider| provider.provider);
    Ok(Json(Page { data, next_cursor }))
}
