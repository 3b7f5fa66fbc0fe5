//! The command stream: what is left to do on Discord, for one account in one server each.

use std::{num::ParseIntError, str::FromStr};

use domain::{
    FanId, GuildId, Trouble,
    access::{Desired, Holder, Standing},
    account::AccountKey,
    desired::Plan,
    personal::{Account, Personal},
    trouble::Matter,
};
use eventstore::Position;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::{FanAccess, docs};
use crate::{
    file::{number, stored},
    view::ViewError,
};

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// To bring somebody in.
    Grant,
    /// To give a member other roles.
    Change,
    /// To take everything away.
    Revoke,
}

/// An instruction to bring one account in one server to the desired access.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandRow {
    /// Unique for version, guild and account; names no account.
    pub id: String,
    /// The position of the event that made it due. A higher one supersedes it.
    pub version: u64,
    pub guild: GuildId,
    pub fan: FanId,
    pub account: Personal<Account>,
    pub account_key: AccountKey,
    pub kind: CommandKind,
    pub desired: Desired,
    pub plan: Plan,
    pub standing: Standing,
    /// Why it waits for somebody, if it does.
    pub parked: Option<Matter>,
}

impl CommandRow {
    /// Whom it is about, as events name them.
    pub fn holder(&self) -> Holder {
        Holder {
            guild: self.guild,
            fan: self.fan.clone(),
            account: self.account.clone(),
            account_key: self.account_key.clone(),
        }
    }
}

/// Open commands that wait for the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// What they wait for; `None`: they are in work.
    pub parked: Option<Trouble>,
    pub commands: u64,
    /// The oldest one's version.
    pub oldest: Position,
}

/// A place in the order of commands. In text: a command's id, or a position for everything up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandCursor {
    version: Position,
    guild: String,
    account: String,
}

impl CommandCursor {
    /// After every command of this version and of those before it.
    pub fn after(version: Position) -> Self {
        Self { version, guild: BEHIND_ALL.to_owned(), account: String::new() }
    }

    /// Where the log stood when the last command before it became due.
    pub fn position(&self) -> Position {
        self.version
    }
}

/// Sorts behind every id of digits and every key of hexadecimal digits.
const BEHIND_ALL: &str = "~";

impl FromStr for CommandCursor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let mut parts = text.splitn(3, '-');
        let version = Position(parts.next().unwrap_or_default().parse()?);
        Ok(match (parts.next(), parts.next()) {
            // An id has the beginning of the account's key.
            (Some(guild), Some(short)) => {
                Self { version, guild: guild.to_owned(), account: format!("{short}{BEHIND_ALL}") }
            }
            _ => Self::after(version),
        })
    }
}

impl FanAccess {
    /// The open commands of some shards after a place in their order, oldest first; parked ones are among them.
    pub async fn commands(
        &self,
        shards: &[u32],
        of: u32,
        after: &CommandCursor,
        limit: u32,
    ) -> Result<Vec<CommandRow>, ViewError> {
        let rows = sqlx::query(
            "select doc from commands
             where (version, guild, account_key) > (?1, ?2, ?3)
               and shard_base % ?4 in (select value from json_each(?5))
             order by version, guild, account_key limit ?6",
        )
        .bind(number(after.version))
        .bind(&after.guild)
        .bind(&after.account)
        .bind(of.max(1))
        .bind(serde_json::to_string(shards)?)
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        docs(&rows)
    }

    /// An open command; `None` once it is done or superseded.
    pub async fn command(&self, id: &str) -> Result<Option<CommandRow>, ViewError> {
        let row = sqlx::query("select doc from commands where id = ?1")
            .bind(id)
            .fetch_optional(&self.0.pool())
            .await?;
        Ok(docs(row.as_slice())?.pop())
    }

    /// How many commands are open, by what they wait for.
    pub async fn queue(&self) -> Result<Vec<Queued>, ViewError> {
        let rows = sqlx::query(
            "select parked, count(*) as commands, min(version) as oldest from commands
             group by parked order by commands desc",
        )
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let (commands, oldest): (i64, i64) = (row.get("commands"), row.get("oldest"));
                let parked: Option<&str> = row.get("parked");
                Ok(Queued {
                    parked: parked.map(stored).transpose()?,
                    commands: commands.cast_unsigned(),
                    oldest: Position(oldest.cast_unsigned()),
                })
            })
            .collect()
    }
}
