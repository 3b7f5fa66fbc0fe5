//! A fan's Discord account.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{
    Decider, DiscordUserId, FanId,
    fan::{self, Event as FanEvent, Fan},
};
use eventstore::{Actor, Envelope, HandleError};
use secrecy::ExposeSecret;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByFan, Caller},
    error::{ApiError, Kind},
    extract::{Body, Path},
    reason::Reason,
    routes::{
        connect::{AuthorizeAnswer, ReturnBody},
        oauth::Purpose,
    },
};

#[derive(Serialize, ToSchema)]
pub(crate) struct DiscordAnswer {
    pub(crate) id: DiscordUserId,
    pub(crate) username: String,
    pub(crate) linked_at: DateTime<Utc>,
    /// What is the matter with the connection, if anything is.
    pub(crate) reason: Option<Reason>,
}

/// The event that connects an account.
const LINKED: &str = "FanLinked";

impl DiscordAnswer {
    /// The account that an event connected, where it can be told.
    fn of(envelope: Envelope) -> Option<Self> {
        let linked_at = envelope.metadata.at;
        let Some(FanEvent::FanLinked(link)) = Fan::own(envelope.event) else { return None };
        let account = link.account.known()?;
        let (id, username) = (account.id, account.username.clone());
        Some(Self { id, username, linked_at, reason: None })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LinkAnswer {
    pub(crate) discord: Option<DiscordAnswer>,
}

/// A fan's Discord account
#[utoipa::path(get, path = "/v1/fans/{fan}/link", tag = "Fan", operation_id = "get_link",
    params(("fan" = inline(FanId), Path)),
    responses((status = 200, description = "The account that is connected, if any", body = LinkAnswer)))]
pub(crate) async fn get(
    State(app): AppState,
    caller: ByFan,
    Path(fan): Path<FanId>,
) -> Result<Json<LinkAnswer>, ApiError> {
    caller.fan(&fan)?;
    let stream = fan::stream(&fan);
    let state = app.store.load::<Fan>(&stream).await?.state;
    let mut discord = None;
    if state.link.is_some() {
        let linked = app.store.log().last_of(&stream, LINKED, u64::MAX).await?;
        let linked = app.store.decode(linked.into_iter().collect()).await?;
        discord = linked.into_iter().find_map(DiscordAnswer::of);
    }
    if let (Some(discord), Some(broken)) = (&mut discord, state.broken) {
        discord.reason = Some(Reason::of((broken.trouble(), None)));
    }
    Ok(Json(LinkAnswer { discord }))
}

/// Connect a Discord account
///
/// Answers where to send the fan's browser; an account that is connected already is exchanged for the new one.
#[utoipa::path(post, path = "/v1/fans/{fan}/link", tag = "Fan", operation_id = "create_link",
    params(("fan" = inline(FanId), Path)), request_body = ReturnBody,
    responses((status = 200, description = "Where to go", body = AuthorizeAnswer)))]
pub(crate) async fn create(
    State(app): AppState,
    caller: ByFan,
    Path(fan): Path<FanId>,
    Body(ReturnBody { return_url }): Body<ReturnBody>,
) -> Result<Written<AuthorizeAnswer>, ApiError> {
    let authorize_url = begin(&app, &caller, fan, return_url, None).await?;
    Ok(Written::ok(app.store.log().head(), AuthorizeAnswer { authorize_url }))
}

/// Where the fan's browser is sent; `browser` is the session that it is bound to.
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    fan: FanId,
    return_url: Option<Url>,
    browser: Option<String>,
) -> Result<Url, ApiError> {
    caller.fan(&fan)?;
    ask(app, fan, caller.key.actor(), return_url, browser).await
}

/// Where a fan's browser is sent on behalf of `actor`.
pub(crate) async fn ask(
    app: &App,
    fan: FanId,
    actor: Actor,
    return_url: Option<Url>,
    browser: Option<String>,
) -> Result<Url, ApiError> {
    let (challenge, verifier) = app.oauth.proof();
    let verifier = verifier.expose_secret().to_owned();
    let purpose = Purpose::Account { fan, verifier, actor, return_url, browser };
    let state = app.store.oauth_states().create(&purpose, app.now()).await?;
    Ok(app.oauth.authorize_fan(state.expose_secret(), challenge))
}

/// Disconnect the Discord account
///
/// The access that it has is taken away in the background; then another fan can connect it.
#[utoipa::path(delete, path = "/v1/fans/{fan}/link", tag = "Fan", operation_id = "delete_link",
    params(("fan" = inline(FanId), Path)),
    responses((status = 202, description = "Disconnected; the access is taken away", body = LinkAnswer)))]
pub(crate) async fn delete(
    State(app): AppState,
    caller: ByFan,
    Path(fan): Path<FanId>,
) -> Result<Written<LinkAnswer>, ApiError> {
    caller.fan(&fan)?;
    let command = fan::Command::Unlink { fan: fan.clone() };
    let token = app.store.tokens().get(&fan).await?;
    match app.store.handle::<Fan>(&fan::stream(&fan), command, caller.metadata(&app), None).await {
        Ok(decided) => {
            // Taking access away never needs it. The fan may have linked an account again meanwhile.
            if let Some(token) = token {
                app.store.tokens().delete(&fan, &token).await?;
            }
            Ok(Written::ok(decided.position, LinkAnswer { discord: None })
                .status(StatusCode::ACCEPTED))
        }
        Err(HandleError::Refused(refusal)) => {
            Err(ApiError::new(Kind::NOT_LINKED, refusal.to_string()))
        }
        Err(HandleError::Store(error)) => Err(error.into()),
    }
}
