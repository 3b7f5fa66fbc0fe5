//! Bot processes of their own, over REST: the same work, and nothing lost between them.

use std::{num::NonZeroU32, time::Duration};

use bot::{
    Discord, DiscordSettings, Hub, Remote, Worker, WorkerSettings, budget, gateway::GatewaySettings,
};
use discord_sandbox::{Action, Fault, Limit, Limits, NewRole};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Club, Road, World};

pub(crate) struct Process {
    stop: CancellationToken,
    running: JoinHandle<Result<(), bot::HubError>>,
}

fn named(name: &str) -> WorkerSettings {
    WorkerSettings { name: name.to_owned(), ..World::quick_bot() }
}

fn listening(world: &World, name: &str, of: u32) -> WorkerSettings {
    let url = Some(world.sandbox.gateway_url().parse().unwrap());
    let gateway = Some(GatewaySettings { url, patience: Duration::from_millis(150) });
    WorkerSettings { gateway, of: many(of), ..named(name) }
}

fn many(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

impl Process {
    pub(crate) async fn start(world: &World, name: &str, of: u32, want: u32) -> Self {
        let settings = WorkerSettings { of: many(of), want: many(want), ..named(name) };
        Self::with(world, &world.node().url(), settings).await
    }

    /// One that hears from the gateway what others do.
    pub(crate) async fn start_listening(world: &World, name: &str) -> Self {
        Self::start_listening_on(world, name, 1).await
    }

    /// The same, on one of `of` shards.
    pub(crate) async fn start_listening_on(world: &World, name: &str, of: u32) -> Self {
        Self::with(world, &world.node().url(), listening(world, name, of)).await
    }

    /// The same, which reaches the hub over a road.
    pub(crate) async fn start_listening_over(world: &World, road: &Road) -> Self {
        Self::with(world, road.url(), listening(world, "far", 1)).await
    }

    async fn with(world: &World, hub: &str, settings: WorkerSettings) -> Self {
        let key = world.key_of("bot").await;
        let hub = Remote::new(hub.parse().unwrap(), key.into()).unwrap();
        let discord = Discord::new(&DiscordSettings {
            api_url: world.sandbox.base_url().parse().unwrap(),
            authorize_url: world.sandbox.authorize_url().parse().unwrap(),
            client_id: String::new(),
            client_secret: String::new().into(),
            bot_token: world.sandbox.application().bot_token.clone().into(),
            public_url: world.node().url().parse().unwrap(),
        });
        let name = settings.name.clone();
        let (hub, discord, stop) = (Hub::Remote(hub), discord.unwrap(), CancellationToken::new());
        let share = budget::keep(hub.clone(), discord.clone(), name, stop.clone());
        tokio::spawn(share);
        let worker = Worker::new(hub, discord, settings);
        Self { running: tokio::spawn(worker.run(stop.clone())), stop }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_process_of_its_own_does_the_same_work() {
    let world = World::start_without_bot().await;
    let process = Process::start(&world, "one", 1, 1).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    process.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn two_processes_share_the_shards_and_whoever_stays_takes_over() {
    let world = World::start_without_bot().await;
    let (first, second) =
        (Process::start(&world, "a", 2, 1).await, Process::start(&world, "b", 2, 1).await);
    let (kim, eve) = (world.club("kim").await, world.club("eve").await);
    let ada = world.member(&kim, "ada", "vip").await;
    let body =
        json!({ "fan": "ada", "creator": "eve", "tier": "vip", "status": "active", "version": 1 });
    world.put("/v1/memberships/ada-eve", body).await.ok();
    world.settle().await;
    assert!(world.roles(&kim, ada).is_some() && world.roles(&eve, ada).is_some());
    first.stop().await;
    second.stop().await;
    world.reports(&kim, "ada", "vip", "expired", 2).await;
    // A process that wants all finds the shards free: they were given back.
    let third = Process::start(&world, "c", 2, 2).await;
    world.settle().await;
    assert_eq!(world.roles(&kim, ada), None);
    third.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn a_process_that_died_between_the_call_and_the_report_is_made_up_for() {
    for path in [MEMBER, ROLE] {
        let world = World::start_without_bot().await;
        let club = world.club("kim").await;
        let ada = world.user("ada");
        world.reports(&club, "ada", "vip", "active", 1).await;
        world.links("ada", ada).await.is(200);
        world.dies_at("PUT", path).await;
        assert!(world.roles(&club, ada).is_some());
        let next = Process::start(&world, "next", 1, 1).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
        // The join was the dead one's, so the removal is the hub's to make.
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), None, "{path}");
        next.stop().await;
        world.prove().await;
    }
}

impl World {
    /// A process makes a call of which it never hears what became, and dies. The next one finds what it left.
    async fn dies_at(&self, method: &str, path: &str) {
        self.sandbox.forget_calls();
        self.sandbox.fault(Fault::always(method, path, Action::DropAfter));
        let dying = Process::start(self, "dying", 1, 1).await;
        let called = async {
            while !self
                .sandbox
                .calls()
                .iter()
                .any(|call| call.method == method && call.route == path)
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), called).await.unwrap();
        dying.running.abort();
        self.sandbox.clear_faults();
        // Nobody gave the lease back: it has to run out.
        self.clock.advance(chrono::TimeDelta::seconds(31));
    }
}

const MEMBER: &str = "/guilds/*/members/*";
const ROLE: &str = "/guilds/*/members/*/roles/*";

#[tokio::test]
async fn what_somebody_had_before_they_bought_stays_theirs_wherever_a_process_dies() {
    for (method, path) in [("PUT", MEMBER), ("GET", MEMBER), ("PUT", ROLE)] {
        let world = World::start_without_bot().await;
        let club = world.club("kim").await;
        world.attach(&club, "vip", &[club.vip, club.gold]).await;
        let ada = world.user("ada");
        world.sandbox.with(|discord| {
            discord.add_member(club.guild, ada);
            discord.set_role(club.guild, ada, club.gold, true);
        });
        world.clock.advance(chrono::TimeDelta::minutes(10));
        world.reports(&club, "ada", "vip", "active", 1).await;
        world.links("ada", ada).await.is(200);
        world.dies_at(method, path).await;
        let next = Process::start(&world, "next", 1, 1).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.gold, club.vip]), "{method} {path}");
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.gold]), "{method} {path}");
        assert_eq!(world.status(&club, "ada").await.0, "revoked");
        next.stop().await;
        world.prove().await;
    }
}

#[tokio::test]
async fn what_a_moderator_gave_stays_theirs_wherever_a_process_dies_at_an_upgrade() {
    for (method, path) in [("GET", MEMBER), ("PUT", ROLE)] {
        let world = World::start_without_bot().await;
        let club = world.club("kim").await;
        let first = Process::start(&world, "first", 1, 1).await;
        let ada = world.member(&club, "ada", "vip").await;
        first.stop().await;
        let more = world.sandbox.with(|discord| {
            discord.set_role(club.guild, ada, club.gold, true);
            let more = NewRole { name: "more".into(), position: 1, ..NewRole::default() };
            discord.add_role(club.guild, more).unwrap()
        });
        world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
        world.attach(&club, "vip", &[club.vip, club.gold, more]).await;
        world.dies_at(method, path).await;
        let next = Process::start(&world, "next", 1, 1).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada).unwrap().len(), 3, "{method} {path}");
        world.attach(&club, "vip", &[club.vip]).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.gold, club.vip]), "{method} {path}");
        next.stop().await;
        world.prove().await;
    }
}

#[tokio::test]
async fn processes_on_one_token_keep_its_limit_together() {
    let world = World::start_without_bot().await;
    let (kim, eve) = (world.club("kim").await, world.club("eve").await);
    for n in 0..40 {
        let (fan, user) = (format!("fan{n}"), world.user(&format!("fan{n}")));
        for club in [&kim, &eve] {
            let body = json!({
                "fan": fan, "creator": club.creator, "tier": "vip", "status": "active", "version": 1,
            });
            world.put(&format!("/v1/memberships/{fan}-{}", club.creator), body).await.ok();
        }
        world.links(&fan, user).await.is(200);
    }
    // Nothing but the limit of all calls together stands in the way.
    let wide = Limit { calls: 1_000, per_ms: 1_000 };
    let global = Limit { calls: 50, per_ms: 1_000 };
    let limits =
        Limits { member_roles: wide, members: wide, other: wide, global, ..Limits::default() };
    world.sandbox.set_limits(limits);
    world.sandbox.forget_calls();
    let (first, second) =
        (Process::start(&world, "a", 2, 1).await, Process::start(&world, "b", 2, 1).await);
    world.settle().await;
    let calls = world.sandbox.calls();
    assert!(calls.len() >= 160, "two calls for each of 80: {}", calls.len());
    assert!(calls.iter().all(|call| call.status < 400));
    first.stop().await;
    second.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn a_share_of_the_calls_is_given_up_before_it_is_another_s() {
    let world = World::start_without_bot().await;
    let key = world.key_of("bot").await;
    let ask = async |bot: &str, using: u32, wanted: u32| {
        let body = json!({ "bot": bot, "using": using, "wanted": wanted, "refused": 0 });
        let share = world.send(world.request_as(&key, Method::POST, "/v1/bot/share").json(&body));
        let share = share.await.ok();
        assert_eq!(share["for_seconds"], 15);
        share["calls_per_second"].as_u64().unwrap()
    };
    // The hub's own process gives up what it kept ready, as soon as it hears that somebody has work.
    let mut busy = ask("busy", 0, 500).await;
    while busy < 50 {
        tokio::task::yield_now().await;
        busy = ask("busy", u32::try_from(busy).unwrap(), 500).await;
    }
    assert_eq!(ask("late", 0, 500).await, 0);
    assert_eq!(ask("busy", 50, 500).await, 25);
    assert_eq!(ask("late", 0, 500).await, 0, "the other may still be using it");
    assert_eq!(ask("busy", 25, 500).await, 25);
    assert_eq!(ask("late", 0, 500).await, 25);
    // One that dies gives its share back by not asking again.
    world.clock.advance(chrono::TimeDelta::seconds(16));
    assert!(ask("late", 25, 500).await > 40);
    let body = json!({ "bot": "", "using": -1, "refused": 0 });
    let wrong = world.request_as(&key, Method::POST, "/v1/bot/share").json(&body);
    world.send(wrong).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn refusals_of_all_processes_count_together() {
    let world = World::start_without_bot().await;
    let key = world.key_of("bot").await;
    let ask = async |bot: &str, refused: u32| {
        let body = json!({ "bot": bot, "using": 0, "wanted": 1, "refused": refused });
        let share = world.send(world.request_as(&key, Method::POST, "/v1/bot/share").json(&body));
        share.await.ok()["calls_per_second"].as_u64().unwrap()
    };
    assert!(ask("a", 2_500).await > 0);
    assert_eq!(ask("b", 2_500).await, 0, "half of what Discord blocks an address for");
    assert_eq!(ask("a", 0).await, 0);
    world.clock.advance(chrono::TimeDelta::minutes(12));
    assert!(ask("a", 0).await > 0);
}

/// A hub whose fan ada is to be brought in, and waits for a bot that does it.
async fn with_work_for_a_bot() -> (World, Club) {
    let world = World::start_without_bot().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.get("/v1/fans/ada/link").await.ok();
    (world, club)
}

/// A program named `mine` takes all servers; answers the epoch of its lease.
async fn takes_the_only_shard(world: &World, key: &str) -> u64 {
    let leases = world.request_as(key, Method::POST, "/v1/bot/leases");
    let asked = leases.json(&json!({ "bot": "mine", "of": 1, "want": 1 }));
    world.send(asked).await.ok()["data"][0]["epoch"].as_u64().unwrap()
}

#[tokio::test]
async fn a_program_in_any_language_can_be_the_bot() {
    let (world, club) = with_work_for_a_bot().await;
    let key = world.key_of("bot").await;
    let post =
        |path: &str, body| world.send(world.request_as(&key, Method::POST, path).json(&body));
    let epoch = takes_the_only_shard(&world, &key).await;
    let command = first_command(&world, &key).await;
    let id = command["id"].as_str().unwrap().to_owned();
    assert_eq!(command["desired"], json!({ "present": true, "roles": [club.vip.to_string()] }));

    let (start, outcome) =
        (format!("/v1/bot/commands/{id}/start"), format!("/v1/bot/commands/{id}/outcome"));
    post(&start, json!({ "epoch": epoch + 1 })).await.problem(409, "lease_lost");
    let other = world.key_of("bot").await;
    let stolen = world.request_as(&other, Method::POST, &start).json(&json!({ "epoch": epoch }));
    world.send(stolen).await.problem(409, "lease_lost");
    let started = post(&start, json!({ "epoch": epoch })).await.ok();
    assert!(started["access_token"].is_string());
    assert_eq!(started["give"], json!([club.vip.to_string()]));
    // Were the join answered 204, the member would be looked at, and what they have from elsewhere would stay theirs.
    let long_ago = json!({ "joined_at": "2020-01-01T00:00:00Z", "roles": [club.vip.to_string()] });
    let seen = post(&start, json!({ "epoch": epoch, "seen": long_ago })).await.ok();
    assert_eq!(
        (&seen["give"], &seen["known"]["kept"], &seen["known"]["brought_in"]),
        (&json!([]), &json!([club.vip.to_string()]), &json!(false))
    );

    // It is refused a role that the server's roles show nothing against: that is looked into, and tried again.
    let old = json!({ "epoch": epoch, "result": "refused", "code": "role_above_bot", "role": club.vip.to_string() });
    assert_eq!(post(&outcome, old).await.ok()["again"], true);
    assert_eq!(world.status(&club, "ada").await.0, "pending");

    // It says that it is done and shows too little: the command stays open.
    let half = json!({ "epoch": epoch, "result": "done", "observed": { "present": true, "brought_in": true, "given": [] } });
    assert_eq!(post(&outcome, half).await.ok()["again"], true);
    assert_eq!(world.status(&club, "ada").await.0, "pending");
    let observed = json!({ "present": true, "brought_in": true, "given": [club.vip.to_string()] });
    let done = json!({ "epoch": epoch, "result": "done", "observed": observed });
    let first = post(&outcome, done.clone()).await.ok();
    assert_eq!(first["again"], false);
    assert_eq!(post(&outcome, done).await.ok(), first);
    assert_eq!(world.status(&club, "ada").await.0, "connected");
    // It cannot say the opposite afterwards.
    let opposite = json!({ "epoch": epoch, "result": "refused", "code": "banned" });
    post(&outcome, opposite).await.problem(409, "superseded");
    post(&start, json!({ "epoch": epoch })).await.problem(409, "superseded");

    let renewed = post("/v1/bot/leases/renew", json!({ "bot": "mine", "epoch": epoch })).await.ok();
    assert_eq!(renewed["epoch"], epoch);
    let faulty = async |of: u64, want: u64| {
        let body = json!({ "bot": "other", "of": of, "want": want });
        let problem = post("/v1/bot/leases", body).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
        problem["errors"][0]["field"].as_str().unwrap().to_owned()
    };
    assert_eq!((faulty(0, 1).await, faulty(1, 0).await), ("of".to_owned(), "want".to_owned()));
    post("/v1/bot/leases", json!({ "bot": "other", "of": 2, "want": 1 }))
        .await
        .problem(409, "other_shards");
    assert_eq!(
        post("/v1/bot/leases/release", json!({ "bot": "mine", "epoch": epoch })).await.ok()["released"],
        true
    );
    post("/v1/bot/leases/renew", json!({ "bot": "mine", "epoch": epoch }))
        .await
        .problem(409, "lease_lost");
    world.prove().await;
}

#[tokio::test]
async fn a_refusal_that_says_nothing_more_settles_nothing() {
    let (world, club) = with_work_for_a_bot().await;
    let key = world.key_of("bot").await;
    let post =
        |path: &str, body| world.send(world.request_as(&key, Method::POST, path).json(&body));
    let epoch = takes_the_only_shard(&world, &key).await;
    let command = first_command(&world, &key).await;
    let id = command["id"].as_str().unwrap();
    let start = json!({ "epoch": epoch });
    post(&format!("/v1/bot/commands/{id}/start"), start).await.is(200);
    let refused = json!({ "epoch": epoch, "result": "refused", "code": "30001" });
    post(&format!("/v1/bot/commands/{id}/outcome"), refused).await.is(200);
    let row = world.get(&format!("{}/fans", club.path())).await.ok()["data"][0].clone();
    assert_eq!(row["reason"]["code"], "server_limit_reached");
    assert_eq!(row["observed"]["roles"], json!([]), "nothing was given");
    world.prove().await;
}

/// The first command that the stream tells.
pub(crate) async fn first_command(world: &World, key: &str) -> serde_json::Value {
    let mut stream =
        world.request_as(key, Method::GET, "/v1/bot/commands?of=1").send().await.unwrap();
    let mut text = String::new();
    while let Some(part) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&part).unwrap());
        if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: "))
            && text.contains("\n\n")
        {
            return serde_json::from_str(data).unwrap();
        }
    }
    panic!("the stream ended: {text}");
}
