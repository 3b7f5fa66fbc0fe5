//! A node, a sandbox, and the people of a story.

use std::{path::PathBuf, time::Duration};

use api::{DiscordKey, WebhookKey, WebhookSettings};
use bot::{CALLS_PER_SECOND, WorkerSettings, gateway::GatewaySettings};
use chrono::{DateTime, TimeDelta, Utc};
use discord_sandbox::{Choice, Config, Limits, NewGuild, NewRole, Sandbox};
use eventstore::{Clock, keys::Role};
use hub::node::{DiscordPlace, Node, NodeSettings, PagesPlace};
use projections::{VIEWS, Views};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{Answer, contract, discord};

/// What the platform's webhooks are signed with.
pub(crate) const INBOUND: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What Stripe's webhooks are signed with.
pub(crate) const STRIPE: &str = "whsec_stripe";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Clock,
    node: Option<Node>,
    folder: TempDir,
    http: reqwest::Client,
    /// The platform's key.
    key: String,
    pub(super) bot: Option<WorkerSettings>,
    /// Whether webhooks may go to this machine.
    private_targets: bool,
    /// Where Discord's API is, if not in the sandbox.
    pub(super) api_url: Option<String>,
}

/// No story ends without its requests to Discord being held against Discord's description of them.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let calls = self.sandbox.kinds_of_calls();
            let faults: Vec<_> = calls.iter().filter_map(discord::fault).collect();
            assert!(faults.is_empty(), "{faults:#?}");
        }
    }
}

/// A server that is connected, with two roles and the bot above them.
#[derive(Debug, Clone)]
pub(crate) struct Club {
    pub(crate) creator: String,
    pub(crate) integration: String,
    pub(crate) owner: u64,
    pub(crate) guild: u64,
    pub(crate) vip: u64,
    pub(crate) gold: u64,
}

impl Club {
    pub(crate) fn path(&self) -> String {
        format!("/v1/integrations/{}", self.integration)
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Some(Self::quick_bot())).await
    }

    /// A hub whose bot work is done by other processes.
    pub(crate) async fn start_without_bot() -> Self {
        Self::start_with(None).await
    }

    /// A hub that hears from the gateway what others do.
    pub(crate) async fn start_listening() -> Self {
        let mut world = Self::prepare(Config { limits: Limits::off(), ..Config::default() }).await;
        world.listen();
        world.begin().await;
        world
    }

    /// The same where the application may not hear of members.
    pub(crate) async fn start_listening_without_members() -> Self {
        let config = Config { limits: Limits::off(), members_intent: false, ..Config::default() };
        let mut world = Self::prepare(config).await;
        world.listen();
        world.begin().await;
        world
    }

    /// A hub whose webhooks go to public addresses only.
    pub(crate) async fn start_public_only() -> Self {
        let mut world = Self::prepare(Config { limits: Limits::off(), ..Config::default() }).await;
        world.private_targets = false;
        world.bot = Some(Self::quick_bot());
        world.begin().await;
        world
    }

    pub(super) fn listen(&mut self) {
        let url = Some(self.sandbox.gateway_url().parse().unwrap());
        let patience = Duration::from_millis(150);
        let gateway = Some(GatewaySettings { url, patience });
        self.bot = Some(WorkerSettings { gateway, ..Self::quick_bot() });
    }

    /// A bot that does not wait long before it tries again.
    pub(crate) fn quick_bot() -> WorkerSettings {
        WorkerSettings { retry: Duration::from_millis(20), ..WorkerSettings::new("story") }
    }

    pub(super) async fn start_with(bot: Option<WorkerSettings>) -> Self {
        let mut world = Self::prepare(Config { limits: Limits::off(), ..Config::default() }).await;
        world.bot = bot;
        world.begin().await;
        world
    }

    pub(super) async fn prepare(config: Config) -> Self {
        let sandbox = Sandbox::start(config).await.unwrap();
        Self {
            sandbox,
            clock: Clock::fixed(Clock::system().now()),
            node: None,
            folder: TempDir::new().unwrap(),
            http: bot::http::client("stories").unwrap(),
            key: String::new(),
            bot: None,
            private_targets: true,
            api_url: None,
        }
    }

    pub(super) async fn begin(&mut self) {
        self.start_node().await;
        self.key = self.key_of("platform").await;
    }

    async fn start_node(&mut self) {
        let application = self.sandbox.application();
        let settings = NodeSettings {
            data: self.folder(),
            listen: ([127, 0, 0, 1], 0).into(),
            clock: self.clock.clone(),
            master_key: None,
            public_url: None,
            discord: DiscordPlace {
                api_url: self
                    .api_url
                    .clone()
                    .unwrap_or_else(|| self.sandbox.base_url())
                    .parse()
                    .unwrap(),
                authorize_url: self.sandbox.authorize_url().parse().unwrap(),
                client_id: application.client_id.clone(),
                client_secret: application.client_secret.clone().into(),
                bot_token: application.bot_token.clone().into(),
            },
            grace: TimeDelta::days(3),
            webhooks: WebhookSettings {
                inbound: Some(WebhookKey::standard(INBOUND).unwrap()),
                stripe: Some(WebhookKey::stripe(STRIPE).unwrap()),
                stripe_prices: [(
                    "price_vip".to_owned(),
                    ("kim".parse().unwrap(), "vip".parse().unwrap()),
                )]
                .into(),
                discord: Some(DiscordKey::new(&self.sandbox.public_key()).unwrap()),
                private_targets: self.private_targets,
            },
            pages: PagesPlace::default(),
            bot: self.bot.clone(),
            calls_per_second: CALLS_PER_SECOND,
        };
        self.node = Some(Node::start(settings).await.unwrap());
    }

    /// Stops the hub; the sandbox and the data stay.
    pub(crate) async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await.unwrap();
        }
    }

    pub(crate) async fn start_again(&mut self) {
        self.stop().await;
        self.start_node().await;
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Changes what a file of the data folder holds, behind the hub's back.
    pub(crate) async fn meddle(&self, file: &str, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.open(file).await).await.unwrap();
    }

    /// Keeps a view from seeing anything more until the answer is dropped, five seconds at most.
    pub(crate) async fn hold_back(&self, view: &str) -> impl Sized + use<> {
        let mut file = self.open(&format!("views/{view}.1.sqlite")).await;
        sqlx::raw_sql("begin immediate").execute(&mut file).await.unwrap();
        file
    }

    async fn open(&self, file: &str) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.folder().join(file));
        options.busy_timeout(Duration::from_secs(5)).connect().await.unwrap()
    }

    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) async fn key_of(&self, role: &str) -> String {
        let role: Role = role.parse().unwrap();
        let (_, key) =
            self.node().store().keys().create(&role, "story", None, self.now()).await.unwrap();
        key.expose_secret().to_owned()
    }

    /// Waits until the views have seen everything and the bot has nothing left to do.
    pub(crate) async fn settle(&self) {
        self.node().settle().await.unwrap();
    }

    /// Waits for something that comes about by itself.
    pub(crate) async fn until(&self, what: &str, mut is: impl AsyncFnMut(&Self) -> bool) {
        let waiting = async {
            while !is(self).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        if waited.is_err() {
            let events = self.get("/v1/audit/events?limit=200").await.ok();
            panic!("{what} did not come about: {events:#}\n{:#?}", self.sandbox.calls());
        }
        self.settle().await;
    }

    /// Waits for a call to a route, while everything else goes on.
    pub(crate) async fn until_called(&self, route: &str) {
        let calling = async {
            // A call is known once it has been answered, or held up.
            while !self.sandbox.asked().iter().any(|asked| asked.ends_with(&format!(" {route}"))) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(30), calling).await.is_ok(),
            "{route} was not called"
        );
    }

    /// Waits for a fan's status and the code of its reason.
    pub(crate) async fn comes_to(&self, club: &Club, fan: &str, status: &str, code: Option<&str>) {
        let wanted = (status.to_owned(), code.map(str::to_owned));
        self.until(&format!("{fan} {wanted:?}"), async |world| {
            world.status(club, fan).await == wanted
        })
        .await;
    }

    /// Proves that every view equals what the log says. The last line of a story.
    pub(crate) async fn prove(&self) {
        self.settle().await;
        for name in VIEWS {
            let verdict =
                Views::verify(&self.folder().join("views"), self.node().store(), name, |_| {})
                    .await
                    .unwrap();
            assert_eq!(verdict.differences, [], "{name}");
        }
    }

    // --- HTTP ---

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let answer = self.http.execute(request).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let kind =
            headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let json: Value = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        if status != StatusCode::SEE_OTHER {
            contract::check(&method, &path, status.as_u16(), kind, &json);
        }
        Answer { status, headers, json }
    }

    /// A request with somebody's key.
    pub(crate) fn request_as(
        &self,
        key: &str,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.node().url())).bearer_auth(key)
    }

    /// A request of the platform.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request_as(&self.key, method, path)
    }

    /// A request without a key.
    pub(crate) fn bare(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.node().url()))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Goes to Discord with an authorize URL, chooses, and comes back to the hub.
    pub(crate) async fn authorize(&self, asked: Value, choice: &Choice) -> Answer {
        let url = asked["authorize_url"].as_str().unwrap();
        let back = self.sandbox.consent(url, choice).unwrap();
        self.send(self.http.get(back)).await
    }

    // --- people ---

    pub(crate) fn user(&self, name: &str) -> u64 {
        self.sandbox.with(|world| world.add_user(None, name))
    }

    pub(crate) async fn tier(&self, creator: &str, tier: &str) {
        self.put(&format!("/v1/creators/{creator}/tiers/{tier}"), json!({ "name": tier }))
            .await
            .ok();
    }

    /// A server of somebody, with the roles `gold` and `vip`, that no hub knows.
    pub(crate) fn server(&self, owner: u64) -> (u64, u64, u64) {
        self.sandbox.with(|world| {
            let role = |name: &str, position| NewRole {
                name: name.into(),
                position,
                ..NewRole::default()
            };
            let guild = world.add_guild(NewGuild {
                name: "Club".into(),
                owner,
                roles: vec![role("gold", 1), role("vip", 2)],
                ..NewGuild::default()
            });
            let id = |name: &str| {
                world
                    .guild(guild)
                    .unwrap()
                    .roles
                    .values()
                    .find(|role| role.name == name)
                    .unwrap()
                    .id
            };
            (guild, id("gold"), id("vip"))
        })
    }

    pub(crate) async fn integration(&self, creator: &str) -> String {
        let body = json!({ "provider": "discord", "name": "Club" });
        let made =
            self.post(&format!("/v1/creators/{creator}/integrations"), body).await.is(201).ok();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Connects an integration to a server, as its owner does it in the browser.
    pub(crate) async fn connect(&self, integration: &str, owner: u64, guild: u64) -> Answer {
        let asked =
            self.post(&format!("/v1/integrations/{integration}/connect"), json!({})).await.ok();
        self.authorize(asked, &Choice { user: owner, guild: Some(guild), ..Choice::default() })
            .await
    }

    /// Puts the bot's role above all others and lets the hub look.
    pub(crate) async fn raise_bot(&self, club: &Club) {
        self.sandbox.with(|world| {
            let bot = world.bot_role(club.guild).unwrap();
            world.edit_role(club.guild, bot, |role| role.position = 100);
        });
        self.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
    }

    /// A creator with a connected server, to which the tier `vip` is attached with the role `vip`.
    pub(crate) async fn club(&self, creator: &str) -> Club {
        self.tier(creator, "vip").await;
        self.tier(creator, "gold").await;
        let owner = self.user(creator);
        let (guild, gold, vip) = self.server(owner);
        let integration = self.integration(creator).await;
        self.connect(&integration, owner, guild).await.is(200);
        let club = Club { creator: creator.to_owned(), integration, owner, guild, vip, gold };
        self.raise_bot(&club).await;
        self.attach(&club, "vip", &[club.vip]).await;
        club
    }

    /// Another integration on the club's server, which gives a role for a tier. Answers its path.
    pub(crate) async fn beside(&self, club: &Club, tier: &str, role: u64) -> String {
        let second = self.integration(&club.creator).await;
        self.connect(&second, club.owner, club.guild).await.is(200);
        let path = format!("/v1/integrations/{second}");
        let roles = json!({ "roles": [role.to_string()] });
        self.put(&format!("{path}/memberships/{tier}"), roles).await.ok();
        path
    }

    pub(crate) async fn attach(&self, club: &Club, tier: &str, roles: &[u64]) {
        let roles: Vec<_> = roles.iter().map(u64::to_string).collect();
        self.put(&format!("{}/memberships/{tier}", club.path()), json!({ "roles": roles }))
            .await
            .ok();
    }

    /// The platform reports a membership, named `fan-tier`.
    pub(crate) async fn reports(
        &self,
        club: &Club,
        fan: &str,
        tier: &str,
        status: &str,
        version: u64,
    ) -> Answer {
        self.reports_until(club, fan, tier, status, version, None).await
    }

    pub(crate) async fn reports_until(
        &self,
        club: &Club,
        fan: &str,
        tier: &str,
        status: &str,
        version: u64,
        ends_at: Option<DateTime<Utc>>,
    ) -> Answer {
        let body = json!({
            "fan": fan, "creator": club.creator, "tier": tier, "status": status, "version": version, "ends_at": ends_at,
        });
        self.put(&format!("/v1/memberships/{fan}-{tier}"), body).await.is(200)
    }

    /// A fan connects a Discord account, as they do it in the browser.
    pub(crate) async fn links(&self, fan: &str, user: u64) -> Answer {
        let asked = self.post(&format!("/v1/fans/{fan}/link"), json!({})).await.ok();
        self.authorize(asked, &Choice { user, ..Choice::default() }).await
    }

    /// A fan with a Discord account who bought a tier and has been brought in.
    pub(crate) async fn member(&self, club: &Club, fan: &str, tier: &str) -> u64 {
        let user = self.user(fan);
        self.reports(club, fan, tier, "active", 1).await;
        self.links(fan, user).await.is(200);
        self.settle().await;
        user
    }

    // --- what is seen ---

    /// The roles that somebody has in the club; `None` where they are not in it.
    pub(crate) fn roles(&self, club: &Club, user: u64) -> Option<Vec<u64>> {
        self.sandbox
            .with(|world| Some(world.member(club.guild, user)?.roles.iter().copied().collect()))
    }

    /// How a fan stands in the club, and the code of the reason.
    pub(crate) async fn status(&self, club: &Club, fan: &str) -> (String, Option<String>) {
        let fans = self.get(&format!("{}/fans?limit=200", club.path())).await.ok();
        let row = fans["data"].as_array().unwrap().iter().find(|row| row["fan"] == fan);
        let row = row.unwrap_or_else(|| panic!("{fan} is not among {fans:#}"));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        (text(&row["status"]).unwrap(), text(&row["reason"]["code"]))
    }

    /// The names of the events so far, from the audit's view.
    pub(crate) async fn events(&self) -> Vec<String> {
        let page = self.get("/v1/audit/events?limit=200").await.ok();
        assert_eq!(page["next_cursor"], Value::Null);
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The calls that the sandbox got for members, as `METHOD route status`.
    pub(crate) fn member_calls(&self) -> Vec<String> {
        let calls = self.sandbox.calls().into_iter().filter(|call| call.path.contains("/members/"));
        calls.map(|call| format!("{} {} {}", call.method, call.route, call.status)).collect()
    }
}
