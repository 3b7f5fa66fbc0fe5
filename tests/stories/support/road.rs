//! The way from a bot process to the Hub, which can be blocked for one route.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};

#[derive(Debug)]
struct Shared {
    to: String,
    route: &'static str,
    http: reqwest::Client,
    blocked: AtomicBool,
    turned_back: AtomicUsize,
}

pub(crate) struct Road {
    url: String,
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

impl Road {
    /// A road to a Hub; `route` is the one that can be blocked.
    pub(crate) async fn to(hub: &str, route: &'static str) -> Self {
        let shared = Arc::new(Shared {
            to: hub.trim_end_matches('/').to_owned(),
            route,
            http: bot::http::client("road").unwrap(),
            blocked: AtomicBool::new(false),
            turned_back: AtomicUsize::new(0),
        });
        let app = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let running = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, shared, running }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn block(&self, blocked: bool) {
        self.shared.blocked.store(blocked, Ordering::SeqCst);
    }

    /// How many requests did not get through.
    pub(crate) fn turned_back(&self) -> usize {
        self.shared.turned_back.load(Ordering::SeqCst)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == shared.route && shared.blocked.load(Ordering::SeqCst) {
        shared.turned_back.fetch_add(1, Ordering::SeqCst);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let url = format!("{}{}", shared.to, parts.uri);
    let mut asked = shared.http.request(parts.method, url).body(body);
    for name in ["authorization", "content-type", "accept", "last-event-id"] {
        if let Some(value) = parts.headers.get(name) {
            asked = asked.header(name, value);
        }
    }
    let Ok(answer) = asked.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}
