//! Fans' Discord tokens, sealed with the fan's own key. They are needed to bring somebody in, never to take
//! access away.

use chrono::{DateTime, Utc};
use domain::{FanId, account::AccountKey};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqlitePool};

use crate::{error::StoreError, vault::Vault};

/// What Discord gave the Hub on behalf of a fan.
#[derive(Debug, Clone)]
pub struct DiscordToken {
    /// Of which account it is; `None` where that was not kept yet.
    pub account: Option<AccountKey>,
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub expires_at: DateTime<Utc>,
    /// When the fan allowed it; `None` where that was not kept yet.
    pub allowed_at: Option<DateTime<Utc>>,
    /// The refresh token was sent to Discord, and what came of that is not known.
    pub sent: bool,
}

impl DiscordToken {
    pub fn is(&self, access: &SecretString) -> bool {
        self.access.expose_secret() == access.expose_secret()
    }

    /// Whether it is of an account, as far as is known: a connection that failed may have left another's behind.
    pub fn is_of(&self, account: &AccountKey) -> bool {
        self.account.as_ref().is_none_or(|known| known == account)
    }
}

#[derive(Serialize, Deserialize)]
struct Plain {
    #[serde(default)]
    account: Option<AccountKey>,
    access: String,
    refresh: Option<String>,
    expires_at: DateTime<Utc>,
    #[serde(default)]
    allowed_at: Option<DateTime<Utc>>,
    #[serde(default)]
    sent: bool,
}

/// Reads and writes fans' tokens.
pub struct Tokens<'a> {
    pub(crate) db: &'a SqlitePool,
    pub(crate) vault: &'a Vault,
}

impl Tokens<'_> {
    pub async fn put(&self, fan: &FanId, token: &DiscordToken) -> Result<(), StoreError> {
        let sealed = self.seal(fan, token).await?;
        sqlx::query(
            "insert into discord_tokens (fan, sealed) values (?1, ?2)
             on conflict (fan) do update set sealed = excluded.sealed",
        )
        .bind(fan.as_str())
        .bind(sealed)
        .execute(self.db)
        .await?;
        Ok(())
    }

    /// Puts `new` where `old` still stands; false where something else has taken its place.
    pub async fn replace(
        &self,
        fan: &FanId,
        old: &DiscordToken,
        new: &DiscordToken,
    ) -> Result<bool, StoreError> {
        let Some((stands, token)) = self.stored(fan).await? else { return Ok(false) };
        if !token.is(&old.access) {
            return Ok(false);
        }
        let sealed = self.seal(fan, new).await?;
        let replaced =
            sqlx::query("update discord_tokens set sealed = ?3 where fan = ?1 and sealed = ?2")
                .bind(fan.as_str())
                .bind(stands)
                .bind(sealed)
                .execute(self.db)
                .await?;
        Ok(replaced.rows_affected() > 0)
    }

    pub async fn get(&self, fan: &FanId) -> Result<Option<DiscordToken>, StoreError> {
        Ok(self.stored(fan).await?.map(|(_, token)| token))
    }

    async fn seal(&self, fan: &FanId, token: &DiscordToken) -> Result<Vec<u8>, StoreError> {
        let plain = Plain {
            account: token.account.clone(),
            access: token.access.expose_secret().to_owned(),
            refresh: token.refresh.as_ref().map(|refresh| refresh.expose_secret().to_owned()),
            expires_at: token.expires_at,
            allowed_at: token.allowed_at,
            sent: token.sent,
        };
        let plain =
            zeroize::Zeroizing::new(serde_json::to_vec(&plain).map_err(StoreError::Encode)?);
        self.vault.seal_for(fan, &plain).await
    }

    /// A token, and how it stands sealed.
    async fn stored(&self, fan: &FanId) -> Result<Option<(Vec<u8>, DiscordToken)>, StoreError> {
        let row = sqlx::query("select sealed from discord_tokens where fan = ?1")
            .bind(fan.as_str())
            .fetch_optional(self.db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: Vec<u8> = row.get("sealed");
        let Some(plain) = self.vault.open_for(fan, &sealed).await? else {
            return Ok(None);
        };
        let plain: Plain = serde_json::from_slice(&zeroize::Zeroizing::new(plain))
            .map_err(|_| StoreError::Malformed("a Discord token"))?;
        let token = DiscordToken {
            account: plain.account,
            access: plain.access.into(),
            refresh: plain.refresh.map(Into::into),
            expires_at: plain.expires_at,
            allowed_at: plain.allowed_at,
            sent: plain.sent,
        };
        Ok(Some((sealed, token)))
    }

    /// Deletes a token; false where something else has taken its place, which stays.
    pub async fn delete(&self, fan: &FanId, old: &DiscordToken) -> Result<bool, StoreError> {
        let Some((stands, token)) = self.stored(fan).await? else { return Ok(false) };
        if !token.is(&old.access) {
            return Ok(false);
        }
        let deleted = sqlx::query("delete from discord_tokens where fan = ?1 and sealed = ?2")
            .bind(fan.as_str())
            .bind(stands)
            .execute(self.db)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}
