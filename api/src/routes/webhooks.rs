//! Changes of memberships that come as webhooks: the platform's own, in the form of Standard Webhooks, and Stripe's.
//!
//! A signature takes the place of a key. Whatever a webhook says goes the way of a report: it may come twice and in
//! any order.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{FromRequest, Request, State},
    http::HeaderMap,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    CreatorId, TierId,
    membership::{Outcome, Status, Terms},
};
use eventstore::{Actor, Metadata};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::Written,
    app::{App, AppState},
    error::{ApiError, Kind},
    extract::{self, Fields, FromFields, MAX_BODY},
    routes::memberships::{MembershipBody, Reported, report},
    webhook_key::WebhookKey,
};

/// How old a webhook may be, so that one that was overheard cannot be played again later.
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
    /// Whether outbound webhooks may go into private networks, and without TLS.
    pub private_targets: bool,
}

/// A body whose signature is still to be checked.
pub(crate) struct Signed {
    headers: HeaderMap,
    body: Vec<u8>,
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

    /// Whether one of the signatures is that of `signed`, made within the tolerance.
    fn check(
        now: DateTime<Utc>,
        at: &str,
        key: &WebhookKey,
        signed: &[u8],
        mut signatures: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), ApiError> {
        let at = at.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let at = at.ok_or_else(|| unauthorized("the time of the webhook is missing"))?;
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

    /// As the Standard Webhooks specification has it.
    fn standard(&self, app: &App) -> Result<(), ApiError> {
        let key = app.webhooks.inbound.as_ref();
        let key = key.ok_or_else(|| unauthorized("set HUB_WEBHOOK_SECRET to take webhooks"))?;
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = [id.as_bytes(), b".", at.as_bytes(), b".", &self.body].concat();
        let signatures = self.header("webhook-signature").split(' ');
        let signatures =
            signatures.filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
        Self::check(app.now(), at, key, &signed, signatures)
    }

    /// As Stripe signs: `t=…,v1=…`.
    fn stripe(&self, app: &App) -> Result<(), ApiError> {
        let key = app.webhooks.stripe.as_ref();
        let key = key.ok_or_else(|| {
            unauthorized("set HUB_STRIPE_WEBHOOK_SECRET to take Stripe's webhooks")
        })?;
        let header = self.header("stripe-signature");
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let at = parts().find(|(name, _)| *name == "t").map_or("", |(_, at)| at);
        let signatures =
            parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| unhex(hex));
        let signed = [at.as_bytes(), b".", &self.body].concat();
        Self::check(app.now(), at, key, &signed, signatures)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
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

/// A webhook of the platform.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read by its fields")]
pub(crate) struct InboundBody {
    /// `membership.purchased`, `.renewed`, `.canceled`, `.expired`, `.paused`, `.resumed`, `.refunded` or
    /// `.charged_back`.
    r#type: String,
    /// The membership with its id; the type says its status.
    #[schema(value_type = Object)]
    data: Value,
}

fn status(kind: &str) -> Option<Status> {
    Some(match kind.strip_prefix("membership.")? {
        "purchased" | "renewed" | "resumed" => Status::Active,
        "canceled" => Status::Canceled,
        "expired" => Status::Expired,
        "paused" => Status::Paused,
        "refunded" => Status::Refunded,
        "charged_back" => Status::ChargedBack,
        _ => return None,
    })
}

struct Membership(Terms);

impl FromFields for Membership {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (membership, body) =
            (fields.required("membership"), MembershipBody::from_fields(fields));
        Some(Self(body?.terms(membership?)))
    }
}

/// Take a webhook of the platform
///
/// Standard Webhooks: signed with `HUB_WEBHOOK_SECRET`. `data` is the body of `PUT /v1/memberships/{membership}` with
/// `membership` beside and without `status`. Types that are not known are ignored.
#[utoipa::path(post, path = "/v1/webhooks/inbound", tag = "Platform", operation_id = "inbound_webhook", security(()),
    params(("webhook-id" = String, Header), ("webhook-timestamp" = String, Header), ("webhook-signature" = String, Header)),
    request_body = InboundBody, responses((status = 200, description = "Taken in", body = Taken)))]
pub(crate) async fn inbound(
    State(app): AppState,
    signed: Signed,
) -> Result<Written<Taken>, ApiError> {
    signed.standard(&app)?;
    let mut body = extract::object(&signed.body)?;
    let Some(status) = body.get("type").and_then(Value::as_str).and_then(status) else {
        return Ok(ignored(&app));
    };
    let Some(Value::Object(mut data)) = body.remove("data") else {
        return Err(ApiError::field("data", "must be the membership as an object"));
    };
    data.insert("status".to_owned(), Value::from(status.as_str()));
    let Membership(terms) = Fields::of_object(data)?;
    take(&app, terms).await
}

/// What is read of Stripe's events.
#[derive(Deserialize)]
struct StripeEvent {
    r#type: String,
    created: u64,
    data: StripeData,
}

#[derive(Deserialize)]
struct StripeData {
    object: Value,
}

#[derive(Deserialize)]
struct Subscription {
    id: String,
    status: String,
    #[serde(default)]
    cancel_at_period_end: bool,
    #[serde(default)]
    current_period_end: Option<i64>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    items: Items,
}

#[derive(Deserialize)]
struct Items {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    price: Price,
    /// Newer versions of Stripe's API have it here.
    #[serde(default)]
    current_period_end: Option<i64>,
}

#[derive(Deserialize)]
struct Price {
    id: String,
}

/// The version of a subscription by an event. Stripe's times are whole seconds: of two events of one second the more
/// final one counts, then the one that is paid through for longer.
///
/// 33 bits for the time, 2 for how final it is, 18 for the hours that are paid: no more than JSON's numbers hold exactly.
fn version(created: u64, finality: u64, ends: Option<i64>) -> u64 {
    let created = created.min(1 << 32);
    let paid = ends.and_then(|ends| u64::try_from(ends).ok()).unwrap_or_default();
    let hours = paid.saturating_sub(created).div_euclid(3_600).min((1 << 18) - 1);
    (((created << 2) | finality) << 18) | hours
}

impl Subscription {
    fn terms(self, app: &App, created: u64) -> Result<Option<Terms>, ApiError> {
        let Some((item, (creator, tier))) = self
            .items
            .data
            .iter()
            .find_map(|item| Some((item, app.webhooks.stripe_prices.get(&item.price.id)?)))
        else {
            return Ok(None);
        };
        let Some(fan) = self.metadata.get("fan") else { return Ok(None) };
        let (status, finality) = match self.status.as_str() {
            "active" | "trialing" | "past_due" if self.cancel_at_period_end => {
                (Status::Canceled, 2)
            }
            "active" | "trialing" | "past_due" => (Status::Active, 0),
            "paused" => (Status::Paused, 1),
            "canceled" | "unpaid" | "incomplete_expired" => (Status::Expired, 3),
            // Not paid for yet.
            _ => return Ok(None),
        };
        let ends = item.current_period_end.or(self.current_period_end);
        let invalid =
            |field: &str, error: &dyn std::fmt::Display| ApiError::field(field, error.to_string());
        Ok(Some(Terms {
            membership: self.id.parse().map_err(|error| invalid("data.object.id", &error))?,
            fan: fan.parse().map_err(|error| invalid("data.object.metadata.fan", &error))?,
            creator: creator.clone(),
            tier: tier.clone(),
            status,
            ends_at: ends.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            version: version(created, finality, ends),
        }))
    }
}

/// Take a webhook of Stripe
///
/// `customer.subscription.*`: the subscription's id is the membership's, `metadata.fan` names the fan, and
/// `HUB_STRIPE_PRICES` says which tier a price buys. Everything else is ignored.
#[utoipa::path(post, path = "/v1/webhooks/stripe", tag = "Platform", operation_id = "stripe_webhook", security(()),
    params(("Stripe-Signature" = String, Header)), request_body(content = Object),
    responses((status = 200, description = "Taken in", body = Taken)))]
pub(crate) async fn stripe(
    State(app): AppState,
    signed: Signed,
) -> Result<Written<Taken>, ApiError> {
    signed.stripe(&app)?;
    let unreadable = |error: serde_json::Error| {
        ApiError::new(Kind::MALFORMED_JSON, format!("this is no event of Stripe: {error}"))
    };
    let event: StripeEvent = serde_json::from_slice(&signed.body).map_err(unreadable)?;
    if !event.r#type.starts_with("customer.subscription.") {
        return Ok(ignored(&app));
    }
    let subscription: Subscription =
        serde_json::from_value(event.data.object).map_err(unreadable)?;
    match subscription.terms(&app, event.created)? {
        Some(terms) => take(&app, terms).await,
        None => Ok(ignored(&app)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_stripe_are_ordered_by_time_then_by_how_final_they_are_then_by_what_is_paid() {
        let at = 1_800_000_000;
        let month = Some(1_800_000_000 + 30 * 86_400);
        let ordered = [
            version(at, 0, None),
            version(at, 0, Some(1_800_000_000 + 86_400)),
            version(at, 0, month),
            version(at, 2, None),
            version(at, 3, month),
            version(at + 1, 0, None),
        ];
        assert!(ordered.is_sorted_by(|one, next| one < next), "{ordered:?}");
        assert!(version(u64::MAX, 3, Some(i64::MAX)) < 1 << 53, "JSON holds it exactly");
    }
}
