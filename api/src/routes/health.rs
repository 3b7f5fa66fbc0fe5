//! The doctor: what stands between an integration and its work, who can mend it, and how; and comparing on demand.

use axum::{Json, extract::State, http::StatusCode};
use bot::doctor::{self, Check, Finding};
use domain::{IntegrationId, TierId, status::Status};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::AppState,
    auth::ByCreator,
    error::{ApiError, Kind},
    extract::{Body, Nothing, Path},
    reason::Reason,
    routes::integrations::{owned, row},
};

/// Something that is the matter, and whom it concerns.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthReason {
    #[serde(flatten)]
    pub(crate) reason: Reason,
    /// What the server calls the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role_name: Option<String>,
    /// The tiers whose fans it concerns.
    pub(crate) tiers: Vec<TierId>,
    /// How many fans wait because of it.
    pub(crate) fans: u64,
}

impl From<Finding> for HealthReason {
    fn from(finding: Finding) -> Self {
        let (role, role_name) = finding.role.unzip();
        let reason = Reason::new(finding.code, finding.who, finding.detail, finding.fix);
        Self {
            reason: Reason { role, ..reason },
            role_name: role_name.flatten(),
            tiers: finding.tiers,
            fans: finding.fans,
        }
    }
}

/// One thing that was looked at.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckAnswer {
    /// `connected`, `discord`, `bot_in_server`, `permissions`, `two_factor`, `roles`, `gateway` or `fans`.
    pub(crate) check: &'static str,
    /// Nothing that was found keeps anybody from their access.
    pub(crate) ok: bool,
    /// What is wrong, whom it concerns and how to mend it.
    pub(crate) reasons: Vec<HealthReason>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// Whether every check is well.
    pub(crate) ok: bool,
    pub(crate) data: Vec<CheckAnswer>,
}

/// The doctor
///
/// Looks at the server now, and says of each check what is wrong, whom it concerns, who can mend it and how.
#[utoipa::path(get, path = "/v1/integrations/{id}/health", tag = "Creator", operation_id = "get_health",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, description = "Each check and its result", body = HealthAnswer)))]
pub(crate) async fn get(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
) -> Result<Json<HealthAnswer>, ApiError> {
    let state = row(&app, &caller, id).await?.state;
    let checks = doctor::examine(&app.discord, app.views.fan_access(), id, &state).await?;
    let data: Vec<_> = checks
        .into_iter()
        .map(|Check { name, ok, findings }| CheckAnswer {
            check: name,
            ok,
            reasons: findings.into_iter().map(Into::into).collect(),
        })
        .collect();
    Ok(Json(HealthAnswer { ok: data.iter().all(|check| check.ok), data }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SyncAnswer {
    /// How many fans are looked at.
    fans: u64,
}

/// Compare with Discord now
///
/// Looks at the server and at everybody who has something there; what differs is repaired as the drift policy says.
#[utoipa::path(post, path = "/v1/integrations/{id}/sync", tag = "Creator", operation_id = "sync_integration",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 202, description = "It happens in the background", body = SyncAnswer)))]
pub(crate) async fn sync(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<SyncAnswer>, ApiError> {
    let (_, state, _) = owned(&app, &caller, id).await?;
    let Some(guild) = state.held_guild() else {
        return Err(ApiError::new(
            Kind::NOT_CONNECTED,
            domain::integration::Refusal::NotConnected.to_string(),
        ));
    };
    app.caught_up().await?;
    app.desk.compare(guild);
    let counts = app.views.fan_access().counts(id).await?;
    let there =
        counts.iter().filter(|(status, _)| !matches!(status, Status::Available | Status::Revoked));
    let answer = SyncAnswer { fans: there.map(|(_, fans)| fans).sum() };
    Ok(Written::ok(app.store.log().head(), answer).status(StatusCode::ACCEPTED))
}
