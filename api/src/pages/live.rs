//! Live regions: a part of a page that is sent anew whenever what it shows has changed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use projections::Change;
use ring::digest;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep, timeout},
};

use crate::{
    app::App,
    error::ApiError,
    pages::{assets::short, session::Held, texts::Html},
    routes::streams::last_event_id,
};

/// Changes that come together are shown together.
const TOGETHER: Duration = Duration::from_millis(150);

/// The least time between two looks at what changes: an import changes something all the time.
const BETWEEN: Duration = Duration::from_millis(500);

/// After how long a region that could not be made is tried again; twice as long each further time.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a silent stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How often it is looked whether the session still stands, where nothing changes.
const SESSION: Duration = Duration::from_mins(1);

/// A part of a page as it stands.
pub(crate) struct Region {
    pub(crate) html: Html,
    /// The name of its content: a browser that has it need not be sent it.
    pub(crate) edition: String,
    /// After how long it is looked at again although nothing has changed, where something goes on.
    pub(crate) again: Option<Duration>,
}

impl Region {
    pub(crate) fn of(template: &impl Template) -> Result<Self, ApiError> {
        let html = template.render().map_err(|error| ApiError::internal(&error))?;
        let edition = short(digest::digest(&digest::SHA256, html.as_bytes()).as_ref());
        Ok(Self { html: Html::rendered(html), edition, again: None })
    }
}

/// What can be shown anew, as often as it changes.
pub(crate) trait Live: Send + 'static {
    /// Whether a change may change it.
    fn concerns(&self, change: &Change) -> bool;

    fn render(&self, app: &Arc<App>) -> impl Future<Output = Result<Region, ApiError>> + Send;
}

struct Following<L> {
    app: Arc<App>,
    held: Held,
    changes: Receiver<Arc<Vec<Change>>>,
    live: L,
    /// The edition that the browser has.
    has: String,
    /// Whether to look for what changed before waiting for more.
    look: bool,
    looked: Instant,
    again: Option<Duration>,
    /// How often in a row the region could not be made.
    failed: u32,
    over: bool,
}

/// Answers a stream that sends the region. `have` is the edition that the page was made with.
pub(crate) fn stream(
    app: &Arc<App>,
    held: Held,
    headers: &HeaderMap,
    have: Option<String>,
    live: impl Live,
) -> Response {
    let following = Following {
        app: Arc::clone(app),
        held,
        changes: app.views.changes(),
        live,
        has: last_event_id(headers).or(have).unwrap_or_default(),
        look: true,
        looked: Instant::now(),
        again: None,
        failed: 0,
        over: false,
    };
    let mut response = Sse::new(stream::unfold(following, Following::next))
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response();
    // Proxies that gather answers would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl<L: Live> Following<L> {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if self.over {
            return None;
        }
        loop {
            match self.held.still(&self.app).await {
                Ok(true) => {}
                Ok(false) => {
                    self.over = true;
                    return Some((Ok(Event::default().event("ended").data("ended")), self));
                }
                // Nobody is shown anything on a guess. The browser comes again.
                Err(_) => return None,
            }
            if self.look
                && let Some(event) = self.look().await
            {
                return Some((Ok(event), self));
            }
            self.wait().await?;
        }
    }

    /// Makes the region anew; answers it where the browser does not have it.
    async fn look(&mut self) -> Option<Event> {
        self.look = false;
        // Whichever view told of the change, the others may be a moment behind it.
        let _ = self.app.caught_up().await;
        let made = self.live.render(&self.app).await;
        self.looked = Instant::now();
        // What failed was logged where it became an error.
        let Ok(Region { html, edition, again }) = made else {
            self.again = Some(SESSION.min(AGAIN * 2_u32.saturating_pow(self.failed)));
            self.failed = self.failed.saturating_add(1).min(6);
            return None;
        };
        (self.again, self.failed) = (again, 0);
        if edition == self.has {
            return None;
        }
        self.has.clone_from(&edition);
        // A carriage return would end a line of the stream.
        let html = html.as_str().replace('\r', " ");
        Some(Event::default().id(edition).event("region").data(html))
    }

    /// Waits until there may be something to show, or the session is to be looked at again; `None` where the Hub ends.
    async fn wait(&mut self) -> Option<()> {
        let shutdown = self.app.shutdown.clone();
        let pause = sleep(self.again.unwrap_or(SESSION));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = &mut pause => {
                    self.look = self.again.is_some();
                    return Some(());
                }
                heard = self.changes.recv() => match heard {
                    Ok(changes) if !changes.iter().any(|change| self.live.concerns(change)) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        let together = TOGETHER.max(BETWEEN.saturating_sub(self.looked.elapsed()));
                        let gather = async { while !matches!(self.changes.recv().await, Err(RecvError::Closed)) {} };
                        let _ = timeout(together, gather).await;
                        self.look = true;
                        return Some(());
                    }
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }
}
