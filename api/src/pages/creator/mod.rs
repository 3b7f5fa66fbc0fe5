//! The creator's pages: Creator Tools → Integrations.

mod activity;
mod add;
mod approvals;
mod connect;
mod fan;
mod fans;
mod head;
mod health;
mod leave;
mod memberships;
mod overview;
mod roles;
mod settings;
mod table;

use std::sync::Arc;

use axum::{
    Router,
    response::Redirect,
    routing::{get, post},
};
use domain::{CreatorId, IntegrationId};
use projections::{Change, IntegrationRow, Topic};

use crate::{
    app::App,
    error::ApiError,
    pages::{
        frame::Frame,
        session::{Area, Signed},
        texts,
    },
};

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/creator", get(|| async { Redirect::to(Area::Creator.home()) }))
        .route("/creator/approvals", get(approvals::list))
        .route("/creator/approvals/{id}", get(approvals::show))
        .route("/creator/approvals/{id}/approve", post(approvals::approve))
        .route("/creator/approvals/{id}/reject", post(approvals::reject))
        .route("/creator/integrations", get(table::show))
        .route("/creator/integrations/live", get(table::follow))
        .route("/creator/integrations/new", get(add::providers))
        .route("/creator/integrations/new/discord", get(add::ask_name).post(add::create))
        .route("/creator/integrations/{id}", get(overview::show))
        .route("/creator/integrations/{id}/live", get(overview::follow))
        .route("/creator/integrations/{id}/sync", post(overview::sync))
        .route("/creator/integrations/{id}/activity", get(activity::show))
        .route("/creator/integrations/{id}/activity/live", get(activity::follow))
        .route("/creator/integrations/{id}/health", get(health::show))
        .route("/creator/integrations/{id}/settings", get(settings::show).post(settings::change))
        .route(
            "/creator/integrations/{id}/disconnect",
            get(leave::ask_disconnect).post(leave::disconnect),
        )
        .route("/creator/integrations/{id}/delete", get(leave::ask_delete).post(leave::delete))
        .route("/creator/integrations/{id}/fans", get(fans::show))
        .route("/creator/integrations/{id}/fans/live", get(fans::follow))
        .route("/creator/integrations/{id}/fans/{fan}", get(fan::show))
        .route("/creator/integrations/{id}/fans/{fan}/live", get(fan::follow))
        .route("/creator/integrations/{id}/fans/{fan}/grant", post(fan::grant))
        .route("/creator/integrations/{id}/fans/{fan}/grant/end", post(fan::end_grant))
        .route("/creator/integrations/{id}/fans/{fan}/withhold", post(fan::withhold))
        .route("/creator/integrations/{id}/fans/{fan}/lift", post(fan::lift))
        .route("/creator/integrations/{id}/connect", get(connect::show))
        .route("/creator/integrations/{id}/connect/discord", get(connect::to_discord))
        .route("/creator/integrations/{id}/roles", get(roles::show))
        .route("/creator/integrations/{id}/roles/live", get(roles::follow))
        .route("/creator/integrations/{id}/roles/refresh", post(roles::refresh))
        .route(
            "/creator/integrations/{id}/memberships",
            get(memberships::show).post(memberships::apply),
        )
        .route(
            "/creator/integrations/{id}/memberships/review",
            get(memberships::show).post(memberships::review),
        )
        .route(
            "/creator/integrations/{id}/memberships/{tier}/remove",
            get(memberships::ask_remove).post(memberships::remove),
        )
}

/// Whether a change is of these topics, in this integration. Others' changes are many, and none of its pages' business.
fn is_within(change: &Change, topics: &[Topic], id: IntegrationId) -> bool {
    topics.contains(&change.topic) && change.integration == Some(id)
}

/// Whether a change is of these topics, in any integration of this creator.
fn is_of(change: &Change, topics: &[Topic], creator: &CreatorId) -> bool {
    let others = change.creator.as_ref().is_some_and(|whose| whose != creator);
    topics.contains(&change.topic) && !others
}

/// A page of an integration.
fn place(id: IntegrationId, page: &str) -> String {
    format!("/creator/integrations/{id}{page}")
}

/// The frame of a creator's page, which says how much waits for them.
async fn frame(
    app: &App,
    signed: &Signed<CreatorId>,
    title: impl Into<String>,
) -> Result<Frame, ApiError> {
    let waiting = approvals::waiting(app, &signed.who).await?.len();
    Ok(Frame::of(app, signed, title).counting("approvals", waiting))
}

/// The frame of a step of an integration's set-up.
async fn setup(
    app: &App,
    signed: &Signed<CreatorId>,
    row: &IntegrationRow,
    title: &str,
) -> Result<Frame, ApiError> {
    let frame = frame(app, signed, title).await?.at("integrations");
    Ok(frame
        .under(texts::EN.frame.integrations, Area::Creator.home())
        .under(row.name.to_string(), place(row.id, ""))
        .narrow())
}

#[cfg(test)]
mod tests {
    use eventstore::Position;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_changes_at_another_creator_makes_no_page_anew() {
        let (club, other) = (IntegrationId(Uuid::from_u128(1)), IntegrationId(Uuid::from_u128(2)));
        let (kim, lee): (CreatorId, CreatorId) = ("kim".parse().unwrap(), "lee".parse().unwrap());
        let (fan, shown) = ("ada".to_owned(), [Topic::Integrations, Topic::FanAccess]);
        let change = Change {
            topic: Topic::FanAccess,
            key: fan,
            position: Position(1),
            integration: Some(other),
            creator: Some(lee.clone()),
        };
        assert!(is_within(&change, &shown, other) && !is_within(&change, &shown, club));
        assert!(is_of(&change, &shown, &lee) && !is_of(&change, &shown, &kim));
        assert!(!is_of(&change, &[Topic::Holds], &lee), "another topic");
    }
}
