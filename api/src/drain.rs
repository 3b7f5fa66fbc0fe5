//! Bodies that nobody read: the connection stays good for the next request, or its end is announced.
//!
//! A request may be answered before its body has come, or without a look at it. What is left of it would be taken for
//! the next request, so the server closes such a connection; a client that keeps it open would lose what it sends next.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::Response,
};
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use crate::extract::MAX_BODY;

/// How long an answer waits for the rest of a body.
const PATIENCE: Duration = Duration::from_secs(2);

/// A body that a handler reads, and of which the rest can be read after it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Reading>>);

struct Reading {
    stream: BodyDataStream,
    ended: bool,
}

impl Shared {
    fn of(body: Body) -> Self {
        let reading = Reading { stream: body.into_data_stream(), ended: false };
        Self(Arc::new(Mutex::new(reading)))
    }

    fn stream(self) -> impl futures_util::Stream<Item = Result<Bytes, axum::Error>> {
        stream::poll_fn(move |context| {
            let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let part = reading.stream.poll_next_unpin(context);
            reading.ended |= matches!(part, std::task::Poll::Ready(None));
            part
        })
    }

    fn ended(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// Reads what is left; answers whether that was all of it.
    async fn drain(self) -> bool {
        let read = async {
            let (mut rest, mut left) = (self.stream(), MAX_BODY);
            while let Some(part) = rest.next().await {
                let within = part.ok().and_then(|part| left.checked_sub(part.len()));
                let Some(within) = within else { return false };
                left = within;
            }
            true
        };
        timeout(PATIENCE, read).await.unwrap_or(false)
    }
}

/// Reads what a handler left of a body, or says that the connection ends.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() || request.version() > Version::HTTP_11 {
        return next.run(request).await;
    }
    // Who asks first whether to send the body need not send it any more.
    let asks = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let small = body.size_hint().lower() <= MAX_BODY as u64;
    let shared = Shared::of(body);
    let body = Body::from_stream(shared.clone().stream());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if !shared.ended() && (asks || !small || !shared.drain().await) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
