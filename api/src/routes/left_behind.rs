//! Who keeps something in a server that is let go by force.

use domain::{
    FanId, GuildId, IntegrationId, RoleId,
    integration::{Left, LeftBehind},
    status::Status,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, error::ApiError};

/// How many of them are named, in the answer and in the log.
const NAMED: usize = 200;

/// How many fans are looked at with one query.
const PAGE: u32 = 500;

/// The statuses of fans who may have something from the Hub.
const MAY_HOLD: [Status; 6] = [
    Status::Connected,
    Status::Pending,
    Status::ActionRequired,
    Status::Blocked,
    Status::Revoking,
    Status::RevokeBlocked,
];

/// A fan who keeps something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftAnswer {
    fan: FanId,
    /// The roles that the fan has, or may have, from the Hub.
    roles: Vec<RoleId>,
    /// Whether the Hub brought the fan into the server.
    brought_in: bool,
}

/// Who keeps something that was given in a server that is let go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftBehindAnswer {
    /// How many fans.
    fans: u64,
    /// The first 200 of them; the fans' own histories in the audit name all.
    data: Vec<LeftAnswer>,
}

impl From<&LeftBehind> for LeftBehindAnswer {
    fn from(left_behind: &LeftBehind) -> Self {
        let data = left_behind.some.iter().map(|left| LeftAnswer {
            fan: left.fan.clone(),
            roles: left.roles.iter().copied().collect(),
            brought_in: left.brought_in,
        });
        Self { fans: left_behind.fans, data: data.collect() }
    }
}

/// Everybody who has something in a server through an integration.
pub(crate) async fn left_behind(
    app: &App,
    id: IntegrationId,
    guild: GuildId,
) -> Result<LeftBehind, ApiError> {
    let access = app.views.fan_access();
    let mut left_behind = LeftBehind::default();
    for status in MAY_HOLD {
        let mut after: Option<FanId> = None;
        loop {
            let rows = access.fans(id, Some(status), after.as_ref(), PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.fan.clone());
            let fans: Vec<FanId> = rows.into_iter().map(|row| row.fan).collect();
            for (fan, facts) in access.facts_of(&fans).await? {
                let places = facts.standings.get(&guild).into_iter().flat_map(|of| of.values());
                let held = places
                    .filter(|place| place.holding.contains(&id) && place.standing.holds_anything());
                let left = held.map(|place| Left {
                    fan: fan.clone(),
                    roles: place.standing.roles(),
                    brought_in: place.standing.brought_in,
                });
                left_behind.some.extend(left);
            }
        }
    }
    left_behind.some.sort_by(|one, other| one.fan.cmp(&other.fan));
    let fans: std::collections::BTreeSet<_> =
        left_behind.some.iter().map(|left| &left.fan).collect();
    left_behind.fans = fans.len() as u64;
    left_behind.some.truncate(NAMED);
    Ok(left_behind)
}
