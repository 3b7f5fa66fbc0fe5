//! How fans stand in integrations: the rows that are shown, and how they change.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{
    FanId, GuildId, IntegrationId, RoleId,
    access::{Desired, Removed},
    personal::{Account, Personal},
    status::Status,
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
    /// Desired roles that somebody else took away, and nobody has given again yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taken_away: BTreeSet<RoleId>,
    /// What was taken away last, by Discord's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    pub status: Status,
    pub trouble: Option<Matter>,
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

impl FanAccess {
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

    /// The integrations of which a row changed, or went, after one position and up to another.
    pub async fn touched(
        &self,
        after: Position,
        to: Position,
    ) -> Result<Vec<IntegrationId>, ViewError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select integration from access where position > ?1 and position <= ?2
             union select integration from gone where position > ?1 and position <= ?2",
        )
        .bind(number(after))
        .bind(number(to))
        .fetch_all(&self.0.pool())
        .await?;
        ids.iter().map(|id| stored(id)).collect()
    }
}
