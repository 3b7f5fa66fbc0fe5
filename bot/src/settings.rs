//! Which Discord is spoken to, and as whom.

use secrecy::SecretString;
use url::Url;

#[derive(Debug, Clone)]
pub struct DiscordSettings {
    /// The base of the REST API, without `/api/v10`; it may have a path.
    pub api_url: Url,
    /// The page where people allow the application.
    pub authorize_url: Url,
    pub client_id: String,
    pub client_secret: SecretString,
    pub bot_token: SecretString,
    /// Where browsers reach the Hub.
    pub public_url: Url,
}

impl DiscordSettings {
    /// A URL below the API's base.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}{path}", self.api_url.as_str().trim_end_matches('/'))
    }

    /// Where Discord sends browsers back to.
    pub fn redirect_url(&self) -> String {
        format!("{}/oauth/discord/callback", self.public_url.as_str().trim_end_matches('/'))
    }

    /// How the Hub names itself; Discord blocks calls without it.
    pub(crate) fn user_agent(&self) -> String {
        format!("DiscordBot ({}, {})", self.public_url, env!("CARGO_PKG_VERSION"))
    }
}
