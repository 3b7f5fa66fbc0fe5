//! `hub sandbox`: the Discord that stands in for the real one, alone.

use std::net::SocketAddr;

use anyhow::Context;
use discord_sandbox::{Config, Sandbox};

use super::{asked_to_end, say};
use crate::config::values;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The address to listen on.
    #[arg(
        long,
        env = "HUB_SANDBOX_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8090",
        value_parser = values::listen
    )]
    listen: SocketAddr,
}

pub(super) async fn run(Args { listen }: Args) -> anyhow::Result<()> {
    let sandbox =
        Sandbox::start(Config { listen, ..Config::default() }).await.with_context(|| {
            format!("the address {listen} cannot be listened on; choose another with --listen")
        })?;
    let application = sandbox.application();
    say(format_args!("sandbox is listening on {}", sandbox.base_url()));
    say("A hub speaks to it with these settings:");
    say(format_args!("  export HUB_DISCORD_API_URL={}", sandbox.base_url()));
    say(format_args!("  export HUB_DISCORD_GATEWAY_URL={}", sandbox.gateway_url()));
    say(format_args!("  export HUB_DISCORD_AUTHORIZE_URL={}", sandbox.authorize_url()));
    say(format_args!("  export HUB_DISCORD_CLIENT_ID={}", application.client_id));
    say(format_args!("  export HUB_DISCORD_CLIENT_SECRET={}", application.client_secret));
    say(format_args!("  export HUB_DISCORD_BOT_TOKEN={}", application.bot_token));
    say(format_args!("  export HUB_DISCORD_PUBLIC_KEY={}", sandbox.public_key()));
    say("It tells the hub who removes the application once it knows where the hub is:");
    say(format_args!(
        "  curl -X PUT {}/sandbox/webhook --json '{{\"url\": \"http://127.0.0.1:8080/v1/webhooks/discord\"}}'",
        sandbox.base_url()
    ));
    say("Its world is empty; fill it in a browser, or through the control API below /sandbox:");
    say(format_args!("  {}/", sandbox.base_url()));
    asked_to_end().await;
    Ok(())
}
