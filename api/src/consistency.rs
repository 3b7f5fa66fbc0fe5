//! Read your own writes: a read is answered from views that have seen what the caller knows of.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use eventstore::Position;

use crate::{
    answer::POSITION,
    app::{App, AppState},
    error::{ApiError, Kind},
};

/// The position that the caller wants to be seen.
const AFTER: HeaderName = HeaderName::from_static("hub-after");

/// Lets reads wait until the views have seen this node's own appends, and the position that was asked for.
///
/// Writes that append nothing answer how far the log is: whoever reads after that position sees them.
pub(crate) async fn guard(State(app): AppState, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let writes = !reads && path.starts_with("/v1/");
    if request.method() == Method::GET && reads_views(path) {
        let after = request.headers().get(AFTER).cloned();
        if let Err(error) = wait(&app, after).await {
            return error.into_response();
        }
    }
    let mut response = next.run(request).await;
    if writes && response.status().is_success() && !response.headers().contains_key(POSITION) {
        response.headers_mut().insert(POSITION, app.store.log().head().0.into());
    }
    response
}

/// Whether a path is answered from views. Whoever looks how the Hub is doing is answered when it is not doing well, too.
fn reads_views(path: &str) -> bool {
    let aside = ["/healthz", "/readyz", "/metrics", "/operator", "/operator/now"];
    !aside.contains(&path) && !path.starts_with("/assets/")
}

async fn wait(app: &App, after: Option<HeaderValue>) -> Result<(), ApiError> {
    let head = app.store.log().head();
    let Some(after) = after else { return app.seen(head).await };
    let after = after.to_str().ok().and_then(|after| after.parse().ok()).map(Position);
    let after = after.ok_or_else(|| {
        ApiError::new(
            Kind::MALFORMED_REQUEST,
            "Hub-After must be a position, as Hub-Position answered it",
        )
    })?;
    app.seen(head.max(after)).await
}
