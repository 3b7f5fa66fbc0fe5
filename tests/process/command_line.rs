//! The command line: one line says what is wrong and what to do, and the exit code is not zero.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use discord_sandbox::{Config, Sandbox};
use eventstore::Clock;
use projections::VIEWS;
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::hub::{Hub, PATIENCE, binary, command, until};

/// Runs a command that is refused; answers what it said.
pub(crate) async fn refused(mut command: Command) -> String {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    said
}

#[tokio::test]
async fn a_second_server_on_a_folder_is_refused_and_looking_beside_it_is_not() {
    let hub = Hub::start().await;
    let said = refused(hub.command(&["serve", "--listen", "127.0.0.1:0"])).await;
    assert!(said.contains("another hub is running"), "{said}");
    hub.club().await;
    let listed = hub.run(&["views", "list"]).await;
    assert!(listed.contains("fan_access"), "{listed}");
    let rebuilt = hub.run(&["views", "rebuild"]).await;
    assert_eq!(rebuilt.matches("rebuilt at position").count(), VIEWS.len(), "{rebuilt}");
    assert!(rebuilt.contains("100%"), "{rebuilt}");
    let verified = hub.run(&["views", "verify", "integrations"]).await;
    assert!(verified.contains("integrations: equal at position"), "{verified}");
    let said = refused(hub.command(&["views", "rebuild", "nothing"])).await;
    assert!(said.contains("hub views list"), "{said}");
    let doctor = hub.run(&["doctor"]).await;
    assert_eq!(doctor.matches("ok ").count(), 5, "{doctor}");
}

#[tokio::test]
async fn auditors_ask_beside_the_server_and_with_it_stopped() {
    let mut hub = Hub::start().await;
    hub.club().await;
    hub.reports("ada", "active", 1).await;
    hub.links("ada").await;
    until("access", async || hub.status("ada").await == "connected").await;
    let shown = hub.get("/v1/creators/kim/integrations").await;
    let id = shown["data"][0]["id"].as_str().unwrap().to_owned();

    let access = ["audit", "access", "--at", "2999-01-01"];
    let beside = hub.run(&access).await;
    let line = beside.lines().last().unwrap();
    assert!(line.starts_with("Club") && line.contains("ada") && line.contains("gold"), "{beside}");
    let explain = ["audit", "explain", "--fan", "ada", "--integration", &id];
    let explained = hub.run(&explain).await;
    assert!(explained.contains("ada was in Club with gold."), "{explained}");
    assert!(explained.contains("Discord accepted: ada is in Club with gold"), "{explained}");

    hub.kill().await;
    assert_eq!(hub.run(&access).await, beside);
    // Even where the view is lost.
    std::fs::remove_dir_all(hub.data().join("views")).unwrap();
    assert_eq!(hub.run(&access).await, beside);
    let json = hub.run(&[&access[..], &["--fan", "ada", "--json"]].concat()).await;
    let row: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(
        (row["integration"].as_str(), &row["state"]),
        (Some(id.as_str()), &"accepted".into())
    );
    let json = hub.run(&[&explain[..], &["--json", "--at", "2000-01-01T00:00:00Z"]].concat()).await;
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["steps"], serde_json::json!([]));

    let mut unknown = hub.command(&explain);
    unknown.args(["--at", "yesterday"]);
    let output = unknown.output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("2026-01-31"));
    let nothing = "00000000-0000-4000-8000-000000000000";
    let said =
        refused(hub.command(&["audit", "explain", "--fan", "ada", "--integration", nothing]));
    assert!(said.await.contains("no integration has this id"));
}

#[tokio::test]
async fn the_doctor_looks_at_every_integration_beside_the_server_and_with_it_stopped() {
    let mut hub = Hub::start().await;
    let (guild, role) = hub.club().await;
    let well = hub.run(&["doctor"]).await;
    assert!(well.contains("ok    kim / Club on Club"), "{well}");
    hub.sandbox.with(|world| world.edit_role(guild, role, |role| role.position = 50));
    hub.reports("ada", "active", 1).await;
    hub.links("ada").await;
    until("blocked", async || hub.status("ada").await == "blocked").await;
    for stopped in [false, true] {
        if stopped {
            hub.kill().await;
        }
        let output = hub.command(&["doctor"]).output().await.unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("FAIL  kim / Club on Club"), "{said}");
        assert!(said.contains("(role gold; tiers gold; 1 fan waits)"), "{said}");
        assert!(said.contains("The creator can mend it: Drag the bot's role above it"), "{said}");
        let output = hub.command(&["doctor", "--json"]).output().await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = told["integrations"][0]["checks"].as_array().unwrap();
        let roles = checks.iter().find(|check| check["check"] == "roles").unwrap();
        assert_eq!(roles["reasons"][0]["code"], "role_above_bot");
        assert_eq!((&told["ok"], &roles["reasons"][0]["fans"]), (&false.into(), &1.into()));
    }
}

#[tokio::test]
async fn whoever_runs_the_hub_is_signed_in_by_a_link_made_beside_it() {
    let hub = Hub::start().await;
    let printed = hub.run(&["sign-in", "operator", "--public-url", hub.url()]).await;
    let link = printed.trim();
    assert!(link.starts_with(&format!("{}/sign-in/", hub.url())), "{printed}");
    let http = bot::http::client("browser").unwrap();
    let signed_in = http.post(link).send().await.unwrap();
    assert_eq!(signed_in.headers()["location"], "/operator");
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    let shown = http.get(format!("{}/operator", hub.url())).header("cookie", cookie).send().await;
    assert!(shown.unwrap().text().await.unwrap().contains("The log takes events"));
    let again = http.post(link).send().await.unwrap();
    assert_eq!(again.status(), 410);
    let said = hub.command(&["sign-in", "creator"]).output().await.unwrap();
    assert!(!said.status.success());
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_beside_the_server() {
    let hub = Hub::start().await;
    let key = hub
        .run(&["keys", "create", "--role", "creator:kim", "--name", "pages", "--expires", "90d"])
        .await;
    assert!(key.starts_with("hub_") && key.lines().count() == 1, "{key}");
    let listed = hub.run(&["keys", "list"]).await;
    assert!(!listed.contains(key.trim()), "{listed}");
    let line = listed.lines().find(|line| line.contains("creator:kim")).unwrap();
    assert!(line.contains("valid") && line.contains("pages"), "{line}");
    let id = line.split(' ').next().unwrap();
    hub.run(&["keys", "revoke", id]).await;
    let listed = hub.run(&["keys", "list"]).await;
    assert!(listed.lines().any(|line| line.contains(id) && line.contains("revoked")), "{listed}");
    assert!(refused(hub.command(&["keys", "revoke", id])).await.contains("hub keys list"));
}

#[tokio::test]
async fn what_cannot_work_is_said_in_one_line() {
    let folder = TempDir::new().unwrap();
    let sandbox = Sandbox::start(Config::default()).await.unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let said = refused(command(&sandbox, &file, &serve)).await;
    assert!(said.contains("cannot be used") && said.contains("--data"), "{said}");

    let data = folder.path().join("data");
    let mut unset = command(&sandbox, &data, &serve);
    unset.env_remove("HUB_DISCORD_BOT_TOKEN");
    let said = refused(unset).await;
    assert!(said.contains("HUB_DISCORD_BOT_TOKEN") && said.contains("hub demo"), "{said}");

    let nowhere = folder.path().join("mistyped");
    let said = refused(command(&sandbox, &nowhere, &["views", "list"])).await;
    assert!(said.contains("there is no hub") && !nowhere.exists(), "{said}");

    let said = refused(command(&sandbox, &data, &["serve", "--roles", "api"])).await;
    assert!(said.contains("PostgreSQL"), "{said}");

    let taken = sandbox.addr().to_string();
    let said = refused(command(&sandbox, &data, &["serve", "--listen", &taken])).await;
    assert!(said.contains("--listen"), "{said}");

    let mut wrong = command(&sandbox, &data, &serve);
    wrong.env("HUB_MASTER_KEY", "short");
    let said = refused(wrong).await;
    assert!(said.contains("openssl rand -base64 32"), "{said}");

    for (name, secret) in [
        ("HUB_WEBHOOK_SECRET", "whsec_"),
        ("HUB_WEBHOOK_SECRET", "whsec_c2hvcnQ="),
        ("HUB_STRIPE_WEBHOOK_SECRET", "whsec_"),
    ] {
        let mut weak = command(&sandbox, &data, &serve);
        weak.env(name, secret);
        let said = refused(weak).await;
        assert!(said.contains(name) && said.contains("whsec_ and"), "{said}");
    }

    std::fs::write(folder.path().join("hub.toml"), "grcae = \"3d\"").unwrap();
    let said = refused(command(&sandbox, &data, &serve)).await;
    assert!(said.contains("grcae"), "{said}");
}

#[tokio::test]
async fn a_webhook_secret_that_is_left_blank_lets_nobody_in() {
    let mut hub = Hub::start().await;
    hub.kill().await;
    let mut blank = hub.command(&["serve", "--listen", "127.0.0.1:0"]);
    blank.env("HUB_WEBHOOK_SECRET", "").env("HUB_STRIPE_WEBHOOK_SECRET", " ");
    hub.serve_with(blank).await;
    let empty = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"");
    let sign = |text: String| ring::hmac::sign(&empty, text.as_bytes());
    let at = Clock::system().now().timestamp();
    let body = r#"{"type":"membership.purchased"}"#;
    let standard = STANDARD.encode(sign(format!("msg_1.{at}.{body}")));
    let forged = hub
        .request(reqwest::Method::POST, "/v1/webhooks/inbound")
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", at)
        .header("webhook-signature", format!("v1,{standard}"));
    assert_eq!(forged.body(body).send().await.unwrap().status(), 401);
    let mut hex = String::new();
    for byte in sign(format!("{at}.{body}")).as_ref() {
        write!(hex, "{byte:02x}").unwrap();
    }
    let forged = hub
        .request(reqwest::Method::POST, "/v1/webhooks/stripe")
        .header("stripe-signature", format!("t={at},v1={hex}"));
    assert_eq!(forged.body(body).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn no_secret_of_a_request_comes_into_the_logs_or_the_metrics() {
    let mut hub = Hub::start().await;
    hub.kill().await;
    let logs = hub.data().with_extension("logs");
    let mut telling = hub.command(&["serve", "--listen", "127.0.0.1:0"]);
    telling.env("HUB_LOG", "debug").stderr(std::fs::File::create(&logs).unwrap());
    hub.serve_with(telling).await;
    let ask = async |method: &str, path: &str| {
        let method = method.parse().unwrap();
        hub.request(method, path).send().await.unwrap().text().await.unwrap()
    };
    ask("GET", "/sign-in/whisper-1").await;
    ask("GET", "/oauth/discord/callback?code=whisper-2&state=whisper-3").await;
    ask("GET", "/nowhere/whisper-4").await;
    ask("WHISPER", "/readyz").await;
    let metrics = ask("GET", "/metrics").await;
    assert!(metrics.contains("method=\"other\"") && !metrics.contains("WHISPER"), "{metrics}");
    hub.kill().await;
    let said = std::fs::read_to_string(&logs).unwrap();
    assert!(said.contains("/oauth/discord/callback"), "{said}");
    assert!(!said.contains("whisper"), "{said}");
}

#[tokio::test]
async fn a_setting_may_stand_in_a_file() {
    let hub = Hub::start().await;
    let file = hub.data().parent().unwrap().join("other.toml");
    std::fs::write(&file, format!("data = {:?}", hub.data())).unwrap();
    let mut list = Command::new(binary());
    list.args(["--config", file.to_str().unwrap(), "keys", "list"]).env_remove("HUB_DATA");
    let output = list.output().await.unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("platform"));
}

#[tokio::test]
async fn a_view_whose_file_is_broken_is_named_with_what_builds_it_anew() {
    let mut hub = Hub::start().await;
    hub.club().await;
    hub.kill().await;
    let views = hub.data().join("views");
    let current = std::fs::read_to_string(views.join("integrations.current")).unwrap();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(views.join(format!("{}{ending}", current.trim())));
    }
    // All but SQLite's own header.
    let mut file = std::fs::read(views.join(current.trim())).unwrap();
    file[100..].fill(b'?');
    std::fs::write(views.join(current.trim()), file).unwrap();
    let said = refused(hub.command(&["serve", "--listen", "127.0.0.1:0"])).await;
    assert!(said.contains("`hub views rebuild integrations`"), "{said}");
    hub.run(&["views", "rebuild", "integrations"]).await;
    hub.serve().await;
    assert_eq!(hub.get("/v1/creators/kim/integrations").await["data"][0]["status"], "active");
}
