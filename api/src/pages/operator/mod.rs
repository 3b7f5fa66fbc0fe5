//! The operator's page: how the Hub is doing.
//!
//! It is answered from what is at hand even where the views are behind: that is when it is looked at.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use bot::{Budget, Desk, wire::Lease};
use chrono::{DateTime, Utc};
use domain::{Trouble, Who};
use eventstore::Position;
use projections::{Queued, ViewStatus};

use crate::{
    app::{App, AppState},
    error::{ApiError, FieldError},
    pages::{
        components::{Chip, Exact},
        frame::{Frame, page},
        live::Region,
        session::{Operator, Signed},
        texts::{self, Texts, operator::Operator as Words},
    },
    routes::ops,
};

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new().route("/operator", get(show)).route("/operator/now", get(now))
}

#[derive(Template)]
#[template(path = "operator/status.html")]
struct StatusPage {
    frame: Frame,
    region: Region,
}

/// The part that is looked at again and again.
#[derive(Template)]
#[template(path = "operator/now.html")]
struct Now {
    t: &'static Texts,
    faults: Vec<FieldError>,
    head: Position,
    last: Option<DateTime<Utc>>,
    views: Vec<ViewStatus>,
    /// The shards that are held, and by whom.
    leases: Vec<(Lease, String)>,
    /// How many shards nobody holds.
    free: u64,
    queue: Vec<Waiting>,
    budget: Budget,
}

/// Commands that wait for the same.
struct Waiting {
    cause: Option<Trouble>,
    count: u64,
    oldest: Option<DateTime<Utc>>,
}

impl Now {
    fn fault(&self, field: &str) -> Option<&FieldError> {
        self.faults.iter().find(|fault| fault.field == field)
    }

    fn chip(&self) -> Chip {
        let t = &self.t.operator;
        if self.faults.is_empty() {
            Chip::new(t.ready, "good")
        } else {
            Chip::new(t.not_ready, "bad")
        }
    }

    fn lag(view: &ViewStatus) -> u64 {
        view.head.0.saturating_sub(view.position.0)
    }

    fn most_behind(&self) -> u64 {
        self.views.iter().map(Self::lag).max().unwrap_or_default()
    }

    fn open(&self) -> u64 {
        self.queue
            .iter()
            .filter(|waiting| waiting.cause.is_none())
            .map(|waiting| waiting.count)
            .sum()
    }

    fn waiting(&self) -> u64 {
        self.queue
            .iter()
            .filter(|waiting| waiting.cause.is_some())
            .map(|waiting| waiting.count)
            .sum()
    }

    fn who(t: &Words, waiting: &Waiting) -> &'static str {
        match waiting.cause.map(Trouble::who) {
            None => t.nobody,
            Some(Who::Fan) => t.by_fan,
            Some(Who::Creator) => t.by_creator,
            Some(Who::Operator) => t.by_operator,
        }
    }

    fn held(&self) -> u64 {
        u64::try_from(self.leases.len()).unwrap_or_default()
    }
}

async fn time_of(app: &App, position: Position) -> Result<Option<DateTime<Utc>>, ApiError> {
    let read = app.store.log().read_at(&[position]).await?;
    Ok(read.first().map(|event| event.metadata.at))
}

async fn now_of(app: &App) -> Result<Now, ApiError> {
    let head = app.store.log().head();
    let leases = app.desk.held().await?;
    let mut queue = vec![];
    for Queued { parked, commands, oldest } in app.views.fan_access().queue().await? {
        let oldest = time_of(app, oldest).await?;
        queue.push(Waiting { cause: parked, count: commands, oldest });
    }
    Ok(Now {
        t: &texts::EN,
        faults: ops::faults(app).await?,
        head,
        last: time_of(app, head).await?,
        views: app.views.status(),
        free: Desk::free(&leases),
        leases,
        queue,
        budget: app.desk.budget().await?,
    })
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<Operator>,
) -> Result<Response, ApiError> {
    let Operator = signed.who;
    let frame = Frame::of(&app, &signed, texts::EN.operator.title);
    page(&StatusPage { frame, region: Region::of(&now_of(&app).await?)? })
}

pub(crate) async fn now(
    State(app): AppState,
    signed: Signed<Operator>,
) -> Result<Response, ApiError> {
    let Operator = signed.who;
    page(&now_of(&app).await?)
}
