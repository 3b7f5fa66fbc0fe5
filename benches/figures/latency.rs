//! From a reported membership to the accepted call on Discord, on an idle system; and memory at rest.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use discord_sandbox::{Choice, Config, Limits, NewGuild, NewRole, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::table::{heading, line, ms, percentile};

const CHANGES: u64 = 400;

struct Bench {
    sandbox: Sandbox,
    http: reqwest::Client,
    url: String,
    key: String,
    process: Child,
    _folder: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let sandbox =
            Sandbox::start(Config { limits: Limits::off(), ..Config::default() }).await.unwrap();
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let application = sandbox.application().clone();
        let command = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_hub"));
            command
                .args(arguments)
                .env("HUB_LOG", "warn")
                .env("HUB_DATA", folder.path().join("data"))
                .env("HUB_DISCORD_API_URL", sandbox.base_url())
                .env("HUB_DISCORD_AUTHORIZE_URL", sandbox.authorize_url())
                .env("HUB_DISCORD_CLIENT_ID", &application.client_id)
                .env("HUB_DISCORD_CLIENT_SECRET", &application.client_secret)
                .env("HUB_DISCORD_BOT_TOKEN", &application.bot_token)
                .kill_on_drop(true);
            command
        };
        let key = command(&["keys", "create", "--role", "platform"]).output().await.unwrap().stdout;
        let mut process =
            command(&["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = lines.next_line().await.unwrap().unwrap();
        let url = said.strip_prefix("hub is listening on ").unwrap().to_owned();
        let http = bot::http::client("bench").unwrap();
        Self {
            sandbox,
            http,
            url,
            key: String::from_utf8(key).unwrap().trim().to_owned(),
            process,
            _folder: folder,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    async fn authorize(&self, asked: &Value, choice: &Choice) {
        let back = self.sandbox.consent(asked["authorize_url"].as_str().unwrap(), choice).unwrap();
        assert!(self.http.get(back).send().await.unwrap().status().is_success());
    }

    async fn reports(&self, status: &str, version: u64) {
        let body = json!({ "fan": "ada", "creator": "kim", "tier": "gold", "status": status, "version": version });
        self.call(Method::PUT, "/v1/memberships/m", body).await;
    }

    /// Resident memory of the process, in MiB.
    fn memory(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap()))
                .unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

pub(crate) async fn run() {
    let bench = Bench::start().await;
    bench.call(Method::PUT, "/v1/creators/kim/tiers/gold", json!({ "name": "Gold" })).await;
    let at_rest = bench.memory();
    let (kim, ada, guild, role) = bench.sandbox.with(|world| {
        let (kim, ada) = (world.add_user(None, "kim"), world.add_user(None, "ada"));
        let gold = NewRole { name: "gold".into(), position: 1, ..NewRole::default() };
        let guild = world.add_guild(NewGuild {
            name: "Club".into(),
            owner: kim,
            roles: vec![gold],
            ..NewGuild::default()
        });
        let role =
            world.guild(guild).unwrap().roles.values().find(|role| role.name == "gold").unwrap().id;
        // She is in the server already, so that each change is one call.
        world.add_member(guild, ada);
        (kim, ada, guild, role)
    });
    let made = bench
        .call(
            Method::POST,
            "/v1/creators/kim/integrations",
            json!({ "provider": "discord", "name": "Club" }),
        )
        .await;
    let path = format!("/v1/integrations/{}", made["id"].as_str().unwrap());
    let asked = bench.call(Method::POST, &format!("{path}/connect"), json!({})).await;
    bench.authorize(&asked, &Choice { user: kim, guild: Some(guild), ..Choice::default() }).await;
    bench.sandbox.with(|world| {
        let bot = world.bot_role(guild).unwrap();
        world.edit_role(guild, bot, |role| role.position = 9);
    });
    bench.call(Method::POST, &format!("{path}/roles/refresh"), json!({})).await;
    bench.call(Method::PATCH, &path, json!({ "on_end": "roles_only" })).await;
    bench
        .call(
            Method::PUT,
            &format!("{path}/memberships/gold"),
            json!({ "roles": [role.to_string()] }),
        )
        .await;
    let asked = bench.call(Method::POST, "/v1/fans/ada/link", json!({})).await;
    bench.authorize(&asked, &Choice { user: ada, ..Choice::default() }).await;

    let (mut took, mut answered) = (vec![], vec![]);
    for version in 0..CHANGES {
        let wanted = version % 2 == 0;
        // Well under Discord's limit for all calls of a bot together, which the hub keeps to.
        tokio::time::sleep(Duration::from_millis(40)).await;
        let began = Instant::now();
        bench.reports(if wanted { "active" } else { "paused" }, version).await;
        answered.push(began.elapsed());
        while bench.sandbox.with(|world| world.has_role(guild, ada, role)) != wanted {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        took.push(began.elapsed());
        // Until the report of the bot is in: the next change begins on an idle system.
        let status = if wanted { "connected" } else { "revoked" };
        loop {
            let shown = bench
                .http
                .get(format!("{}/v1/fans/ada/integrations", bench.url))
                .bearer_auth(&bench.key);
            let shown: Value = shown.send().await.unwrap().json().await.unwrap();
            if shown["data"][0]["integrations"][0]["status"] == status {
                break;
            }
        }
    }
    let took = &mut took[20..];
    heading("A reported membership, on an idle system");
    let both = |of: &mut [Duration]| {
        format!("{:.1} ms, {:.1} ms", ms(percentile(of, 50)), ms(percentile(of, 99)))
    };
    line("PUT answered, durable: p50, p99", &both(&mut answered[20..]), "");
    line("accepted call on Discord: p50, p99", &both(took), "");
    line("memory at rest", &format!("{at_rest:.0} MiB"), "");
    line("memory after the run", &format!("{:.0} MiB", bench.memory()), "");
}
