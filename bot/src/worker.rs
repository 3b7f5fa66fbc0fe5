//! A bot process: holds shards, follows their commands, executes them, reports.
//!
//! Whatever it forgets by dying stands in the command stream, which it reads from the start when it comes back.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    num::NonZeroU32,
    panic::AssertUnwindSafe,
    time::Duration,
};

use domain::{GuildId, Trouble, trouble};
use futures_util::FutureExt;
use projections::CommandKind;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    discord::Discord,
    gateway::{Ears, GatewaySettings, Observer},
    http::DEADLINE,
    hub::{Hub, HubError},
    members::Looks,
    patience::wake,
    queue::{Key, Queue},
    wire::{Command, Lease, LeaseRequest},
    work::{Again, Finished, execute},
};

/// How often leases are renewed: a third of their lifetime.
const RENEW: Duration = Duration::from_secs(10);

/// How soon after that failed.
const RENEW_AGAIN: Duration = Duration::from_secs(2);

/// How long after it was asked for a lease is worked under: calls that begin until then have ended before another
/// process may take it over.
fn hold() -> Duration {
    crate::desk::LEASE.to_std().unwrap_or_default().saturating_sub(DEADLINE)
}

/// How long calls in flight may take to end at shutdown.
const WIND_DOWN: Duration = DEADLINE;

/// How many commands may be on their way from the stream to the queue.
const ON_THE_WAY: usize = 500;

/// The longest pause between two tries of a command that nobody has to mend.
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// The pause before what waits for somebody to mend something is tried again.
const PARKED: Duration = Duration::from_hours(1);

/// How long nothing is begun after Discord did not accept the token.
const TOKEN_PAUSE: Duration = Duration::from_mins(1);

/// How a bot process works.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The process's name. The same name takes its own leases again.
    pub name: String,
    /// Into how many shards servers are divided.
    pub of: NonZeroU32,
    /// How many shards this process wants.
    pub want: NonZeroU32,
    /// How many commands are executed together. Most of them wait for their server's rate limits; beyond these, each
    /// server may have one.
    pub parallel: usize,
    /// The first pause before a command is tried again; it doubles from there.
    pub retry: Duration,
    /// The pause before a command is tried again that waits for somebody to mend something.
    pub parked: Duration,
    /// How to hear what others change on Discord; `None`: it is found by comparing.
    pub gateway: Option<GatewaySettings>,
}

impl WorkerSettings {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            of: NonZeroU32::MIN,
            want: NonZeroU32::MIN,
            parallel: 1_024,
            retry: Duration::from_secs(1),
            parked: PARKED,
            gateway: None,
        }
    }
}

/// What came of asking for leases.
enum Held {
    /// The same as before.
    Same,
    Others,
    /// The Hub did not say.
    Unknown,
}

/// A bot process.
pub struct Worker {
    hub: Hub,
    discord: Discord,
    settings: WorkerSettings,
    leases: Vec<Lease>,
    /// When the leases were last asked for that were given.
    renewed: Instant,
    queue: Queue,
    /// The command of each member that is tried again, and how often it was tried.
    tries: HashMap<Key, (String, u32)>,
    jobs: JoinSet<Finished>,
    /// How many commands are being executed.
    in_flight: watch::Sender<usize>,
    /// Discord does not accept the token: nothing is begun before, and then one command tries.
    token_dead_until: Option<Instant>,
    /// A report was refused because its lease is over: it is taken again without waiting.
    fenced: bool,
    /// The shards on which this process listens.
    observers: HashMap<u32, CancellationToken>,
    /// `None` where nobody listens.
    ears: Option<Ears>,
    /// Members of whom something was heard.
    changed: (mpsc::UnboundedSender<Key>, mpsc::UnboundedReceiver<Key>),
}

impl Worker {
    pub fn new(hub: Hub, discord: Discord, settings: WorkerSettings) -> Self {
        Self {
            changed: mpsc::unbounded_channel(),
            hub,
            discord,
            leases: vec![],
            renewed: Instant::now(),
            queue: Queue::new(settings.parallel),
            settings,
            tries: HashMap::new(),
            jobs: JoinSet::new(),
            in_flight: watch::Sender::new(0),
            token_dead_until: None,
            fenced: false,
            observers: HashMap::new(),
            ears: None,
        }
    }

    /// How many commands are being executed.
    pub fn in_flight(&self) -> watch::Receiver<usize> {
        self.in_flight.subscribe()
    }

    /// Works until `shutdown`, then lets calls in flight end and gives its shards back.
    ///
    /// # Errors
    /// Where the Hub refuses this process for good: a key that is not a bot's, another number of shards.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), HubError> {
        let (send, mut commands) = mpsc::channel(ON_THE_WAY);
        let mut follower: Option<JoinHandle<()>> = None;
        let mut hearing = self.hear();
        let mut renew = interval(RENEW);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            if std::mem::take(&mut self.fenced) {
                renew.reset_immediately();
            } else {
                self.spawn_ready();
            }
            self.in_flight.send_replace(self.jobs.len());
            let (wakes, lets_go) = (self.wakes_at(), self.lets_go_at());
            tokio::select! {
                () = shutdown.cancelled() => break Ok(()),
                _ = renew.tick() => match self.hold_shards().await {
                    Ok(Held::Same) => {}
                    Ok(Held::Others) => {
                        follower.take().inspect(JoinHandle::abort);
                        self.listen();
                        let shards: Vec<u32> = self.leases.iter().map(|lease| lease.shard).collect();
                        if !shards.is_empty() {
                            let (hub, of, send) = (self.hub.clone(), self.settings.of.get(), send.clone());
                            follower = Some(tokio::spawn(async move { hub.follow(shards, of, send).await }));
                        }
                    }
                    Ok(Held::Unknown) => renew.reset_after(RENEW_AGAIN),
                    Err(error) => break Err(error),
                },
                () = wake(lets_go) => self.let_go(),
                Some(command) = commands.recv() => self.take(command),
                Some(member) = self.changed.1.recv() => self.hurry(member),
                Some(Ok(finished)) = self.jobs.join_next(), if !self.jobs.is_empty() => self.finish(finished),
                () = wake(wakes) => {}
            }
        };
        follower.take().inspect(JoinHandle::abort);
        hearing.take().inspect(JoinHandle::abort);
        self.observers.values().for_each(CancellationToken::cancel);
        self.wind_down().await;
        ended
    }

    /// Begins to take in what is heard, if anything is to be.
    fn hear(&mut self) -> Option<JoinHandle<()>> {
        let patience = self.settings.gateway.as_ref()?.patience;
        let (ears, work) = Ears::open(self.looks(), patience, self.changed.0.clone());
        self.ears = Some(ears);
        Some(tokio::spawn(work))
    }

    fn looks(&self) -> Looks {
        Looks {
            hub: self.hub.clone(),
            discord: self.discord.clone(),
            name: self.settings.name.clone(),
        }
    }

    /// Listens on the shards that are held, and on no others.
    fn listen(&mut self) {
        let (Some(gateway), Some(ears)) = (&self.settings.gateway, &self.ears) else { return };
        let held: BTreeSet<u32> = self.leases.iter().map(|lease| lease.shard).collect();
        self.observers.retain(|shard, stop| {
            if !held.contains(shard) {
                stop.cancel();
            }
            held.contains(shard)
        });
        for shard in held {
            if let Entry::Vacant(free) = self.observers.entry(shard) {
                let observer = Observer {
                    ears: ears.clone(),
                    url: gateway.url.clone(),
                    shard,
                    of: self.settings.of.get(),
                };
                tokio::spawn(observer.run(free.insert(CancellationToken::new()).clone()));
            }
        }
    }

    fn take(&mut self, command: Command) {
        if !self.holds(command.guild) {
            return;
        }
        if let Some(code) = &command.parked
            && !trouble::of_code(code).is_some_and(Trouble::is_tried_again)
        {
            return;
        }
        let delay = if command.parked.is_some() { self.settings.parked } else { Duration::ZERO };
        self.queue.put(command, Instant::now(), delay);
    }

    /// A removal that Discord refused because of the member may be accepted once they have changed.
    fn hurry(&mut self, member: Key) {
        let tries = &self.tries;
        let parked = |command: &Command| {
            command.kind == CommandKind::Revoke
                && tries.get(&(command.guild, command.user)).is_none_or(|(id, _)| *id != command.id)
        };
        self.queue.hurry(member, parked);
    }

    fn lease(&self, guild: GuildId) -> Option<&Lease> {
        let shard = guild.shard(self.settings.of.get());
        self.leases.iter().find(|lease| lease.shard == shard)
    }

    fn holds(&self, guild: GuildId) -> bool {
        self.lease(guild).is_some()
    }

    /// When there may be something to begin that nothing else tells of.
    fn wakes_at(&self) -> Option<Instant> {
        match self.token_dead_until {
            // The one that tries tells.
            Some(_) if self.queue.is_running() => None,
            Some(until) => self.queue.wakes_at().map(|at| at.max(until)),
            None => self.queue.wakes_at(),
        }
    }

    fn spawn_ready(&mut self) {
        loop {
            if let Some(until) = self.token_dead_until
                && (until > Instant::now() || self.queue.is_running())
            {
                return;
            }
            let Some(job) = self.queue.next(Instant::now()) else { return };
            let Some(lease) = self.lease(job.command.guild) else {
                self.queue.ended(job.command, None, Instant::now());
                continue;
            };
            let (hub, discord, name, epoch, ears) = (
                self.hub.clone(),
                self.discord.until(job.unwanted.clone()),
                self.settings.name.clone(),
                lease.epoch,
                self.ears.clone(),
            );
            self.jobs.spawn(async move {
                let command = job.command.clone();
                let member = (command.guild, command.user);
                let echoes = ears.as_ref().map(|ears| &ears.echoes);
                if let Some(echoes) = echoes {
                    echoes.begin(member);
                }
                let executing = execute(&hub, &discord, echoes, &name, epoch, job);
                let finished = AssertUnwindSafe(executing).catch_unwind().await;
                if let Some(ears) = &ears {
                    ears.end(member);
                }
                finished.unwrap_or_else(|_| {
                    tracing::error!(command = %command.id, "executing a command panicked; this is a defect of the Hub, so report it");
                    Finished { command, again: Again::Later(None) }
                })
            });
        }
    }

    fn finish(&mut self, Finished { command, again }: Finished) {
        let member = (command.guild, command.user);
        let known = self.tries.remove(&member).filter(|(id, _)| *id == command.id);
        let tries = known.map_or(0, |(_, tries)| tries);
        if !matches!(again, Again::TokenDead | Again::Later(_))
            && self.token_dead_until.take().is_some()
        {
            tracing::info!("Discord accepts the bot's token again; the work goes on");
        }
        let again = match again {
            Again::No => None,
            Again::Now => Some(Duration::ZERO),
            Again::Fenced => {
                self.fenced = true;
                Some(Duration::ZERO)
            }
            Again::Parked => Some(self.settings.parked),
            Again::TokenDead => {
                if self.token_dead_until.is_none() {
                    tracing::error!(
                        "Discord does not accept the bot's token, so nothing is called; set a new one and start the Hub again"
                    );
                }
                self.token_dead_until = Some(Instant::now() + TOKEN_PAUSE);
                Some(TOKEN_PAUSE)
            }
            Again::Later(asked) => {
                self.tries.insert(member, (command.id.clone(), tries + 1));
                let grown =
                    self.settings.retry.saturating_mul(1 << tries.min(16)).min(LONGEST_RETRY);
                Some(asked.unwrap_or(grown).max(self.settings.retry))
            }
        };
        let again = again.filter(|_| self.holds(command.guild));
        self.queue.ended(command, again, Instant::now());
    }

    /// Renews what is held and takes what is free.
    async fn hold_shards(&mut self) -> Result<Held, HubError> {
        let WorkerSettings { name, of, want, .. } = &self.settings;
        let request = LeaseRequest { bot: name.clone(), of: of.get(), want: want.get() };
        let asked = Instant::now();
        let patience = self.lets_go_at().unwrap_or(asked + RENEW);
        match timeout_at(patience, self.hub.acquire(&request)).await {
            Ok(Ok(leases)) => {
                let epochs = |leases: &[Lease]| {
                    leases.iter().map(|held| held.epoch).collect::<BTreeSet<_>>()
                };
                let same = epochs(&leases) == epochs(&self.leases);
                (self.leases, self.renewed) = (leases, asked);
                let (leases, of) = (&self.leases, self.settings.of.get());
                self.queue.keep(|guild| leases.iter().any(|lease| lease.shard == guild.shard(of)));
                Ok(if same { Held::Same } else { Held::Others })
            }
            Ok(Err(HubError::Refused(why))) => Err(HubError::Refused(why)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the Hub does not renew the leases; it is asked again");
                Ok(Held::Unknown)
            }
            Err(_) => Ok(Held::Unknown),
        }
    }

    /// When what is held is worked under no longer, unless it is renewed.
    fn lets_go_at(&self) -> Option<Instant> {
        (!self.leases.is_empty()).then(|| self.renewed + hold())
    }

    fn let_go(&mut self) {
        tracing::warn!("the Hub does not renew the leases; nothing is executed until it does");
        self.leases.clear();
        self.queue.keep(|_| false);
    }

    async fn wind_down(mut self) {
        let ended = async { while self.jobs.join_next().await.is_some() {} };
        if timeout(WIND_DOWN, ended).await.is_err() {
            tracing::warn!(
                "some calls to Discord had not ended at shutdown; they are looked into at the next start"
            );
        }
        for lease in &self.leases {
            if let Err(error) = self.hub.release(&self.settings.name, lease.epoch).await {
                tracing::info!(%error, shard = lease.shard, "the shard was not given back; its lease runs out by itself");
            }
        }
    }
}
