//! `hub bot`: a bot process of its own.

use std::num::NonZeroU32;

use anyhow::Context;
use bot::{
    Discord, DiscordSettings, Hub, Remote, Worker, WorkerSettings, budget, gateway::GatewaySettings,
};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::{asked_to_end, say};
use crate::config::{DiscordArgs, unless_blank, values};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the Hub is.
    #[arg(long, env = "HUB_URL", value_name = "URL", value_parser = values::hub)]
    hub: Url,

    /// A key with the role `bot`.
    #[arg(long, env = "HUB_KEY", value_name = "KEY", hide_env_values = true)]
    key: String,

    /// Into how many shards the servers are divided: the same number for every bot process.
    #[arg(long, env = "HUB_BOT_OF", value_name = "N", default_value = "1", value_parser = values::shards::<NonZeroU32>)]
    of: NonZeroU32,

    /// How many of the shards this process takes.
    #[arg(long, env = "HUB_BOT_WANT", value_name = "K", default_value = "1", value_parser = values::shards::<NonZeroU32>)]
    want: NonZeroU32,

    /// The process's name, which no other has; without it, a new one at each start. One that comes back under its name
    /// takes its shards up at once.
    #[arg(long, env = "HUB_BOT_NAME", value_name = "NAME", value_parser = values::bot_name)]
    name: Option<String>,

    #[command(flatten)]
    discord: DiscordArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let Args { hub, key, of, want, name, discord } = args;
    let key = unless_blank(Some(key))
        .context("the key is missing: set HUB_KEY to what `hub keys create --role bot` printed")?;
    let bot_token = unless_blank(discord.discord_bot_token)
        .context("Discord's settings are missing: set HUB_DISCORD_BOT_TOKEN")?;
    let gateway = Some(GatewaySettings::new(discord.discord_gateway_url));
    let discord = Discord::new(&DiscordSettings {
        api_url: discord.discord_api_url,
        authorize_url: discord.discord_authorize_url,
        // Only the Hub itself speaks OAuth2.
        client_id: String::new(),
        client_secret: String::new().into(),
        bot_token: bot_token.into(),
        public_url: hub.clone(),
    })?;
    let name = name.unwrap_or_else(|| Uuid::now_v7().to_string());
    let settings = WorkerSettings { of, want, gateway, ..WorkerSettings::new(name) };
    say(format_args!("bot {} works for {hub}", settings.name));
    let hub = Hub::Remote(Remote::new(hub, key.into())?);
    let shutdown = CancellationToken::new();
    let share = budget::keep(hub.clone(), discord.clone(), settings.name.clone(), shutdown.clone());
    tokio::spawn(share);
    let worker = Worker::new(hub, discord, settings);
    let stop = shutdown.clone();
    tokio::spawn(async move {
        asked_to_end().await;
        stop.cancel();
    });
    worker.run(shutdown).await.context("the bot stopped")
}
