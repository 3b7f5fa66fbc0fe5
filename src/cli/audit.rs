//! `hub audit`: what auditors ask, beside a running hub or with it stopped.

use api::audit::{AccessAt, Asked, access, explain};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::{FanId, IntegrationId};
use eventstore::{Mode, Store};
use projections::{Audit, audit::AuditBeside};

use super::say;
use crate::config::DataArgs;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Tell who had which roles at a time.
    Access {
        /// The time, as 2026-01-31T12:00:00Z, or a day, which begins at midnight UTC.
        #[arg(long, value_name = "TIME", value_parser = time)]
        at: DateTime<Utc>,
        /// Only this fan.
        #[arg(long, value_name = "FAN")]
        fan: Option<FanId>,
        /// Only this integration.
        #[arg(long, value_name = "ID")]
        integration: Option<IntegrationId>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Tell why a fan has, or does not have, access through an integration.
    Explain {
        #[arg(long, value_name = "FAN")]
        fan: FanId,
        #[arg(long, value_name = "ID")]
        integration: IntegrationId,
        /// The time; now, where it is missing.
        #[arg(long, value_name = "TIME", value_parser = time)]
        at: Option<DateTime<Utc>>,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// A time in RFC 3339, or a day.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    time.or_else(day).ok_or_else(|| "write it as 2026-01-31T12:00:00Z or 2026-01-31".to_owned())
}

/// Rows that are read at once.
const PAGE: u32 = 200;

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let (Command::Access { data, .. } | Command::Explain { data, .. }) = &command;
    let store = data.open(Mode::Beside).await?;
    let view = AuditBeside::open(&data.views(), &store).await?;
    let told = tell(command, &store, view.audit()).await;
    view.close().await?;
    told
}

async fn tell(command: Command, store: &Store, audit: &Audit) -> anyhow::Result<()> {
    match command {
        Command::Access { at, fan, integration, json, .. } => {
            let asked = Asked { at, fan, integration };
            if !json {
                say(AccessAt::heading());
            }
            let mut after = None;
            loop {
                let rows = access(store, audit, &asked, after.as_ref(), PAGE).await?;
                let Some(last) = rows.last() else { return Ok(()) };
                after = Some(last.row());
                for row in &rows {
                    if json {
                        say(serde_json::to_string(row)?);
                    } else {
                        say(row);
                    }
                }
            }
        }
        Command::Explain { fan, integration, at, json, .. } => {
            let at = at.unwrap_or_else(|| store.clock().now());
            let told = explain(store, audit, &fan, integration, at).await?;
            if json {
                say(serde_json::to_string_pretty(&told)?);
            } else {
                say(told.to_string().trim_end());
            }
            Ok(())
        }
    }
}
