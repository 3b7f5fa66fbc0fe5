//! The sandbox as a server: its settings, its state, the sockets it listens on.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;
use chrono::{DateTime, Utc};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    calls::{Call, Calls},
    consent, control,
    faults::{Fault, Faults},
    gateway::{self, Gateway},
    limits::{Limits, Windows},
    oauth::OAuth,
    pages, rest,
    webhook::Teller,
    world::World,
};

/// The one application that the sandbox knows.
#[derive(Debug, Clone)]
pub struct Application {
    pub client_id: String,
    pub client_secret: String,
    pub bot_token: String,
    pub bot_user: u64,
}

impl Default for Application {
    fn default() -> Self {
        Self {
            client_id: "900000000000000001".to_owned(),
            client_secret: "sandbox-secret".to_owned(),
            bot_token: "sandbox-bot-token".to_owned(),
            bot_user: 900_000_000_000_000_002,
        }
    }
}

/// How a sandbox is started.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub application: Application,
    pub limits: Limits,
    /// Whether the application may have the privileged intent for members.
    pub members_intent: bool,
    /// How many sessions may begin together, of shards that leave different rests when divided by it.
    pub max_concurrency: u64,
    /// Whether calls without a `DiscordBot (url, version)` User-Agent are blocked, as in front of Discord.
    pub check_user_agent: bool,
    /// Whether whoever owns the application has two-factor authentication, which some servers ask for.
    pub owner_mfa: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            application: Application::default(),
            limits: Limits::default(),
            members_intent: true,
            max_concurrency: 1,
            check_user_agent: true,
            owner_mfa: false,
        }
    }
}

/// Everything the sandbox knows, behind one lock each.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) addr: SocketAddr,
    pub(crate) world: Mutex<World>,
    pub(crate) oauth: Mutex<OAuth>,
    pub(crate) calls: Mutex<Calls>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) limits: Mutex<(Limits, Windows)>,
    pub(crate) token_alive: Mutex<bool>,
    pub(crate) gateway: Gateway,
    pub(crate) teller: Arc<Teller>,
    /// Counts whatever the pages show; they wait for it to move on.
    pub(crate) revision: watch::Sender<u64>,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine's clock: rate limits and joins happen in real time.
#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox stands for another machine, which has its own clock"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Whether an address is on this machine: the sandbox sends nobody and nothing elsewhere.
pub(crate) fn is_local(url: &url::Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

impl State {
    /// Works on the world, and tells the gateway what changed in it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let mut world = lock(&self.world);
        world.now = now();
        let done = work(&mut world);
        // Told under the lock, so that the gateway hears changes in their order.
        let told = std::mem::take(&mut world.told);
        self.gateway.tell(told);
        drop(world);
        self.changed();
        done
    }

    /// Tells the pages that there is something new to show.
    pub(crate) fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    pub(crate) fn arm(&self, fault: Fault) {
        lock(&self.faults).arm(fault);
        self.changed();
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
        self.changed();
    }

    pub(crate) fn forget_calls(&self) {
        lock(&self.calls).forget();
        self.changed();
    }

    pub(crate) fn set_token_alive(&self, alive: bool) {
        *lock(&self.token_alive) = alive;
        self.changed();
    }

    pub(crate) fn deauthorize(&self, user: u64) {
        if lock(&self.oauth).deauthorize(user) {
            let user = lock(&self.world).user_json(user);
            self.teller.deauthorized(&self.config.application.client_id, &user);
        }
        self.changed();
    }
}

/// A running sandbox. It ends when it is dropped. Cloning is cheap.
#[derive(Clone)]
pub struct Sandbox {
    state: Arc<State>,
    _ends: Arc<DropGuard>,
}

impl Sandbox {
    /// Starts a sandbox with an empty world.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let state = Arc::new(State {
            world: Mutex::new(World::new(config.application.bot_user, now())),
            oauth: Mutex::default(),
            calls: Mutex::default(),
            faults: Mutex::default(),
            limits: Mutex::new((config.limits.clone(), Windows::default())),
            token_alive: Mutex::new(true),
            gateway: Gateway::new(),
            teller: Arc::new(Teller::new()?),
            revision: watch::Sender::new(0),
            config,
            addr,
            shutdown: shutdown.clone(),
        });
        let router = Router::new()
            .merge(pages::routes())
            .merge(gateway::routes())
            .merge(control::routes())
            .fallback(rest::answer)
            .with_state(Arc::clone(&state));
        let stop = shutdown.clone();
        tokio::spawn(async move {
            let served =
                axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the sandbox stopped serving");
            }
        });
        Ok(Self { state, _ends: Arc::new(shutdown.drop_guard()) })
    }

    pub fn addr(&self) -> SocketAddr {
        self.state.addr
    }

    /// The base of the REST API, without `/api/v10`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.state.addr)
    }

    pub fn authorize_url(&self) -> String {
        format!("{}/oauth2/authorize", self.base_url())
    }

    pub fn gateway_url(&self) -> String {
        format!("ws://{}", self.state.addr)
    }

    pub fn application(&self) -> &Application {
        &self.state.config.application
    }

    /// Works on the world; whatever changes is told to the gateway.
    pub fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        self.state.with(work)
    }

    pub fn fault(&self, fault: Fault) {
        self.state.arm(fault);
    }

    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// The calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).kept.iter().cloned().collect()
    }

    /// What was asked for, as `METHOD route`, oldest first, whether it has been answered or not.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state.calls).asked.iter().cloned().collect()
    }

    pub fn forget_calls(&self) {
        self.state.forget_calls();
    }

    /// One call of every kind that there was, whether it has been forgotten or not.
    pub fn kinds_of_calls(&self) -> Vec<Call> {
        lock(&self.state.calls).kinds.values().cloned().collect()
    }

    /// The calls of the last ten minutes that Discord would count against the address.
    pub fn invalid_calls(&self) -> usize {
        lock(&self.state.calls).invalid(now())
    }

    pub fn set_limits(&self, limits: Limits) {
        *lock(&self.state.limits) = (limits, Windows::default());
    }

    /// Makes the bot's token invalid, or valid again.
    pub fn set_bot_token_alive(&self, alive: bool) {
        self.state.set_token_alive(alive);
    }

    /// The application's public key, in hexadecimal.
    pub fn public_key(&self) -> String {
        self.state.teller.public_key()
    }

    /// Tells an address of this machine what happens to authorisations, as Discord does by webhook.
    ///
    /// # Errors
    /// Where it does not take a signed ping in, or takes in one that is signed wrongly.
    pub async fn tell_to(&self, address: url::Url) -> Result<(), String> {
        self.state.teller.tell_to(&self.application().client_id, address).await
    }

    /// Tells of something, at whatever time: events come late, twice and in any order. Answers the status that was
    /// said to it, and `None` where nobody is told.
    ///
    /// # Errors
    /// Where there was no answer.
    pub async fn tell(
        &self,
        kind: &str,
        data: &serde_json::Value,
        at: DateTime<Utc>,
    ) -> Result<Option<u16>, String> {
        let told = self.state.teller.tell(&self.application().client_id, kind, data, at).await?;
        Ok(told.map(|status| status.as_u16()))
    }

    /// Ends every authorisation that a user gave: their tokens are dead from now on.
    pub fn deauthorize(&self, user: u64) {
        self.state.deauthorize(user);
    }

    /// Lets a user allow the application, and answers their token: for whoever calls the REST API by themselves.
    pub fn token_of(&self, user: u64, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        lock(&self.state.oauth).token(user, &scopes, now())
    }

    /// Lets a user allow what an authorize URL asks for, without a browser.
    ///
    /// # Errors
    /// What is wrong with the URL or the choice.
    pub fn consent(&self, authorize_url: &str, choice: &consent::Choice) -> Result<String, String> {
        consent::decide(&self.state, authorize_url, choice)
    }

    /// How many gateway sessions there are.
    pub fn gateway_sessions(&self) -> usize {
        self.state.gateway.sessions()
    }

    /// How often the gateway was connected to.
    pub fn gateway_connections(&self) -> u64 {
        self.state.gateway.connections()
    }

    /// How many gateway sessions were begun within a day, how many of them too soon, and how many were resumed.
    pub fn gateway_starts(&self) -> (usize, u64, u64) {
        self.state.gateway.starts()
    }

    /// Uses up all gateway sessions of the day but so many.
    pub fn leave_gateway_sessions(&self, left: u32) {
        self.state.gateway.leave_sessions(left);
    }

    /// Lets the gateway take connections in and close them at once, or no longer.
    pub fn set_gateway_closing(&self, closing: bool) {
        self.state.gateway.set_closing(closing);
    }

    /// Cuts every gateway connection; `resumable`: whether sessions can be resumed.
    pub fn cut_gateway(&self, resumable: bool) {
        self.state.gateway.cut(resumable);
    }
}
