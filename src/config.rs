//! Settings: every option of the command line has an environment variable and a place in `hub.toml`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, Command, CommandFactory, FromArgMatches};
use domain::{CreatorId, TierId, ids::InvalidId};
use eventstore::{Clock, Mode, OpenError, Store, StoreOptions};
use url::Url;

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

/// Which Discord is spoken to, and as whom.
#[derive(Debug, Clone, Args)]
pub struct DiscordArgs {
    /// The base of Discord's REST API, without `/api/v10`.
    #[arg(
        long,
        env = "HUB_DISCORD_API_URL",
        value_name = "URL",
        default_value = "https://discord.com"
    )]
    pub discord_api_url: Url,

    /// The page where people allow the application.
    #[arg(
        long,
        env = "HUB_DISCORD_AUTHORIZE_URL",
        value_name = "URL",
        default_value = "https://discord.com/oauth2/authorize"
    )]
    pub discord_authorize_url: Url,

    /// Discord's gateway; where it is not set, Discord is asked for it.
    #[arg(long, env = "HUB_DISCORD_GATEWAY_URL", value_name = "URL")]
    pub discord_gateway_url: Option<Url>,

    /// The application's id, from Discord's developer portal.
    #[arg(long, env = "HUB_DISCORD_CLIENT_ID", value_name = "ID")]
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
        ];
        let missing: Vec<_> =
            named.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        match named.map(|(_, value)| value.clone()) {
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
    #[arg(long, env = "HUB_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,

    /// The platform's name, as the pages show it.
    #[arg(long, env = "HUB_PLATFORM_NAME", value_name = "NAME")]
    pub platform_name: Option<String>,

    /// Where people find the platform's support; every page shows it.
    #[arg(long, env = "HUB_SUPPORT_URL", value_name = "URL")]
    pub support_url: Option<Url>,

    /// The support's e-mail address; every page shows it.
    #[arg(long, env = "HUB_SUPPORT_EMAIL", value_name = "ADDRESS")]
    pub support_email: Option<String>,

    /// How long an active membership outlives its paid end, for renewals that come late.
    #[arg(long, env = "HUB_GRACE", value_name = "TIME", default_value = "3d", value_parser = duration)]
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
    #[arg(long, env = "HUB_STRIPE_PRICES", value_name = "LIST", value_delimiter = ',', value_parser = price)]
    pub stripe_prices: Vec<(String, (CreatorId, TierId))>,
}

/// A price of Stripe and the tier that it buys.
fn price(text: &str) -> Result<(String, (CreatorId, TierId)), String> {
    let parts =
        text.split_once('=').and_then(|(price, bought)| Some((price, bought.split_once('/')?)));
    let (price, (creator, tier)) = parts.ok_or("write PRICE=CREATOR/TIER")?;
    let wrong = |error: InvalidId| error.to_string();
    Ok((
        price.trim().to_owned(),
        (creator.trim().parse().map_err(wrong)?, tier.trim().parse().map_err(wrong)?),
    ))
}

/// A time such as `90d`, `12h` or `2h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write for example 3d or 12h"))
}

/// The settings file: `--config FILE`, else `HUB_CONFIG`, else `hub.toml` where there is one.
fn file(arguments: &[String]) -> Option<(PathBuf, bool)> {
    let flag = arguments
        .iter()
        .position(|argument| argument == "--config")
        .and_then(|at| arguments.get(at + 1));
    let inline = arguments.iter().find_map(|argument| argument.strip_prefix("--config="));
    let named = flag
        .map(String::as_str)
        .or(inline)
        .map(str::to_owned)
        .or_else(|| std::env::var("HUB_CONFIG").ok());
    match named {
        Some(named) => Some((named.into(), true)),
        None => Some((PathBuf::from("hub.toml"), false)).filter(|(path, _)| path.exists()),
    }
}

/// Reads the command line, on top of the environment, on top of the settings file.
///
/// # Errors
/// A settings file that is missing, malformed, or that names a setting that no command has.
pub fn parse<T: CommandFactory + FromArgMatches>(arguments: Vec<String>) -> anyhow::Result<T> {
    let mut command = T::command();
    if let Some((path, named)) = file(&arguments) {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the settings file {} cannot be read", path.display()))?;
        command = with_defaults(command, &settings(&path, &text)?).with_context(|| {
            format!(
                "in the settings file {}{}",
                path.display(),
                if named { "" } else { " of this folder" }
            )
        })?;
    }
    // Help, version and mistakes on the command line print themselves and end the process.
    let matches = command.get_matches_from(arguments);
    Ok(T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

fn settings(path: &Path, text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let table: toml::Table = text
        .parse()
        .with_context(|| format!("the settings file {} is not TOML", path.display()))?;
    table
        .into_iter()
        .map(|(name, value)| match value {
            toml::Value::String(text) => Ok((name, text)),
            toml::Value::Integer(number) => Ok((name, number.to_string())),
            toml::Value::Boolean(flag) => Ok((name, flag.to_string())),
            _ => bail!("{name} in {} must be a text, a number or true/false", path.display()),
        })
        .collect()
}

/// Makes the file's settings the defaults of the options of the same names.
fn with_defaults(mut command: Command, settings: &[(String, String)]) -> anyhow::Result<Command> {
    for (name, value) in settings {
        let mut known = false;
        command = default_of(command, name, value, &mut known);
        if !known {
            bail!(
                "no option is called {name}; `hub <command> --help` names them, with _ for - in the file"
            );
        }
    }
    Ok(command)
}

fn default_of(mut command: Command, name: &str, value: &str, known: &mut bool) -> Command {
    if command
        .get_arguments()
        .any(|argument| argument.get_id() == name && !argument.is_positional())
    {
        *known = true;
        let value = value.to_owned();
        command = command.mut_arg(name, |argument| argument.default_value(value).required(false));
    }
    let names: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in names {
        command = command.mut_subcommand(sub, |sub| default_of(sub, name, value, known));
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::{Parser, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Top {
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, Subcommand)]
    enum Sub {
        Serve(Serve),
    }

    #[derive(Debug, Args)]
    struct Serve {
        #[arg(long, default_value = "a")]
        some_name: String,
    }

    fn name(arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<String> {
        let settings: Vec<_> =
            settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let command = with_defaults(Top::command(), &settings)?;
        let Sub::Serve(serve) =
            Top::from_arg_matches(&command.get_matches_from(arguments))?.command;
        Ok(serve.some_name)
    }

    #[test]
    fn the_file_sets_what_the_command_line_does_not() {
        assert_eq!(name(&["hub", "serve"], &[]).unwrap(), "a");
        assert_eq!(name(&["hub", "serve"], &[("some_name", "b")]).unwrap(), "b");
        assert_eq!(
            name(&["hub", "serve", "--some-name", "c"], &[("some_name", "b")]).unwrap(),
            "c"
        );
    }

    #[test]
    fn a_setting_that_no_option_has_is_refused() {
        let error = name(&["hub", "serve"], &[("sme_name", "b")]).unwrap_err();
        assert!(error.to_string().contains("sme_name"), "{error}");
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(duration("3d"), Ok(Duration::from_hours(72)));
        assert!(duration("soon").unwrap_err().contains("3d"));
    }
}
