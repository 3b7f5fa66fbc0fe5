//! `hub keys`: API keys, beside a running hub or before its first start.

use std::time::Duration;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use domain::DisplayName;
use eventstore::{Mode, keys::Role};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::say;
use crate::config::{DataArgs, values};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key; it is printed once, on standard output.
    Create(Create),
    /// List the keys.
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Revoke a key at once.
    Revoke {
        /// The key's id, as `hub keys list` shows it.
        #[arg(value_parser = key_id)]
        id: Uuid,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// `platform`, `creator:ID`, `fan:ID`, `auditor` or `bot`.
    #[arg(long)]
    role: Role,

    /// What it is for, to tell keys apart.
    #[arg(long)]
    name: Option<DisplayName>,

    /// When it ends, for example `90d`.
    #[arg(long, value_name = "TIME", value_parser = values::lifetime)]
    expires: Option<Duration>,

    #[command(flatten)]
    data: DataArgs,
}

fn key_id(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text).map_err(|_| "must be a key's id, as `hub keys list` shows it".to_owned())
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(Create { role, name, expires, data }) => {
            let store = data.open(Mode::Prepare).await?;
            let now = store.clock().now();
            let lifetime = expires.map(TimeDelta::from_std).transpose()?;
            let name = name.map(|name| name.to_string()).unwrap_or_default();
            let expires_at = lifetime.map(|lifetime| now + lifetime);
            let (_, secret) = store.keys().create(&role, &name, expires_at, now).await?;
            say(secret.expose_secret());
        }
        Command::List { data } => {
            let store = data.open(Mode::Beside).await?;
            let now = store.clock().now();
            say(format_args!(
                "{:<36}  {:<24}  {:<8}  {:<20}  NAME",
                "ID", "ROLE", "STATE", "CREATED"
            ));
            for key in store.keys().list(None, u32::MAX).await? {
                let expired = key.expires_at.is_some_and(|at| at <= now);
                let state = match (key.revoked_at, expired) {
                    (Some(_), _) => "revoked",
                    (None, true) => "expired",
                    (None, false) => "valid",
                };
                let created = key.created_at.format("%Y-%m-%d %H:%M:%SZ");
                say(format_args!(
                    "{}  {:<24}  {state:<8}  {created:<20}  {}",
                    key.id,
                    key.role.to_string(),
                    key.name
                ));
            }
        }
        Command::Revoke { id, data } => {
            let store = data.open(Mode::Beside).await?;
            if !store
                .keys()
                .revoke(id, store.clock().now())
                .await
                .context("the key could not be revoked")?
            {
                bail!("no valid key has the id {id}; `hub keys list` shows them");
            }
            say(format_args!("revoked {id}"));
        }
    }
    Ok(())
}
