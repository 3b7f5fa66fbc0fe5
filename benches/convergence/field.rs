//! The field: a sandbox, a hub and its bots as processes of their own, servers, and fans who have connected Discord.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use discord_sandbox::{Choice, Config, Limits, NewGuild, NewRole, Sandbox};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::limits::CALLS_PER_SECOND;

/// How many requests are made together.
const TOGETHER: usize = 48;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) servers: usize,
    pub(crate) fans: usize,
}

/// A server, its role, and who buys access to it.
#[derive(Debug, Clone)]
pub(crate) struct Club {
    pub(crate) creator: String,
    pub(crate) integration: String,
    pub(crate) guild: u64,
    pub(crate) role: u64,
    /// Numbers of fans.
    pub(crate) fans: Vec<usize>,
}

pub(crate) struct Field {
    pub(crate) sandbox: Sandbox,
    pub(crate) clubs: Vec<Club>,
    /// The one in which everybody is.
    pub(crate) large: Club,
    /// The fans' accounts.
    pub(crate) users: Vec<u64>,
    http: reqwest::Client,
    url: String,
    key: String,
    bot_key: String,
    hub: Option<Child>,
    bots: Vec<Child>,
    folder: TempDir,
    version: AtomicU64,
}

fn command(sandbox: &Sandbox, folder: &TempDir, arguments: &[&str]) -> Command {
    let application = sandbox.application();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hub"));
    command
        .args(arguments)
        .env("HUB_LOG", "warn")
        .env("HUB_DATA", folder.path().join("data"))
        .env("HUB_DISCORD_API_URL", sandbox.base_url())
        .env("HUB_DISCORD_AUTHORIZE_URL", sandbox.authorize_url())
        .env("HUB_DISCORD_GATEWAY_URL", sandbox.gateway_url())
        .env("HUB_DISCORD_CLIENT_ID", &application.client_id)
        .env("HUB_DISCORD_CLIENT_SECRET", &application.client_secret)
        .env("HUB_DISCORD_BOT_TOKEN", &application.bot_token)
        .env("HUB_DISCORD_CALLS_PER_SECOND", CALLS_PER_SECOND.to_string())
        .kill_on_drop(true);
    command
}

async fn key(sandbox: &Sandbox, folder: &TempDir, role: &str) -> String {
    let said =
        command(sandbox, folder, &["keys", "create", "--role", role]).output().await.unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

impl Field {
    /// Everything is connected, nobody has bought anything, and no bot works.
    pub(crate) async fn start(size: Size) -> Self {
        let sandbox =
            Sandbox::start(Config { limits: Limits::off(), ..Config::default() }).await.unwrap();
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (platform, bot_key) =
            (key(&sandbox, &folder, "platform").await, key(&sandbox, &folder, "bot").await);
        let nobody = Club {
            creator: String::new(),
            integration: String::new(),
            guild: 0,
            role: 0,
            fans: vec![],
        };
        let mut field = Self {
            sandbox,
            clubs: vec![],
            large: nobody,
            users: vec![],
            http: bot::http::client("bench").unwrap(),
            url: String::new(),
            key: platform,
            bot_key,
            hub: None,
            bots: vec![],
            folder,
            version: AtomicU64::new(0),
        };
        field.serve(&["--want", "0"]).await;
        field.large = field.club("large", (0..size.fans).collect()).await;
        for n in 0..size.servers {
            let fans = (0..size.fans).filter(|fan| fan % size.servers == n).collect();
            let club = field.club(&format!("kim{n}"), fans).await;
            field.clubs.push(club);
        }
        field.users = field.sandbox.with(|world| {
            (0..size.fans).map(|n| world.add_user(None, &format!("fan{n}"))).collect()
        });
        let linking = stream::iter(0..size.fans);
        linking.for_each_concurrent(TOGETHER, |fan| field.link(fan)).await;
        field
    }

    async fn serve(&mut self, arguments: &[&str]) {
        self.end_all().await;
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut hub = command(&self.sandbox, &self.folder, &arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(hub.stdout.take().unwrap()).lines();
        let said = lines.next_line().await.unwrap().unwrap();
        said.strip_prefix("hub is listening on ").unwrap().clone_into(&mut self.url);
        self.hub = Some(hub);
    }

    /// Starts the hub anew with so many bot processes, its own among them, and waits until all hold their shards.
    pub(crate) async fn work(&mut self, processes: u32) {
        self.sandbox.set_limits(Limits::off());
        let (of, clubs) = (processes.to_string(), self.clubs.len() + 1);
        self.serve(&["--of", &of, "--want", "1"]).await;
        for _ in 1..processes {
            let arguments = ["bot", "--hub", &self.url, "--key", &self.bot_key, "--of", &of];
            let bot = command(&self.sandbox, &self.folder, &arguments)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            self.bots.push(bot);
        }
        // Each session looks at its servers once.
        let mut calls = usize::MAX;
        while self.sandbox.gateway_sessions() < processes as usize
            || calls != self.sandbox.calls().len()
        {
            calls = self.sandbox.calls().len();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        assert!(clubs > 0);
    }

    pub(crate) async fn end_all(&mut self) {
        for mut process in self.bots.drain(..).chain(self.hub.take()) {
            process.kill().await.unwrap();
        }
        // Sessions of processes that are gone.
        self.sandbox.cut_gateway(false);
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request =
            self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        let answer = request.json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn authorize(&self, asked: &Value, choice: &Choice) {
        let back = self.sandbox.consent(asked["authorize_url"].as_str().unwrap(), choice).unwrap();
        assert!(self.http.get(back).send().await.unwrap().status().is_success());
    }

    async fn club(&self, creator: &str, fans: Vec<usize>) -> Club {
        let (owner, guild, role) = self.sandbox.with(|world| {
            let owner = world.add_user(None, creator);
            let gold = NewRole { name: "gold".into(), position: 1, ..NewRole::default() };
            let guild = world.add_guild(NewGuild {
                name: creator.into(),
                owner,
                roles: vec![gold],
                ..NewGuild::default()
            });
            let roles = &world.guild(guild).unwrap().roles;
            (owner, guild, roles.values().find(|role| role.name == "gold").unwrap().id)
        });
        let tier = format!("/v1/creators/{creator}/tiers/gold");
        self.call(Method::PUT, &tier, json!({ "name": "Gold" })).await;
        let body = json!({ "provider": "discord", "name": "Club" });
        let made =
            self.call(Method::POST, &format!("/v1/creators/{creator}/integrations"), body).await;
        let integration = made["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/integrations/{integration}");
        let asked = self.call(Method::POST, &format!("{path}/connect"), json!({})).await;
        let choice = Choice { user: owner, guild: Some(guild), ..Choice::default() };
        self.authorize(&asked, &choice).await;
        self.sandbox.with(|world| {
            let bot = world.bot_role(guild).unwrap();
            world.edit_role(guild, bot, |role| role.position = 9);
        });
        self.call(Method::POST, &format!("{path}/roles/refresh"), json!({})).await;
        let roles = json!({ "roles": [role.to_string()] });
        self.call(Method::PUT, &format!("{path}/memberships/gold"), roles).await;
        Club { creator: creator.to_owned(), integration, guild, role, fans }
    }

    async fn link(&self, fan: usize) {
        let asked = self.call(Method::POST, &format!("/v1/fans/fan{fan}/link"), json!({})).await;
        self.authorize(&asked, &Choice { user: self.users[fan], ..Choice::default() }).await;
    }

    fn membership(&self, club: &Club, fan: usize, status: &str) -> Value {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        json!({ "fan": format!("fan{fan}"), "creator": club.creator, "tier": "gold", "status": status, "version": version })
    }

    /// All fans of some servers buy access, in one import.
    pub(crate) async fn buy(&self, clubs: &[Club]) {
        let mut lines = String::new();
        for club in clubs {
            for fan in &club.fans {
                let mut line = self.membership(club, *fan, "active");
                line["membership"] = json!(format!("{}-{fan}", club.creator));
                lines.push_str(&line.to_string());
                lines.push('\n');
            }
        }
        let request = self
            .http
            .post(format!("{}/v1/memberships:import", self.url))
            .bearer_auth(&self.key)
            .header("content-type", "application/x-ndjson")
            .body(lines);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// All memberships end, each by itself, in one server after the other: what the limits allow in the first second is
    /// known of before it is over.
    pub(crate) async fn end(&self, clubs: &[Club]) {
        let most = clubs.iter().map(|club| club.fans.len()).max().unwrap_or_default();
        let all = (0..most)
            .flat_map(|n| clubs.iter().filter_map(move |club| Some((club, *club.fans.get(n)?))));
        stream::iter(all)
            .for_each_concurrent(TOGETHER, |(club, fan)| self.report(club, fan, "expired"))
            .await;
    }

    pub(crate) async fn report(&self, club: &Club, fan: usize, status: &str) {
        let body = self.membership(club, fan, status);
        self.call(Method::PUT, &format!("/v1/memberships/{}-{fan}", club.creator), body).await;
    }

    /// Whether Discord shows a fan in a server with the role.
    pub(crate) fn is_there(&self, club: &Club, fan: usize) -> bool {
        self.sandbox.with(|world| world.has_role(club.guild, self.users[fan], club.role))
    }

    /// Waits until Discord shows all fans of some servers with the role, or none of them any more.
    pub(crate) async fn until_all(&self, clubs: &[Club], there: bool) {
        for club in clubs {
            for fan in &club.fans {
                while self.is_there(club, *fan) != there {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// Waits until the hub knows it, too.
    pub(crate) async fn until_reported(&self, clubs: &[Club], there: bool) {
        for club in clubs {
            self.until_reported_of(club, if there { club.fans.len() } else { 0 }).await;
        }
    }

    pub(crate) async fn until_reported_of(&self, club: &Club, connected: usize) {
        let path = format!("/v1/integrations/{}", club.integration);
        loop {
            let fans = &self.call(Method::GET, &path, Value::Null).await["fans"];
            let count = |name: &str| {
                usize::try_from(fans[name].as_u64().unwrap_or_default()).unwrap_or(usize::MAX)
            };
            if count("connected") == connected && count("pending") == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Removes all fans by hand.
    pub(crate) fn empty(&self, clubs: &[Club]) {
        self.sandbox.with(|world| {
            for club in clubs {
                for fan in &club.fans {
                    world.remove_member(club.guild, self.users[*fan]);
                }
            }
        });
    }

    /// The highest resident memory of each process so far.
    pub(crate) fn memory(&self) -> String {
        let of = |process: &Child| {
            let path = format!("/proc/{}/status", process.id().unwrap());
            let status: HashMap<String, String> = std::fs::read_to_string(path)
                .unwrap()
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect();
            let kib: f64 = status["VmHWM"].trim_end_matches(" kB").parse().unwrap();
            format!("{:.0} MiB", kib / 1024.0)
        };
        let all: Vec<String> = self.hub.iter().chain(&self.bots).map(of).collect();
        all.join(", ")
    }
}
