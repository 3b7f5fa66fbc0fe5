//! Browser sessions: one-time links that sign somebody in, and the sessions that follow from them.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::SqlitePool;

use crate::{
    error::StoreError,
    keys::{hash, token},
};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Signs in once.
    Link,
    /// Keeps somebody signed in.
    Session,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Session => "session",
        }
    }
}

/// Reads and writes who is signed in.
pub struct Sessions<'a>(pub(crate) &'a SqlitePool);

impl Sessions<'_> {
    /// Makes a token that stands for `content` until `expires_at`. Only its hash is stored.
    pub async fn create(
        &self,
        kind: Kind,
        content: &impl Serialize,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<SecretString, StoreError> {
        let made = token("")?;
        let content = serde_json::to_string(content).map_err(StoreError::Encode)?;
        sqlx::query("delete from sessions where expires_at <= ?1")
            .bind(now.timestamp_micros())
            .execute(self.0)
            .await?;
        sqlx::query(
            "insert into sessions (hash, kind, content, expires_at) values (?1, ?2, ?3, ?4)",
        )
        .bind(hash(made.expose_secret()))
        .bind(kind.as_str())
        .bind(content)
        .bind(expires_at.timestamp_micros())
        .execute(self.0)
        .await?;
        Ok(made)
    }

    /// What a token stands for; `None` for one that is unknown or expired.
    pub async fn get<T: DeserializeOwned>(
        &self,
        kind: Kind,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<T>, StoreError> {
        let content: Option<String> = sqlx::query_scalar(
            "select content from sessions where hash = ?1 and kind = ?2 and expires_at > ?3",
        )
        .bind(hash(token))
        .bind(kind.as_str())
        .bind(now.timestamp_micros())
        .fetch_optional(self.0)
        .await?;
        read(content)
    }

    /// Uses a token up, and answers what it stood for.
    pub async fn take<T: DeserializeOwned>(
        &self,
        kind: Kind,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<T>, StoreError> {
        let content: Option<String> = sqlx::query_scalar(
            "delete from sessions where hash = ?1 and kind = ?2 and expires_at > ?3 returning content",
        )
        .bind(hash(token))
        .bind(kind.as_str())
        .bind(now.timestamp_micros())
        .fetch_optional(self.0)
        .await?;
        read(content)
    }

    /// Uses up every token whose content has this value in a field.
    pub async fn end_all(
        &self,
        kind: Kind,
        field: &str,
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let value = serde_json::to_string(value).map_err(StoreError::Encode)?;
        sqlx::query("delete from sessions where kind = ?1 and content -> ?2 = json(?3)")
            .bind(kind.as_str())
            .bind(field)
            .bind(value)
            .execute(self.0)
            .await?;
        Ok(())
    }
}

fn read<T: DeserializeOwned>(content: Option<String>) -> Result<Option<T>, StoreError> {
    content
        .map(|content| {
            serde_json::from_str(&content).map_err(|_| StoreError::Malformed("a session"))
        })
        .transpose()
}
