//! What every route works with.

use std::sync::Arc;

use axum::extract::State;
use bot::{Desk, Discord, OAuth};
use chrono::{DateTime, TimeDelta, Utc};
use eventstore::{Position, Store};
use projections::{Audit, CATCH_UP, View, Views};
use tokio_util::sync::CancellationToken;

use crate::{
    error::ApiError, idempotency::InFlight, pages::PagesSettings,
    routes::webhooks::WebhookSettings, webhooks::Webhooks,
};

/// The parts of a node that answers requests.
pub struct App {
    pub store: Store,
    pub views: Views,
    pub desk: Desk,
    pub discord: Discord,
    pub oauth: OAuth,
    pub webhooks: WebhookSettings,
    pub pages: Arc<PagesSettings>,
    /// Tells the platform's endpoints.
    pub telling: Webhooks,
    /// How long an active membership outlives its paid end.
    pub grace: TimeDelta,
    /// The metrics as Prometheus reads them.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Ends open streams.
    pub shutdown: CancellationToken,
    pub in_flight: InFlight,
}

pub(crate) type AppState = State<Arc<App>>;

impl App {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.store.clock().now()
    }

    /// Waits until the views that tell how everybody stands have seen everything that this node has appended.
    pub(crate) async fn caught_up(&self) -> Result<(), ApiError> {
        self.seen(self.store.log().head()).await
    }

    pub(crate) async fn seen(&self, position: Position) -> Result<(), ApiError> {
        Ok(self.views.seen_by(&View::PRESENT, position, CATCH_UP).await?)
    }

    /// Waits for every view there is.
    pub(crate) async fn all_caught_up(&self) -> Result<(), ApiError> {
        Ok(self.views.seen(self.store.log().head(), CATCH_UP).await?)
    }

    /// The view of what happened, once it has seen everything that this node has appended. Most routes never ask it, so
    /// it is waited for here and not at every read.
    pub(crate) async fn audit(&self) -> Result<&Audit, ApiError> {
        let head = self.store.log().head();
        self.views.seen_by(&[View::Audit], head, CATCH_UP).await?;
        Ok(self.views.audit())
    }
}
