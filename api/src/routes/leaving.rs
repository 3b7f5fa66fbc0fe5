//! Leaving a server: to disconnect it, or to delete its integration, and by force at once.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    IntegrationId,
    integration::{self, Integration, LeftBehind, Phase},
};
use eventstore::Decided;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByCreator, Caller},
    error::ApiError,
    extract::{Body, Fields, FromFields, IfMatch, Nothing, Path, Query},
    routes::{
        integrations::{IntegrationAnswer, command_failed, owned, written},
        left_behind::{LeftBehindAnswer, left_behind},
    },
};

/// Whether to release a server although access that was given there is left.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Force {
    /// Release at once; whoever keeps something is named in the answer and in the log.
    #[param(required = false)]
    pub(crate) force: bool,
}

impl FromFields for Force {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { force: fields.optional("force")?.unwrap_or(false) })
    }
}

/// What came of leaving a server.
struct Leaving {
    decided: (Decided, u64),
    /// With `force`: who keeps something.
    left_behind: Option<LeftBehind>,
}

/// Starts to take the access away, and with `force` lets go of the server at once.
async fn leave(
    app: &Arc<App>,
    caller: &Caller,
    id: IntegrationId,
    if_match: &IfMatch,
    remove: bool,
    force: bool,
) -> Result<Leaving, ApiError> {
    let (_, state, _) = owned(app, caller, id).await?;
    app.caught_up().await?;
    let left_behind = match state.server {
        _ if !force => None,
        Some(server) if state.phase != Phase::Disconnected => {
            Some(left_behind(app, id, server.id).await?)
        }
        Some(_) | None => Some(LeftBehind::default()),
    };
    let stream = integration::stream(id);
    let mut attempts = app.store.attempts();
    loop {
        let mut decision = app.store.begin(caller.metadata(app), None);
        decision.load::<Integration>(&stream).await?;
        if_match.check(decision.version(&stream))?;
        let start = integration::Command::Disconnect { remove };
        decision.handle::<Integration>(&stream, start.to(id)).await.map_err(command_failed)?;
        if let Some(left_behind) = left_behind.clone() {
            bot::policies::let_go(&mut decision, id, left_behind).await.map_err(command_failed)?;
        }
        let version = decision.version(&stream);
        if let Some(decided) = decision.commit(&mut attempts).await? {
            return Ok(Leaving { decided: (decided, version), left_behind });
        }
    }
}

/// An integration whose server was let go by force.
#[derive(Serialize, ToSchema)]
pub(crate) struct DisconnectedByForce {
    #[serde(flatten)]
    integration: IntegrationAnswer,
    left_behind: LeftBehindAnswer,
}

/// An integration that was deleted by force.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeletedByForce {
    left_behind: LeftBehindAnswer,
}

/// Disconnect the server
///
/// The access that was given there is taken away first; the server stays reserved until that is confirmed.
#[utoipa::path(post, path = "/v1/integrations/{id}/disconnect", tag = "Creator", operation_id = "disconnect_integration",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), Force),
    responses((status = 200, description = "With `force`: disconnected, and who keeps what was given there", body = DisconnectedByForce),
              (status = 202, description = "Removing", body = IntegrationAnswer)))]
pub(crate) async fn disconnect(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Query(Force { force }): Query<Force>,
    if_match: IfMatch,
    Body(Nothing): Body<Nothing>,
) -> Result<Response, ApiError> {
    let Leaving { decided, left_behind } =
        leave(&app, &caller, id, &if_match, false, force).await?;
    let written = written(&app, id, decided).await?;
    Ok(match left_behind {
        Some(left) => {
            let left_behind = LeftBehindAnswer::from(&left);
            written
                .map(|integration| DisconnectedByForce { integration, left_behind })
                .into_response()
        }
        None => written.status(StatusCode::ACCEPTED).into_response(),
    })
}

/// Delete an integration
///
/// The access that it gave is taken away first.
#[utoipa::path(delete, path = "/v1/integrations/{id}", tag = "Creator", operation_id = "delete_integration",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), Force),
    responses((status = 200, description = "With `force`: gone, and who keeps what it gave", body = DeletedByForce),
              (status = 202, description = "Removing", body = IntegrationAnswer),
              (status = 204, description = "Gone: there was nothing to take away")))]
pub(crate) async fn delete(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Query(Force { force }): Query<Force>,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    let Leaving { decided, left_behind } = leave(&app, &caller, id, &if_match, true, force).await?;
    if let Some(left) = left_behind {
        let deleted = DeletedByForce { left_behind: LeftBehindAnswer::from(&left) };
        return Ok(Written::ok(decided.0.position, deleted).into_response());
    }
    let removed = app.store.load::<Integration>(&integration::stream(id)).await?.state.phase
        == Phase::Removed;
    if removed {
        return Ok(Written::ok(decided.0.position, ())
            .status(StatusCode::NO_CONTENT)
            .into_response());
    }
    Ok(written(&app, id, decided).await?.status(StatusCode::ACCEPTED).into_response())
}
