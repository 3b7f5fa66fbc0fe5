//! How many fans of an integration stand how, and what they wait for.

use std::collections::BTreeMap;

use domain::{IntegrationId, status::Status, trouble::Matter};
use sqlx::{Row, sqlite::SqliteRow};

use super::FanAccess;
use crate::{file::stored, view::ViewError};

impl FanAccess {
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
        rows.iter().map(|row| Ok((stored(row.get("status"))?, fans(row)))).collect()
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
        rows.iter().map(|row| Ok((serde_json::from_str(row.get("trouble"))?, fans(row)))).collect()
    }

    /// How many fans still have something to be taken away through an integration.
    pub async fn still_holding(&self, integration: IntegrationId) -> Result<u64, ViewError> {
        let counts = self.counts(integration).await?;
        Ok([Status::Revoking, Status::RevokeBlocked]
            .iter()
            .filter_map(|status| counts.get(status))
            .sum())
    }
}

fn fans(row: &SqliteRow) -> u64 {
    row.get::<i64, _>("fans").cast_unsigned()
}

fn blocked(counts: &BTreeMap<Status, u64>) -> u64 {
    let blocked = [Status::Blocked, Status::RevokeBlocked];
    blocked.iter().filter_map(|status| counts.get(status)).sum()
}

#[cfg(test)]
mod tests {
    use domain::Trouble;

    use crate::{fan_access::Follow, view::Projection};

    #[test]
    fn the_index_lists_every_decision_about_one_fan() {
        let decisions = Trouble::ALL.iter().filter(|trouble| trouble.is_decision());
        let codes: Vec<_> = decisions.map(|trouble| format!("'{trouble}'")).collect();
        assert_eq!(codes.len(), 2);
        assert!(codes.iter().all(|code| Follow::SCHEMA.contains(code.as_str())), "{codes:?}");
    }
}
