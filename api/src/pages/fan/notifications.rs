//! What is new: a membership opens one more server, or something needs the fan.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{FanId, IntegrationId};
use uuid::Uuid;

use crate::{
    app::{App, AppState},
    auth::ByFan,
    error::ApiError,
    extract::{Body, Nothing, Path, Query},
    pages::{
        components::When,
        fan::access,
        forms::Sent,
        frame::{Frame, page, see_other},
        session::Signed,
        texts,
    },
    paging::Paging,
    routes::notifications::{self, NotificationAnswer},
};

#[derive(Template)]
#[template(path = "fan/notifications.html")]
struct NotificationsPage {
    frame: Frame,
    told: Vec<NotificationAnswer>,
    /// What the integrations are called that it is about.
    names: BTreeMap<IntegrationId, String>,
    next_cursor: Option<String>,
}

impl NotificationsPage {
    fn name(&self, told: &NotificationAnswer) -> Option<&str> {
        self.names.get(&told.integration?).map(String::as_str)
    }

    /// What the matter is, in the fan's words.
    fn words(&self, told: &NotificationAnswer) -> Option<&'static str> {
        let code = told.reason.as_ref()?.code.as_str();
        Some(access::words(&self.frame.t.troubles, code))
    }

    /// Whether it can still be activated.
    fn offers(told: &NotificationAnswer) -> bool {
        told.kind == "integration_available" && !told.read
    }
}

/// How much a fan has not read yet, of what is shown at once.
pub(super) async fn unread(app: &App, fan: &FanId) -> Result<usize, ApiError> {
    let told = notifications::of_fan(app, fan, &Paging::whole()).await?;
    Ok(told.data.iter().filter(|told| told.is_new()).count())
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<FanId>,
    Query(paging): Query<Paging>,
) -> Result<Response, ApiError> {
    let t = &texts::EN.notifications;
    let told = notifications::of_fan(&app, &signed.who, &paging).await?;
    let mut names = BTreeMap::new();
    for id in told.data.iter().filter_map(|told| told.integration) {
        if let Some(row) = app.views.integrations().get(id).await? {
            names.insert(id, row.name.to_string());
        }
    }
    let frame = super::frame(&app, &signed, t.title).await?.at("notifications").narrow();
    page(&NotificationsPage { frame, told: told.data, names, next_cursor: told.next_cursor })
}

pub(crate) async fn read(
    State(app): AppState,
    Path(id): Path<Uuid>,
    Sent { signed, .. }: Sent<FanId>,
) -> Result<Response, ApiError> {
    let path = Path((signed.who, id));
    let written = notifications::read(
        State(Arc::clone(&app)),
        ByFan::of(signed.caller)?,
        path,
        Body(Nothing),
    )
    .await?;
    app.seen(written.position).await?;
    Ok(see_other("/fan/notifications"))
}
