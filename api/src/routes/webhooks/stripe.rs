//! Stripe's own events, as reports of memberships.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, TimeDelta};
use domain::{
    MembershipId,
    membership::{self, Membership, Status, Terms},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Signed, Taken, ignored, read, take, unauthorized};
use crate::{
    answer::Written,
    app::{App, AppState},
    error::ApiError,
    webhook_key::unhex,
};

impl Signed {
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

fn invalid(field: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::field(field, error.to_string())
}

impl Subscription {
    /// What it says of a membership, of which `known` is known; `None` where it is nobody's here.
    fn terms(
        self,
        app: &App,
        membership: MembershipId,
        known: Option<Terms>,
        created: u64,
    ) -> Result<Option<Terms>, ApiError> {
        let Some((item, (creator, tier))) = self
            .items
            .data
            .iter()
            .find_map(|item| Some((item, app.webhooks.stripe_prices.get(&item.price.id)?)))
        else {
            // It buys no tier any more.
            let (status, version) = (Status::Expired, version(created, 3, None));
            return Ok(known.map(|known| Terms { status, version, ends_at: None, ..known }));
        };
        let fan = match (self.metadata.get("fan"), known) {
            (Some(fan), _) => {
                fan.parse().map_err(|error| invalid("data.object.metadata.fan", &error))?
            }
            (None, Some(known)) => known.fan,
            (None, None) => return Ok(None),
        };
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
        Ok(Some(Terms {
            membership,
            fan,
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
/// `HUB_STRIPE_PRICES` says which tier a price buys. A subscription that buys none any more has expired. Everything else
/// is ignored.
#[utoipa::path(post, path = "/v1/webhooks/stripe", tag = "Platform", operation_id = "stripe_webhook", security(()),
    params(("Stripe-Signature" = String, Header)), request_body(content = Object),
    responses((status = 200, description = "Taken in", body = Taken)))]
pub(crate) async fn stripe(
    State(app): AppState,
    signed: Signed,
) -> Result<Written<Taken>, ApiError> {
    signed.stripe(&app)?;
    let event: StripeEvent = signed.read()?;
    if !event.r#type.starts_with("customer.subscription.") {
        return Ok(ignored(&app));
    }
    let subscription: Subscription = read(&event.data.object, "data.object")?;
    // An event of the future would make those that follow it look old.
    let tomorrow = (app.now() + TimeDelta::days(1)).timestamp();
    if i64::try_from(event.created).is_ok_and(|created| created > tomorrow) {
        return Err(ApiError::field(
            "created",
            "must be the time of the event, in seconds since 1970",
        ));
    }
    let id: MembershipId =
        subscription.id.parse().map_err(|error| invalid("data.object.id", &error))?;
    let known = app.store.load::<Membership>(&membership::stream(&id)).await?.state.terms;
    match subscription.terms(&app, id, known, event.created)? {
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
