//! The doctor: what stands between an integration and its work, who can mend it, and how; and comparing on demand.

use axum::{Json, extract::State, http::StatusCode};
use bot::discord::Answer;
use domain::{IntegrationId, Trouble, Who, integration::Phase, status::Status};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::AppState,
    auth::Caller,
    error::{ApiError, Kind},
    extract::{Body, Nothing, Path},
    reason::Reason,
    routes::integrations::{owned, row},
};

/// One thing that was looked at.
#[derive(Serialize, ToSchema)]
pub(crate) struct Check {
    /// `connected`, `discord`, `bot_in_server`, `permissions`, `roles` or `fans`.
    check: &'static str,
    ok: bool,
    /// What is wrong, whom it concerns and how to mend it.
    reasons: Vec<Reason>,
}

impl Check {
    fn new(check: &'static str, reasons: Vec<Reason>) -> Self {
        Self { check, ok: reasons.is_empty(), reasons }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// Whether every check is well.
    ok: bool,
    data: Vec<Check>,
}

/// The doctor
///
/// Looks at the server now, and says of each check what is wrong, who can mend it and how.
#[utoipa::path(get, path = "/v1/integrations/{id}/health", tag = "Creator", operation_id = "get_health",
    params(("id" = String, Path)), responses((status = 200, description = "Each check and its result", body = HealthAnswer)))]
pub(crate) async fn get(
    State(app): AppState,
    caller: Caller,
    Path(id): Path<IntegrationId>,
) -> Result<Json<HealthAnswer>, ApiError> {
    let mut state = row(&app, &caller, id).await?.state;
    let Some(guild) = state.open_guild() else {
        let (detail, fix) = match state.phase {
            Phase::Removing { .. } => {
                ("The integration is being removed.", "Wait until the access is taken away.")
            }
            _ => ("No Discord server is connected.", "Connect Discord."),
        };
        let check =
            Check::new("connected", vec![Reason::new("not_connected", Who::Creator, detail, fix)]);
        return Ok(Json(HealthAnswer { ok: false, data: vec![check] }));
    };
    let mut data = vec![Check::new("connected", vec![])];
    match app.discord.role_list(guild).await {
        Answer::Done((_, roles)) => {
            state.roles = Some(roles);
            state.bot_missing = false;
            let (about_roles, permissions) =
                state.troubles().into_iter().partition(|(_, role)| role.is_some());
            let reasons = |of: Vec<_>| of.into_iter().map(Reason::of).collect();
            data.push(Check::new("discord", vec![]));
            data.push(Check::new("bot_in_server", vec![]));
            data.push(Check::new("permissions", reasons(permissions)));
            data.push(Check::new("roles", reasons(about_roles)));
        }
        Answer::Refused(refusal) => {
            data.push(Check::new("discord", vec![]));
            data.push(Check::new("bot_in_server", vec![Reason::of((refusal.trouble, None))]));
        }
        Answer::TokenDead => {
            data.push(Check::new("discord", vec![Reason::of((Trouble::BotTokenDead, None))]));
        }
        Answer::Later { .. } | Answer::Unwanted => {
            let detail = "Discord does not answer at the moment.";
            let waiting = Reason::new(
                "discord_unavailable",
                Who::Operator,
                detail,
                "Wait; everything is tried again.",
            );
            data.push(Check::new("discord", vec![waiting]));
        }
    }
    let counts = app.views.fan_access().counts(id).await?;
    let held = app.views.fan_access().waiting_for_approval(id).await?;
    let fans = Reason::of_waiting(&counts).into_iter().chain(Reason::of_held(held));
    data.push(Check::new("fans", fans.collect()));
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
    params(("id" = String, Path)),
    responses((status = 202, description = "It happens in the background", body = SyncAnswer)))]
pub(crate) async fn sync(
    State(app): AppState,
    caller: Caller,
    Path(id): Path<IntegrationId>,
    Body(Nothing): Body<Nothing>,
) -> Result<(StatusCode, Json<SyncAnswer>), ApiError> {
    let (_, state, _) = owned(&app, &caller, id).await?;
    let held = matches!(state.phase, Phase::Connected | Phase::Removing { .. });
    let Some(server) = state.server.filter(|_| held) else {
        return Err(ApiError::new(
            Kind::NOT_CONNECTED,
            domain::integration::Refusal::NotConnected.to_string(),
        ));
    };
    app.caught_up().await?;
    app.desk.compare(server.id);
    let counts = app.views.fan_access().counts(id).await?;
    let there =
        counts.iter().filter(|(status, _)| !matches!(status, Status::Available | Status::Revoked));
    Ok((StatusCode::ACCEPTED, Json(SyncAnswer { fans: there.map(|(_, fans)| fans).sum() })))
}
