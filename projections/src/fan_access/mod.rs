//! How every fan stands in every integration, and the command stream that brings them there.
//!
//! Both fold the same reasons, so they are tables of one view. `follow` applies events one by one;
//! `fan` holds what one fan's events change; `tables` reads, `written` writes; `holds` and `notices` have what waits for people
//! and what they are told; this file answers questions.

pub(crate) mod fan;
pub(crate) mod follow;
pub mod holds;
pub mod notices;
mod tables;
mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::ParseIntError,
    str::FromStr,
};

use chrono::{DateTime, Utc};
use domain::{
    CreatorId, FanId, GuildId, IntegrationId, RoleId, TierId, Trouble,
    access::{Desired, Holder, Removed, Standing},
    account::AccountKey,
    desired::{Facts, Plan},
    integration::State as Integration,
    personal::{Account, Personal},
    status::Status,
    trouble::Matter,
};
use eventstore::Position;
use serde::{Deserialize, Serialize};
use sqlx::{Row, sqlite::SqliteRow};

pub(crate) use self::follow::Follow;
use crate::{
    file::{Reader, number, stored},
    view::ViewError,
};

/// How a fan stands in one integration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FanRow {
    pub integration: IntegrationId,
    pub fan: FanId,
    pub guild: Option<GuildId>,
    pub account: Option<Personal<Account>>,
    /// What the fan should have in the server, through this and every other integration on it.
    pub desired: Desired,
    /// Whether Discord last showed the fan in the server.
    pub present: Option<bool>,
    /// Since when, by Discord's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<DateTime<Utc>>,
    /// The roles that the fan has from the Hub.
    pub given: BTreeSet<RoleId>,
    /// What was taken away last, by Discord's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    pub status: Status,
    pub trouble: Option<(Trouble, Option<RoleId>)>,
    /// Whether the fan has, or had, access through this integration.
    #[serde(default)]
    pub through: bool,
    /// Accounts that the fan used before, and from which something is still to be taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Leftover>,
    /// Accounts that the fan used before and that hold nothing any more, by Discord's answer, and what it took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub let_go: Vec<(Personal<Account>, Removed)>,
    /// The last event that changed this row.
    pub position: Position,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum FanChange {
    Row(Box<FanRow>),
    /// The integration has nothing to do with the fan any more.
    Gone(GoneRow),
}

/// A row that there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneRow {
    pub integration: IntegrationId,
    pub fan: FanId,
    /// The event that took it away.
    pub position: Position,
}

impl FanChange {
    /// Its place in the order of changes.
    pub fn place(&self) -> (Position, IntegrationId, &FanId) {
        match self {
            Self::Row(row) => (row.position, row.integration, &row.fan),
            Self::Gone(row) => (row.position, row.integration, &row.fan),
        }
    }
}

/// An account that a fan no longer uses and that still has something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leftover {
    pub account: Personal<Account>,
    pub present: Option<bool>,
    pub given: BTreeSet<RoleId>,
    /// Why it is not taken away; `None` while it is on its way.
    pub trouble: Option<Matter>,
}

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
    pub parked: Option<(Trouble, Option<RoleId>)>,
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

/// The view's questions.
#[derive(Clone)]
pub struct FanAccess(pub(crate) Reader);

impl FanAccess {
    /// Everything that is known of a fan.
    pub async fn facts(&self, fan: &FanId) -> Result<Option<Facts>, ViewError> {
        let doc: Option<String> = sqlx::query_scalar("select doc from fans where fan = ?1")
            .bind(fan.as_str())
            .fetch_optional(&self.0.pool())
            .await?;
        Ok(doc.map(|doc| serde_json::from_str::<fan::Fan>(&doc)).transpose()?.map(|fan| fan.facts))
    }

    /// Everything that is known of some fans.
    pub async fn facts_of(&self, fans: &[FanId]) -> Result<Vec<(FanId, Facts)>, ViewError> {
        let rows = sqlx::query(
            "select fan, doc from fans where fan in (select value from json_each(?1)) order by fan",
        )
        .bind(serde_json::to_string(fans)?)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let fan: fan::Fan = serde_json::from_str(row.get("doc"))?;
                Ok((stored(row.get("fan"))?, fan.facts))
            })
            .collect()
    }

    /// A creator's integrations as far as access needs them: without role lists.
    pub async fn integrations_of(
        &self,
        creator: &CreatorId,
    ) -> Result<Vec<(IntegrationId, Integration)>, ViewError> {
        let rows = sqlx::query("select id, doc from integrations where creator = ?1 order by id")
            .bind(creator.as_str())
            .fetch_all(&self.0.pool())
            .await?;
        rows.iter()
            .map(|row| Ok((stored(row.get("id"))?, serde_json::from_str(row.get("doc"))?)))
            .collect()
    }

    /// How many fans of an integration have each status.
    pub async fn counts(
        &self,
        integration: IntegrationId,
    ) -> Result<BTreeMap<Status, u64>, ViewError> {
        let rows =
            sqlx::query("select status, fans from counts where integration = ?1 and fans > 0")
                .bind(integration.to_string())
                .fetch_all(&self.0.pool())
                .await?;
        rows.iter()
            .map(|row| {
                let fans: i64 = row.get("fans");
                Ok((stored(row.get("status"))?, fans.cast_unsigned()))
            })
            .collect()
    }

    /// How many fans of an integration are blocked because somebody decided against their access: that is as it should
    /// be.
    pub async fn kept_out(
        &self,
        integration: IntegrationId,
        counts: &BTreeMap<Status, u64>,
    ) -> Result<u64, ViewError> {
        if blocked(counts) == 0 {
            return Ok(0);
        }
        // The list is that of the index.
        let kept_out: i64 = sqlx::query_scalar(
            "select count(*) from access
             where integration = ?1 and status in ('blocked', 'revoke_blocked')
             and doc ->> '$.trouble[0]' in ('banned', 'withheld')",
        )
        .bind(integration.to_string())
        .fetch_one(&self.0.pool())
        .await?;
        Ok(kept_out.cast_unsigned())
    }

    /// How many fans of an integration wait for something to be mended; those who are `kept_out` do not.
    pub async fn waiting(
        &self,
        integration: IntegrationId,
        counts: &BTreeMap<Status, u64>,
        kept_out: u64,
    ) -> Result<u64, ViewError> {
        // What an account has left that they no longer use is not in their status.
        let left: i64 = sqlx::query_scalar(
            "select count(*) from access
             where integration = ?1 and json_array_length(doc, '$.leftovers') > 0
             and status not in ('blocked', 'revoke_blocked')
             and exists (select 1 from json_each(doc, '$.leftovers') where value ->> '$.trouble' is not null)",
        )
        .bind(integration.to_string())
        .fetch_one(&self.0.pool())
        .await?;
        Ok(left.cast_unsigned() + blocked(counts).saturating_sub(kept_out))
    }

    /// How many fans of an integration wait because of what.
    pub async fn troubles(
        &self,
        integration: IntegrationId,
    ) -> Result<BTreeMap<Matter, u64>, ViewError> {
        let rows = sqlx::query(
            "select trouble, count(*) as fans from (
                 select doc ->> '$.trouble' as trouble from access
                 where integration = ?1 and status in ('action_required', 'blocked', 'revoke_blocked')
                 union all
                 select leftover.value ->> '$.trouble' from access, json_each(doc, '$.leftovers') as leftover
                 where integration = ?1 and json_array_length(doc, '$.leftovers') > 0
             ) where trouble is not null group by trouble",
        )
        .bind(integration.to_string())
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let fans: i64 = row.get("fans");
                Ok((serde_json::from_str(row.get("trouble"))?, fans.cast_unsigned()))
            })
            .collect()
    }

    /// The fans of an integration, by id.
    pub async fn fans(
        &self,
        integration: IntegrationId,
        status: Option<Status>,
        after: Option<&FanId>,
        limit: u32,
    ) -> Result<Vec<FanRow>, ViewError> {
        // Two statements, so that each has the index that fits it.
        let query = match status {
            Some(status) => sqlx::query(
                "select doc from access where integration = ?1 and fan > ?2 and status = ?4 order by fan limit ?3",
            )
            .bind(integration.to_string())
            .bind(after.map_or("", FanId::as_str))
            .bind(limit)
            .bind(status.as_str()),
            None => sqlx::query("select doc from access where integration = ?1 and fan > ?2 order by fan limit ?3")
                .bind(integration.to_string())
                .bind(after.map_or("", FanId::as_str))
                .bind(limit),
        };
        docs(&query.fetch_all(&self.0.pool()).await?)
    }

    /// How one fan stands in one integration; `None` where it has nothing to do with them.
    pub async fn fan_row(
        &self,
        integration: IntegrationId,
        fan: &FanId,
    ) -> Result<Option<FanRow>, ViewError> {
        let row = sqlx::query("select doc from access where integration = ?1 and fan = ?2")
            .bind(integration.to_string())
            .bind(fan.as_str())
            .fetch_optional(&self.0.pool())
            .await?;
        Ok(docs(row.as_slice())?.pop())
    }

    /// The rows that changed, or went, after a position, in the order of their changes.
    pub async fn changed(
        &self,
        after: (Position, Option<(IntegrationId, FanId)>),
        limit: u32,
    ) -> Result<Vec<FanChange>, ViewError> {
        let (position, row) = after;
        // Without a row: everything that came after the position as a whole.
        let (integration, fan) = row
            .map_or(("~".to_owned(), String::new()), |(integration, fan)| {
                (integration.to_string(), fan.to_string())
            });
        let rows = sqlx::query(
            "select position, integration, fan, doc from access where (position, integration, fan) > (?1, ?2, ?3)
             union all
             select position, integration, fan, null from gone where (position, integration, fan) > (?1, ?2, ?3)
             order by position, integration, fan limit ?4",
        )
        .bind(number(position))
        .bind(integration)
        .bind(fan)
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(match row.get::<Option<&str>, _>("doc") {
                    Some(doc) => FanChange::Row(serde_json::from_str(doc)?),
                    None => FanChange::Gone(GoneRow {
                        integration: stored(row.get("integration"))?,
                        fan: stored(row.get("fan"))?,
                        position: Position(row.get::<i64, _>("position").cast_unsigned()),
                    }),
                })
            })
            .collect()
    }

    /// The fans who hold, or held, a tier, by id.
    pub async fn holders(
        &self,
        creator: &CreatorId,
        tier: &TierId,
        after: Option<&FanId>,
        limit: u32,
    ) -> Result<Vec<FanId>, ViewError> {
        let fans: Vec<String> = sqlx::query_scalar(
            "select distinct fan from memberships where creator = ?1 and tier = ?2 and fan > ?3 order by fan limit ?4",
        )
        .bind(creator.as_str())
        .bind(tier.as_str())
        .bind(after.map_or("", FanId::as_str))
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        fans.iter().map(|fan| stored(fan)).collect()
    }

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

    /// How many fans still have something to be taken away through an integration.
    pub async fn still_holding(&self, integration: IntegrationId) -> Result<u64, ViewError> {
        let counts = self.counts(integration).await?;
        Ok([Status::Revoking, Status::RevokeBlocked]
            .iter()
            .filter_map(|status| counts.get(status))
            .sum())
    }

    /// Accounts that are unlinked and hold nothing any more, with the fan who reserved them.
    pub async fn releasable_accounts(
        &self,
        limit: u32,
    ) -> Result<Vec<(AccountKey, FanId)>, ViewError> {
        let rows =
            sqlx::query("select account_key, fan from releasable order by account_key limit ?1")
                .bind(limit)
                .fetch_all(&self.0.pool())
                .await?;
        rows.iter()
            .map(|row| Ok((stored(row.get("account_key"))?, stored(row.get("fan"))?)))
            .collect()
    }
}

fn docs<T: for<'de> Deserialize<'de>>(rows: &[SqliteRow]) -> Result<Vec<T>, ViewError> {
    rows.iter().map(|row| Ok(serde_json::from_str(row.get("doc"))?)).collect()
}

fn blocked(counts: &BTreeMap<Status, u64>) -> u64 {
    let blocked = [Status::Blocked, Status::RevokeBlocked];
    blocked.iter().filter_map(|status| counts.get(status)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Projection;

    #[test]
    fn the_index_lists_every_decision_about_one_fan() {
        let decisions = Trouble::ALL.iter().filter(|trouble| trouble.is_decision());
        let codes: Vec<_> = decisions.map(|trouble| format!("'{trouble}'")).collect();
        assert_eq!(codes.len(), 2);
        assert!(codes.iter().all(|code| Follow::SCHEMA.contains(code.as_str())), "{codes:?}");
    }
}
