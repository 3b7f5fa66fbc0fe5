//! OAuth2 states: what a browser that comes back from Discord was sent there for. Each is used once.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::SqlitePool;

use crate::{
    error::StoreError,
    keys::{hash, token},
};

/// How long a state can be used.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// Reads and writes which ways to Discord are under way.
pub struct States<'a>(pub(crate) &'a SqlitePool);

impl States<'_> {
    /// Makes a state for a purpose. Only its hash is stored.
    pub async fn create(
        &self,
        purpose: &impl Serialize,
        now: DateTime<Utc>,
    ) -> Result<SecretString, StoreError> {
        let state = token("")?;
        let purpose = serde_json::to_string(purpose).map_err(StoreError::Encode)?;
        sqlx::query("delete from oauth_states where created_at < ?1")
            .bind((now - LIFETIME).timestamp_micros())
            .execute(self.0)
            .await?;
        sqlx::query("insert into oauth_states (hash, purpose, created_at) values (?1, ?2, ?3)")
            .bind(hash(state.expose_secret()))
            .bind(purpose)
            .bind(now.timestamp_micros())
            .execute(self.0)
            .await?;
        Ok(state)
    }

    /// What a state was made for; `None` for one that is unknown, used or expired. It is used up by this.
    pub async fn take<T: DeserializeOwned>(
        &self,
        state: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<T>, StoreError> {
        let purpose: Option<String> = sqlx::query_scalar(
            "delete from oauth_states where hash = ?1 and created_at > ?2 returning purpose",
        )
        .bind(hash(state))
        .bind((now - LIFETIME).timestamp_micros())
        .fetch_optional(self.0)
        .await?;
        let read = |purpose: String| {
            serde_json::from_str(&purpose).map_err(|_| StoreError::Malformed("an OAuth2 state"))
        };
        purpose.map(read).transpose()
    }
}
