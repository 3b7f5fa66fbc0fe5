//! `hub doctor`: what is wrong with the hub and with every integration, and what to do about it.

use anyhow::bail;
use bot::{
    Discord, DiscordSettings,
    discord::Answer,
    doctor::{Check, Finding, examine},
};
use domain::{IntegrationId, Trouble, Who};
use eventstore::{Mode, Position};
use projections::{FanAccess, IntegrationRow, Integrations, ViewError, Views};
use serde_json::{Value, json};
use url::Url;

use super::say;
use crate::config::{DataArgs, DiscordArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    discord: DiscordArgs,
    /// Look at one integration alone.
    #[arg(long, value_name = "ID")]
    integration: Option<IntegrationId>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

/// How many integrations are read at once.
const PAGE: u32 = 200;

/// What was looked at, so far.
#[derive(Default)]
struct Report {
    quiet: bool,
    failed: u32,
    hub: Vec<Value>,
    integrations: Vec<Value>,
}

impl Report {
    fn tell(&mut self, what: &str, found: Result<String, String>) {
        let (mark, ok, said) = match found {
            Ok(fine) => ("ok   ", true, fine),
            Err(wrong) => ("FAIL ", false, wrong),
        };
        self.failed += u32::from(!ok);
        self.hub.push(json!({ "check": what, "ok": ok, "detail": said }));
        self.line(format_args!("{mark} {what}: {said}"));
    }

    fn line(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            say(line);
        }
    }

    /// An integration and what stands in its way.
    fn integration(&mut self, row: &IntegrationRow, checks: &[Check]) {
        let state = &row.state;
        let ok = checks.iter().all(|check| check.ok);
        self.failed += u32::from(!ok);
        let name = state.name.as_ref().map(ToString::to_string).unwrap_or_default();
        let creator = state.creator.as_ref().map(ToString::to_string).unwrap_or_default();
        let server = state.server.as_ref().map_or("no server", |server| &server.name);
        let mark = if ok { "ok   " } else { "FAIL " };
        self.line(format_args!("{mark} {creator} / {name} on {server} ({})", row.id));
        for finding in checks.iter().flat_map(|check| &check.findings) {
            self.line(format_args!("      {}{}", finding.detail, concerned(finding)));
            self.line(format_args!("      {} can mend it: {}", who(finding.who), finding.fix));
        }
        self.integrations.push(json!({
            "id": row.id,
            "creator": creator,
            "name": name,
            "server": state.server.as_ref().map(|server| &server.name),
            "ok": ok,
            "checks": checks.iter().map(told).collect::<Vec<_>>(),
        }));
    }
}

fn who(who: Who) -> &'static str {
    match who {
        Who::Fan => "The fan",
        Who::Creator => "The creator",
        Who::Operator => "The operator",
    }
}

/// The role and whom it concerns, in brackets; nothing where there is nothing to say.
fn concerned(finding: &Finding) -> String {
    let mut parts = vec![];
    if let Some((id, name)) = &finding.role {
        parts.push(format!("role {}", name.clone().unwrap_or_else(|| id.to_string())));
    }
    if !finding.tiers.is_empty() {
        let tiers: Vec<_> = finding.tiers.iter().map(ToString::to_string).collect();
        parts.push(format!("tiers {}", tiers.join(", ")));
    }
    match finding.fans {
        0 => {}
        1 => parts.push("1 fan waits".to_owned()),
        fans => parts.push(format!("{fans} fans wait")),
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

fn told(check: &Check) -> Value {
    let findings = check.findings.iter().map(|finding| {
        json!({
            "code": finding.code,
            "who": finding.who,
            "detail": finding.detail,
            "fix": finding.fix,
            "role": finding.role.as_ref().map(|(id, _)| id),
            "role_name": finding.role.as_ref().and_then(|(_, name)| name.clone()),
            "tiers": finding.tiers,
            "fans": finding.fans,
        })
    });
    json!({ "check": check.name, "ok": check.ok, "reasons": findings.collect::<Vec<_>>() })
}

pub(super) async fn run(Args { data, discord, integration, json }: Args) -> anyhow::Result<()> {
    let mut report = Report { quiet: json, ..Report::default() };
    let views = match data.open(Mode::Beside).await {
        Ok(store) => {
            report.tell("data folder", Ok(format!("{} events", store.log().head())));
            let folder = data.views();
            let listed = Views::list(&folder, &store).await.map_err(|error| error.to_string());
            report.tell(
                "views",
                listed.map(|views| {
                    let lag =
                        views.iter().map(|view| view.head.0.saturating_sub(view.position.0)).max();
                    format!("at most {} events behind", lag.unwrap_or_default())
                }),
            );
            Views::beside(&folder).await?
        }
        Err(error) => {
            report.tell("data folder", Err(error.to_string()));
            None
        }
    };
    let answering = speak(&mut report, discord).await?;
    match (views, answering) {
        (Some((integrations, fans)), Some(client)) => {
            look(&mut report, &client, &integrations, &fans, integration).await?;
        }
        (None, _) => report.line("The integrations are looked at once `hub serve` has run."),
        (Some(_), None) => report.line("The integrations are looked at once Discord answers."),
    }
    if json {
        let (hub, integrations) = (&report.hub, &report.integrations);
        say(json!({ "ok": report.failed == 0, "hub": hub, "integrations": integrations }));
    }
    match report.failed {
        0 => Ok(()),
        1 => bail!("1 of the checks failed; do what it says and run this again"),
        failed => bail!("{failed} of the checks failed; do what they say and run this again"),
    }
}

/// Asks Discord who the bot is; answers the client where it told.
async fn speak(report: &mut Report, discord: DiscordArgs) -> anyhow::Result<Option<Discord>> {
    let (client_id, client_secret, bot_token) = match discord.credentials() {
        Ok(credentials) => credentials,
        Err(error) => {
            report.tell("Discord settings", Err(error.to_string()));
            return Ok(None);
        }
    };
    report.tell("Discord settings", Ok("complete".to_owned()));
    let api = discord.discord_api_url.clone();
    let client = Discord::new(&DiscordSettings {
        api_url: discord.discord_api_url,
        authorize_url: discord.discord_authorize_url,
        client_id,
        client_secret: client_secret.into(),
        bot_token: bot_token.into(),
        public_url: Url::parse("http://localhost")?,
    })?;
    let found = match client.bot_user().await {
        Answer::Done(bot) => Ok(format!("answers, and knows the bot as {bot}")),
        Answer::TokenDead => {
            Err(format!("{} {}", Trouble::BotTokenDead.detail(), Trouble::BotTokenDead.fix()))
        }
        Answer::Refused(refusal) => {
            Err(format!("it refused: {}; check HUB_DISCORD_BOT_TOKEN", refusal.detail))
        }
        Answer::Later { why, .. } => {
            Err(format!("{why}; check HUB_DISCORD_API_URL and the network"))
        }
        Answer::Unwanted => Err("it was not asked".to_owned()),
    };
    let answering = found.is_ok().then_some(client);
    report.tell(&format!("Discord at {api}"), found);
    Ok(answering)
}

/// Looks at every integration, or at one.
async fn look(
    report: &mut Report,
    discord: &Discord,
    integrations: &Integrations,
    fans: &FanAccess,
    only: Option<IntegrationId>,
) -> anyhow::Result<()> {
    if let Some(id) = only {
        let Some(row) = integrations.get(id).await? else {
            bail!("there is no integration {id}; `hub doctor` without --integration lists all");
        };
        return Ok(examined(report, discord, fans, &row).await?);
    }
    let mut after = Position(0);
    loop {
        let page = integrations.changed(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.position;
        // One that was never connected, or was disconnected, has nothing to be ill with.
        for row in page.iter().filter(|row| row.state.held_guild().is_some()) {
            examined(report, discord, fans, row).await?;
        }
    }
}

async fn examined(
    report: &mut Report,
    discord: &Discord,
    fans: &FanAccess,
    row: &IntegrationRow,
) -> Result<(), ViewError> {
    let checks = examine(discord, fans, row.id, &row.state).await?;
    report.integration(row, &checks);
    Ok(())
}
