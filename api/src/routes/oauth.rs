//! The way back from Discord: a server is connected, or an account is linked.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use bot::oauth::{OAuthError, Tokens};
use chrono::TimeDelta;
use domain::{
    FanId, IntegrationId, Personal, Trouble,
    account::{self, DiscordAccount},
    fan::{self, BrokenBy, Fan, Link},
    guild::{self, Guild},
    integration::{self, Integration},
};
use eventstore::{Actor, HandleError, Metadata, tokens::DiscordToken};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    app::{App, AppState},
    error::{ApiError, Kind, Problem},
    extract::{Fields, FromFields, Query},
    pages::{
        self,
        session::{Area, Held},
    },
    routes::{connect, integrations::command_failed, links, roles},
};

/// What a browser was sent to Discord for. Stands in the one-time state.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Purpose {
    Server {
        integration: IntegrationId,
        verifier: String,
        actor: Actor,
        return_url: Option<Url>,
        /// The session that it was started from; none where it was started over the API.
        #[serde(default)]
        browser: Option<String>,
    },
    Account {
        fan: FanId,
        verifier: String,
        actor: Actor,
        return_url: Option<Url>,
        #[serde(default)]
        browser: Option<String>,
    },
}

impl Purpose {
    fn return_url(&self) -> Option<&Url> {
        match self {
            Self::Server { return_url, .. } | Self::Account { return_url, .. } => {
                return_url.as_ref()
            }
        }
    }

    /// A fresh way to Discord for the same.
    async fn begin_again(&self, app: &App) -> Result<Url, ApiError> {
        match self.clone() {
            Self::Server { integration, actor, return_url, browser, .. } => {
                connect::ask(app, integration, actor, return_url, browser).await
            }
            Self::Account { fan, actor, return_url, browser, .. } => {
                links::ask(app, fan, actor, return_url, browser).await
            }
        }
    }

    /// Whether the browser that came back is the one that was sent: what was started from a page is bound to its session.
    async fn is_of(&self, app: &App, headers: &HeaderMap) -> Result<bool, ApiError> {
        let (area, browser) = match self {
            Self::Server { browser, .. } => (Area::Creator, browser),
            Self::Account { browser, .. } => (Area::Fan, browser),
        };
        let Some(browser) = browser else { return Ok(true) };
        let held = Held::find(app, headers, area).await?;
        Ok(held.is_some_and(|held| held.live(app) && held.is_browser(browser)))
    }
}

/// What Discord sends back. A `guild_id` among it is ignored: only the token's word on the server counts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

impl FromFields for CallbackQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        // Discord may add to the query what it likes.
        let (state, code, error) =
            (fields.text("state"), fields.text("code"), fields.text("error"));
        fields.ignore_the_rest();
        Some(Self { state, code, error })
    }
}

/// The way back from Discord
///
/// For browsers: answers a redirect to the `return_url`, or a page where there is none.
#[utoipa::path(get, path = "/oauth/discord/callback", tag = "Browser", operation_id = "oauth_callback",
    params(CallbackQuery), security(()),
    responses((status = 200, description = "A page that says that it is done", body = String, content_type = "text/html"),
              (status = 400, description = "What went wrong, and in `again` where to start again; where a fan did not allow to be added to servers, a page on which they can",
               content((String = "text/html"), (Problem = "application/problem+json"))),
              (status = 303, description = "To the `return_url`, with `status=connected`, or with `status=failed` and `error`; `missing_scope`: linked, and not allowed to be added to servers")))]
pub(crate) async fn callback(
    State(app): AppState,
    method: Method,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Result<Response, ApiError> {
    // Whoever only looks where a link leads must not use it up.
    if method == Method::HEAD {
        return Ok(StatusCode::OK.into_response());
    }
    let state = query.state.as_deref().unwrap_or_default();
    let unusable = || {
        ApiError::new(
            Kind::OAUTH_STATE,
            "this link was used before, is older than ten minutes, or is not from here; go back and start again",
        )
    };
    // From here on the link is used up, whatever comes of it.
    let purpose: Purpose =
        app.store.oauth_states().take(state, app.now()).await?.ok_or_else(unusable)?;
    if !purpose.is_of(&app, &headers).await? {
        return Err(unusable());
    }
    let done = match (&query.code, &query.error) {
        (Some(code), None) => carry_out(&app, &purpose, code).await,
        _ => Err(ApiError::new(
            Kind::OAUTH_DENIED,
            "Discord was not allowed to connect; start again and allow it",
        )),
    };
    match (done, purpose.return_url()) {
        (Ok(Came::Connected), Some(url)) => Ok(back(url, &[("status", "connected")])),
        (Ok(Came::Connected), None) => pages::connected(&app),
        (Ok(Came::WithoutScope), Some(url)) => {
            Ok(back(url, &[("status", "failed"), ("error", Trouble::MissingScope.code())]))
        }
        (Ok(Came::WithoutScope), None) => {
            pages::connect_again(&app, &purpose.begin_again(&app).await?)
        }
        (Err(error), Some(url)) => Ok(back(url, &[("status", "failed"), ("error", error.code())])),
        (Err(error), None) => Err(match purpose.begin_again(&app).await {
            Ok(again) => error.begin_again_at(again),
            // What went wrong first is what is told.
            Err(_) => error,
        }),
    }
}

/// What came of the way back.
enum Came {
    Connected,
    /// The account is linked, and its fan did not allow the Hub to add them to servers.
    WithoutScope,
}

fn back(url: &Url, said: &[(&str, &str)]) -> Response {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(said);
    let mut response = Redirect::to(url.as_str()).into_response();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response
}

async fn carry_out(app: &Arc<App>, purpose: &Purpose, code: &str) -> Result<Came, ApiError> {
    let (Purpose::Server { verifier, .. } | Purpose::Account { verifier, .. }) = purpose;
    let verifier = SecretString::from(verifier.clone());
    let tokens = app.oauth.exchange(code, &verifier).await.map_err(|error| oauth_failed(&error))?;
    match purpose {
        Purpose::Server { integration, actor, .. } => {
            connect(app, *integration, actor, tokens).await?;
        }
        Purpose::Account { fan, actor, .. } => {
            if !link(app, fan, actor, tokens).await? {
                return Ok(Came::WithoutScope);
            }
        }
    }
    Ok(Came::Connected)
}

fn metadata(app: &App, actor: &Actor) -> Metadata {
    Metadata { at: app.now(), actor: actor.clone(), correlation: Uuid::now_v7() }
}

/// Connects the server that the token names, and reserves it in the same append.
async fn connect(
    app: &Arc<App>,
    id: IntegrationId,
    actor: &Actor,
    tokens: Tokens,
) -> Result<(), ApiError> {
    let named = tokens.guild.ok_or_else(|| {
        ApiError::new(
            Kind::OAUTH_CODE,
            "Discord named no server; go back, start again and choose one",
        )
    })?;
    let guild = named.id;
    let (server, roles) = roles::read(app, guild).await?;
    let metadata = metadata(app, actor);
    let mut attempts = app.store.attempts();
    loop {
        let mut decision = app.store.begin(metadata.clone(), None);
        let connect =
            integration::Command::Connect { server: server.clone(), roles: roles.clone() };
        let stream = integration::stream(id);
        decision.handle::<Integration>(&stream, connect.to(id)).await.map_err(command_failed)?;
        let state = decision.load::<Integration>(&stream).await?;
        let creator = state.creator.ok_or_else(ApiError::not_found)?;
        let reserve = guild::Command::Reserve { guild, creator, integration: id };
        match decision.handle::<Guild>(&guild::stream(guild), reserve).await {
            Ok(_) => {}
            Err(HandleError::Refused(refusal)) => {
                return Err(ApiError::new(Kind::GUILD_TAKEN, refusal.to_string()));
            }
            Err(HandleError::Store(error)) => return Err(error.into()),
        }
        roles::tell(app, &mut decision, guild, &roles).await?;
        if decision.commit(&mut attempts).await?.is_some() {
            return Ok(());
        }
    }
}

/// Links the account that the token names, and reserves it in the same append; answers whether it may be added to
/// servers.
async fn link(
    app: &Arc<App>,
    fan: &FanId,
    actor: &Actor,
    tokens: Tokens,
) -> Result<bool, ApiError> {
    let account = app.oauth.account(&tokens.access).await.map_err(|error| oauth_failed(&error))?;
    let account_key = app.store.vault().account_key(account.id);
    let link = Link {
        fan: fan.clone(),
        account: Personal::Known(account),
        account_key: account_key.clone(),
    };
    let may_join =
        tokens.scopes.is_none_or(|scopes| scopes.iter().any(|scope| scope == "guilds.join"));
    let lifetime = TimeDelta::from_std(tokens.expires_in).unwrap_or(TimeDelta::days(7));
    let token = DiscordToken {
        account: Some(account_key.clone()),
        access: tokens.access,
        refresh: tokens.refresh,
        expires_at: app.now() + lifetime,
        allowed_at: Some(app.now()),
        sent: false,
    };
    let mut before = None;
    let linked = append_link(app, link, &token, &mut before, may_join, metadata(app, actor)).await;
    if linked.is_err() {
        // Where it was put already, what the fan had before takes its place again.
        match before {
            Some(before) => app.store.tokens().replace(fan, &token, &before).await?,
            None => app.store.tokens().delete(fan, &token).await?,
        };
    }
    linked.map(|()| may_join)
}

/// `before`: the token in whose place this one is put.
async fn append_link(
    app: &Arc<App>,
    link: Link,
    token: &DiscordToken,
    before: &mut Option<DiscordToken>,
    may_join: bool,
    metadata: Metadata,
) -> Result<(), ApiError> {
    let Link { fan, account_key, .. } = &link;
    let mut attempts = app.store.attempts();
    loop {
        let mut decision = app.store.begin(metadata.clone(), None);
        let reserve =
            account::Command::Reserve { account_key: account_key.clone(), fan: fan.clone() };
        match decision.handle::<DiscordAccount>(&account::stream(account_key), reserve).await {
            Ok(_) => {}
            Err(HandleError::Refused(refusal)) => {
                return Err(ApiError::new(Kind::ACCOUNT_TAKEN, refusal.to_string()));
            }
            Err(HandleError::Store(error)) => return Err(error.into()),
        }
        let mut commands = vec![fan::Command::Link(link.clone())];
        if !may_join {
            let reason = BrokenBy::MissingScope;
            commands.push(fan::Command::BreakLink {
                fan: fan.clone(),
                account_key: account_key.clone(),
                reason,
            });
        }
        for command in commands {
            match decision.handle::<Fan>(&fan::stream(fan), command).await {
                Ok(_) => {}
                Err(HandleError::Refused(refusal)) => {
                    return Err(ApiError::new(Kind::CONFLICT, refusal.to_string()));
                }
                Err(HandleError::Store(error)) => return Err(error.into()),
            }
        }
        // Before the append: whoever hears of the link finds the token.
        let stands = app.store.tokens().get(fan).await?;
        *before = stands.filter(|stands| !stands.is(&token.access)).or(before.take());
        app.store.tokens().put(fan, token).await?;
        if decision.commit(&mut attempts).await?.is_some() {
            return Ok(());
        }
    }
}

fn oauth_failed(error: &OAuthError) -> ApiError {
    let text = error.to_string();
    match error {
        OAuthError::InvalidGrant => ApiError::new(Kind::OAUTH_CODE, text),
        OAuthError::Application(_) | OAuthError::Refused(_) => {
            tracing::error!(%error, "Discord refused the application");
            ApiError::new(Kind::DISCORD_REFUSED, text)
        }
        OAuthError::Limited { after } => {
            ApiError::new(Kind::DISCORD_UNAVAILABLE, text).retry_after(after.as_secs() + 1)
        }
        OAuthError::Unreachable(_) | OAuthError::Malformed(_) => {
            tracing::warn!(%error, "somebody came back from Discord in vain");
            ApiError::new(Kind::DISCORD_UNAVAILABLE, text)
        }
    }
}
