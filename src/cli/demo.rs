//! `hub demo`: the main job from nothing, in one process, told step by step; then it stays up to be tried by hand.
//!
//! Everything goes over HTTP, as a platform and browsers would do it: the Hub does not know that it is a demo.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use api::{Demo, DemoOffer, DemoPerson, DiscordKey, WebhookSettings};
use bot::{CALLS_PER_SECOND, WorkerSettings, gateway::GatewaySettings};
use chrono::TimeDelta;
use discord_sandbox::{Choice, Config, NewGuild, NewRole, Sandbox};
use eventstore::{Clock, Position, keys::Role};
use projections::Views;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::{asked_to_end, say};
use crate::{
    config::{ListenArgs, values},
    node::{DiscordPlace, Node, NodeSettings, PagesPlace},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    listen: ListenArgs,

    /// The address of the Discord that the demo brings along.
    #[arg(
        long,
        env = "HUB_SANDBOX_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8090",
        value_parser = values::listen
    )]
    sandbox: SocketAddr,

    /// Where the demo keeps its log, which stays; without it, a temporary folder that goes when the demo ends.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    /// End after the main job instead of staying up.
    #[arg(long)]
    once: bool,
}

/// The people and things of the demo's world on Discord.
struct Cast {
    kim: u64,
    ada: u64,
    ben: u64,
    club: u64,
    gold: u64,
    silver: u64,
}

fn role(name: &str, position: i64, color: u32) -> NewRole {
    NewRole { name: name.to_owned(), position, color, ..NewRole::default() }
}

fn cast(sandbox: &Sandbox) -> Cast {
    sandbox.with(|world| {
        let kim = world.add_user(None, "kim");
        let ada = world.add_user(None, "ada");
        let ben = world.add_user(None, "ben");
        let club = world.add_guild(NewGuild {
            name: "Kim's Club".to_owned(),
            owner: kim,
            roles: vec![role("Silver", 1, 0x00a0_a0b0), role("Gold", 2, 0x00d4_a017)],
            ..NewGuild::default()
        });
        // A second server, for whoever wants to add an integration by themselves.
        world.add_guild(NewGuild {
            name: "Kim's Workshop".to_owned(),
            owner: kim,
            roles: vec![
                role("Silver", 1, 0x00a0_a0b0),
                role("Gold", 2, 0x00d4_a017),
                role("Moderator", 3, 0x00e7_4c3c),
            ],
            ..NewGuild::default()
        });
        let named = |name: &str| {
            let roles = world.guild(club).map(|club| &club.roles);
            roles
                .and_then(|roles| roles.values().find(|role| role.name == name))
                .map_or(0, |role| role.id)
        };
        Cast { kim, ada, ben, club, gold: named("Gold"), silver: named("Silver") }
    })
}

/// Whom the start page offers to be.
fn people() -> anyhow::Result<Vec<DemoPerson>> {
    let person = |role: &str, name: &str, about: &str| {
        anyhow::Ok(DemoPerson {
            role: role.parse()?,
            name: name.to_owned(),
            about: about.to_owned(),
        })
    };
    Ok(vec![
        person(
            "creator:kim",
            "Kim",
            "A creator. Sells Gold and Silver, has connected Kim's Club, and could connect Kim's Workshop too.",
        )?,
        person("fan:ada", "Ada", "A fan. Had Gold, and lost her access when it ended.")?,
        person("auditor", "Audrey", "An auditor. Looks into who had access, when and why.")?,
        person("platform", "Oscar", "The operator. Looks whether the Hub is doing well.")?,
    ])
}

/// What the start page sells.
fn offers() -> anyhow::Result<Vec<DemoOffer>> {
    let offer = |(fan, name): (&str, &str), (tier, title): (&str, &str)| {
        anyhow::Ok(DemoOffer {
            membership: format!("{fan}-{tier}").parse()?,
            fan: fan.parse()?,
            creator: "kim".parse()?,
            tier: tier.parse()?,
            names: (name.to_owned(), title.to_owned()),
        })
    };
    let (ada, ben) = (("ada", "Ada"), ("ben", "Ben"));
    let (gold, silver) = (("gold", "Gold"), ("silver", "Silver"));
    Ok(vec![offer(ada, gold)?, offer(ada, silver)?, offer(ben, gold)?])
}

/// A platform's backend, and its people's browsers.
struct Platform {
    http: reqwest::Client,
    hub: String,
    key: String,
}

impl Platform {
    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let mut request =
            self.http.request(method.clone(), format!("{}{path}", self.hub)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{method} {path} answered {status}: {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn put(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call(reqwest::Method::PUT, path, Some(body)).await
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call(reqwest::Method::POST, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(reqwest::Method::GET, path, None).await
    }

    /// Follows an authorize URL as somebody's browser, through the consent page and back.
    async fn authorize(
        &self,
        sandbox: &Sandbox,
        asked: &Value,
        choice: &Choice,
    ) -> anyhow::Result<()> {
        let url = asked["authorize_url"].as_str().context("the hub gave no authorize_url")?;
        let back = sandbox.consent(url, choice).map_err(anyhow::Error::msg)?;
        let answer = self.http.get(back).send().await?;
        if !answer.status().is_success() {
            bail!(
                "the way back from Discord answered {}: {}",
                answer.status(),
                answer.text().await?
            );
        }
        Ok(())
    }
}

/// What the sandbox shows of somebody in the club.
fn seen(sandbox: &Sandbox, cast: &Cast, user: u64) -> String {
    sandbox.with(|world| {
        let name =
            world.users.get(&user).map_or_else(|| user.to_string(), |user| user.username.clone());
        let Some(club) = world.guild(cast.club) else { return "the server is gone".to_owned() };
        let Some(member) = club.members.get(&user) else {
            return format!("{name} is not in {}", club.name);
        };
        let roles: Vec<_> = member
            .roles
            .iter()
            .filter_map(|role| club.roles.get(role))
            .map(|role| role.name.as_str())
            .collect();
        match roles.as_slice() {
            [] => format!("{name} is in {} without roles", club.name),
            roles => format!("{name} is in {} with {}", club.name, roles.join(", ")),
        }
    })
}

/// Says one step: what is done, and what came of it.
struct Steps(u32);

impl Steps {
    fn next(&mut self, what: &str) {
        self.0 += 1;
        say(format_args!("\n{:>2}. {what}", self.0));
    }

    fn result(what: impl std::fmt::Display) {
        say(format_args!("    → {what}"));
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let Args { listen: ListenArgs { listen }, sandbox, folder, once } = args;
    let temporary = folder.is_none();
    let folder =
        folder.unwrap_or_else(|| std::env::temp_dir().join(format!("hub-demo-{}", Uuid::now_v7())));
    let sandbox = Sandbox::start(Config { listen: sandbox, ..Config::default() })
        .await
        .with_context(|| {
            format!("the address {sandbox} cannot be listened on; choose another with --sandbox")
        })?;
    let application = sandbox.application();
    let gateway = Some(GatewaySettings::new(Some(Url::parse(&sandbox.gateway_url())?)));
    let node = Node::start(NodeSettings {
        data: folder.clone(),
        listen,
        clock: Clock::system(),
        master_key: None,
        public_url: None,
        discord: DiscordPlace {
            api_url: Url::parse(&sandbox.base_url())?,
            authorize_url: Url::parse(&sandbox.authorize_url())?,
            client_id: application.client_id.clone(),
            client_secret: application.client_secret.clone().into(),
            bot_token: application.bot_token.clone().into(),
        },
        grace: TimeDelta::days(3),
        // Whoever tries it has an endpoint on this machine.
        webhooks: WebhookSettings {
            private_targets: true,
            discord: Some(DiscordKey::new(&sandbox.public_key())?),
            ..WebhookSettings::default()
        },
        pages: PagesPlace {
            platform_name: Some("Fanhouse".to_owned()),
            support_email: Some("help@fanhouse.example".to_owned()),
            demo: Some(Demo {
                people: people()?,
                offers: offers()?,
                sandbox: Url::parse(&sandbox.base_url())?,
            }),
            ..PagesPlace::default()
        },
        bot: Some(WorkerSettings { gateway, ..WorkerSettings::new("demo") }),
        calls_per_second: CALLS_PER_SECOND,
    })
    .await?;
    let told = Url::parse(&format!("{}/v1/webhooks/discord", node.url()))?;
    if let Err(reason) = sandbox.tell_to(told).await {
        tracing::warn!(%reason, "the sandbox cannot tell the hub who removes the application");
    }
    let played = play(&node, &sandbox, &folder, once).await;
    let ended = match played {
        Ok(()) if !once => node.run(asked_to_end()).await,
        Ok(()) => node.stop().await,
        Err(error) => {
            drop(node.stop().await);
            Err(error)
        }
    };
    if temporary {
        std::fs::remove_dir_all(&folder).with_context(|| {
            format!("the temporary folder {} could not be removed", folder.display())
        })?;
    }
    ended?;
    if once {
        let kept = if temporary {
            ", and nothing of it is kept".to_owned()
        } else {
            format!(
                ". Its log stays in {}; for the main job from its beginning, name another --folder",
                folder.display()
            )
        };
        say(format_args!("\nThat was all{kept}. Without --once it stays up, to go on by hand."));
    }
    Ok(())
}

/// Plays the main job. `once`: nothing stays up to go on with.
async fn play(
    node: &Node,
    sandbox: &Sandbox,
    folder: &std::path::Path,
    once: bool,
) -> anyhow::Result<()> {
    let cast = cast(sandbox);
    let store = node.store();
    let (_, key) = store.keys().create(&Role::Platform, "demo", None, store.clock().now()).await?;
    let platform = Platform {
        http: bot::http::client("hub-demo")?,
        hub: node.url(),
        key: key.expose_secret().to_owned(),
    };
    let mut steps = Steps(0);
    say("Integrations Hub, demo: one process with the Hub, its bot and a small Discord.");
    say(format_args!("Hub {}   Discord sandbox {}", node.url(), sandbox.base_url()));
    if store.log().head() > Position(0) {
        say(format_args!(
            "It goes on with the log in {}: what that has already is no news, so some steps change nothing.",
            folder.display()
        ));
    }

    steps.next("The platform registers the tiers that Kim sells.");
    platform.put("/v1/creators/kim/tiers/gold", json!({ "name": "Gold" })).await?;
    platform.put("/v1/creators/kim/tiers/silver", json!({ "name": "Silver" })).await?;
    Steps::result("tiers gold and silver");

    steps.next("Kim adds an integration and connects her Discord server.");
    let made = platform.post(
        "/v1/creators/kim/integrations",
        json!({ "provider": "discord", "name": "Kim's Club" }),
    );
    let made = made.await?;
    let id = made["id"].as_str().context("the integration has no id")?.to_owned();
    let integration = format!("/v1/integrations/{id}");
    let asked = platform.post(&format!("{integration}/connect"), json!({})).await?;
    let choice = Choice { user: cast.kim, guild: Some(cast.club), ..Choice::default() };
    platform.authorize(sandbox, &asked, &choice).await?;
    let connected = platform.get(&integration).await?;
    Steps::result(format_args!(
        "status {}, server {}",
        connected["status"], connected["guild"]["name"]
    ));

    steps.next("The bot's role stands below the others, so it can give none of them yet.");
    show_roles(&platform.get(&format!("{integration}/roles")).await?);

    steps.next("Kim drags the bot's role to the top in Discord and chooses Refresh Roles.");
    sandbox.with(|world| {
        if let Some(bot) = world.bot_role(cast.club) {
            world.edit_role(cast.club, bot, |role| role.position = 10);
        }
    });
    show_roles(&platform.post(&format!("{integration}/roles/refresh"), json!({})).await?);

    steps.next("Kim attaches the tier: Gold gives the role Gold.");
    let attach = json!({ "roles": [cast.gold.to_string()] });
    platform.put(&format!("{integration}/memberships/gold"), attach).await?;
    Steps::result(format_args!("status {}", platform.get(&integration).await?["status"]));

    steps.next("Ada buys Gold; the platform reports it. She has not connected Discord yet.");
    let bought =
        json!({ "fan": "ada", "creator": "kim", "tier": "gold", "status": "active", "version": 1 });
    platform.put("/v1/memberships/ada-gold", bought).await?;
    Steps::result(seen(sandbox, &cast, cast.ada));

    steps.next("Ada clicks Connect. The bot brings her in with the role of her tier.");
    let asked = platform.post("/v1/fans/ada/link", json!({})).await?;
    platform.authorize(sandbox, &asked, &Choice { user: cast.ada, ..Choice::default() }).await?;
    node.settle().await?;
    Steps::result(seen(sandbox, &cast, cast.ada));

    steps
        .next("Her membership ends. The bot takes the access away, because it had brought her in.");
    let ended = json!({ "fan": "ada", "creator": "kim", "tier": "gold", "status": "expired", "version": 2 });
    platform.put("/v1/memberships/ada-gold", ended).await?;
    node.settle().await?;
    Steps::result(seen(sandbox, &cast, cast.ada));

    steps.next("Every step is an event, and every view can be proven from them.");
    for name in projections::VIEWS {
        let verdict = Views::verify(&folder.join("views"), store, name, |_| {}).await?;
        if !verdict.differences.is_empty() {
            bail!("the view {name} does not equal the log: {:?}", verdict.differences);
        }
        Steps::result(format_args!("{name}: equal at position {}", verdict.position));
    }
    if once {
        return Ok(());
    }
    go_on(&platform, sandbox, &cast, &id);
    sign_in_links(&platform, sandbox).await
}

fn show_roles(roles: &Value) {
    for role in roles["data"].as_array().into_iter().flatten() {
        let name = role["name"].as_str().unwrap_or_default();
        match role["why_not"]["detail"].as_str() {
            Some(why) => Steps::result(format_args!("{name}: cannot be given. {why}")),
            None => Steps::result(format_args!("{name}: can be given")),
        }
    }
}

/// What to open in a browser.
async fn sign_in_links(platform: &Platform, sandbox: &Sandbox) -> anyhow::Result<()> {
    say("\nOr in a browser. The start page signs you in as any of them, as often as you like:");
    say(format_args!("  {}/", platform.hub));
    say("\nSign-in links as a platform asks for them; each works once, within five minutes:");
    for (who, body) in [
        ("Kim, a creator", json!({ "role": "creator", "id": "kim" })),
        ("Ada, a fan", json!({ "role": "fan", "id": "ada" })),
        ("an auditor", json!({ "role": "auditor" })),
        ("the operator", json!({ "role": "operator" })),
    ] {
        let link = platform.post("/v1/sessions", body).await?;
        say(format_args!("  {who:<15} {}", link["url"].as_str().unwrap_or_default()));
    }
    say(
        "\nThe small Discord, to have beside it: drag its roles, remove its people, let its calls fail.",
    );
    say(format_args!("  {}/", sandbox.base_url()));
    Ok(())
}

/// Commands with which the reader goes on.
fn go_on(platform: &Platform, sandbox: &Sandbox, cast: &Cast, id: &str) {
    let Platform { hub, key, .. } = platform;
    let world = sandbox.base_url();
    say("\nGo on by hand. Everything stays up until you press Ctrl-C; the API is described at");
    say(format_args!("{hub}/docs\n"));
    say(format_args!("  export HUB={hub} KEY={key}"));
    say(
        "\nBen buys Gold and connects Discord (open the link that the second line prints, and be ben):",
    );
    say("  curl -sX PUT $HUB/v1/memberships/ben-gold -H \"Authorization: Bearer $KEY\" --json \\");
    say(
        "    '{\"fan\":\"ben\",\"creator\":\"kim\",\"tier\":\"gold\",\"status\":\"active\",\"version\":1}'",
    );
    say("  curl -sX POST $HUB/v1/fans/ben/link -H \"Authorization: Bearer $KEY\"");
    say("\nHow he stands, and what the server looks like on Discord's side:");
    say("  curl -s $HUB/v1/fans/ben/integrations -H \"Authorization: Bearer $KEY\"");
    say(format_args!("  curl -s {world}/sandbox/world"));
    say("\nGold gives Silver too, and what that would change first:");
    say(format_args!(
        "  curl -sX PUT \"$HUB/v1/integrations/{id}/memberships/gold?dry_run=true\" -H \"Authorization: Bearer $KEY\" --json \\"
    ));
    say(format_args!("    '{{\"roles\":[\"{}\",\"{}\"]}}'", cast.gold, cast.silver));
    say("\nEverything that happened:");
    say("  curl -s \"$HUB/v1/audit/events?limit=200\" -H \"Authorization: Bearer $KEY\"");
    say(format_args!(
        "\nPeople on this Discord: kim {}, ada {}, ben {}",
        cast.kim, cast.ada, cast.ben
    ));
}
