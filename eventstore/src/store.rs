//! The store as the rest of the Hub holds it: the log with the domain's events, and the side tables.

use std::{
    any::Any,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Decider, Event, StreamName};
use lru::LruCache;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use sqlx::SqlitePool;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    database::{self, Database, Mode},
    decision::{Attempts, Decided, Decision, HandleError},
    error::{OpenError, StoreError},
    idempotency::Answers,
    keys::Keys,
    leases::Leases,
    log::{AppendKey, Log, Recorded},
    metadata::{Metadata, Position},
    oauth::States,
    sessions::Sessions,
    shares::Shares,
    tokens::Tokens,
    vault::{self, Secret, Vault, VaultError},
    webhooks::Webhooks,
};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub clock: Clock,
    /// 32 bytes in base64. Without it, a key file in the data folder, made where it is missing.
    pub master_key: Option<SecretString>,
    pub mode: Mode,
}

/// How many aggregates' states are kept in memory.
const CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// A recorded event, decoded, with personal data in the clear.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub position: Position,
    pub id: Uuid,
    pub stream: StreamName,
    pub version: u64,
    pub kind: Arc<str>,
    pub metadata: Metadata,
    pub event: Event,
}

/// An aggregate as its stream tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<S> {
    pub state: S,
    /// How many events its stream has.
    pub version: u64,
}

/// The log and what stands beside it. Cloning is cheap.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// A stream's version, and its aggregate's state there.
type Remembered = (u64, Arc<dyn Any + Send + Sync>);

struct Inner {
    clock: Clock,
    log: Log,
    vault: Vault,
    side: SqlitePool,
    states: Mutex<LruCache<StreamName, Remembered>>,
    /// Held until the store is dropped: nobody else appends meanwhile.
    _lock: Option<std::fs::File>,
}

impl Store {
    /// Opens the store in a folder, which is made where it is missing.
    pub async fn open(folder: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let Database { path, lock } = Database::open(folder, options.mode).await?;
        let in_database = |source| OpenError::Database { folder: folder.to_owned(), source };
        let master = master_key(folder, options.master_key.as_ref())?;
        let side = database::pool(&path, 4, false);
        let vault = Vault::open(side.clone(), &master).await.map_err(|error| match error {
            VaultError::Open(error) => error,
            VaultError::Database(source) => in_database(source),
        })?;
        let log = Log::open(&path, options.mode).await.map_err(in_database)?;
        let states = Mutex::new(LruCache::new(CACHED));
        let store =
            Self(Arc::new(Inner { clock: options.clock, log, vault, side, states, _lock: lock }));
        if options.mode == Mode::Serve {
            // The lock proves that whoever held a lease is gone.
            store.leases().fence_all().await.map_err(in_database)?;
            store.shares().end_local().await.map_err(in_database)?;
        }
        Ok(store)
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub fn log(&self) -> &Log {
        &self.0.log
    }

    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub fn keys(&self) -> Keys<'_> {
        Keys(&self.0.side)
    }

    pub fn oauth_states(&self) -> States<'_> {
        States(&self.0.side)
    }

    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(&self.0.side)
    }

    pub fn tokens(&self) -> Tokens<'_> {
        Tokens { db: &self.0.side, vault: &self.0.vault }
    }

    pub fn leases(&self) -> Leases<'_> {
        Leases(&self.0.side)
    }

    pub fn shares(&self) -> Shares<'_> {
        Shares(&self.0.side)
    }

    pub fn answers(&self) -> Answers<'_> {
        Answers(&self.0.side)
    }

    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { db: &self.0.side, vault: &self.0.vault }
    }

    /// Decodes raw events and opens the personal data in them, with one query for all keys it needs.
    pub async fn decode(&self, batch: Vec<Arc<Recorded>>) -> Result<Vec<Envelope>, StoreError> {
        let mut events = Vec::with_capacity(batch.len());
        for raw in &batch {
            events.push(Event::decode(raw.stream.category(), &raw.kind, raw.schema, &raw.data)?);
        }
        self.0.vault.open_events(&mut events).await?;
        let envelopes = batch.into_iter().zip(events).map(|(raw, event)| Envelope {
            position: raw.position,
            id: raw.id,
            stream: raw.stream.clone(),
            version: raw.version,
            kind: Arc::clone(&raw.kind),
            metadata: raw.metadata.clone(),
            event,
        });
        Ok(envelopes.collect())
    }

    /// An aggregate's state, from memory where it is known.
    pub async fn load<D: Decider>(
        &self,
        stream: &StreamName,
    ) -> Result<Loaded<D::State>, StoreError> {
        if let Some(known) = self.remembered(stream) {
            return Ok(known);
        }
        let head = self.0.log.head();
        let raw = self.0.log.read_stream(stream, 0).await?;
        let version = raw.last().map_or(0, |last| last.version);
        let mut state = D::State::default();
        for envelope in self.decode(raw).await? {
            if let Some(event) = D::own(envelope.event) {
                D::evolve(&mut state, &event);
            }
        }
        // Names that nobody has used would crowd out those that somebody has.
        if version > 0 {
            self.remember_read(stream, version, &state, head);
        }
        Ok(Loaded { state, version })
    }

    /// A decision that is to be made now, on behalf of `metadata.actor`.
    pub fn begin(&self, metadata: Metadata, key: Option<AppendKey>) -> Decision {
        Decision::new(self.clone(), metadata, key)
    }

    /// How often a decision is made anew before whoever asked is told to come again.
    pub fn attempts(&self) -> Attempts {
        Attempts::default()
    }

    /// Decides on one command for one stream, again where the stream moved on meanwhile.
    pub async fn handle<D: Decider>(
        &self,
        stream: &StreamName,
        command: D::Command,
        metadata: Metadata,
        key: Option<AppendKey>,
    ) -> Result<Decided, HandleError<D::Refusal>>
    where
        D::Command: Clone,
    {
        let mut attempts = self.attempts();
        loop {
            let mut decision = self.begin(metadata.clone(), key.clone());
            decision.handle::<D>(stream, command.clone()).await?;
            if let Some(decided) = decision.commit(&mut attempts).await? {
                return Ok(decided);
            }
        }
    }

    fn remembered<S: Clone + 'static>(&self, stream: &StreamName) -> Option<Loaded<S>> {
        let mut states = self.0.states.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, state) = states.get(stream)?;
        Some(Loaded { state: state.downcast_ref::<S>()?.clone(), version: *version })
    }

    pub(crate) fn remember(
        &self,
        stream: StreamName,
        version: u64,
        state: Arc<dyn Any + Send + Sync>,
    ) {
        let mut states = self.0.states.lock().unwrap_or_else(PoisonError::into_inner);
        // Two decisions may end in either order; the later one stands.
        if states.peek(&stream).is_none_or(|(known, _)| *known < version) {
            states.put(stream, (version, state));
        }
    }

    /// Remembers what was read, unless anything was appended since `head`: it could be older than what was forgotten
    /// meanwhile. What is appended from here on is remembered with the append, whether anybody waits for it or not.
    fn remember_read<S: Clone + Send + Sync + 'static>(
        &self,
        stream: &StreamName,
        version: u64,
        state: &S,
        head: Position,
    ) {
        let mut states = self.0.states.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.log.head() == head && !states.contains(stream) {
            states.put(stream.clone(), (version, Arc::new(state.clone())));
        }
    }

    pub(crate) fn forget(&self, stream: &StreamName) {
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner).pop(stream);
    }
}

fn master_key(folder: &Path, given: Option<&SecretString>) -> Result<Secret, OpenError> {
    let text = match given {
        Some(given) => Zeroizing::new(given.expose_secret().as_bytes().to_vec()),
        None => Zeroizing::new(database::key_file(folder, || {
            vault::secret(&SystemRandom::new())
                .map(|secret| STANDARD.encode(secret.as_ref()).into_bytes())
        })?),
    };
    let bytes = STANDARD
        .decode(text.trim_ascii())
        .map(Zeroizing::new)
        .map_err(|_| OpenError::InvalidMasterKey)?;
    Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| OpenError::InvalidMasterKey)?))
}
