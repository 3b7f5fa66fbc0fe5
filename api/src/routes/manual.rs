//! What a creator decides about one fan by hand: roles given without a membership, access withheld despite one.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{
    FanId, IntegrationId, RoleId,
    fan::{self, Fan, Grant},
    integration::{self, MAX_ROLES},
    name::{is_one_line, is_visible},
    status::Status,
};
use eventstore::HandleError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByCreator, Caller},
    error::{ApiError, FieldError, Kind},
    extract::{Body, Fields, FromFields, Path},
    reason::Reason,
    routes::integrations::{owned, refused},
};

/// The longest reason that can be given.
pub(crate) const LONGEST_WHY: usize = 500;

#[derive(ToSchema)]
pub(crate) struct GrantBody {
    pub(crate) roles: BTreeSet<RoleId>,
    /// When it ends by itself.
    pub(crate) until: Option<DateTime<Utc>>,
}

impl FromFields for GrantBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (roles, until) = (fields.required::<BTreeSet<RoleId>>("roles"), fields.time("until"));
        let roles = roles?;
        if roles.len() > MAX_ROLES {
            fields.fault("roles", format!("may be at most {MAX_ROLES}: no server has more"));
            return None;
        }
        Some(Self { roles, until: until? })
    }
}

#[derive(ToSchema)]
pub(crate) struct WithholdBody {
    /// For the creator's own memory and for auditors; 1 to 500 characters.
    pub(crate) why: String,
}

impl FromFields for WithholdBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let why: String = fields.required("why")?;
        let fits = why.chars().count() <= LONGEST_WHY && why.lines().all(is_one_line);
        if !fits || !why.chars().any(is_visible) {
            let text = format!(
                "must be 1 to {LONGEST_WHY} characters that can be shown, in any number of lines, none of them a control character"
            );
            fields.fault("why", text);
            return None;
        }
        Some(Self { why })
    }
}

/// How the fan stands after it.
#[derive(Serialize, ToSchema)]
pub(crate) struct DecidedByHand {
    integration: IntegrationId,
    fan: FanId,
    /// As the views show it now; what follows on Discord happens in the background.
    status: Option<Status>,
    reason: Option<Reason>,
}

async fn decide(
    app: &Arc<App>,
    caller: &Caller,
    id: IntegrationId,
    fan: FanId,
    command: fan::Command,
) -> Result<Written<DecidedByHand>, ApiError> {
    let decided = match app
        .store
        .handle::<Fan>(&fan::stream(&fan), command, caller.metadata(app), None)
        .await
    {
        Ok(decided) => decided,
        Err(HandleError::Refused(refusal)) => {
            return Err(ApiError::new(Kind::CONFLICT, refusal.to_string()));
        }
        Err(HandleError::Store(error)) => return Err(error.into()),
    };
    app.seen(decided.position).await?;
    let row = app.views.fan_access().fan_row(id, &fan).await?;
    let body = DecidedByHand {
        integration: id,
        fan,
        status: row.as_ref().map(|row| row.status),
        reason: row.and_then(|row| Reason::of_fan(row.status, row.trouble, row.account.is_some())),
    };
    Ok(Written::ok(decided.position, body))
}

/// Give roles by hand
///
/// A reason like any other, without a membership. The fan has to have connected Discord; until then it waits. A fan who
/// never held a membership of this creator has to activate it, too: nobody is brought in by a stranger.
#[utoipa::path(put, path = "/v1/integrations/{id}/grants/{fan}", tag = "Creator", operation_id = "put_grant",
    params(("id" = uuid::Uuid, Path), ("fan" = inline(FanId), Path), ("If-Match" = Option<String>, Header)), request_body = GrantBody,
    responses((status = 200, description = "Given", body = DecidedByHand)))]
pub(crate) async fn grant(
    State(app): AppState,
    caller: ByCreator,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Body(GrantBody { roles, until }): Body<GrantBody>,
) -> Result<Written<DecidedByHand>, ApiError> {
    let (creator, state, _) = owned(&app, &caller, id).await?;
    if state.open_guild().is_none() {
        return Err(refused(integration::Refusal::NotConnected));
    }
    if until.is_some_and(|until| until <= app.now()) {
        return Err(ApiError::field("until", "must be in the future"));
    }
    let errors: Vec<_> = state
        .unassignable(&roles)
        .map(|(role, why)| FieldError {
            field: "roles".to_owned(),
            code: Some(why.code().to_owned()),
            detail: format!("{role}: {} {}", why.detail(), why.fix()),
        })
        .collect();
    if !errors.is_empty() {
        let text =
            "a role cannot be given in this server; choose others, or mend what `errors` names";
        return Err(ApiError::new(Kind::ROLES_NOT_ASSIGNABLE, text).with(errors));
    }
    let until = until.and_then(|at| DateTime::from_timestamp_micros(at.timestamp_micros()));
    let given = Grant { fan: fan.clone(), creator, integration: id, roles, until };
    decide(&app, &caller, id, fan, fan::Command::Grant(given)).await
}

/// Take back what was given by hand
#[utoipa::path(delete, path = "/v1/integrations/{id}/grants/{fan}", tag = "Creator", operation_id = "delete_grant",
    params(("id" = uuid::Uuid, Path), ("fan" = inline(FanId), Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "Taken back", body = DecidedByHand)))]
pub(crate) async fn end_grant(
    State(app): AppState,
    caller: ByCreator,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
) -> Result<Written<DecidedByHand>, ApiError> {
    owned(&app, &caller, id).await?;
    let command = fan::Command::EndGrant { fan: fan.clone(), integration: id };
    decide(&app, &caller, id, fan, command).await
}

/// Withhold a fan's access
///
/// Whatever reasons there are, the fan has no access through this integration until it is lifted.
#[utoipa::path(put, path = "/v1/integrations/{id}/revocations/{fan}", tag = "Creator", operation_id = "put_revocation",
    params(("id" = uuid::Uuid, Path), ("fan" = inline(FanId), Path), ("If-Match" = Option<String>, Header)), request_body = WithholdBody,
    responses((status = 200, description = "Withheld", body = DecidedByHand)))]
pub(crate) async fn withhold(
    State(app): AppState,
    caller: ByCreator,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Body(WithholdBody { why }): Body<WithholdBody>,
) -> Result<Written<DecidedByHand>, ApiError> {
    owned(&app, &caller, id).await?;
    let command = fan::Command::Withhold { fan: fan.clone(), integration: id, why };
    decide(&app, &caller, id, fan, command).await
}

/// Lift a withholding
#[utoipa::path(delete, path = "/v1/integrations/{id}/revocations/{fan}", tag = "Creator", operation_id = "delete_revocation",
    params(("id" = uuid::Uuid, Path), ("fan" = inline(FanId), Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "Lifted; whatever reasons there are count again", body = DecidedByHand)))]
pub(crate) async fn lift(
    State(app): AppState,
    caller: ByCreator,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
) -> Result<Written<DecidedByHand>, ApiError> {
    owned(&app, &caller, id).await?;
    let command = fan::Command::LiftWithholding { fan: fan.clone(), integration: id };
    decide(&app, &caller, id, fan, command).await
}
