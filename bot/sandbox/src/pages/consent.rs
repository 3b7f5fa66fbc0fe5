//! The page where somebody allows an application what it asks for, or does not.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    Form, Router,
    extract::{RawQuery, State as Extract},
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use super::{Sandbox, look::isolated, show, trouble::Trouble};
use crate::{
    consent::{self, Asked, Choice},
    permissions,
    server::{State, lock},
    world::World,
};

/// Browsers hold redirects after a form against `form-action`, and where an application sends its people is its
/// own affair.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route("/oauth2/authorize", get(page).post(choose))
}

/// More people are not offered.
const MOST: usize = 300;

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    /// What was asked for, to be sent along with the choice.
    query: String,
    people: Vec<(u64, String)>,
    /// Who may add the bot, and to which servers.
    managers: Vec<Manager>,
    adds_bot: bool,
    allows: Vec<&'static str>,
    permissions: Vec<&'static str>,
    returns_to: String,
    trouble: Option<String>,
    chosen: Choice,
}

/// Somebody who may add the bot, with the servers where they may.
struct Manager {
    user: u64,
    name: String,
    servers: Vec<(u64, String)>,
}

impl ConsentPage {
    fn new(world: &World, asked: &Asked, query: String, chosen: Choice) -> Self {
        let people = world.users.values().filter(|user| !user.bot).take(MOST);
        let managers = people.clone().map(|user| {
            let servers = world.managed_by(user.id).map(|guild| (guild.id, isolated(&guild.name)));
            Manager { user: user.id, name: isolated(&user.username), servers: servers.collect() }
        });
        let managers: Vec<_> = managers.filter(|manager| !manager.servers.is_empty()).collect();
        let adds_bot = asked.scopes.iter().any(|scope| scope == "bot");
        let chosen = match managers.first() {
            Some(first) if adds_bot && chosen.user == 0 => Choice { user: first.user, ..chosen },
            _ => chosen,
        };
        let named = permissions::NAMED.iter();
        let named = named.filter(|(bit, _)| asked.permissions & bit != 0).map(|(_, name)| *name);
        Self {
            query,
            people: people.map(|user| (user.id, isolated(&user.username))).collect(),
            managers,
            adds_bot,
            allows: asked.scopes.iter().map(|scope| allowed_by(scope)).collect(),
            permissions: named.collect(),
            returns_to: asked.redirect_uri.origin().ascii_serialization(),
            trouble: None,
            chosen,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand over references")]
    fn is_chosen(&self, user: &u64) -> bool {
        self.chosen.user == *user
    }
}

fn allowed_by(scope: &str) -> &'static str {
    match scope {
        "identify" => "Know your username and avatar",
        "guilds.join" => "Join servers for you",
        "bot" => "Add a bot to a server",
        "email" => "Know your email address",
        "guilds" => "Know what servers you’re in",
        _ => "Use another of Discord’s scopes",
    }
}

fn shown(page: &ConsentPage) -> Response {
    let mut response = show(page);
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn cannot(why: String) -> Trouble {
    Trouble::new(axum::http::StatusCode::BAD_REQUEST, why)
        .fix("The application that sent you here has to change what it asks for.")
}

async fn page(Extract(state): Sandbox, RawQuery(query): RawQuery) -> Result<Response, Trouble> {
    let query = query.unwrap_or_default();
    let asked = consent::asked(&state, &query).map_err(cannot)?;
    let page = ConsentPage::new(&lock(&state.world), &asked, query, Choice::default());
    Ok(shown(&page))
}

async fn choose(
    Extract(state): Sandbox,
    RawQuery(query): RawQuery,
    Form(fields): Form<HashMap<String, String>>,
) -> Result<Response, Trouble> {
    let query = query.unwrap_or_default();
    let asked = consent::asked(&state, &query).map_err(cannot)?;
    let number = |name: &str| fields.get(name).and_then(|value| value.parse().ok());
    let choice = Choice {
        user: number("user").unwrap_or_default(),
        guild: number("guild"),
        deny: fields.get("answer").map(String::as_str) == Some("deny"),
        scopes: None,
    };
    match consent::decide(&state, &format!("?{query}"), &choice) {
        Ok(back) => Ok(Redirect::to(&back).into_response()),
        // The same page again, with what was chosen.
        Err(why) => {
            let page = ConsentPage::new(&lock(&state.world), &asked, query, choice);
            let mut response = shown(&ConsentPage { trouble: Some(why), ..page });
            *response.status_mut() = axum::http::StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}
