//! Reports of memberships by the platform, in the form of Standard Webhooks.

use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::membership::Status;
use eventstore::Position;
use ring::digest::{Digest, SHA256, digest};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Signed, Taken, ignored, take, unauthorized};
use crate::{
    answer::Written,
    app::{App, AppState},
    error::{ApiError, Kind},
    extract::{self, Fields},
    idempotency::Running,
    routes::memberships::Named,
};

/// A message under its id.
struct Message {
    key: String,
    hash: Digest,
    /// Held until it is taken in: nothing else comes in between.
    _running: Running,
}

impl Message {
    /// From here on nothing else may come under the id.
    async fn is_taken(&self, app: &App, position: Position) -> Result<(), ApiError> {
        app.store.answers().put(&self.key, self.hash.as_ref(), position, b"", app.now()).await?;
        Ok(())
    }
}

impl Signed {
    /// Refuses a message under the id of another one. The same one may come again.
    async fn once(&self, app: &App) -> Result<Message, ApiError> {
        let id = self.header("webhook-id");
        if id.is_empty() {
            return Err(unauthorized(
                "the webhook-id is missing; give every message one of its own",
            ));
        }
        let (key, hash) = (format!("http:webhook:{id}"), digest(&SHA256, &self.body));
        let running = app.in_flight.begin(&key).ok_or_else(|| {
            let text =
                "a message under this webhook-id is being taken in; send it again in a moment";
            ApiError::new(Kind::KEY_IN_USE, text)
        })?;
        let before = app.store.answers().get(&key).await?;
        if before.is_some_and(|before| before.request_hash != hash.as_ref()) {
            tracing::warn!(id, "a webhook came under the id of another one and was refused");
            return Err(ApiError::new(
                Kind::KEY_REUSED,
                "this webhook-id came with another body before; give every message an id of its own",
            ));
        }
        Ok(Message { key, hash, _running: running })
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
    let Some(Value::String(kind)) = body.remove("type") else {
        return Err(ApiError::field("type", "must be what happened, as in `membership.purchased`"));
    };
    let Some(status) = status(&kind) else { return Ok(ignored(&app)) };
    let Some(Value::Object(mut data)) = body.remove("data") else {
        return Err(ApiError::field("data", "must be the membership as an object"));
    };
    let said = data.insert("status".to_owned(), Value::from(status.as_str()));
    if said.is_some_and(|said| said != status.as_str()) {
        let text = format!("must be {}, or left out: the type says it", status.as_str());
        return Err(ApiError::field("data.status", text));
    }
    let Named(terms) = Fields::of_object(data)?;
    let message = signed.once(&app).await?;
    let taken = take(&app, terms).await?;
    message.is_taken(&app, taken.position).await?;
    Ok(taken)
}
