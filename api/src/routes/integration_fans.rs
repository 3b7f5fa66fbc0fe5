//! The fans of an integration, for its creator.

use axum::{Json, extract::State};
use domain::{
    DiscordUserId, FanId, IntegrationId, RoleId,
    personal::{Account, Personal},
    status::Status,
};
use projections::{FanRow, Leftover};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::AppState,
    auth::ByCreator,
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    paging::{Page, Paging},
    reason::Reason,
    routes::integrations::owned,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FansQuery {
    /// Only the fans with this status.
    #[param(inline)]
    pub(crate) status: Option<Status>,
    #[param(ignore)]
    pub(crate) paging: Paging,
}

impl FromFields for FansQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (status, paging) = (fields.optional("status"), Paging::from_fields(fields));
        Some(Self { status: status?, paging: paging? })
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AccountAnswer {
    pub(crate) id: DiscordUserId,
    pub(crate) username: String,
}

impl AccountAnswer {
    pub(crate) fn of(Account { id, username }: &Account) -> Self {
        Self { id: *id, username: username.clone() }
    }
}

/// What a fan should have in the server, or was last seen to have.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccessAnswer {
    /// In the server; null where Discord has not told.
    pub(crate) present: Option<bool>,
    pub(crate) roles: Vec<RoleId>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FanAnswer {
    pub(crate) integration: IntegrationId,
    pub(crate) fan: FanId,
    pub(crate) discord: Option<AccountAnswer>,
    pub(crate) status: Status,
    /// What the matter is, whom it concerns and what to do.
    pub(crate) reason: Option<Reason>,
    /// Through this and every other integration on the server.
    pub(crate) desired: AccessAnswer,
    /// What Discord last showed of what the Hub gave.
    pub(crate) observed: AccessAnswer,
    /// Accounts that the fan used before, and from which something is still to be taken away.
    pub(crate) leftovers: Vec<LeftoverAnswer>,
}

/// An account that a fan no longer uses and that still has something.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeftoverAnswer {
    discord: Option<AccountAnswer>,
    /// Why it is not taken away; null while it is on its way.
    reason: Option<Reason>,
    observed: AccessAnswer,
}

impl From<Leftover> for LeftoverAnswer {
    fn from(Leftover { account, present, given, trouble }: Leftover) -> Self {
        let roles = given.into_iter().collect();
        Self {
            discord: account.known().map(AccountAnswer::of),
            reason: trouble.map(Reason::of),
            observed: AccessAnswer { present, roles },
        }
    }
}

impl From<FanRow> for FanAnswer {
    fn from(row: FanRow) -> Self {
        // Whoever has not agreed to come in shows their account to nobody.
        let agreed = row.account.as_ref().filter(|_| row.status != Status::Available);
        let known = agreed.and_then(Personal::known);
        Self {
            integration: row.integration,
            fan: row.fan,
            discord: known.map(AccountAnswer::of),
            status: row.status,
            reason: Reason::of_fan(row.status, row.trouble, row.account.is_some()),
            desired: AccessAnswer {
                present: Some(row.desired.present),
                roles: row.desired.roles.into_iter().collect(),
            },
            observed: AccessAnswer { present: row.present, roles: row.given.into_iter().collect() },
            leftovers: row.leftovers.into_iter().map(Into::into).collect(),
        }
    }
}

/// The fans of an integration
#[utoipa::path(get, path = "/v1/integrations/{id}/fans", tag = "Creator", operation_id = "list_integration_fans",
    params(("id" = uuid::Uuid, Path), FansQuery, Paging),
    responses((status = 200, description = "By fan", body = Page<FanAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Query(FansQuery { status, paging }): Query<FansQuery>,
) -> Result<Json<Page<FanAnswer>>, ApiError> {
    owned(&app, &caller, id).await?;
    let after: Option<FanId> = paging.after()?;
    let rows = app.views.fan_access().fans(id, status, after.as_ref(), paging.fetch()).await?;
    let (rows, next_cursor) = paging.page(rows, |row| row.fan.clone());
    Ok(Json(Page { data: rows.into_iter().map(Into::into).collect(), next_cursor }))
}
