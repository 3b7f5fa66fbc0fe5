//! The keys that seal people's data: one per fan, wrapped by the master key. Beside them, a key of the Hub's own seals
//! what it must know and shows to nobody.
//!
//! Sealing is AES-256-GCM with a random nonce and the fan as associated data, so that one fan's data
//! cannot be passed off as another's. Destroying a fan's key erases everything sealed with it.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use domain::{
    DiscordUserId, Event, FanId,
    account::AccountKey,
    personal::{Account, Personal, Subject},
};
use lru::LruCache;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde_json::json;
use sqlx::{Row, SqlitePool};
use zeroize::Zeroizing;

use crate::error::{OpenError, StoreError};
use crate::hex::hex;

/// How many fans' keys are kept unwrapped in memory.
const CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// 32 bytes, wiped when dropped.
pub type Secret = Zeroizing<[u8; 32]>;

/// A fan's key as it is known.
#[derive(Clone)]
struct SubjectKey {
    /// `None` once it is destroyed.
    key: Option<Arc<LessSafeKey>>,
    /// Whether there was one before it, which is destroyed: what that one sealed is erased.
    second: bool,
}

impl SubjectKey {
    /// Opens what was sealed for a fan; `None` where it is erased.
    fn open(&self, fan: &FanId, sealed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(key) = &self.key else { return Ok(None) };
        match open(key, fan.as_str(), sealed) {
            Some(plain) => Ok(Some(plain)),
            None if self.second => Ok(None),
            None => Err(StoreError::Unsealable),
        }
    }
}

/// Seals and opens. Cloning is cheap.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    db: SqlitePool,
    random: SystemRandom,
    master: LessSafeKey,
    accounts: hmac::Key,
    secrets: LessSafeKey,
    subjects: Mutex<LruCache<FanId, SubjectKey>>,
}

/// Random bytes for a key.
pub(crate) fn secret(random: &SystemRandom) -> Option<Secret> {
    let mut secret = Secret::default();
    random.fill(secret.as_mut()).ok()?;
    Some(secret)
}

fn aead(secret: &Secret) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, secret.as_ref()).ok().map(LessSafeKey::new)
}

fn seal(random: &SystemRandom, key: &LessSafeKey, context: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce).ok()?;
    let mut sealed = plain.to_vec();
    let aad = Aad::from(context.as_bytes());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

fn open(key: &LessSafeKey, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut plain = sealed.to_vec();
    let aad = Aad::from(context.as_bytes());
    let length =
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn unwrap(master: &LessSafeKey, context: &str, wrapped: &[u8]) -> Option<Secret> {
    let bytes = Zeroizing::new(open(master, context, wrapped)?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

impl Vault {
    pub(crate) async fn open(db: SqlitePool, master: &Secret) -> Result<Self, VaultError> {
        let random = SystemRandom::new();
        let master = aead(master).ok_or(OpenError::NoRandom)?;
        let accounts = hub_key(&db, &random, &master, "accounts").await?;
        let secrets = hub_key(&db, &random, &master, "secrets").await?;
        let secrets = aead(&secrets).ok_or(OpenError::NoRandom)?;
        Ok(Self(Arc::new(Inner {
            db,
            random,
            master,
            accounts: hmac::Key::new(hmac::HMAC_SHA256, accounts.as_ref()),
            secrets,
            subjects: Mutex::new(LruCache::new(CACHED)),
        })))
    }

    /// What stands for a Discord account in stream names and reservations.
    pub fn account_key(&self, account: DiscordUserId) -> AccountKey {
        let tag = hmac::sign(&self.0.accounts, account.to_string().as_bytes());
        AccountKey::new(hex(tag.as_ref()))
    }

    /// Seals a secret of the Hub's own; `context` says which it is, and is needed to open it.
    pub fn seal_secret(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        seal(&self.0.random, &self.0.secrets, context, plain).ok_or(StoreError::NoRandom)
    }

    /// Opens what was sealed in a context.
    pub fn open_secret(
        &self,
        context: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        open(&self.0.secrets, context, sealed).map(Zeroizing::new).ok_or(StoreError::Unsealable)
    }

    /// Random bytes that nobody knows.
    pub(crate) fn random(&self) -> Result<Secret, StoreError> {
        secret(&self.0.random).ok_or(StoreError::NoRandom)
    }

    /// Seals bytes with a fan's key, which is made where there is none.
    pub async fn seal_for(&self, fan: &FanId, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let key = self.key_to_seal(fan).await?;
        seal(&self.0.random, &key, fan.as_str(), plain).ok_or(StoreError::NoRandom)
    }

    /// Opens what was sealed for a fan; `None` once their key is destroyed.
    pub async fn open_for(
        &self,
        fan: &FanId,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let keys = self.learn([fan].into()).await?;
        keys.get(fan).ok_or(StoreError::Unsealable)?.open(fan, sealed)
    }

    /// Seals the personal data of an event before it is written.
    pub async fn seal_event(&self, event: &mut Event) -> Result<(), StoreError> {
        let Some(Subject { fan, account }) = event.subject() else { return Ok(()) };
        let Personal::Known(known) = &*account else { return Ok(()) };
        let plain = serde_json::to_vec(known).map_err(StoreError::Encode)?;
        let sealed = self.seal_for(fan, &plain).await?;
        *account = Personal::Sealed(BASE64.encode(sealed).into());
        Ok(())
    }

    /// Opens the personal data of events after they were read; what is erased reads as erased.
    pub(crate) async fn open_events(&self, events: &mut [Event]) -> Result<(), StoreError> {
        let fans: BTreeSet<FanId> = events
            .iter_mut()
            .filter_map(|event| event.subject().map(|subject| subject.fan.clone()))
            .collect();
        let keys = self.learn(fans.iter().collect()).await?;
        for event in events {
            let Some(Subject { fan, account }) = event.subject() else { continue };
            let Personal::Sealed(sealed) = &*account else { continue };
            // A key that is missing was not destroyed: nothing may be taken for erased because of it.
            let key = keys.get(fan).ok_or(StoreError::Unsealable)?;
            let sealed = BASE64.decode(sealed.as_bytes()).map_err(|_| StoreError::Unsealable)?;
            *account = match key.open(fan, &sealed)? {
                Some(plain) => {
                    let known: Option<Account> = serde_json::from_slice(&plain).ok();
                    Personal::Known(known.ok_or(StoreError::Unsealable)?)
                }
                None => Personal::Erased,
            };
        }
        Ok(())
    }

    fn known(&self, fan: &FanId) -> Option<SubjectKey> {
        self.0.subjects.lock().unwrap_or_else(PoisonError::into_inner).get(fan).cloned()
    }

    fn remember(&self, fan: FanId, key: SubjectKey) {
        self.0.subjects.lock().unwrap_or_else(PoisonError::into_inner).put(fan, key);
    }

    /// The keys of some fans; those that are not in memory are read with one query.
    async fn learn(
        &self,
        fans: BTreeSet<&FanId>,
    ) -> Result<HashMap<FanId, SubjectKey>, StoreError> {
        let (mut keys, mut missing) = (HashMap::with_capacity(fans.len()), vec![]);
        for fan in fans {
            match self.known(fan) {
                Some(key) => _ = keys.insert(fan.clone(), key),
                None => missing.push(fan),
            }
        }
        if missing.is_empty() {
            return Ok(keys);
        }
        let rows = sqlx::query(
            "select fan, wrapped, destroyed_at is not null as second from subject_keys
             where fan in (select value from json_each(?1))",
        )
        .bind(json!(missing).to_string())
        .fetch_all(&self.0.db)
        .await?;
        for row in rows {
            let fan: FanId = row
                .get::<String, _>("fan")
                .parse()
                .map_err(|_| StoreError::Malformed("a fan's key"))?;
            let key = match row.get::<Option<Vec<u8>>, _>("wrapped") {
                Some(wrapped) => Some(self.unwrapped(&fan, &wrapped)?),
                None => None,
            };
            let key = SubjectKey { key, second: row.get("second") };
            self.remember(fan.clone(), key.clone());
            keys.insert(fan, key);
        }
        Ok(keys)
    }

    fn unwrapped(&self, fan: &FanId, wrapped: &[u8]) -> Result<Arc<LessSafeKey>, StoreError> {
        let secret = unwrap(&self.0.master, fan.as_str(), wrapped).ok_or(StoreError::Unsealable)?;
        aead(&secret).map(Arc::new).ok_or(StoreError::Unsealable)
    }

    async fn key_to_seal(&self, fan: &FanId) -> Result<Arc<LessSafeKey>, StoreError> {
        if let Some(SubjectKey { key: Some(key), .. }) = self.known(fan) {
            return Ok(key);
        }
        let made = secret(&self.0.random).ok_or(StoreError::NoRandom)?;
        let wrapped = seal(&self.0.random, &self.0.master, fan.as_str(), made.as_ref())
            .ok_or(StoreError::NoRandom)?;
        // Whoever comes first makes the key. A fan whose data was erased begins with a new one.
        let row = sqlx::query(
            "insert into subject_keys (fan, wrapped) values (?1, ?2)
             on conflict (fan) do update set wrapped = coalesce(wrapped, excluded.wrapped)
             returning wrapped, destroyed_at is not null as second",
        )
        .bind(fan.as_str())
        .bind(wrapped)
        .fetch_one(&self.0.db)
        .await?;
        let key = self.unwrapped(fan, &row.get::<Vec<u8>, _>("wrapped"))?;
        let known = SubjectKey { key: Some(Arc::clone(&key)), second: row.get("second") };
        self.remember(fan.clone(), known);
        Ok(key)
    }
}

/// Why the vault cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A key of the Hub's own, made once and never rotated. It also proves the master key.
async fn hub_key(
    db: &SqlitePool,
    random: &SystemRandom,
    master: &LessSafeKey,
    name: &str,
) -> Result<Secret, VaultError> {
    let made = secret(random).ok_or(OpenError::NoRandom)?;
    let wrapped = seal(random, master, name, made.as_ref()).ok_or(OpenError::NoRandom)?;
    sqlx::query(
        "insert into hub_keys (name, wrapped) values (?1, ?2) on conflict (name) do nothing",
    )
    .bind(name)
    .bind(wrapped)
    .execute(db)
    .await?;
    let wrapped: Vec<u8> = sqlx::query_scalar("select wrapped from hub_keys where name = ?1")
        .bind(name)
        .fetch_one(db)
        .await?;
    Ok(unwrap(master, name, &wrapped).ok_or(OpenError::WrongMasterKey)?)
}
