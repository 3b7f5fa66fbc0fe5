//! What others tell the Hub by webhook: the platform and Stripe of memberships, Discord of authorisations.
//!
//! A signature takes the place of a key. Whatever a webhook says may come twice and in any order.

pub(crate) mod discord;
pub(crate) mod inbound;
pub(crate) mod stripe;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::HeaderMap,
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    CreatorId, TierId,
    membership::{Outcome, Terms},
};
use eventstore::{Actor, Metadata};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::Written,
    app::App,
    error::{ApiError, Kind},
    extract::{self, MAX_BODY},
    reading,
    routes::memberships::{Reported, report},
    webhook_key::{DiscordKey, WebhookKey},
};

/// How old a report may be, so that one that was overheard cannot be played again later.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// What webhooks are signed with, and what Stripe's prices stand for.
#[derive(Debug, Clone, Default)]
pub struct WebhookSettings {
    /// The platform's; `None`: it sends none.
    pub inbound: Option<WebhookKey>,
    /// That of Stripe's endpoint; `None`: Stripe sends none.
    pub stripe: Option<WebhookKey>,
    /// The tier that a price of Stripe buys.
    pub stripe_prices: BTreeMap<String, (CreatorId, TierId)>,
    /// That of the application; `None`: Discord tells nothing.
    pub discord: Option<DiscordKey>,
    /// Whether outbound webhooks may go into private networks, and without TLS.
    pub private_targets: bool,
}

/// A body whose signature is still to be checked.
pub(crate) struct Signed {
    headers: HeaderMap,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        Ok(Self { headers, body: extract::bytes(request, MAX_BODY).await? })
    }
}

fn unauthorized(detail: &str) -> ApiError {
    ApiError::new(Kind::SIGNATURE, detail)
}

impl Signed {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// What the body says.
    fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        read(&extract::value(&self.body)?, "")
    }

    /// Whether one of the signatures is that of `signed`, made within the tolerance.
    fn check(
        now: DateTime<Utc>,
        at: &str,
        key: &WebhookKey,
        signed: &[u8],
        mut signatures: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), ApiError> {
        if at.is_empty() {
            return Err(unauthorized(
                "the time of the webhook is missing; send it and sign it, too",
            ));
        }
        let at = at.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let at = at
            .ok_or_else(|| unauthorized("the time of the webhook must be in seconds since 1970"))?;
        if (now - at).abs() > TOLERANCE {
            return Err(unauthorized(
                "the webhook is too old, or the clocks differ; send it again",
            ));
        }
        if signatures.any(|signature| key.signed(signed, &signature)) {
            Ok(())
        } else {
            Err(unauthorized("the signature does not fit; check the secret on both sides"))
        }
    }
}

/// Reads a part of a webhook, which stands `at` this place in it.
fn read<T: DeserializeOwned>(part: &Value, at: &str) -> Result<T, ApiError> {
    reading::read(part, false)
        .map_err(|fault| ApiError::field(&fault.field_below(at), fault.detail))
}

/// What a webhook did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Taken {
    /// `applied`, `unchanged`, `stale` or `ignored`.
    outcome: &'static str,
}

async fn take(app: &Arc<App>, terms: Terms) -> Result<Written<Taken>, ApiError> {
    let metadata = Metadata { at: app.now(), actor: Actor::Platform, correlation: Uuid::now_v7() };
    let Reported { outcome, decided, .. } = report(app, metadata, terms).await?;
    let outcome = match outcome {
        Outcome::Applied => "applied",
        Outcome::Unchanged => "unchanged",
        Outcome::Stale => "stale",
    };
    Ok(Written::ok(decided.position, Taken { outcome }))
}

fn ignored(app: &App) -> Written<Taken> {
    Written::ok(app.store.log().head(), Taken { outcome: "ignored" })
}
