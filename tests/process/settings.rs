//! Settings that are left blank or hold what they cannot hold: nothing is started, and it is said what to write instead.

use discord_sandbox::{Config, Sandbox};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::{
    command_line::refused,
    hub::{PATIENCE, command},
};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
const BOT: [&str; 5] = ["bot", "--hub", "http://127.0.0.1:1", "--key", "hub_key"];

/// A Discord and a folder that no command has used yet.
struct Place {
    sandbox: Sandbox,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let sandbox = Sandbox::start(Config::default()).await.unwrap();
        Self { sandbox, folder: TempDir::new().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        command(&self.sandbox, &self.folder.path().join("data"), arguments)
    }

    /// Runs a command whose value is refused before anything is begun.
    async fn misused(&self, mut command: Command, option: &str, said: &str) {
        let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}: {error}");
        assert!(error.starts_with("error: ") && error.contains(option), "{option}: {error}");
        assert!(error.contains(said), "{option}: {error}");
        assert!(output.stdout.is_empty() && !self.folder.path().join("data").exists(), "{option}");
    }
}

#[tokio::test]
async fn a_secret_of_discord_that_is_left_blank_is_not_set() {
    let place = Place::new().await;
    for name in ["HUB_DISCORD_CLIENT_ID", "HUB_DISCORD_CLIENT_SECRET", "HUB_DISCORD_BOT_TOKEN"] {
        for blank in ["", " \t"] {
            let mut serve = place.command(&SERVE);
            serve.env(name, blank);
            let said = refused(serve).await;
            assert!(said.starts_with(&format!("hub: Discord's settings are missing: set {name}")));
        }
        let mut doctor = place.command(&["doctor"]);
        let told = doctor.env(name, " ").output().await.unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("FAIL  Discord settings: ") && told.contains(name), "{told}");
    }
    let mut bot = place.command(&BOT);
    bot.env("HUB_DISCORD_BOT_TOKEN", " ");
    assert!(refused(bot).await.contains("set HUB_DISCORD_BOT_TOKEN"));
    let keyless = ["bot", "--hub", "http://127.0.0.1:1", "--key", " "];
    assert!(refused(place.command(&keyless)).await.contains("set HUB_KEY"));
}

#[tokio::test]
async fn a_value_that_a_setting_cannot_have_is_refused_before_anything_is_started() {
    let place = Place::new().await;
    let (shards, hub) = ("must be a whole number from 1 to 4096", "without a path, ? and #");
    for (option, value, said) in [
        ("--public-url", "ftp://x", "http:// or https://"),
        ("--public-url", "http://x/path?q=1", "without ? and #"),
        ("--support-url", "javascript:alert(1)", "http:// or https://"),
        ("--support-email", "x", "help@example.com"),
        ("--discord-client-id", "two words", "developer portal"),
        ("--discord-api-url", "discord.com", "http:// or https://"),
        ("--discord-calls-per-second", "0", "must be a whole number from 1 to 10000"),
        ("--stripe-prices", "a=b", "PRICE=CREATOR/TIER"),
        ("--grace", "99999999999999d", "at most 100 years"),
        ("--of", "0", shards),
        ("--of", "5000", shards),
        ("--want", "-", "must be a whole number from 0 to 4096"),
        ("--listen", "x", "must be an IP address and a port, as 127.0.0.1:8080"),
    ] {
        place.misused(place.command(&["serve", option, value]), option, said).await;
    }
    for (option, value, said) in [
        ("--hub", "foo", hub),
        ("--hub", "ftp://x", hub),
        ("--hub", "http://127.0.0.1:1/v1", hub),
        ("--hub", "http://127.0.0.1:1/?q=1", hub),
        ("--name", "", "as bot-1, and another one for each process"),
        ("--want", "0", shards),
    ] {
        let mut bot = place.command(&["bot", option, value]);
        bot.env("HUB_URL", "http://127.0.0.1:1").env("HUB_KEY", "hub_key");
        place.misused(bot, option, said).await;
    }
    let mut serve = place.command(&SERVE);
    serve.env("HUB_BOT_OF", "abc");
    place.misused(serve, "--of", shards).await;
    std::fs::write(place.folder.path().join("hub.toml"), "support_email = \"x\"").unwrap();
    place.misused(place.command(&SERVE), "--support-email", "help@example.com").await;
}

#[tokio::test]
async fn a_key_that_cannot_end_or_be_named_is_told_in_plain_words() {
    let place = Place::new().await;
    for wrong in ["99999999999999d", "300000y", "0s", "soon"] {
        let create = place.command(&["keys", "create", "--role", "bot", "--expires", wrong]);
        place.misused(create, "--expires", "at most 100 years, as 90d").await;
    }
    let revoke = place.command(&["keys", "revoke", "x"]);
    place.misused(revoke, "<ID>", "must be a key's id, as `hub keys list` shows it").await;
}

#[tokio::test]
async fn a_price_that_is_named_twice_is_told_in_one_line() {
    let place = Place::new().await;
    let twice = [&SERVE[..], &["--stripe-prices", "a=b/c,a=d/e"]].concat();
    let said = refused(place.command(&twice)).await;
    assert!(said.starts_with("hub: HUB_STRIPE_PRICES names the price a twice"), "{said}");
}

#[tokio::test]
async fn a_settings_file_that_is_broken_is_told_with_the_place() {
    let place = Place::new().await;
    let broken = "data = \"x\"\ndiscord_bot_token = \"whisper\n";
    std::fs::write(place.folder.path().join("hub.toml"), broken).unwrap();
    let said = refused(place.command(&SERVE)).await;
    assert!(said.starts_with("hub: the settings file hub.toml is not TOML at line 2, "), "{said}");
    assert!(said.contains("write each setting as") && !said.contains("whisper"), "{said}");
}
