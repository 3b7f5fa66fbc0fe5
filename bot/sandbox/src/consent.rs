//! What somebody is asked to allow an application, and what comes of their choice.

use std::collections::HashMap;

use serde::Deserialize;
use url::Url;

use crate::{
    oauth::Grant,
    server::{State, is_local, lock, now},
};

/// What somebody chose.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Choice {
    #[serde(with = "crate::ids")]
    pub user: u64,
    /// The server that the bot is added to.
    #[serde(default, with = "crate::ids::optional")]
    pub guild: Option<u64>,
    #[serde(default)]
    pub deny: bool,
    /// Fewer scopes than were asked for.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

/// What an authorize URL asks for.
pub(crate) struct Asked {
    pub(crate) redirect_uri: Url,
    state: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) permissions: u64,
    challenge: Option<String>,
}

pub(crate) fn asked(state: &State, query: &str) -> Result<Asked, String> {
    let fields: HashMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let field = |name: &str| fields.get(name).filter(|value| !value.is_empty());
    if field("client_id") != Some(&state.config.application.client_id) {
        return Err("Unknown application: client_id is missing or wrong.".to_owned());
    }
    if field("response_type").map(String::as_str) != Some("code") {
        return Err("Only response_type=code is supported.".to_owned());
    }
    let redirect_uri = field("redirect_uri").and_then(|uri| Url::parse(uri).ok());
    let Some(redirect_uri) = redirect_uri.filter(is_local) else {
        return Err(
            "Invalid OAuth2 redirect_uri: the sandbox redirects to this machine only.".to_owned()
        );
    };
    let challenge = field("code_challenge").cloned();
    if challenge.is_some() && field("code_challenge_method").map(String::as_str) != Some("S256") {
        return Err("Only code_challenge_method=S256 is supported.".to_owned());
    }
    let scopes: Vec<String> = field("scope")
        .map(|scope| scope.split(' ').map(str::to_owned).collect())
        .unwrap_or_default();
    if scopes.is_empty() {
        return Err("No scope was asked for.".to_owned());
    }
    let permissions =
        field("permissions").and_then(|number| number.parse().ok()).unwrap_or_default();
    Ok(Asked { redirect_uri, state: field("state").cloned(), scopes, permissions, challenge })
}

/// Lets a choice take effect, and answers where the browser goes.
pub(crate) fn decide(
    state: &State,
    authorize_url: &str,
    choice: &Choice,
) -> Result<String, String> {
    let query = authorize_url.split_once('?').map_or("", |(_, query)| query);
    let asked = asked(state, query)?;
    let mut back = asked.redirect_uri.clone();
    if choice.deny {
        back.query_pairs_mut().append_pair("error", "access_denied").append_pair(
            "error_description",
            "The resource owner or authorization server denied the request",
        );
    } else {
        let scopes = choice.scopes.clone().unwrap_or_else(|| asked.scopes.clone());
        let guild = if scopes.iter().any(|scope| scope == "bot") {
            let guild = choice.guild.ok_or("Choose a server to add the bot to.")?;
            let may =
                state.with(|world| world.managed_by(choice.user).any(|known| known.id == guild));
            if !may {
                return Err("Only somebody with Manage Server may add the bot.".to_owned());
            }
            state.with(|world| world.add_bot(guild, asked.permissions));
            Some(guild)
        } else {
            None
        };
        if state.with(|world| !world.users.contains_key(&choice.user)) {
            return Err("There is no such user.".to_owned());
        }
        let grant = Grant {
            user: choice.user,
            scopes,
            redirect_uri: asked.redirect_uri.to_string(),
            challenge: asked.challenge,
            guild,
        };
        let code = lock(&state.oauth).code(grant, now());
        back.query_pairs_mut().append_pair("code", &code);
        if let Some(guild) = guild {
            back.query_pairs_mut()
                .append_pair("guild_id", &guild.to_string())
                .append_pair("permissions", &asked.permissions.to_string());
        }
    }
    if let Some(given) = &asked.state {
        back.query_pairs_mut().append_pair("state", given);
    }
    Ok(back.into())
}
