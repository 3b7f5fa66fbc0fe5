//! A `hub serve` process, and the platform that works with it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use discord_sandbox::{Choice, Config, Limits, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How long anything may take before a test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_hub")
}

/// A sandbox, a data folder, and the process that serves it, when there is one.
pub(crate) struct Hub {
    pub(crate) sandbox: Sandbox,
    _folder: TempDir,
    data: PathBuf,
    process: Option<Child>,
    url: String,
    http: reqwest::Client,
    key: String,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let sandbox =
            Sandbox::start(Config { limits: Limits::off(), ..Config::default() }).await.unwrap();
        let folder = TempDir::new().unwrap();
        let mut hub = Self {
            sandbox,
            data: folder.path().join("data"),
            _folder: folder,
            process: None,
            url: String::new(),
            http: bot::http::client("test").unwrap(),
            key: String::new(),
        };
        let made = hub.run(&["keys", "create", "--role", "platform"]).await;
        hub.key = made.trim().to_owned();
        hub.serve().await;
        hub
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Goes on in another folder, to which everything is copied.
    pub(crate) fn move_to(&mut self, data: &Path) {
        for (from, to) in
            [(self.data.clone(), data.to_owned()), (self.data.join("views"), data.join("views"))]
        {
            std::fs::create_dir_all(&to).unwrap();
            for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
        data.clone_into(&mut self.data);
    }

    /// A command of the binary with the sandbox as its Discord.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(&self.sandbox, &self.data(), arguments)
    }

    /// Runs a command that ends by itself and succeeds; answers what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "hub {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the process, and waits until it listens.
    pub(crate) async fn serve(&mut self) {
        self.serve_with(self.command(&["serve", "--listen", "127.0.0.1:0"])).await;
    }

    /// Starts the process with another command line.
    pub(crate) async fn serve_with(&mut self, mut command: Command) {
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .expect("hub serve says where it listens");
        line.strip_prefix("hub is listening on ").unwrap().clone_into(&mut self.url);
        self.process = Some(process);
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// SIGKILL, now.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().await.unwrap();
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let mut process = self.process.take().unwrap();
        timeout(PATIENCE, process.wait()).await.unwrap().unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    /// Sends a request that is safe to repeat until it is answered with success.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let send = async {
            loop {
                let request = self.request(method.clone(), path);
                let request = if body.is_null() { request } else { request.json(&body) };
                if let Ok(answer) = request.send().await {
                    let status = answer.status();
                    let text = answer.text().await.unwrap_or_default();
                    if status.is_success() {
                        return serde_json::from_str(&text).unwrap_or_default();
                    }
                    assert!(status.is_server_error(), "{method} {path}: {status} {text}");
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, send).await.unwrap_or_else(|_| panic!("{method} {path} is not answered"))
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        self.call(Method::PUT, path, body).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await
    }

    /// Goes to Discord and back as somebody's browser.
    pub(crate) async fn authorize(&self, asked: &Value, choice: &Choice) {
        let back = self.sandbox.consent(asked["authorize_url"].as_str().unwrap(), choice).unwrap();
        let answer = self.http.get(back).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// A server of a new user, connected for the creator `kim`, with the tier `gold` on its role.
    pub(crate) async fn club(&self) -> (u64, u64) {
        let (kim, guild, role) = self.sandbox.with(|world| {
            let kim = world.add_user(None, "kim");
            let gold =
                discord_sandbox::NewRole { name: "gold".into(), position: 1, ..Default::default() };
            let club = discord_sandbox::NewGuild {
                name: "Club".into(),
                owner: kim,
                roles: vec![gold],
                ..Default::default()
            };
            let guild = world.add_guild(club);
            let role = world
                .guild(guild)
                .unwrap()
                .roles
                .values()
                .find(|role| role.name == "gold")
                .unwrap()
                .id;
            (kim, guild, role)
        });
        self.put("/v1/creators/kim/tiers/gold", json!({ "name": "Gold" })).await;
        let made = self
            .post("/v1/creators/kim/integrations", json!({ "provider": "discord", "name": "Club" }))
            .await;
        let path = format!("/v1/integrations/{}", made["id"].as_str().unwrap());
        let asked = self.post(&format!("{path}/connect"), json!({})).await;
        self.authorize(&asked, &Choice { user: kim, guild: Some(guild), ..Choice::default() })
            .await;
        self.sandbox.with(|world| {
            let bot = world.bot_role(guild).unwrap();
            world.edit_role(guild, bot, |role| role.position = 9);
        });
        self.post(&format!("{path}/roles/refresh"), json!({})).await;
        self.put(&format!("{path}/memberships/gold"), json!({ "roles": [role.to_string()] })).await;
        (guild, role)
    }

    pub(crate) async fn reports(&self, fan: &str, status: &str, version: u64) {
        let body = json!({ "fan": fan, "creator": "kim", "tier": "gold", "status": status, "version": version });
        self.put(&format!("/v1/memberships/{fan}-gold"), body).await;
    }

    pub(crate) async fn links(&self, fan: &str) -> u64 {
        let user = self.sandbox.with(|world| world.add_user(None, fan));
        self.links_as(fan, user).await;
        user
    }

    pub(crate) async fn links_as(&self, fan: &str, user: u64) {
        let asked = self.post(&format!("/v1/fans/{fan}/link"), json!({})).await;
        self.authorize(&asked, &Choice { user, ..Choice::default() }).await;
    }

    /// The status of a fan in the only integration.
    pub(crate) async fn status(&self, fan: &str) -> String {
        let shown = self.get(&format!("/v1/fans/{fan}/integrations")).await;
        shown["data"][0]["integrations"][0]["status"].as_str().unwrap_or("none").to_owned()
    }
}

/// A command of the binary on a data folder, with a sandbox as its Discord and nothing else of this environment.
pub(crate) fn command(sandbox: &Sandbox, data: &Path, arguments: &[&str]) -> Command {
    let application = sandbox.application();
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HUB_LOG", "warn")
        .env("HUB_DATA", data)
        .env("HUB_DISCORD_API_URL", sandbox.base_url())
        .env("HUB_DISCORD_AUTHORIZE_URL", sandbox.authorize_url())
        .env("HUB_DISCORD_CLIENT_ID", &application.client_id)
        .env("HUB_DISCORD_CLIENT_SECRET", &application.client_secret)
        .env("HUB_DISCORD_BOT_TOKEN", &application.bot_token)
        .current_dir(data.parent().unwrap())
        .kill_on_drop(true);
    command
}

/// Waits for a condition that somebody else brings about.
pub(crate) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} did not come about"));
}
