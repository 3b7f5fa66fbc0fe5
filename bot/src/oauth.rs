//! Discord's OAuth2: where people are sent, and what is fetched with what they come back with.

use std::{sync::Arc, time::Duration};

use domain::{
    DiscordUserId, GuildId, discord::Permissions, integration::Server, personal::Account,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
        BasicTokenIntrospectionResponse, BasicTokenType,
    },
};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    http::{self, ClientError, DEADLINE},
    pacing::Wait,
    patience::patiently,
    settings::DiscordSettings,
};

/// What the token answer of a bot's installation holds beside tokens.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Extra {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guild: Option<GuildOfToken>,
}

impl ExtraTokenFields for Extra {}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GuildOfToken {
    id: GuildId,
    name: String,
    #[serde(default)]
    icon: Option<String>,
}

type Answer = StandardTokenResponse<Extra, BasicTokenType>;
type DiscordClient = Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// What somebody allowed.
pub struct Tokens {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub expires_in: Duration,
    /// `None`: what was asked for, as the answer does not say otherwise.
    pub scopes: Option<Vec<String>>,
    /// The server that the bot was added to: the only word on it that counts.
    pub guild: Option<Server>,
}

/// Why Discord gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    #[error("Discord no longer accepts this code or token; start again")]
    InvalidGrant,
    #[error("Discord does not know the application ({0}); check its client id and secret")]
    Application(String),
    #[error(
        "Discord refused the request ({0}); check that the redirects of the application have this Hub's /oauth/discord/callback"
    )]
    Refused(String),
    #[error("Discord has too much to do; start again in {} s", .after.as_secs_f64().ceil())]
    Limited { after: Duration },
    #[error("Discord cannot be reached ({0}); start again in a moment")]
    Unreachable(String),
    #[error("Discord's answer cannot be read ({0}); start again in a moment")]
    Malformed(String),
}

impl OAuthError {
    /// Whether Discord said no to what was asked, so that it had no effect.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::InvalidGrant | Self::Application(_) | Self::Refused(_) | Self::Limited { .. } => {
                true
            }
            Self::Unreachable(_) | Self::Malformed(_) => false,
        }
    }

    /// How long to wait before trying again, where that can help.
    fn hiccup(&self) -> Option<Duration> {
        match self {
            Self::Limited { after } => Some(*after),
            Self::Unreachable(_) => Some(Duration::ZERO),
            Self::InvalidGrant | Self::Application(_) | Self::Refused(_) | Self::Malformed(_) => {
                None
            }
        }
    }
}

/// Speaks OAuth2 with Discord. Cloning is cheap.
#[derive(Clone)]
pub struct OAuth(Arc<Inner>);

struct Inner {
    client: DiscordClient,
    http: reqwest::Client,
    settings: DiscordSettings,
}

/// Why the OAuth2 client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("a URL of the Discord settings is not usable: {0}")]
    Url(#[from] oauth2::url::ParseError),
}

impl OAuth {
    pub fn new(settings: &DiscordSettings) -> Result<Self, SettingsError> {
        // Discord names the token URL without a version; it is the one that every stand-in has.
        let client = Client::new(ClientId::new(settings.client_id.clone()))
            .set_client_secret(ClientSecret::new(settings.client_secret.expose_secret().to_owned()))
            .set_auth_type(AuthType::BasicAuth)
            .set_auth_uri(AuthUrl::from_url(settings.authorize_url.clone()))
            .set_token_uri(TokenUrl::new(settings.api("/api/oauth2/token"))?)
            .set_redirect_uri(RedirectUrl::new(settings.redirect_url())?);
        let http = http::client(&settings.user_agent())?;
        Ok(Self(Arc::new(Inner { client, http, settings: settings.clone() })))
    }

    /// Where a creator adds the bot to their server.
    pub fn authorize_bot(&self, state: &str, challenge: PkceCodeChallenge) -> Url {
        let (url, _) = self
            .0
            .client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .add_scope(Scope::new("bot".to_owned()))
            .add_extra_param("permissions", Permissions::INSTALL.0.to_string())
            .set_pkce_challenge(challenge)
            .url();
        url
    }

    /// Where somebody opens a server in their browser: beside the page on which they allow things.
    pub fn server_url(&self, guild: GuildId) -> Url {
        let mut url = self.0.settings.authorize_url.clone();
        url.set_path(&format!("/channels/{guild}"));
        url.set_query(None);
        url
    }

    /// A proof that whoever comes back is who was sent: what goes along, and what is kept.
    pub fn proof(&self) -> (PkceCodeChallenge, SecretString) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        (challenge, verifier.into_secret().into())
    }

    /// Where a fan proves their account.
    pub fn authorize_fan(&self, state: &str, challenge: PkceCodeChallenge) -> Url {
        let (url, _) = self
            .0
            .client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .add_scope(Scope::new("identify".to_owned()))
            .add_scope(Scope::new("guilds.join".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        url
    }

    /// What the code on the way back stands for. Somebody waits for it, and a code is not used up by a hiccup.
    pub async fn exchange(
        &self,
        code: &str,
        verifier: &SecretString,
    ) -> Result<Tokens, OAuthError> {
        patiently(|| self.exchange_once(code, verifier), OAuthError::hiccup).await
    }

    async fn exchange_once(
        &self,
        code: &str,
        verifier: &SecretString,
    ) -> Result<Tokens, OAuthError> {
        let request = self
            .0
            .client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()));
        Ok(tokens(&request.request_async(self).await.map_err(failed)?))
    }

    /// Fresh tokens for old ones. The refresh token is used up: the answer has the next.
    pub async fn refresh(&self, refresh: &SecretString) -> Result<Tokens, OAuthError> {
        let token = RefreshToken::new(refresh.expose_secret().to_owned());
        let answer = self
            .0
            .client
            .exchange_refresh_token(&token)
            .request_async(self)
            .await
            .map_err(failed)?;
        Ok(tokens(&answer))
    }

    /// Whose token this is. Somebody waits for it.
    pub async fn account(&self, access: &SecretString) -> Result<Account, OAuthError> {
        patiently(|| self.account_once(access), OAuthError::hiccup).await
    }

    async fn account_once(&self, access: &SecretString) -> Result<Account, OAuthError> {
        #[derive(Deserialize)]
        struct Me {
            id: DiscordUserId,
            username: String,
        }
        let mut request = self
            .0
            .http
            .get(self.0.settings.api("/api/v10/users/@me"))
            .bearer_auth(access.expose_secret())
            .build()
            .map_err(unreachable)?;
        *request.timeout_mut() = Some(DEADLINE);
        let answer = self.ask(request).await?;
        match answer.status().as_u16() {
            401 => Err(OAuthError::InvalidGrant),
            200 => {
                let me: Me = serde_json::from_slice(answer.body())
                    .map_err(|error| OAuthError::Malformed(error.to_string()))?;
                Ok(Account { id: me.id, username: me.username })
            }
            status => Err(OAuthError::Malformed(format!("the status {status}"))),
        }
    }

    /// Discord's answer, where Discord is up to answering.
    async fn ask(&self, request: reqwest::Request) -> Result<HttpResponse, OAuthError> {
        let answer = self.0.http.execute(request).await.map_err(unreachable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(unreachable)?;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(OAuthError::Limited { after: Wait::asked(&headers, &body).long });
        }
        // Whatever an error of the server says, it says nothing of what was asked.
        if status.is_server_error() {
            return Err(OAuthError::Unreachable(format!("it answered {}", status.as_u16())));
        }
        let mut response = HttpResponse::new(body.to_vec());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

fn unreachable(error: reqwest::Error) -> OAuthError {
    OAuthError::Unreachable(error.without_url().to_string())
}

impl<'c> AsyncHttpClient<'c> for OAuth {
    type Error = OAuthError;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, OAuthError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut request = reqwest::Request::try_from(request).map_err(unreachable)?;
            *request.timeout_mut() = Some(DEADLINE);
            self.ask(request).await
        })
    }
}

fn tokens(answer: &Answer) -> Tokens {
    let guild = answer.extra_fields().guild.clone();
    Tokens {
        access: answer.access_token().secret().clone().into(),
        refresh: answer.refresh_token().map(|refresh| refresh.secret().clone().into()),
        expires_in: answer.expires_in().unwrap_or(Duration::from_hours(168)),
        scopes: answer
            .scopes()
            .map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
        guild: guild.map(|guild| Server { id: guild.id, name: guild.name, icon: guild.icon }),
    }
}

fn failed(error: RequestTokenError<OAuthError, BasicErrorResponse>) -> OAuthError {
    match error {
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            BasicErrorResponseType::InvalidGrant => OAuthError::InvalidGrant,
            BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                OAuthError::Application(answer.to_string())
            }
            BasicErrorResponseType::InvalidRequest
            | BasicErrorResponseType::InvalidScope
            | BasicErrorResponseType::UnsupportedGrantType
            | BasicErrorResponseType::Extension(_) => OAuthError::Refused(answer.to_string()),
        },
        RequestTokenError::Request(error) => error,
        RequestTokenError::Parse(error, _) => OAuthError::Malformed(error.to_string()),
        RequestTokenError::Other(error) => OAuthError::Malformed(error),
    }
}
