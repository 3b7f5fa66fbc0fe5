//! A node: the log, its views, the API, the policies and the bot in one process.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use api::{App, Demo, InFlight, PagesSettings, WebhookSettings, Webhooks};
use bot::{
    Desk, Discord, DiscordSettings, Hub, OAuth, Policies, Reconciler, Rhythm, Worker,
    WorkerSettings, budget,
};
use chrono::TimeDelta;
use eventstore::{Clock, Mode, Position, Store, StoreOptions};
use projections::{CommandCursor, Views};
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::telemetry;

/// How long answers to idempotency keys are kept: a day at least, as the contract says.
const KEEP_ANSWERS: TimeDelta = TimeDelta::hours(48);

/// How long it is kept what endpoints were told: it can be listed and sent again until then.
const KEEP_DELIVERIES: TimeDelta = TimeDelta::days(30);

/// How often old answers are forgotten.
const TIDY: Duration = Duration::from_hours(1);

/// How long a node may take to come to rest before something is wrong.
const SETTLE: Duration = Duration::from_mins(1);

/// The name under which this process shares the calls to Discord: one serves a data folder.
const HERE: &str = "serve";

/// How long everything may take to end at shutdown: longer than a call to Discord may.
const WIND_DOWN: Duration = Duration::from_secs(20);

/// Which Discord, before it is known where browsers reach the Hub.
#[derive(Debug, Clone)]
pub struct DiscordPlace {
    pub api_url: Url,
    pub authorize_url: Url,
    pub client_id: String,
    pub client_secret: SecretString,
    pub bot_token: SecretString,
}

/// The platform that the pages belong to, before it is known where browsers reach the Hub.
#[derive(Debug, Clone, Default)]
pub struct PagesPlace {
    pub platform_name: Option<String>,
    pub support_url: Option<Url>,
    pub support_email: Option<String>,
    pub demo: Option<Demo>,
}

impl PagesPlace {
    fn reached_at(self, public_url: Url) -> PagesSettings {
        let Self { platform_name, support_url, support_email, demo } = self;
        PagesSettings { public_url, platform_name, support_url, support_email, demo }
    }
}

impl DiscordPlace {
    fn reached_at(self, public_url: Url) -> DiscordSettings {
        let Self { api_url, authorize_url, client_id, client_secret, bot_token } = self;
        DiscordSettings { api_url, authorize_url, client_id, client_secret, bot_token, public_url }
    }
}

/// How a node is started.
pub struct NodeSettings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub clock: Clock,
    pub master_key: Option<SecretString>,
    /// Where browsers reach the Hub; without it, the address that is listened on.
    pub public_url: Option<Url>,
    pub discord: DiscordPlace,
    pub grace: TimeDelta,
    pub webhooks: WebhookSettings,
    pub pages: PagesPlace,
    /// How the bot inside works; `None`: other processes do its work.
    pub bot: Option<WorkerSettings>,
    /// Calls a second that all processes of the bot's token may make together.
    pub calls_per_second: u32,
}

/// A running node.
pub struct Node {
    addr: SocketAddr,
    store: Store,
    views: Views,
    policies: Policies,
    telling: Webhooks,
    /// How many commands the bot is executing, where it works in here.
    in_flight: Option<watch::Receiver<usize>>,
    shutdown: CancellationToken,
    /// Ends the views, which whatever is under way at shutdown still waits for.
    last: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Node {
    pub async fn start(settings: NodeSettings) -> anyhow::Result<Self> {
        let NodeSettings {
            data,
            listen,
            clock,
            master_key,
            public_url,
            discord,
            grace,
            webhooks,
            pages,
            bot,
            calls_per_second,
        } = settings;
        let options = StoreOptions { clock, master_key, mode: Mode::Serve };
        let store = Store::open(&data, options).await?;
        let views = Views::open(&data.join("views"), &store).await?;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("the address {listen} cannot be listened on; choose another with --listen")
        })?;
        let addr = listener.local_addr()?;
        let public_url = match public_url {
            Some(url) => url,
            None => Url::parse(&format!("http://{addr}"))?,
        };
        let pages = pages.reached_at(public_url.clone());
        let discord = discord.reached_at(public_url);
        let (oauth, discord) = (OAuth::new(&discord)?, Discord::new(&discord)?);
        let (desk, asked) =
            Desk::new(store.clone(), views.clone(), oauth.clone(), calls_per_second);
        let policies = Policies::new(store.clone(), views.clone(), grace);
        let shutdown = CancellationToken::new();
        let telling = Webhooks::new(
            store.clone(),
            views.clone(),
            webhooks.private_targets,
            shutdown.clone(),
        )?;
        let app = Arc::new(App {
            store: store.clone(),
            views: views.clone(),
            desk: desk.clone(),
            discord: discord.clone(),
            oauth,
            webhooks,
            pages: Arc::new(pages),
            telling: telling.clone(),
            grace,
            metrics: telemetry::metrics(),
            shutdown: shutdown.clone(),
            in_flight: InFlight::default(),
        });

        let mut tasks = JoinSet::new();
        let last = CancellationToken::new();
        let (following, stop) = (views.clone(), last.clone());
        tasks.spawn(async move {
            following.run(stop).await.context("a view stopped following the log")
        });
        let (router, stop) = (api::router(app), shutdown.clone());
        tasks.spawn(async move {
            let server = axum::serve(listener, router.into_make_service())
                .with_graceful_shutdown(stop.cancelled_owned());
            server.await.context("the HTTP server stopped")
        });
        tasks.spawn(unfailing(policies.clone().run(shutdown.clone())));
        let rhythm = Rhythm::of(bot.as_ref().unwrap_or(&WorkerSettings::new(HERE)));
        let reconciler = Reconciler::new(desk.clone(), discord.clone(), asked, rhythm);
        tasks.spawn(unfailing(reconciler.run(shutdown.clone())));
        let (hub, stop) = (Hub::Direct(desk), shutdown.clone());
        tasks.spawn(unfailing(budget::keep(hub.clone(), discord.clone(), HERE.to_owned(), stop)));
        let in_flight = bot.map(|bot| {
            let (worker, stop) = (Worker::new(hub, discord, bot), shutdown.clone());
            let in_flight = worker.in_flight();
            tasks.spawn(async move { worker.run(stop).await.context("the bot stopped") });
            in_flight
        });
        let told = telling.clone();
        tasks.spawn(unfailing(async move { told.run().await }));
        tasks.spawn(unfailing(tidy(store.clone(), shutdown.clone())));
        tasks.spawn(watch(store.clone(), shutdown.clone()));
        Ok(Self { addr, store, views, policies, telling, in_flight, shutdown, last, tasks })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn views(&self) -> &Views {
        &self.views
    }

    /// Waits until nothing is left to do: the views have seen the log, no policy has anything to say, every
    /// command is done or waits for somebody, and every webhook is sent or waits for its next attempt.
    ///
    /// # Errors
    /// What is left after a minute.
    pub async fn settle(&self) -> anyhow::Result<()> {
        if let Ok(settled) = timeout(SETTLE, self.settled()).await {
            settled
        } else {
            let open = self
                .views
                .fan_access()
                .commands(&[0], 1, &CommandCursor::after(Position(0)), 10)
                .await?;
            bail!("the node did not come to rest; open commands: {open:#?}")
        }
    }

    async fn settled(&self) -> anyhow::Result<()> {
        let mut log = self.store.log().watch();
        let mut in_flight = self.in_flight.clone();
        loop {
            let head = *log.borrow_and_update();
            self.views.seen(head, SETTLE).await?;
            if self.policies.once().await? > 0 {
                continue;
            }
            let (mut cursor, mut busy) = (CommandCursor::after(Position(0)), false);
            loop {
                let page = self.views.fan_access().commands(&[0], 1, &cursor, 500).await?;
                busy |= page.iter().any(|command| command.parked.is_none());
                match page.last() {
                    Some(last) if !busy => cursor = last.id.parse()?,
                    Some(_) | None => break,
                }
            }
            if busy {
                log.changed().await?;
            } else if let Some(running) = &mut in_flight
                && *running.borrow_and_update() > 0
            {
                // What it waits for may have been found out by somebody else, before its own report.
                running.changed().await?;
            } else if self.telling.settle().await? {
                // What was sent may have led to something.
            } else if self.store.log().head() == head {
                return Ok(());
            }
        }
    }

    /// Runs until `signal`, or until a part of the node fails.
    pub async fn run(mut self, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
        let failed = tokio::select! {
            () = signal => None,
            Some(ended) = self.tasks.join_next() => Some(ended),
        };
        let stopped = self.stop().await;
        match failed {
            Some(ended) => ended.context("a part of the hub panicked")?.and(stopped),
            None => stopped,
        }
    }

    /// Ends open streams, lets requests and calls in flight end, gives leases back.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let mut result = Ok(());
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                if self.tasks.len() == 1 {
                    self.last.cancel();
                }
                let ended = ended.context("a part of the hub panicked").flatten();
                if result.is_ok() {
                    result = ended;
                }
            }
        };
        if timeout(WIND_DOWN, ending).await.is_err() {
            tracing::warn!("a request or a call did not end at shutdown and is cut off");
        }
        result
    }
}

/// A part of the node that cannot fail.
async fn unfailing(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

/// Fails once the log takes nothing any more: a node without it is of no use.
async fn watch(store: Store, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        () = store.log().stopped().cancelled_owned() => {
            bail!("the log stopped; check the disk, then start the hub again")
        }
    }
}

async fn tidy(store: Store, shutdown: CancellationToken) {
    let tidying = async {
        loop {
            let before = store.clock().now() - KEEP_ANSWERS;
            if let Err(error) = store.answers().forget_before(before).await {
                tracing::warn!(%error, "old answers to idempotency keys could not be forgotten; it is tried again");
            }
            let before = store.clock().now() - KEEP_DELIVERIES;
            if let Err(error) = store.webhooks().forget_before(before).await {
                tracing::warn!(%error, "old webhook deliveries could not be forgotten; it is tried again");
            }
            tokio::time::sleep(TIDY).await;
        }
    };
    shutdown.run_until_cancelled(tidying).await;
}
