//! What can be integrated.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::Caller, error::ApiError, paging::Page};

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
    responses((status = 200, description = "All of them", body = Page<ProviderAnswer>)))]
pub(crate) async fn list(caller: Caller) -> Result<Json<Page<ProviderAnswer>>, ApiError> {
    caller.any_creator()?;
    let discord = ProviderAnswer {
        provider: "discord",
        name: "Discord",
        description: "Brings fans into a Discord server and gives them the roles of their membership",
    };
    Ok(Json(Page { data: vec![discord], next_cursor: None }))
}
