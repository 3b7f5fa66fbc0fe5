//! What every request leaves in metrics and traces: its route, never its address, which may hold a secret.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use tracing::Span;

/// The methods that have a route. Whoever makes up others must not make up metrics with them.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn route(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("unrouted", MatchedPath::as_str)
}

/// The span of a request. A path, a query and a header may each be a secret: a sign-in link, an OAuth code, a key.
pub(crate) fn span(request: &Request) -> Span {
    tracing::debug_span!("request", method = method(request.method()), route = route(request))
}

/// Counts and times a request.
pub(crate) async fn measured(request: Request, next: Next) -> Response {
    let (method, route) = (method(request.method()), route(&request).to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("hub_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("hub_http_request_seconds", "route" => route)
        .record(began.elapsed().as_secs_f64());
    response
}
