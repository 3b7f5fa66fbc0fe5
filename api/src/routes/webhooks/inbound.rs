//! Reports of memberships by the platform, in the form of Standard Webhooks.

use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::membership::{Status, Terms};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Signed, Taken, ignored, take, unauthorized};
use crate::{
    answer::Written,
    app::{App, AppState},
    error::ApiError,
    extract::{self, Fields, FromFields},
    routes::memberships::MembershipBody,
};

impl Signed {
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
