//! Settings: every option of the command line has an environment variable and a place in `hub.toml`.

mod file;
pub(crate) mod values;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::bail;
use clap::Args;
use domain::{CreatorId, TierId};
use eventstore::{Clock, Mode, OpenError, Store, StoreOptions};
use url::Url;

pub use self::file::parse;

/// Where the log, its side tables and the views stand.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// The folder that holds the log and the views.
    #[arg(long, env = "HUB_DATA", value_name = "DIR", default_value = "./hub-data")]
    pub data: PathBuf,

    /// The key that wraps all other keys: 32 bytes in base64. Without it, a key file in the data folder.
    #[arg(long, env = "HUB_MASTER_KEY", value_name = "BASE64", hide_env_values = true)]
    pub master_key: Option<String>,
}

impl DataArgs {
    /// The log and its side tables, by the wall clock.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open(&self, mode: Mode) -> Result<Store, OpenError> {
        let master_key = self.master_key.clone().map(Into::into);
        let options = StoreOptions { clock: Clock::system(), master_key, mode };
        Store::open(&self.data, options).await
    }

    /// The folder of the views.
    pub fn views(&self) -> PathBuf {
        self.data.join("views")
    }
}

/// Where the Hub listens.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// The address to listen on.
    #[arg(
        long,
        env = "HUB_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = values::listen
    )]
    pub listen: SocketAddr,
}

/// Which Discord is spoken to, and as whom.
#[derive(Debug, Clone, Args)]
pub struct DiscordArgs {
    /// The base of Discord's REST API, without `/api/v10`.
    #[arg(
        long,
        env = "HUB_DISCORD_API_URL",
        value_name = "URL",
        default_value = "https://discord.com",
        value_parser = values::base
    )]
    pub discord_api_url: Url,

    /// The page where people allow the application.
    #[arg(
        long,
        env = "HUB_DISCORD_AUTHORIZE_URL",
        value_name = "URL",
        default_value = "https://discord.com/oauth2/authorize",
        value_parser = values::web
    )]
    pub discord_authorize_url: Url,

    /// Discord's gateway; where it is not set, Discord is asked for it.
    #[arg(long, env = "HUB_DISCORD_GATEWAY_URL", value_name = "URL", value_parser = values::gateway)]
    pub discord_gateway_url: Option<Url>,

    /// The application's id, from Discord's developer portal.
    #[arg(long, env = "HUB_DISCORD_CLIENT_ID", value_name = "ID", value_parser = values::application)]
    pub discord_client_id: Option<String>,

    /// The application's secret.
    #[arg(long, env = "HUB_DISCORD_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub discord_client_secret: Option<String>,

    /// The bot's token.
    #[arg(long, env = "HUB_DISCORD_BOT_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub discord_bot_token: Option<String>,

    /// The application's public key: what Discord tells by webhook is signed for it.
    #[arg(long, env = "HUB_DISCORD_PUBLIC_KEY", value_name = "HEX")]
    pub discord_public_key: Option<String>,
}

impl DiscordArgs {
    /// The three that have no default, or one line that says what to set.
    pub fn credentials(&self) -> anyhow::Result<(String, String, String)> {
        let named = [
            ("HUB_DISCORD_CLIENT_ID", &self.discord_client_id),
            ("HUB_DISCORD_CLIENT_SECRET", &self.discord_client_secret),
            ("HUB_DISCORD_BOT_TOKEN", &self.discord_bot_token),
        ]
        .map(|(name, value)| (name, unless_blank(value.clone())));
        let missing: Vec<_> =
            named.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        match named.map(|(_, value)| value) {
            [Some(id), Some(secret), Some(token)] => Ok((id, secret, token)),
            _ => bail!(
                "Discord's settings are missing: set {}, or try `hub demo`, which brings a Discord of its own",
                missing.join(", ")
            ),
        }
    }
}

/// Where the platform's people find the Hub, and the rules that a platform may set.
#[derive(Debug, Clone, Args)]
pub struct PlatformArgs {
    /// Where browsers reach the Hub; redirects are built from it. Without it, the address listened on.
    #[arg(long, env = "HUB_PUBLIC_URL", value_name = "URL", value_parser = values::base)]
    pub public_url: Option<Url>,

    /// The platform's name, as the pages show it.
    #[arg(long, env = "HUB_PLATFORM_NAME", value_name = "NAME")]
    pub platform_name: Option<String>,

    /// Where people find the platform's support; every page shows it.
    #[arg(long, env = "HUB_SUPPORT_URL", value_name = "URL", value_parser = values::web)]
    pub support_url: Option<Url>,

    /// The support's e-mail address; every page shows it.
    #[arg(long, env = "HUB_SUPPORT_EMAIL", value_name = "ADDRESS", value_parser = values::email)]
    pub support_email: Option<String>,

    /// How long an active membership outlives its paid end, for renewals that come late.
    #[arg(long, env = "HUB_GRACE", value_name = "TIME", default_value = "3d", value_parser = values::duration)]
    pub grace: Duration,

    /// What the platform signs its webhooks with: `whsec_` and base64, as Standard Webhooks has it.
    #[arg(long, env = "HUB_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub webhook_secret: Option<String>,

    /// Lets webhooks go to private addresses and over plain HTTP, for endpoints in the Hub's own network.
    #[arg(long, env = "HUB_WEBHOOK_PRIVATE_TARGETS")]
    pub webhook_private_targets: bool,

    /// What Stripe signs its webhooks with.
    #[arg(long, env = "HUB_STRIPE_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub stripe_webhook_secret: Option<String>,

    /// Which tier a price of Stripe buys: `PRICE=CREATOR/TIER`, with commas between them.
    #[arg(long, env = "HUB_STRIPE_PRICES", value_name = "LIST", value_delimiter = ',', value_parser = values::price)]
    pub stripe_prices: Vec<(String, (CreatorId, TierId))>,
}

impl PlatformArgs {
    /// What each price of Stripe buys: one tier.
    pub fn prices(&self) -> anyhow::Result<BTreeMap<String, (CreatorId, TierId)>> {
        let mut prices = BTreeMap::new();
        for (price, bought) in &self.stripe_prices {
            if prices.insert(price.clone(), bought.clone()).is_some() {
                bail!(
                    "HUB_STRIPE_PRICES names the price {price} twice; a price buys one tier, so name it once"
                );
            }
        }
        Ok(prices)
    }
}

/// A secret, unless it is left blank: that is not set.
pub fn unless_blank(secret: Option<String>) -> Option<String> {
    secret.filter(|secret| !secret.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    #[test]
    fn a_secret_that_is_left_blank_is_not_set() {
        let parse = |secret: &str| {
            let command = DiscordArgs::augment_args(Command::new("hub"));
            let matches = command.get_matches_from([
                "hub",
                "--discord-client-id=900000000000000001",
                &format!("--discord-client-secret={secret}"),
                "--discord-bot-token=token",
            ]);
            DiscordArgs::from_arg_matches(&matches).unwrap().credentials()
        };
        assert!(parse("secret").is_ok());
        for blank in ["", " ", "\t"] {
            let error = parse(blank).unwrap_err().to_string();
            assert!(error.contains("set HUB_DISCORD_CLIENT_SECRET, or"), "{error}");
        }
    }

    #[test]
    fn a_price_buys_one_tier() {
        let parse = |prices: &str| {
            let command = PlatformArgs::augment_args(Command::new("hub"));
            let matches = command.get_matches_from(["hub", "--stripe-prices", prices]);
            PlatformArgs::from_arg_matches(&matches).unwrap().prices()
        };
        assert_eq!(parse("a=kim/gold,b=kim/gold").unwrap().len(), 2);
        let error = parse("a=kim/gold, a=kim/silver").unwrap_err().to_string();
        assert!(error.contains("HUB_STRIPE_PRICES names the price a twice"), "{error}");
    }
}
