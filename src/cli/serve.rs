//! `hub serve`: the service.

use std::num::NonZeroU32;

use anyhow::{Context, bail};
use api::{DiscordKey, InvalidWebhookKey, WebhookKey, WebhookSettings};
use bot::{CALLS_PER_SECOND, WorkerSettings, gateway::GatewaySettings};
use chrono::TimeDelta;
use eventstore::Clock;
use uuid::Uuid;

use super::{asked_to_end, say};
use crate::{
    config::{DataArgs, DiscordArgs, ListenArgs, PlatformArgs, unless_blank, values},
    node::{DiscordPlace, Node, NodeSettings, PagesPlace},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    listen: ListenArgs,

    /// What this process does: `api,bot`, both of them; less needs PostgreSQL, which this version does not have.
    #[arg(
        long,
        env = "HUB_ROLES",
        value_name = "ROLES",
        default_value = "api,bot",
        value_delimiter = ','
    )]
    roles: Vec<String>,

    /// Into how many shards the servers are divided: the same number for every bot process.
    #[arg(long, env = "HUB_BOT_OF", value_name = "N", default_value = "1", value_parser = values::shards::<NonZeroU32>)]
    of: NonZeroU32,

    /// How many of the shards this process takes; 0 leaves all of them to `hub bot`.
    #[arg(long, env = "HUB_BOT_WANT", value_name = "K", default_value = "1", value_parser = values::shards_or_none)]
    want: u32,

    /// How many calls a second all processes of the bot's token make together. Discord allows 50, and more to some
    /// large bots; set less where another program uses the token too.
    #[arg(
        long,
        env = "HUB_DISCORD_CALLS_PER_SECOND",
        value_name = "N",
        default_value_t = CALLS_PER_SECOND,
        value_parser = values::calls
    )]
    discord_calls_per_second: u32,

    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    discord: DiscordArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

impl DiscordArgs {
    /// Where Discord is, once everything is set.
    pub(super) fn place(self) -> anyhow::Result<DiscordPlace> {
        let (client_id, client_secret, bot_token) = self.credentials()?;
        Ok(DiscordPlace {
            api_url: self.discord_api_url,
            authorize_url: self.discord_authorize_url,
            client_id,
            client_secret: client_secret.into(),
            bot_token: bot_token.into(),
        })
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        listen: ListenArgs { listen },
        mut roles,
        of,
        want,
        discord_calls_per_second,
        data,
        discord,
        platform,
    } = args;
    roles.sort_unstable();
    if roles != ["api", "bot"] {
        bail!(
            "--roles other than api,bot needs the log on PostgreSQL, which this version cannot keep; leave it out, \
             and run `hub bot` for more bots"
        );
    }
    let gateway = Some(GatewaySettings::new(discord.discord_gateway_url.clone()));
    let bot = NonZeroU32::new(want).map(|want| WorkerSettings {
        of,
        want,
        gateway,
        ..WorkerSettings::new(Uuid::now_v7().to_string())
    });
    let stripe_prices = platform.prices()?.into_iter().collect();
    let told_by_discord =
        key("HUB_DISCORD_PUBLIC_KEY", discord.discord_public_key.clone(), DiscordKey::new)?;
    let node = Node::start(NodeSettings {
        data: data.data,
        listen,
        clock: Clock::system(),
        master_key: data.master_key.map(Into::into),
        public_url: platform.public_url,
        pages: PagesPlace {
            platform_name: platform.platform_name,
            support_url: platform.support_url,
            support_email: platform.support_email,
            demo: None,
        },
        discord: discord.place()?,
        grace: TimeDelta::from_std(platform.grace)?,
        webhooks: WebhookSettings {
            inbound: key("HUB_WEBHOOK_SECRET", platform.webhook_secret, WebhookKey::standard)?,
            stripe: key(
                "HUB_STRIPE_WEBHOOK_SECRET",
                platform.stripe_webhook_secret,
                WebhookKey::stripe,
            )?,
            stripe_prices,
            discord: told_by_discord,
            private_targets: platform.webhook_private_targets,
        },
        bot,
        calls_per_second: discord_calls_per_second,
    })
    .await?;
    say(format_args!("hub is listening on {}", node.url()));
    node.run(asked_to_end()).await
}

/// The key of a setting. One that is blank is not set.
fn key<K>(
    name: &str,
    secret: Option<String>,
    read: fn(&str) -> Result<K, InvalidWebhookKey>,
) -> anyhow::Result<Option<K>> {
    let secret = unless_blank(secret);
    secret.map(|secret| read(&secret).with_context(|| format!("{name} cannot be used"))).transpose()
}
