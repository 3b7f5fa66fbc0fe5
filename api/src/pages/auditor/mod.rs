//! The auditor's pages: the log, access over time, and why.
//!
//! Everything that is asked stands in the address, so that every page can be bookmarked and sent to a colleague.

mod ask;
mod event;
mod explain;
mod log;
mod picture;
mod travel;

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, routing::get};
use domain::{CreatorId, IntegrationId, integration::Integration, status::Status};

use crate::{
    app::App,
    error::ApiError,
    pages::{
        components::Chip,
        frame::Frame,
        session::{Auditor, Signed},
        texts::{self, Html},
    },
};

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/audit", get(log::show))
        .route("/audit/events/{position}", get(event::show))
        .route("/audit/access", get(travel::show))
        .route("/audit/access/moment", get(travel::moment))
        .route("/audit/explain", get(explain::show))
}

/// The frame of one of the auditor's pages.
fn frame(app: &App, signed: &Signed<Auditor>, title: impl Into<String>, at: &'static str) -> Frame {
    Frame::of(app, signed, title).at(at)
}

/// On whose behalf something happened, for people.
fn actor(actor: &str) -> Html {
    let t = &texts::EN.audit;
    match actor.split_once(':') {
        Some(("creator", id)) => t.actor_creator.of(id),
        Some(("fan", id)) => t.actor_fan.of(id),
        Some((_, name)) => t.actor_bot.of(name),
        None if actor == "platform" => Html::text(t.actor_platform),
        None if actor == "auditor" => Html::text(t.actor_auditor),
        None => Html::text(t.actor_hub),
    }
}

/// How a fan stands, as nobody in particular reads it.
fn standing(status: Status) -> Chip {
    let t = &texts::EN.audit;
    match status {
        Status::Available => Chip::new(t.available, ""),
        Status::Pending => Chip::new(t.pending, "work"),
        Status::Connected => Chip::new(t.connected, "good"),
        Status::ActionRequired => Chip::new(t.action_required, "warn"),
        Status::Blocked => Chip::new(t.blocked, "bad"),
        Status::Revoking => Chip::new(t.revoking, "work"),
        Status::RevokeBlocked => Chip::new(t.revoke_blocked, "bad"),
        Status::Revoked => Chip::new(t.revoked, ""),
    }
}

/// An integration to choose.
struct Choice {
    id: IntegrationId,
    creator: CreatorId,
    /// As its creator calls it, or did.
    name: String,
}

/// Some integrations after one of them, by id, which is by age.
async fn integrations(
    app: &App,
    after: Option<IntegrationId>,
    limit: u32,
) -> Result<Vec<Choice>, ApiError> {
    let mut choices = vec![];
    for (id, creator) in app.audit().await?.integrations(after, limit).await? {
        choices.push(Choice { id, creator, name: name_of(app, id).await? });
    }
    Ok(choices)
}

/// What an integration is called, or was.
async fn name_of(app: &App, id: IntegrationId) -> Result<String, ApiError> {
    let state = app.store.load::<Integration>(&domain::integration::stream(id)).await?.state;
    Ok(state.name.map_or_else(|| id.to_string(), |name| name.to_string()))
}

/// An address with what is asked in it; what is empty is left out.
fn address(path: &str, asked: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in asked.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// What is at fault, by field.
type Faults = BTreeMap<&'static str, &'static str>;
