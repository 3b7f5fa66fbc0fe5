//! `hub doctor`: what is wrong, and what to do about it.

use anyhow::bail;
use bot::{Discord, DiscordSettings, discord::Answer};
use domain::Trouble;
use eventstore::{Access, Clock, Store, StoreOptions};
use projections::Views;
use url::Url;

use super::say;
use crate::config::{DataArgs, DiscordArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    discord: DiscordArgs,
}

/// What was looked at, so far.
#[derive(Default)]
struct Checks {
    failed: u32,
}

impl Checks {
    fn tell(&mut self, what: &str, found: Result<String, String>) {
        match found {
            Ok(fine) => say(format_args!("ok    {what}: {fine}")),
            Err(wrong) => {
                self.failed += 1;
                say(format_args!("FAIL  {what}: {wrong}"));
            }
        }
    }
}

pub(super) async fn run(Args { data, discord }: Args) -> anyhow::Result<()> {
    let mut checks = Checks::default();
    let options = StoreOptions {
        clock: Clock::system(),
        master_key: data.master_key.map(Into::into),
        access: Access::Beside,
    };
    match Store::open(&data.data, options).await {
        Ok(store) => {
            checks.tell("data folder", Ok(format!("{} events", store.log().head())));
            let views = Views::list(&data.data.join("views"), &store).await;
            let behind = views.map_err(|error| error.to_string()).map(|views| {
                let lag =
                    views.iter().map(|view| view.head.0.saturating_sub(view.position.0)).max();
                format!("at most {} events behind", lag.unwrap_or_default())
            });
            checks.tell("views", behind);
        }
        Err(error) => checks.tell("data folder", Err(error.to_string())),
    }
    match discord.credentials() {
        Ok((client_id, client_secret, bot_token)) => {
            checks.tell("Discord settings", Ok("complete".to_owned()));
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
                Answer::TokenDead => Err(format!(
                    "{} {}",
                    Trouble::BotTokenDead.detail(),
                    Trouble::BotTokenDead.fix()
                )),
                Answer::Refused(refusal) => {
                    Err(format!("it refused: {}; check HUB_DISCORD_BOT_TOKEN", refusal.detail))
                }
                Answer::Later { why, .. } => {
                    Err(format!("{why}; check HUB_DISCORD_API_URL and the network"))
                }
                Answer::Unwanted => Err("it was not asked".to_owned()),
            };
            checks.tell(&format!("Discord at {api}"), found);
        }
        Err(error) => checks.tell("Discord settings", Err(error.to_string())),
    }
    match checks.failed {
        0 => Ok(()),
        failed => bail!("{failed} of the checks failed; do what they say and run this again"),
    }
}
