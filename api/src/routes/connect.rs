//! Connecting a Discord server: where the creator's browser is sent.

use axum::extract::State;
use domain::{
    IntegrationId,
    integration::{self, Phase},
};
use eventstore::Actor;
use secrecy::ExposeSecret;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByCreator, Caller},
    error::{ApiError, Kind},
    extract::{Body, Fields, FromFields, Path},
    routes::{integrations::owned, oauth::Purpose},
};

/// Where the browser is sent after Discord.
#[derive(ToSchema)]
pub(crate) struct ReturnBody {
    /// An `http` or `https` URL of at most 2,048 characters. The Hub adds `status` and, where it failed, `error` to its query.
    #[schema(value_type = Option<String>, format = "uri", max_length = 2048)]
    pub(crate) return_url: Option<Url>,
}

impl FromFields for ReturnBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { return_url: fields.web_address("return_url")? })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorizeAnswer {
    /// To be opened in a browser within ten minutes, once.
    #[schema(value_type = String, format = "uri")]
    pub(crate) authorize_url: Url,
}

/// Connect a Discord server
///
/// Answers where to send the creator's browser. It comes back to `GET /oauth/discord/callback`, and from there to
/// `return_url`.
#[utoipa::path(post, path = "/v1/integrations/{id}/connect", tag = "Creator", operation_id = "connect_integration",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)), request_body = ReturnBody,
    responses((status = 200, description = "Where to go", body = AuthorizeAnswer)))]
pub(crate) async fn connect(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Body(ReturnBody { return_url }): Body<ReturnBody>,
) -> Result<Written<AuthorizeAnswer>, ApiError> {
    let authorize_url = begin(&app, &caller, id, return_url, None).await?;
    Ok(Written::ok(app.store.log().head(), AuthorizeAnswer { authorize_url }))
}

/// Where the creator's browser is sent; `browser` is the session that it is bound to.
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    id: IntegrationId,
    return_url: Option<Url>,
    browser: Option<String>,
) -> Result<Url, ApiError> {
    let (_, state, _) = owned(app, caller, id).await?;
    if matches!(state.phase, Phase::Removing { .. }) && !state.bot_missing {
        return Err(ApiError::new(Kind::REMOVING, integration::Refusal::Removing.to_string()));
    }
    ask(app, id, caller.key.actor(), return_url, browser).await
}

/// Where a creator's browser is sent on behalf of `actor`.
pub(crate) async fn ask(
    app: &App,
    id: IntegrationId,
    actor: Actor,
    return_url: Option<Url>,
    browser: Option<String>,
) -> Result<Url, ApiError> {
    let (challenge, verifier) = app.oauth.proof();
    let verifier = verifier.expose_secret().to_owned();
    let purpose = Purpose::Server { integration: id, verifier, actor, return_url, browser };
    let state = app.store.oauth_states().create(&purpose, app.now()).await?;
    Ok(app.oauth.authorize_bot(state.expose_secret(), challenge))
}
