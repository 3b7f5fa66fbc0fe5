//! A sandbox with a server, and clients that speak to it.

use discord_sandbox::{Choice, Config, Limits, NewGuild, NewRole, Sandbox};
use reqwest::{Client, Method, StatusCode, Url, header::HeaderMap};
use serde_json::{Value, json};

/// Manage Roles, Kick Members, Create Invite.
pub(crate) const INSTALL: u64 = 268_435_459;

pub(crate) const REDIRECT: &str = "http://127.0.0.1:1/back";

pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: Client,
    pub(crate) owner: u64,
    pub(crate) guild: u64,
    pub(crate) low: u64,
    pub(crate) high: u64,
}

pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Said {
    /// The status, and Discord's error code where there is one.
    pub(crate) fn short(&self) -> (u16, Option<u64>) {
        (self.status, self.body["code"].as_u64())
    }
}

fn client() -> Client {
    let roots = rustls::RootCertStore::empty();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent("DiscordBot (http://localhost, 1)")
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::off()).await
    }

    /// A sandbox without a server.
    pub(crate) fn of(sandbox: Sandbox) -> Self {
        Self { sandbox, http: client(), owner: 0, guild: 0, low: 0, high: 0 }
    }

    /// The bot stands between `low` and `high`.
    pub(crate) async fn with(limits: Limits) -> Self {
        let sandbox = Sandbox::start(Config { limits, ..Config::default() }).await.unwrap();
        let (owner, guild, low, high) = sandbox.with(|world| {
            let owner = world.add_user(None, "owner");
            let guild =
                world.add_guild(NewGuild { name: "Club".into(), owner, ..NewGuild::default() });
            world.add_bot(guild, INSTALL);
            let bot = world.bot_role(guild).unwrap();
            let mut role = |name: &str, position| {
                world
                    .add_role(guild, NewRole { name: name.into(), position, ..NewRole::default() })
                    .unwrap()
            };
            let (low, high) = (role("low", 1), role("high", 9));
            world.edit_role(guild, bot, |role| role.position = 5);
            (owner, guild, low, high)
        });
        Self { sandbox, http: client(), owner, guild, low, high }
    }

    pub(crate) fn user(&self, name: &str) -> u64 {
        self.sandbox.with(|world| world.add_user(None, name))
    }

    pub(crate) fn member(&self, name: &str) -> u64 {
        let user = self.user(name);
        self.sandbox.with(|world| world.add_member(self.guild, user));
        user
    }

    /// A call with the bot's token.
    pub(crate) async fn bot(&self, method: Method, path: &str, body: Value) -> Said {
        let token = format!("Bot {}", self.sandbox.application().bot_token);
        self.call(method, path, &token, body).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Said {
        let url = format!("{}/api/v10{path}", self.sandbox.base_url());
        let mut request = self.http.request(method, url).header("authorization", token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        Said { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    pub(crate) fn members(&self, user: u64) -> String {
        format!("/guilds/{}/members/{user}", self.guild)
    }

    pub(crate) fn authorize_url(&self, more: &str) -> String {
        let id = &self.sandbox.application().client_id;
        let redirect =
            url::form_urlencoded::byte_serialize(REDIRECT.as_bytes()).collect::<String>();
        format!(
            "{}?client_id={id}&response_type=code&redirect_uri={redirect}{more}",
            self.sandbox.authorize_url()
        )
    }

    /// Lets a user consent; answers the code.
    pub(crate) fn code(&self, more: &str, choice: &Choice) -> String {
        let back = self.sandbox.consent(&self.authorize_url(more), choice).unwrap();
        let back = Url::parse(&back).unwrap();
        back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
    }

    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let application = self.sandbox.application();
        let request = self
            .http
            .post(format!("{}/api/oauth2/token", self.sandbox.base_url()))
            .basic_auth(&application.client_id, Some(&application.client_secret))
            .form(form);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// A token with which the user can be brought in.
    pub(crate) async fn access(&self, user: u64) -> String {
        let code = self
            .code("&scope=identify%20guilds.join&state=s", &Choice { user, ..Choice::default() });
        let form =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT)];
        self.token(&form).await.1["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn join(&self, user: u64) -> Said {
        let token = self.access(user).await;
        self.bot(Method::PUT, &self.members(user), json!({ "access_token": token })).await
    }
}
