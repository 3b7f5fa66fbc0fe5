//! What writes answer: the log position they reached, and the version of what they changed.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use eventstore::Position;
use serde::Serialize;

/// The log position that a write reached.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("hub-position");

/// The answer of a write.
pub(crate) struct Written<T> {
    pub(crate) status: StatusCode,
    pub(crate) position: Position,
    pub(crate) version: Option<u64>,
    pub(crate) body: T,
}

impl<T> Written<T> {
    pub(crate) fn ok(position: Position, body: T) -> Self {
        Self { status: StatusCode::OK, position, version: None, body }
    }

    pub(crate) fn map<U>(self, body: impl FnOnce(T) -> U) -> Written<U> {
        let Self { status, position, version, body: before } = self;
        Written { status, position, version, body: body(before) }
    }

    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl<T: Serialize> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        let mut response = if self.status == StatusCode::NO_CONTENT {
            self.status.into_response()
        } else {
            (self.status, Json(self.body)).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(POSITION, self.position.0.into());
        if let Some(version) = self.version {
            headers.insert(header::ETAG, etag(version));
        }
        response
    }
}

/// The `ETag` of a stream version.
pub(crate) fn etag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}
