//! Outbound webhooks: the platform is told what changed, at its own endpoints.
//!
//! `messages` says what there is to tell of the log, `sender` makes an attempt, `target` says where it may go. This file
//! follows the log with a cursor of its own and sends what is due, each endpoint for itself, beside everything else.

mod messages;
mod sender;
pub(crate) mod target;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bot::http::ClientError;
use eventstore::{
    Position, Store, StoreError,
    webhooks::{Delivery, DeliveryState, DisabledBy, Endpoint},
};
use futures_util::{TryStreamExt, stream};
use projections::{Behind, CATCH_UP, View, ViewError, Views};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::messages::Part;
pub(crate) use self::messages::TYPES;
use self::sender::{Answer, Sender};

/// How often it is looked for what is due without being told of a change.
const LOOK: Duration = Duration::from_secs(1);

/// How many messages one transaction stores: the log's writer waits for its end.
const STORED: usize = 100;

/// How many messages an endpoint is sent at once.
const AT_ONCE: usize = 8;

/// How many messages are looked at together.
const PAGE: u32 = 256;

/// How much of the log is read anew at most after a restart where nothing in it was to be told.
const UNTOLD: u64 = 4_096;

/// Why nothing could be told. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    Behind(#[from] Behind),
    #[error("a message cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

/// What a look came to: whether any endpoint is enabled, and whether anything was due.
struct Step {
    listening: bool,
    due: bool,
}

/// Tells endpoints. Cloning is cheap.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    store: Store,
    views: Views,
    sender: Sender,
    private: bool,
    /// How far the log was looked at. The stored cursor moves with something told, and seldom without.
    seen: tokio::sync::Mutex<Position>,
    /// The endpoints that are being sent to.
    busy: Mutex<HashSet<Uuid>>,
    /// Something is due that was not, or an endpoint is not busy any more.
    moved: Notify,
    sending: TaskTracker,
    shutdown: CancellationToken,
}

impl Webhooks {
    /// `private`: whether messages may go into private networks, and without TLS.
    pub fn new(
        store: Store,
        views: Views,
        private: bool,
        shutdown: CancellationToken,
    ) -> Result<Self, ClientError> {
        Ok(Self(Arc::new(Inner {
            store,
            views,
            sender: Sender::new(private)?,
            private,
            seen: tokio::sync::Mutex::default(),
            busy: Mutex::default(),
            moved: Notify::new(),
            sending: TaskTracker::new(),
            shutdown,
        })))
    }

    /// Whether messages may go into private networks.
    pub(crate) fn private(&self) -> bool {
        self.0.private
    }

    /// Looks at once for what is due.
    pub(crate) fn look(&self) {
        self.0.moved.notify_waiters();
    }

    /// Tells and sends until the shutdown.
    pub async fn run(&self) {
        let mut log = self.0.store.log().watch();
        loop {
            // Before it is looked: what comes while it is looked is looked at next.
            let moved = self.0.moved.notified();
            log.borrow_and_update();
            let listening = match self.step().await {
                Ok(step) => step.listening,
                Err(error) => {
                    tracing::warn!(%error, "webhooks could not be told; it is tried again");
                    false
                }
            };
            let next = async {
                tokio::select! {
                    () = moved => {}
                    _ = log.changed(), if listening => {}
                }
            };
            if self.0.shutdown.run_until_cancelled(timeout(LOOK, next)).await.is_none() {
                break;
            }
        }
        self.0.sending.close();
        self.0.sending.wait().await;
    }

    /// Tells what there is to tell and begins to send what is due.
    async fn step(&self) -> Result<Step, WebhookError> {
        let listening = self.tell().await?;
        let now = self.0.store.clock().now();
        let due = self.0.store.webhooks().due_endpoints(now).await?;
        let waiting = !due.is_empty();
        for endpoint in due {
            if self.busy().insert(endpoint.id) {
                self.0.sending.spawn(self.clone().deliver(endpoint));
            }
        }
        Ok(Step { listening, due: waiting })
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything is told and nothing is due; answers whether there was anything.
    pub async fn settle(&self) -> Result<bool, WebhookError> {
        let mut any = false;
        loop {
            let moved = self.0.moved.notified();
            let idle = self.busy().is_empty();
            if !self.step().await?.due && idle {
                return Ok(any);
            }
            any = true;
            if !self.busy().is_empty() {
                let _ = timeout(LOOK, moved).await;
            }
        }
    }

    /// Stores messages of what the log has come to; answers whether anybody listens.
    async fn tell(&self) -> Result<bool, WebhookError> {
        let (store, views) = (&self.0.store, &self.0.views);
        let mut seen = self.0.seen.lock().await;
        loop {
            let head = store.log().head();
            let endpoints = store.webhooks().endpoints().await?;
            let listening = endpoints.iter().filter(|endpoint| endpoint.disabled.is_none());
            let Some(since) = listening.map(|endpoint| endpoint.since).min() else {
                // Whoever comes next is told what comes after that.
                *seen = head;
                return Ok(false);
            };
            let told = store.webhooks().told().await?;
            let from = (*seen).max(since).max(told);
            let Some(part) = Part::read(store, from).await? else { return Ok(true) };
            views.seen_by(&View::PRESENT, part.last, CATCH_UP).await?;
            // Again, now that it is known what is told: an endpoint that is newer than this is told later things only.
            let endpoints = store.webhooks().endpoints().await?;
            let any = self.store(&part, &endpoints).await?;
            if !any && part.last.0 - told.0 >= UNTOLD {
                store.webhooks().tell(&[], part.last, store.clock().now()).await?;
            }
            *seen = part.last;
        }
    }

    /// Stores what endpoints are told of a part of the log; answers whether that is anything.
    async fn store(&self, part: &Part, endpoints: &[Endpoint]) -> Result<bool, WebhookError> {
        let webhooks = self.0.store.webhooks();
        let now = self.0.store.clock().now();
        let mut teller = part.teller(&self.0.views, endpoints);
        let mut any = false;
        loop {
            let (messages, more) = teller.next().await?;
            any |= !messages.is_empty();
            for some in messages.chunks(STORED) {
                // A crash before the last one tells the first ones again, under the same ids.
                webhooks.tell(some, part.after, now).await?;
            }
            metrics::counter!("hub_webhook_messages_total").increment(messages.len() as u64);
            if !more {
                break;
            }
        }
        if any {
            webhooks.tell(&[], part.last, now).await?;
        }
        Ok(any)
    }

    /// Sends an endpoint what is due, until nothing is.
    async fn deliver(self, endpoint: Endpoint) {
        let shutdown = self.0.shutdown.clone();
        if let Some(Err(error)) = shutdown.run_until_cancelled(self.send(&endpoint)).await {
            tracing::warn!(%error, endpoint = %endpoint.id, "webhooks could not be sent; it is tried again");
            // What was sent and could not be recorded is sent again: not at once.
            shutdown.run_until_cancelled(sleep(LOOK)).await;
        }
        self.busy().remove(&endpoint.id);
        self.0.moved.notify_waiters();
    }

    async fn send(&self, endpoint: &Endpoint) -> Result<(), WebhookError> {
        let store = &self.0.store;
        loop {
            let now = store.clock().now();
            let Some(current) = store.webhooks().endpoint(endpoint.id).await? else {
                return Ok(());
            };
            let due = store.webhooks().due(endpoint.id, now, PAGE).await?;
            if due.is_empty() || current.disabled.is_some() {
                return Ok(());
            }
            // Each records by itself: one that waits unpolled for another would keep its connection to the database.
            stream::iter(due.into_iter().map(Ok))
                .try_for_each_concurrent(AT_ONCE, |delivery| self.send_one(&current, delivery))
                .await?;
        }
    }

    /// Sends one message and records what came of it.
    async fn send_one(&self, current: &Endpoint, delivery: Delivery) -> Result<(), WebhookError> {
        let store = &self.0.store;
        let Some(answer) = self.attempt(&delivery).await? else { return Ok(()) };
        let gone = answer == Answer::Gone;
        let (id, attempts) = (delivery.id, delivery.attempts + 1);
        let now = store.clock().now();
        let outcome = sender::outcome(answer, attempts, now);
        count(outcome.state);
        let given_up = outcome.state == DeliveryState::Failed;
        store.webhooks().attempted(id, &outcome, now).await?;
        if gone {
            self.disable(current, DisabledBy::Gone).await?;
        } else if given_up
            && !store.webhooks().has_taken_since(current.id, delivery.created_at).await?
        {
            self.disable(current, DisabledBy::Failures).await?;
        }
        Ok(())
    }

    /// Sends a message to its endpoint as that is now: it may have been changed since it was looked for what is due.
    /// `None`: it is to be told nothing any more.
    async fn attempt(&self, delivery: &Delivery) -> Result<Option<Answer>, WebhookError> {
        let (webhooks, now) = (self.0.store.webhooks(), self.0.store.clock().now());
        let endpoint = webhooks.endpoint(delivery.endpoint).await?;
        let Some(endpoint) = endpoint.filter(|endpoint| endpoint.disabled.is_none()) else {
            return Ok(None);
        };
        let secrets = webhooks.secrets(endpoint.id, now).await?;
        Ok(Some(self.0.sender.send(&endpoint.url, &secrets, delivery, now).await))
    }

    /// Disables an endpoint and gives notice of it: in the log of the Hub, and at the other endpoints.
    async fn disable(&self, endpoint: &Endpoint, by: DisabledBy) -> Result<(), WebhookError> {
        let store = &self.0.store;
        let now = store.clock().now();
        if !store.webhooks().disable(endpoint.id, by, now).await? {
            return Ok(());
        }
        tracing::warn!(
            endpoint = %endpoint.id,
            by = by.as_str(),
            "a webhook endpoint was disabled; mend it, then enable it with PATCH /v1/webhook_endpoints/{{id}}"
        );
        let others = store.webhooks().endpoints().await?;
        let told = messages::disabled(endpoint, by.as_str(), &others, store.log().head(), now)?;
        store.webhooks().tell(&told, Position(0), now).await?;
        self.0.moved.notify_waiters();
        Ok(())
    }
}

fn count(state: DeliveryState) {
    metrics::counter!("hub_webhook_attempts_total", "state" => state.as_str()).increment(1);
}
