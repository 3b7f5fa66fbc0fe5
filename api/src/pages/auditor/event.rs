//! One event: in plain words, and as it was recorded.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{Event, FanId, IntegrationId};
use eventstore::Position;

use super::{actor, address, ask::exact, frame, log::words};
use crate::{
    app::{App, AppState},
    audit::{self, Told},
    error::ApiError,
    extract::Path,
    pages::{
        components::Exact,
        frame::{Frame, page},
        session::{Area, Auditor, Signed},
        texts::{self, Html},
    },
};

#[derive(Template)]
#[template(path = "auditor/event.html")]
struct EventPage {
    frame: Frame,
    told: Told,
    by: Html,
    /// The event's data, to be read by people.
    data: String,
    fan: Option<FanId>,
    integration: Option<IntegrationId>,
    last: bool,
}

impl EventPage {
    fn at(&self) -> String {
        exact(self.told.at)
    }

    fn kind(&self) -> String {
        words(&self.told.r#type)
    }

    /// The log of whatever has this in common.
    fn log(field: &str, value: &str) -> String {
        address("/audit", &[(field, value)])
    }

    /// Access over time, at the time of the event.
    fn access(&self, field: &str, value: &impl ToString) -> String {
        address("/audit/access", &[(field, &value.to_string()), ("at", &self.at())])
    }

    /// The way to what explains the event, where it is about one fan and one integration.
    fn explain(&self) -> Option<String> {
        let (fan, integration) = (self.fan.as_ref()?, self.integration?);
        let (integration, at) = (integration.to_string(), self.at());
        let asked = [("fan", fan.as_str()), ("integration", &integration), ("at", &at)];
        Some(address("/audit/explain", &asked))
    }
}

/// Whom an event is about.
async fn about(app: &App, told: &Told) -> Result<(Option<FanId>, Option<IntegrationId>), ApiError> {
    Ok(match &told.event {
        Event::Membership(event) => (Some(event.terms().fan.clone()), None),
        Event::Fan(event) => (Some(event.fan().clone()), event.integration()),
        Event::Access(event) => {
            let holder = event.holder();
            let of = app.audit().await?.integrations_at(holder.guild, told.at).await?;
            (Some(holder.fan.clone()), of.first().copied())
        }
        Event::Integration(event) => (None, Some(event.integration())),
        Event::Guild(
            domain::guild::Event::GuildReserved { integration, .. }
            | domain::guild::Event::GuildReleased { integration, .. },
        ) => (None, Some(*integration)),
        Event::DiscordAccount(
            domain::account::Event::AccountReserved { fan, .. }
            | domain::account::Event::AccountReleased { fan, .. },
        ) => (Some(fan.clone()), None),
        Event::Hold(event) => (None, Some(event.integration())),
        Event::Tier(_) | Event::Creator(_) => (None, None),
    })
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<Auditor>,
    Path(position): Path<u64>,
) -> Result<Response, ApiError> {
    signed.caller.auditor()?;
    let told = audit::event(&app.store, app.audit().await?, Position(position)).await?;
    let told = told.ok_or_else(ApiError::not_found)?;
    let (fan, integration) = about(&app, &told).await?;
    let t = &texts::EN;
    let frame = frame(&app, &signed, t.event.title.plain(position), "log")
        .under(t.audit.log, Area::Auditor.home());
    page(&EventPage {
        frame,
        by: actor(&told.actor),
        data: serde_json::to_string_pretty(&told.data).unwrap_or_default(),
        fan,
        integration,
        last: app.store.log().head() <= Position(position),
        told,
    })
}
