//! A Discord that others wrote, simcord, as a second judge: the sandbox answers as it does, and the hub works with it.

use discord_sandbox::{Config, Limits, NewGuild, NewRole, Sandbox};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::{Club, World};

/// simcord behind a small HTTP skin of our own.
struct Simcord {
    _process: Child,
    url: String,
    http: reqwest::Client,
}

impl Simcord {
    async fn start() -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut process = Command::new(format!("{root}/target/oracles/simcord/bin/python"))
            .arg(format!("{root}/tests/oracles/simcord_skin.py"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("simcord is missing; run tests/run.sh, which fetches it");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().expect("simcord did not start");
        let http = bot::http::client("DiscordBot (http://localhost, 1)").unwrap();
        Self { _process: process, url: format!("http://127.0.0.1:{port}"), http }
    }

    /// Moves the world by hand.
    async fn skin(&self, what: &str, with: Value) -> Value {
        let request = self.http.post(format!("{}/skin/{what}", self.url)).json(&with);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{what} {with}");
        answer.json().await.unwrap()
    }

    async fn id(&self, what: &str, with: Value) -> u64 {
        self.skin(what, with).await["id"].as_str().unwrap().parse().unwrap()
    }

    /// A server with the roles of a club, the bot above them, that nobody knows.
    async fn server(&self) -> (u64, u64, u64, u64, u64) {
        let made = self.skin("guild", json!({ "name": "Club" })).await;
        let number = |name: &str| made[name].as_str().unwrap().parse::<u64>().unwrap();
        let (guild, owner, bot_role) = (number("guild"), number("owner"), number("bot_role"));
        let role = async |name: &str, position: i64| {
            let with = json!({ "guild": guild.to_string(), "name": name, "position": position });
            self.id("role", with).await
        };
        let (gold, vip) = (role("gold", 1).await, role("vip", 2).await);
        self.moves_bot(guild, bot_role, 100).await;
        (guild, owner, bot_role, gold, vip)
    }

    async fn moves_bot(&self, guild: u64, bot_role: u64, position: i64) {
        self.edit(guild, bot_role, json!({ "position": position })).await;
    }

    async fn edit(&self, guild: u64, role: u64, mut with: Value) {
        with["guild"] = json!(guild.to_string());
        with["role"] = json!(role.to_string());
        self.skin("edit_role", with).await;
    }

    /// The roles of a member; `None` for who is none.
    async fn roles(&self, guild: u64, user: u64) -> Option<Vec<String>> {
        let url = format!("{}/api/v10/guilds/{guild}/members/{user}", self.url);
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status() == StatusCode::OK).then_some(())?;
        let member: Value = answer.json().await.unwrap();
        serde_json::from_value(member["roles"].clone()).unwrap()
    }
}

/// The same people and roles in the sandbox and in simcord.
#[derive(Debug, Clone, Copy)]
struct Cast {
    guild: u64,
    low: u64,
    high: u64,
    older: u64,
    younger: u64,
    managed: u64,
    ada: u64,
    staff: u64,
    stranger: u64,
    owner: u64,
}

const BOT: i64 = 5;

async fn in_simcord(simcord: &Simcord) -> (Cast, u64) {
    let made = simcord.skin("guild", json!({ "name": "Club" })).await;
    let number = |name: &str| made[name].as_str().unwrap().parse::<u64>().unwrap();
    let (guild, owner, bot_role) = (number("guild"), number("owner"), number("bot_role"));
    simcord.moves_bot(guild, bot_role, BOT).await;
    let role = async |id: Option<u64>, position: i64, managed: bool| {
        let id = id.map(|id| id.to_string());
        let with = json!({ "guild": guild.to_string(), "id": id, "name": "r", "position": position, "managed": managed });
        simcord.id("role", with).await
    };
    let user = async |roles: Vec<u64>| {
        let id = simcord.id("user", json!({ "name": "somebody" })).await;
        let roles: Vec<_> = roles.iter().map(u64::to_string).collect();
        let with = json!({ "guild": guild.to_string(), "user": id.to_string(), "roles": roles });
        simcord.skin("member", with).await;
        id
    };
    let high = role(None, 9, false).await;
    let cast = Cast {
        guild,
        low: role(None, 1, false).await,
        high,
        older: role(Some(bot_role - 1_000_000), BOT, false).await,
        younger: role(None, BOT, false).await,
        managed: role(None, 2, true).await,
        ada: user(vec![]).await,
        staff: user(vec![high]).await,
        stranger: simcord.id("user", json!({ "name": "stranger" })).await,
        owner,
    };
    (cast, bot_role)
}

fn in_sandbox(sandbox: &Sandbox) -> (Cast, u64) {
    sandbox.with(|world| {
        let owner = world.add_user(None, "owner");
        let guild = world.add_guild(NewGuild { name: "Club".into(), owner, ..NewGuild::default() });
        world.add_bot(guild, 268_435_459);
        let bot_role = world.bot_role(guild).unwrap();
        world.edit_role(guild, bot_role, |role| role.position = BOT);
        let mut role = |id: Option<u64>, position, managed| {
            let new = NewRole { id, name: "r".into(), position, managed, ..NewRole::default() };
            world.add_role(guild, new).unwrap()
        };
        let (low, high) = (role(None, 1, false), role(None, 9, false));
        let older = role(Some(bot_role - 1_000_000), BOT, false);
        let (younger, managed) = (role(None, BOT, false), role(None, 2, true));
        let (ada, staff) = (world.add_user(None, "ada"), world.add_user(None, "staff"));
        let stranger = world.add_user(None, "stranger");
        world.add_member(guild, ada);
        world.add_member(guild, staff);
        world.set_role(guild, staff, high, true);
        let cast = Cast { guild, low, high, older, younger, managed, ada, staff, stranger, owner };
        (cast, bot_role)
    })
}

/// The status and Discord's error code of a call.
async fn said(
    http: &reqwest::Client,
    base: &str,
    method: &Method,
    path: &str,
) -> (u16, Option<u64>) {
    let request = http.request(method.clone(), format!("{base}/api/v10{path}"));
    let answer = request.header("authorization", "Bot sandbox-bot-token").send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    (status, body["code"].as_u64().filter(|_| status >= 400))
}

/// A path of Discord's API, for somebody of the cast.
type Path = fn(&Cast) -> String;

#[tokio::test]
async fn the_sandbox_answers_as_simcord_does_and_every_difference_has_a_reason() {
    let simcord = Simcord::start().await;
    let sandbox =
        Sandbox::start(Config { limits: Limits::off(), ..Config::default() }).await.unwrap();
    let (theirs, their_bot) = in_simcord(&simcord).await;
    let (ours, our_bot) = in_sandbox(&sandbox);
    let base = sandbox.base_url();
    let calls: Vec<(Method, Path, Option<&str>)> = vec![
        (Method::GET, |c| format!("/guilds/{}/members/{}", c.guild, c.ada), None),
        (Method::GET, |c| format!("/guilds/{}/members/{}", c.guild, c.stranger), None),
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.low), None),
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.low), None),
        (
            Method::DELETE,
            |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.low),
            None,
        ),
        (
            Method::DELETE,
            |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.low),
            None,
        ),
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.high), None),
        (
            Method::DELETE,
            |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.staff, c.high),
            None,
        ),
        // Only the role's own rank counts, not that of whoever gets it.
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.staff, c.low), None),
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.owner, c.low), None),
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/123", c.guild, c.ada), None),
        (
            Method::PUT,
            |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.stranger, c.low),
            None,
        ),
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.older), None),
        (
            Method::PUT,
            |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.younger),
            Some(
                "simcord compares positions alone; Discord ranks the lower id higher at the same position",
            ),
        ),
        (
            Method::PUT,
            |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.managed),
            Some("simcord lets roles be given that belong to another app; Discord does not"),
        ),
        (
            Method::PUT,
            |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.guild),
            Some("simcord lets @everyone be given; Discord does not know it as a role to give"),
        ),
        (Method::DELETE, |c| format!("/guilds/{}/members/{}", c.guild, c.owner), None),
        (Method::DELETE, |c| format!("/guilds/{}/members/{}", c.guild, c.staff), None),
        (Method::DELETE, |c| format!("/guilds/{}/members/{}", c.guild, c.ada), None),
        (Method::DELETE, |c| format!("/guilds/{}/members/{}", c.guild, c.ada), None),
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.ada, c.low), None),
        (Method::GET, |c| format!("/guilds/{}/roles", c.guild), None),
    ];
    for (method, path, why) in calls {
        let answers = (
            said(&simcord.http, &base, &method, &path(&ours)).await,
            said(&simcord.http, &simcord.url, &method, &path(&theirs)).await,
        );
        assert_eq!(answers.0 != answers.1, why.is_some(), "{method} {}: {answers:?}", path(&ours));
    }
    // Without the permissions nothing of it is allowed.
    simcord.edit(theirs.guild, their_bot, json!({ "permissions": 1 })).await;
    sandbox.with(|world| world.edit_role(ours.guild, our_bot, |role| role.permissions = 1));
    let paths: [(Method, Path); 3] = [
        (Method::PUT, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.staff, c.low)),
        (Method::DELETE, |c| format!("/guilds/{}/members/{}/roles/{}", c.guild, c.staff, c.low)),
        (Method::DELETE, |c| format!("/guilds/{}/members/{}", c.guild, c.staff)),
    ];
    for (method, path) in paths {
        let refused = (403, Some(50013));
        assert_eq!(said(&simcord.http, &base, &method, &path(&ours)).await, refused);
        assert_eq!(said(&simcord.http, &simcord.url, &method, &path(&theirs)).await, refused);
    }
    simcord.skin("bot_leaves", json!({ "guild": theirs.guild.to_string() })).await;
    sandbox.with(|world| world.remove_member(ours.guild, sandbox.application().bot_user));
    let gone = (404, Some(10004));
    for (base, cast) in [(&base, ours), (&simcord.url, theirs)] {
        let path = format!("/guilds/{}", cast.guild);
        assert_eq!(said(&simcord.http, base, &Method::GET, &path).await, gone);
    }
}

/// Comes back from Discord with a code that names whom it is for.
async fn comes_back(world: &World, asked: Value, code: String) {
    let url = reqwest::Url::parse(asked["authorize_url"].as_str().unwrap()).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let path = format!("/oauth/discord/callback?code={code}&state={state}");
    world.send(world.bare(Method::GET, &path)).await.is(200);
}

#[tokio::test]
async fn the_main_job_and_its_refusals_are_the_same_where_discord_is_somebody_else_s() {
    let simcord = Simcord::start().await;
    let world = World::start_elsewhere(&simcord.url).await;
    for tier in ["vip", "gold"] {
        world.tier("kim", tier).await;
    }
    let (guild, owner, bot_role, gold, vip) = simcord.server().await;
    let integration = world.integration("kim").await;
    let club = Club { creator: "kim".to_owned(), integration, owner, guild, vip, gold };
    let asked = world.post(&format!("{}/connect", club.path()), json!({})).await.ok();
    comes_back(&world, asked, format!("guild:{guild}:{owner}")).await;
    world.attach(&club, "vip", &[vip]).await;
    world.attach(&club, "gold", &[vip, gold]).await;

    let buys = async |fan: &str, tier: &str| {
        let user = simcord.id("user", json!({ "name": fan })).await;
        world.reports(&club, fan, tier, "active", 1).await;
        let asked = world.post(&format!("/v1/fans/{fan}/link"), json!({})).await.ok();
        comes_back(&world, asked, format!("user:{user}")).await;
        world.settle().await;
        user
    };
    let ada = buys("ada", "gold").await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    assert_eq!(simcord.roles(guild, ada).await.unwrap().len(), 2);
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.settle().await;
    assert_eq!(simcord.roles(guild, ada).await, None);
    assert_eq!(world.status(&club, "ada").await.0, "revoked");

    // Who was there before stays, without what the hub gave.
    let ben = simcord.id("user", json!({ "name": "ben" })).await;
    world.clock.advance(chrono::TimeDelta::seconds(-300));
    let there = json!({ "guild": guild.to_string(), "user": ben.to_string() });
    simcord.skin("member", there).await;
    world.clock.advance(chrono::TimeDelta::seconds(600));
    world.reports(&club, "ben", "vip", "active", 1).await;
    let asked = world.post("/v1/fans/ben/link", json!({})).await.ok();
    comes_back(&world, asked, format!("user:{ben}")).await;
    world.settle().await;
    assert_eq!(simcord.roles(guild, ben).await, Some(vec![vip.to_string()]));
    world.reports(&club, "ben", "vip", "refunded", 2).await;
    world.settle().await;
    assert_eq!(simcord.roles(guild, ben).await, Some(vec![]));

    // A role that moved above the bot: told, and mended.
    let cyd = buys("cyd", "vip").await;
    simcord.edit(guild, vip, json!({ "position": 500 })).await;
    let dan = buys("dan", "vip").await;
    assert_eq!(world.status(&club, "dan").await, ("blocked".into(), Some("role_above_bot".into())));
    world.reports(&club, "cyd", "vip", "expired", 2).await;
    world.settle().await;
    assert!(simcord.roles(guild, cyd).await.is_some(), "she stands above the bot now");
    assert_eq!(
        world.status(&club, "cyd").await,
        ("revoke_blocked".into(), Some("fan_above_bot".into()))
    );
    simcord.moves_bot(guild, bot_role, 900).await;
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
    world.settle().await;
    assert_eq!(simcord.roles(guild, cyd).await, None);
    assert_eq!(simcord.roles(guild, dan).await, Some(vec![vip.to_string()]));

    // A role that is deleted, and a bot that is thrown out.
    let role = json!({ "guild": guild.to_string(), "role": gold.to_string() });
    simcord.skin("delete_role", role).await;
    buys("eve", "gold").await;
    assert_eq!(world.status(&club, "eve").await, ("blocked".into(), Some("role_deleted".into())));
    simcord.skin("bot_leaves", json!({ "guild": guild.to_string() })).await;
    world.reports(&club, "dan", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(
        world.status(&club, "dan").await,
        ("revoke_blocked".into(), Some("bot_missing".into()))
    );
    world.prove().await;
}
