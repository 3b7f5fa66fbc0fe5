//! How every fan stands in every integration, and the command stream that brings them there.
//!
//! Both fold the same reasons, so they are tables of one view. `follow` applies events one by one; `fan` holds what one
//! fan's events change; `tables` reads, `written` writes. `fan_rows`, `commands` and `counts` have the rows and answer
//! questions about them; `holds` and `notices` have what waits for people and what they are told.

mod commands;
mod counts;
pub(crate) mod fan;
mod fan_rows;
pub(crate) mod follow;
pub mod holds;
pub mod notices;
mod tables;
mod written;

use domain::{
    CreatorId, FanId, IntegrationId, TierId, account::AccountKey, desired::Facts,
    integration::State as Integration,
};
use serde::Deserialize;
use sqlx::{Row, sqlite::SqliteRow};

pub(crate) use self::follow::Follow;
pub use self::{
    commands::{CommandCursor, CommandKind, CommandRow, Queued},
    fan_rows::{FanChange, FanRow, GoneRow, Leftover},
};
use crate::{
    file::{Reader, stored},
    view::ViewError,
};

/// Answers how fans stand, and what is left to do.
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
