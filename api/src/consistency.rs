//! Read your own writes: a read is answered from views that have seen what the caller knows of.

use axum::{
    extract::{MatchedPath, Request, State},
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
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if request.method() == Method::GET && route.is_some_and(reads_views) {
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

/// Whether a route is answered from views. While one is being built anew, nobody is kept from what needs none: the
/// description, signing in, the way back from Discord. Whoever looks how the Hub is doing is answered even then.
fn reads_views(route: &str) -> bool {
    let aside = [
        "/",
        "/assets/{edition}/{name}",
        "/design",
        "/docs",
        "/healthz",
        "/metrics",
        "/oauth/discord/callback",
        "/openapi.json",
        "/operator",
        "/operator/now",
        "/readyz",
        "/sign-in/{token}",
    ];
    !aside.contains(&route)
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
