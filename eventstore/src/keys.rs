//! API keys: shown once, stored as hashes.
//!
//! A key is 256 random bits, so a plain SHA-256 of it cannot be guessed back; a slow hash would only slow
//! every request. A lookup by hash compares nothing secret byte by byte.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use domain::{CreatorId, FanId};
use ring::{digest, rand::SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{error::StoreError, metadata::Actor, vault};

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    Platform,
    Creator(CreatorId),
    Fan(FanId),
    Auditor,
    Bot,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; use platform, creator:ID, fan:ID, auditor or bot")]
pub struct InvalidRole(String);

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Creator(id) => write!(f, "creator:{id}"),
            Self::Fan(id) => write!(f, "fan:{id}"),
            Self::Auditor => f.write_str("auditor"),
            Self::Bot => f.write_str("bot"),
        }
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let invalid = || InvalidRole(text.to_owned());
        match text.split_once(':') {
            None if text == "platform" => Ok(Self::Platform),
            None if text == "auditor" => Ok(Self::Auditor),
            None if text == "bot" => Ok(Self::Bot),
            Some(("creator", id)) => id.parse().map(Self::Creator).map_err(|_| invalid()),
            Some(("fan", id)) => id.parse().map(Self::Fan).map_err(|_| invalid()),
            Some(_) | None => Err(invalid()),
        }
    }
}

/// A key as it is listed: without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: Uuid,
    pub role: Role,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// On whose behalf the key's holder acts.
    pub fn actor(&self) -> Actor {
        match &self.role {
            Role::Platform => Actor::Platform,
            Role::Creator(id) => Actor::Creator(id.clone()),
            Role::Fan(id) => Actor::Fan(id.clone()),
            Role::Auditor => Actor::Auditor,
            Role::Bot => Actor::Bot(self.id.to_string()),
        }
    }
}

/// Reads and writes API keys.
pub struct Keys<'a>(pub(crate) &'a SqlitePool);

/// A new random secret that begins with a readable prefix.
pub(crate) fn token(prefix: &str) -> Result<SecretString, StoreError> {
    let secret = vault::secret(&SystemRandom::new()).ok_or(StoreError::NoRandom)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(secret.as_ref())).into())
}

pub(crate) fn hash(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

impl Keys<'_> {
    /// Makes a key. The secret is not stored and cannot be shown again.
    pub async fn create(
        &self,
        role: &Role,
        name: &str,
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(ApiKey, SecretString), StoreError> {
        let secret = token("hub_")?;
        let key = ApiKey {
            id: Uuid::now_v7(),
            role: role.clone(),
            name: name.to_owned(),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        sqlx::query(
            "insert into api_keys (id, hash, role, name, created_at, expires_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(key.id.to_string())
        .bind(hash(secret.expose_secret()))
        .bind(role.to_string())
        .bind(name)
        .bind(now.timestamp_micros())
        .bind(expires_at.map(|at| at.timestamp_micros()))
        .execute(self.0)
        .await?;
        Ok((key, secret))
    }

    /// Whose key this is; `None` for one that is unknown, expired or revoked.
    pub async fn authenticate(
        &self,
        secret: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiKey>, StoreError> {
        let row = sqlx::query(
            "select * from api_keys
             where hash = ?1 and revoked_at is null and (expires_at is null or expires_at > ?2)",
        )
        .bind(hash(secret))
        .bind(now.timestamp_micros())
        .fetch_optional(self.0)
        .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Whether a key may still be used.
    pub async fn is_valid(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists (
                 select 1 from api_keys
                 where id = ?1 and revoked_at is null and (expires_at is null or expires_at > ?2)
             )",
        )
        .bind(id.to_string())
        .bind(now.timestamp_micros())
        .fetch_one(self.0)
        .await?)
    }

    /// The keys after one of them, oldest first.
    pub async fn list(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<ApiKey>, StoreError> {
        sqlx::query("select * from api_keys where id > ?1 order by id limit ?2")
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(self.0)
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Revokes a key at once; answers whether there was one to revoke.
    pub async fn revoke(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let done =
            sqlx::query("update api_keys set revoked_at = ?2 where id = ?1 and revoked_at is null")
                .bind(id.to_string())
                .bind(now.timestamp_micros())
                .execute(self.0)
                .await?;
        Ok(done.rows_affected() > 0)
    }
}

fn read(row: &SqliteRow) -> Result<ApiKey, StoreError> {
    let malformed = || StoreError::Malformed("an API key");
    let time = |micros| DateTime::from_timestamp_micros(micros).ok_or_else(malformed);
    Ok(ApiKey {
        id: row.get::<&str, _>("id").parse().map_err(|_| malformed())?,
        role: row.get::<&str, _>("role").parse().map_err(|_| malformed())?,
        name: row.get("name"),
        created_at: time(row.get("created_at"))?,
        expires_at: row.get::<Option<i64>, _>("expires_at").map(time).transpose()?,
        revoked_at: row.get::<Option<i64>, _>("revoked_at").map(time).transpose()?,
    })
}
