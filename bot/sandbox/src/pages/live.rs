//! The stream that tells open pages that something changed; they ask for what they show again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State as Extract,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use futures_util::{Stream, stream};

use super::Sandbox;
use crate::server::State;

/// However much happens, pages are told this often at most.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route("/live", get(live))
}

async fn live(Extract(state): Sandbox) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = state.revision.subscribe();
    let ended = state.shutdown.clone();
    let events = stream::unfold((changes, true), move |(mut changes, first)| {
        let ended = ended.clone();
        async move {
            // The first event says where a page that connects again has to catch up to.
            if !first {
                tokio::select! {
                    moved = changes.changed() => moved.ok()?,
                    () = ended.cancelled() => return None,
                }
                tokio::time::sleep(PAUSE).await;
            }
            let revision = *changes.borrow_and_update();
            let event = Event::default().event("changed").data(revision.to_string());
            Some((Ok(event), (changes, false)))
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
