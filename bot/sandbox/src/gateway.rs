//! The gateway: a WebSocket over which a bot hears what happens in its servers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{
        State as Extract,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::get,
};
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use uuid::Uuid;

use crate::server::{State, lock};

const GUILDS: u64 = 1;
const GUILD_MEMBERS: u64 = 1 << 1;

/// Sessions that one token may begin a day. Whoever begins more gets another token.
const SESSIONS: u32 = 1_000;

const DAY: Duration = Duration::from_hours(24);

/// The time between two sessions of shards that leave the same rest when divided by `max_concurrency`.
const BETWEEN: Duration = Duration::from_secs(5);

/// Something that happened in a server.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    pub(crate) guild: u64,
    /// Only told to bots that have the privileged intent.
    pub(crate) of_members: bool,
    pub(crate) data: Value,
}

/// How many events a session keeps for being resumed.
const REPLAY: usize = 10_000;

/// A bot's session. It outlives its connection.
#[derive(Debug)]
struct Session {
    intents: u64,
    shard: u64,
    shards: u64,
    seq: u64,
    sent: VecDeque<(u64, Value)>,
    /// Whether a connection speaks for it now; if not, events gather for being resumed.
    connected: bool,
}

impl Session {
    fn wants(&self, event: &Event) -> bool {
        let intent = if event.of_members { GUILD_MEMBERS } else { GUILDS };
        self.intents & intent != 0 && (event.guild >> 22) % self.shards == self.shard
    }

    /// Numbers an event and keeps it.
    fn dispatch(&mut self, kind: &str, data: &Value) -> Value {
        self.seq += 1;
        let payload = json!({ "op": 0, "t": kind, "s": self.seq, "d": data });
        if self.sent.len() == REPLAY {
            self.sent.pop_front();
        }
        self.sent.push_back((self.seq, payload.clone()));
        payload
    }
}

/// The sessions that were begun, and when.
#[derive(Debug, Default)]
struct Starts {
    today: VecDeque<Instant>,
    /// The last one by what is left of the shard.
    last: HashMap<u64, Instant>,
    /// Shards that identified too soon.
    refused: u64,
    resumed: u64,
}

/// Whether a session may be begun.
enum Start {
    Allowed,
    TooSoon,
    TooMany,
}

impl Starts {
    fn left(&mut self, now: Instant) -> u32 {
        while self.today.front().is_some_and(|at| now.duration_since(*at) >= DAY) {
            self.today.pop_front();
        }
        SESSIONS.saturating_sub(u32::try_from(self.today.len()).unwrap_or(u32::MAX))
    }

    fn begin(&mut self, rest: u64, now: Instant) -> Start {
        if self.left(now) == 0 {
            return Start::TooMany;
        }
        self.today.push_back(now);
        let before = self.last.insert(rest, now);
        if before.is_some_and(|before| now.duration_since(before) < BETWEEN) {
            self.refused += 1;
            return Start::TooSoon;
        }
        Start::Allowed
    }
}

#[derive(Debug)]
pub(crate) struct Gateway {
    events: broadcast::Sender<(Uuid, Value)>,
    sessions: Mutex<HashMap<Uuid, Session>>,
    starts: Mutex<Starts>,
    /// Counts cuts; whether sessions may be resumed after the last one.
    cuts: watch::Sender<(u64, bool)>,
    connections: AtomicU64,
    /// Whether connections are closed at once.
    closing: AtomicBool,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let (events, _) = broadcast::channel(65_536);
        Self {
            events,
            sessions: Mutex::default(),
            starts: Mutex::default(),
            cuts: watch::Sender::new((0, true)),
            connections: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        }
    }

    /// Tells every session what happened, whether it is connected or not.
    pub(crate) fn tell(&self, told: Vec<Event>) {
        let mut sessions = lock(&self.sessions);
        for event in told {
            for (id, session) in sessions.iter_mut() {
                if session.wants(&event) {
                    let payload = session.dispatch(event.kind, &event.data);
                    if session.connected {
                        // A session without a listener hears of it when it is resumed.
                        let _ = self.events.send((*id, payload));
                    }
                }
            }
        }
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn set_closing(&self, closing: bool) {
        self.closing.store(closing, Ordering::Relaxed);
    }

    /// How sessions may be begun, as the REST API tells it.
    pub(crate) fn session_start_limit(&self, max_concurrency: u64) -> Value {
        let now = Instant::now();
        let mut starts = lock(&self.starts);
        let remaining = starts.left(now);
        let first = starts.today.front().map_or(DAY, |at| DAY.saturating_sub(now - *at));
        json!({
            "total": SESSIONS,
            "remaining": remaining,
            "reset_after": u64::try_from(first.as_millis()).unwrap_or(u64::MAX),
            "max_concurrency": max_concurrency,
        })
    }

    /// Lets a day's sessions but so many be begun.
    pub(crate) fn leave_sessions(&self, left: u32) {
        let (mut starts, now) = (lock(&self.starts), Instant::now());
        while starts.left(now) > left {
            starts.today.push_back(now);
        }
    }

    /// How often a session was begun, begun too soon, and resumed.
    pub(crate) fn starts(&self) -> (usize, u64, u64) {
        let starts = lock(&self.starts);
        (starts.today.len(), starts.refused, starts.resumed)
    }

    /// How many sessions are known, open or to be resumed.
    pub(crate) fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Whether a bot listens now.
    pub(crate) fn is_heard(&self) -> bool {
        lock(&self.sessions).values().any(|session| session.connected)
    }

    pub(crate) fn cut(&self, resumable: bool) {
        if !resumable {
            lock(&self.sessions).clear();
        }
        self.cuts.send_modify(|(count, last)| {
            *count += 1;
            *last = resumable;
        });
    }
}

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new().route("/gateway", get(connect)).route("/gateway/", get(connect))
}

pub(crate) async fn connect(
    Extract(state): Extract<Arc<State>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        let mut connection =
            Connection { events: state.gateway.events.subscribe(), state, socket, session: None };
        connection.run().await;
        if let Some(session) = connection.session
            && let Some(session) = lock(&connection.state.gateway.sessions).get_mut(&session)
        {
            session.connected = false;
        }
        connection.state.changed();
    })
}

struct Connection {
    state: Arc<State>,
    socket: WebSocket,
    session: Option<Uuid>,
    events: broadcast::Receiver<(Uuid, Value)>,
}

/// Why a connection ends, as Discord's close code.
enum End {
    Gone,
    Close(u16, &'static str),
}

impl Connection {
    async fn run(&mut self) {
        self.state.gateway.connections.fetch_add(1, Ordering::Relaxed);
        if self.state.gateway.closing.load(Ordering::Relaxed) {
            let frame = CloseFrame { code: 4000, reason: "closing".into() };
            let _ = self.socket.send(Message::Close(Some(frame))).await;
            return;
        }
        let hello = json!({ "op": 10, "d": { "heartbeat_interval": 41_250 } });
        if self.send(&hello).await.is_err() {
            return;
        }
        let mut cuts = self.state.gateway.cuts.subscribe();
        cuts.mark_unchanged();
        loop {
            let done = tokio::select! {
                () = self.state.shutdown.cancelled() => Err(End::Gone),
                cut = cuts.changed() => match cut {
                    Ok(()) => Err(End::Close(4000, "cut")),
                    Err(_) => Err(End::Gone),
                },
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(&text).await,
                    Some(Ok(Message::Binary(bytes))) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        self.hear(&text).await
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
                },
                event = self.events.recv() => match event {
                    Ok((session, payload)) if self.session == Some(session) => self.send(&payload).await,
                    Ok(_) => Ok(()),
                    Err(_) => Err(End::Close(4000, "too slow")),
                },
            };
            match done {
                Ok(()) => {}
                Err(End::Gone) => return,
                Err(End::Close(code, reason)) => {
                    let frame = CloseFrame { code, reason: reason.into() };
                    let _ = self.socket.send(Message::Close(Some(frame))).await;
                    return;
                }
            }
        }
    }

    async fn send(&mut self, payload: &Value) -> Result<(), End> {
        self.socket.send(Message::text(payload.to_string())).await.map_err(|_| End::Gone)
    }

    async fn hear(&mut self, text: &str) -> Result<(), End> {
        let Ok(payload) = serde_json::from_str::<Value>(text) else {
            return Err(End::Close(4002, "Decode error"));
        };
        let data = &payload["d"];
        match payload["op"].as_u64() {
            Some(1) => self.send(&json!({ "op": 11 })).await,
            Some(2) => self.identify(data).await,
            Some(6) => self.resume(data).await,
            // Presence, voice and member requests do nothing here.
            Some(3 | 4 | 8) => Ok(()),
            _ => Err(End::Close(4001, "Unknown opcode")),
        }
    }

    fn authenticate(&self, data: &Value) -> Result<(), End> {
        let token = data["token"].as_str().unwrap_or_default();
        let known =
            token.strip_prefix("Bot ").unwrap_or(token) == self.state.config.application.bot_token;
        if known && *lock(&self.state.token_alive) {
            Ok(())
        } else {
            Err(End::Close(4004, "Authentication failed"))
        }
    }

    async fn identify(&mut self, data: &Value) -> Result<(), End> {
        if self.session.is_some() {
            return Err(End::Close(4005, "Already authenticated"));
        }
        self.authenticate(data)?;
        let intents = data["intents"].as_u64().ok_or(End::Close(4013, "Invalid intent(s)"))?;
        if intents & GUILD_MEMBERS != 0 && !self.state.config.members_intent {
            return Err(End::Close(4014, "Disallowed intent(s)"));
        }
        let (shard, shards) =
            (data["shard"][0].as_u64().unwrap_or(0), data["shard"][1].as_u64().unwrap_or(1));
        if shard >= shards {
            return Err(End::Close(4010, "Invalid shard"));
        }
        let limited = self.state.config.limits.enabled;
        let rest = shard % self.state.config.max_concurrency.max(1);
        let start = lock(&self.state.gateway.starts).begin(rest, Instant::now());
        match start {
            Start::TooSoon if limited => {
                return self.send(&json!({ "op": 9, "d": false })).await;
            }
            Start::TooMany if limited => {
                self.state.set_token_alive(false);
                return Err(End::Close(4004, "Authentication failed"));
            }
            Start::Allowed | Start::TooSoon | Start::TooMany => {}
        }
        let id = Uuid::new_v4();
        let mut session =
            Session { intents, shard, shards, seq: 0, sent: VecDeque::new(), connected: true };
        // Under the world's lock: what changes from here on is told to the new session.
        let greeting = self.state.with(|world| {
            let mine = |guild: &&crate::world::Guild| {
                guild.members.contains_key(&world.bot_user) && (guild.id >> 22) % shards == shard
            };
            let guilds: Vec<u64> =
                world.guilds.values().filter(mine).map(|guild| guild.id).collect();
            let unavailable: Vec<Value> = guilds
                .iter()
                .map(|guild| json!({ "id": guild.to_string(), "unavailable": true }))
                .collect();
            let mut user = world.user_json(world.bot_user);
            user["mfa_enabled"] = json!(self.state.config.owner_mfa);
            user["verified"] = json!(true);
            user["email"] = Value::Null;
            let ready = json!({
                "v": 10,
                "user": user,
                "guilds": unavailable,
                "session_id": id.to_string(),
                "resume_gateway_url": format!("ws://{}", self.state.addr),
                "shard": [shard, shards],
                "application": { "id": self.state.config.application.client_id, "flags": 0 },
            });
            let mut greeting = vec![session.dispatch("READY", &ready)];
            for guild in guilds
                .into_iter()
                .filter(|guild| world.guild(*guild).is_some_and(|guild| !guild.unavailable))
            {
                greeting.push(session.dispatch("GUILD_CREATE", &world.guild_create_json(guild)));
            }
            lock(&self.state.gateway.sessions).insert(id, session);
            greeting
        });
        self.session = Some(id);
        self.state.changed();
        for payload in greeting {
            self.send(&payload).await?;
        }
        Ok(())
    }

    async fn resume(&mut self, data: &Value) -> Result<(), End> {
        self.authenticate(data)?;
        let id =
            data["session_id"].as_str().and_then(|id| id.parse::<Uuid>().ok()).unwrap_or_default();
        let seq = data["seq"].as_u64().unwrap_or_default();
        let missed: Option<Vec<Value>> = {
            let mut sessions = lock(&self.state.gateway.sessions);
            sessions.get_mut(&id).map(|session| {
                session.connected = true;
                session
                    .sent
                    .iter()
                    .filter(|(sent, _)| *sent > seq)
                    .map(|(_, payload)| payload.clone())
                    .collect()
            })
        };
        let Some(missed) = missed else { return self.send(&json!({ "op": 9, "d": false })).await };
        lock(&self.state.gateway.starts).resumed += 1;
        self.session = Some(id);
        self.state.changed();
        for payload in missed {
            self.send(&payload).await?;
        }
        let resumed = lock(&self.state.gateway.sessions)
            .get_mut(&id)
            .map(|session| session.dispatch("RESUMED", &json!({ "_trace": [] })));
        match resumed {
            Some(resumed) => self.send(&resumed).await,
            None => Err(End::Close(4009, "Session timed out")),
        }
    }
}
