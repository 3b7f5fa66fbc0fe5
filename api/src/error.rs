//! The one error of the edge: RFC 9457 problem details with a stable code.

use std::{error::Error, sync::Arc};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bot::{DeskError, desk::MAX_SHARDS};
use eventstore::{AppendError, StoreError};
use projections::{Behind, ViewError};
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

/// A kind of problem: what clients can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

macro_rules! kinds {
    ($($name:ident: $status:ident, $code:literal, $title:literal;)*) => {
        impl Kind {
            $(pub(crate) const $name: Self = Self { status: StatusCode::$status, code: $code, title: $title };)*
        }
    };
}

kinds! {
    MALFORMED_JSON: BAD_REQUEST, "malformed_json", "The body is not JSON";
    DUPLICATE_FIELD: BAD_REQUEST, "duplicate_field", "A field or a parameter stands twice";
    MALFORMED_REQUEST: BAD_REQUEST, "malformed_request", "The request cannot be read";
    OAUTH_STATE: BAD_REQUEST, "oauth_state_invalid", "This way back from Discord cannot be used";
    OAUTH_DENIED: BAD_REQUEST, "oauth_denied", "Discord was not allowed to connect";
    LINK_USED: GONE, "link_used", "The sign-in link has been used or is too old";
    NOT_SIGNED_IN: UNAUTHORIZED, "not_signed_in", "Nobody is signed in";
    SESSION_ENDED: UNAUTHORIZED, "session_ended", "The session has ended";
    CROSS_SITE: FORBIDDEN, "cross_site", "The form was sent from elsewhere";
    FORM_STALE: CONFLICT, "form_stale", "The form is from an earlier sign-in";
    OAUTH_CODE: BAD_REQUEST, "oauth_code_invalid", "Discord does not accept this code";
    SIGNATURE: UNAUTHORIZED, "signature_invalid", "The webhook's signature cannot be accepted";
    UNAUTHORIZED: UNAUTHORIZED, "unauthorized", "No key, or not a valid one";
    FORBIDDEN: FORBIDDEN, "forbidden", "This key may not do this";
    NOT_FOUND: NOT_FOUND, "not_found", "There is no such thing";
    CONFLICT: CONFLICT, "conflict", "This does not fit how things stand";
    VERSION_CONFLICT: CONFLICT, "version_conflict", "This version was reported with other content";
    OWNER_FIXED: CONFLICT, "owner_fixed", "A membership's fan and creator never change";
    NOT_CONNECTED: CONFLICT, "not_connected", "No Discord server is connected";
    CONNECTED_ELSEWHERE: CONFLICT, "connected_elsewhere", "Another Discord server is connected";
    REMOVING: CONFLICT, "removing", "The integration is being removed";
    GUILD_TAKEN: CONFLICT, "guild_taken", "Another creator has connected this server";
    ACCOUNT_TAKEN: CONFLICT, "account_taken", "Another fan has connected this Discord account";
    NOT_LINKED: CONFLICT, "not_linked", "No Discord account is connected";
    SUPERSEDED: CONFLICT, "superseded", "The command no longer stands";
    LEASE_LOST: CONFLICT, "lease_lost", "The lease is not held";
    OTHER_SHARDS: CONFLICT, "other_shards", "Other bots divide the servers differently";
    BEYOND_THE_LOG: CONFLICT, "beyond_the_log", "The log has not come so far";
    HOLD_DECIDED: CONFLICT, "hold_decided", "The hold was decided the other way";
    KEY_IN_USE: CONFLICT, "idempotency_key_in_use", "The first request with this key still runs";
    PRECONDITION_FAILED: PRECONDITION_FAILED, "precondition_failed", "The integration has changed";
    TOO_LARGE: PAYLOAD_TOO_LARGE, "too_large", "The body is too large";
    VALIDATION: UNPROCESSABLE_ENTITY, "validation_failed", "Some fields are not valid";
    ROLES_NOT_ASSIGNABLE: UNPROCESSABLE_ENTITY, "roles_not_assignable", "Some roles cannot be given";
    KEY_REUSED: UNPROCESSABLE_ENTITY, "idempotency_key_reused", "This key was used for another request";
    INTERNAL: INTERNAL_SERVER_ERROR, "internal", "The Hub failed";
    DISCORD_REFUSED: BAD_GATEWAY, "discord_refused", "Discord refused";
    DISCORD_UNAVAILABLE: SERVICE_UNAVAILABLE, "discord_unavailable", "Discord does not answer";
    OVERLOADED: SERVICE_UNAVAILABLE, "overloaded", "The Hub has too much to do";
    STORE_UNAVAILABLE: SERVICE_UNAVAILABLE, "store_unavailable", "The log takes no events";
    VIEW_BEHIND: SERVICE_UNAVAILABLE, "view_behind", "The answer is not ready yet";
    NOT_READY: SERVICE_UNAVAILABLE, "not_ready", "The Hub is not ready";
}

/// A field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field's name in the body, the path or the query.
    pub field: String,
    /// A stable code where the detail alone would have to be parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub detail: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), code: None, detail: detail.into() }
    }
}

/// Problem details as RFC 9457 has them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `urn:hub:problem:` and the code.
    pub r#type: String,
    pub title: String,
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// Stable, for programs.
    pub code: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Where it can be begun anew, where what was begun is used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uri")]
    pub again: Option<Url>,
}

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) struct ApiError {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    /// Seconds after which asking again makes sense.
    retry_after: Option<u64>,
    /// Seldom there and large.
    again: Option<Box<Url>>,
}

impl ApiError {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let again = kind.status == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after = again.then_some(1);
        Self { kind, detail: detail.into(), errors: vec![], retry_after, again: None }
    }

    pub(crate) fn with(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// `seconds`: after which asking again makes sense.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// `url`: where it can be begun anew; asking for the same once more is of no use.
    pub(crate) fn begin_again_at(self, url: Url) -> Self {
        Self { again: Some(Box::new(url)), ..self }
    }

    /// The same answer whether a thing does not exist or is somebody else's.
    pub(crate) fn not_found() -> Self {
        Self::new(
            Kind::NOT_FOUND,
            "there is nothing here for this key; check the path and the ids in it",
        )
    }

    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        Self::new(
            Kind::VALIDATION,
            "correct the fields that `errors` names and send the request again",
        )
        .with(errors)
    }

    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, detail)])
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// Whether it names fields that the sender can correct.
    pub(crate) fn is_invalid(&self) -> bool {
        self.kind.status == StatusCode::UNPROCESSABLE_ENTITY
    }

    pub(crate) fn code(&self) -> &'static str {
        self.kind.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// A failure of the machine: logged once, here, and told to nobody outside.
    pub(crate) fn internal(error: &dyn Error) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(
            Kind::INTERNAL,
            "the Hub failed at this request and logged why; try again, and tell its operator if it stays",
        )
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Append(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        let kind = match error {
            AppendError::KeyReused => Kind::KEY_REUSED,
            AppendError::TooLarge => Kind::TOO_LARGE,
            AppendError::Overloaded | AppendError::Conflict { .. } => Kind::OVERLOADED,
            AppendError::Refused(_) | AppendError::Stopped(_) => {
                tracing::error!(%error, "the log took no events");
                Kind::STORE_UNAVAILABLE
            }
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ViewError> for ApiError {
    fn from(error: ViewError) -> Self {
        Self::internal(&error)
    }
}

impl From<Behind> for ApiError {
    fn from(behind: Behind) -> Self {
        Self::new(Kind::VIEW_BEHIND, behind.to_string())
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Unknown => Self::new(Kind::NOT_FOUND, error.to_string()),
            DeskError::Superseded => Self::new(Kind::SUPERSEDED, error.to_string()),
            DeskError::Fenced => Self::new(Kind::LEASE_LOST, error.to_string()),
            DeskError::OtherShards(_) => Self::new(Kind::OTHER_SHARDS, error.to_string()),
            DeskError::InvalidShards => Self::field("of", format!("must be 1 to {MAX_SHARDS}")),
            DeskError::NoShards => Self::field("want", "must be at least 1"),
            DeskError::TokenLater(_) => Self::new(Kind::DISCORD_UNAVAILABLE, error.to_string()),
            DeskError::Store(error) => error.into(),
            DeskError::View(error) => error.into(),
            DeskError::Behind(error) => error.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Kind { status, code, title } = self.kind;
        let problem = Problem {
            r#type: format!("urn:hub:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            code: code.to_owned(),
            errors: self.errors,
            again: self.again.map(|url| *url),
        };
        let mut response = (status, Json(&problem)).into_response();
        // Where a browser asked, a page is made of it.
        response.extensions_mut().insert(Arc::new(problem));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.kind == Kind::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
