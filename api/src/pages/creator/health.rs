//! The doctor as a page: each check, what is wrong, who mends it and how.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{CreatorId, IntegrationId, Who};

use crate::{
    app::AppState,
    auth::ByCreator,
    error::ApiError,
    extract::Path,
    pages::{
        creator::head::Integration,
        frame::{Frame, page},
        session::Signed,
        texts,
    },
    routes::health::{self, CheckAnswer, HealthAnswer, HealthReason},
};

#[derive(Template)]
#[template(path = "creator/health.html")]
struct HealthPage {
    frame: Frame,
    integration: Integration,
    health: HealthAnswer,
}

impl HealthPage {
    /// What the tiers are called that something concerns.
    fn tiers(&self, found: &HealthReason) -> Vec<String> {
        found.tiers.iter().map(|tier| self.integration.tier(tier).to_owned()).collect()
    }

    /// What a check found.
    fn name(&self, check: &CheckAnswer) -> &'static str {
        let t = &self.frame.t.health;
        match (check.check, check.reasons.is_empty()) {
            ("connected", true) => t.connected,
            ("connected", false) => t.not_connected,
            ("discord", true) => t.discord,
            ("discord", false) => t.no_discord,
            ("bot_in_server", true) => t.bot,
            ("bot_in_server", false) => t.no_bot,
            ("permissions", true) => t.permissions,
            ("permissions", false) => t.no_permissions,
            ("two_factor", true) => t.two_factor,
            ("two_factor", false) => t.no_two_factor,
            ("gateway", true) => t.gateway,
            ("gateway", false) => t.no_gateway,
            ("roles", true) => t.roles,
            ("roles", false) => t.no_roles,
            (_, true) => t.fans,
            (_, false) => t.no_fans,
        }
    }

    fn who(&self, found: &HealthReason) -> &'static str {
        let t = &self.frame.t.health;
        match found.reason.who {
            Who::Creator => t.you,
            Who::Fan => t.the_fan,
            Who::Operator => t.the_operator,
        }
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    let frame = integration.frame_below(&app, &signed, texts::EN.health.title).narrow();
    let health = health::get(State(app), ByCreator::of(signed.caller)?, Path(id)).await?.0;
    page(&HealthPage { frame, integration, health })
}
