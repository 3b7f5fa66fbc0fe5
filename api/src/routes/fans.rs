//! What a fan sees: each membership, the integrations that it gives access to, and how they stand there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{
    CreatorId, DisplayName, FanId, IntegrationId, MembershipId, RoleId, TierId, Trouble,
    desired::{Facts, Held},
    fan::{self, Fan},
    membership,
    status::Status,
};
use eventstore::HandleError;
use projections::{FanRow, IntegrationRow};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByFan, Caller},
    error::{ApiError, Kind},
    extract::{Body, Nothing, Path, Query},
    paging::{Page, Paging},
    reason::Reason,
    routes::integrations::GuildAnswer,
};

/// How many integrations of one creator are shown to a fan.
const MOST: u32 = 1_000;

#[derive(Serialize, ToSchema)]
pub(crate) struct RoleName {
    pub(crate) id: RoleId,
    /// Null where the role is not in the server any more.
    pub(crate) name: Option<String>,
    /// RGB; 0 for none.
    pub(crate) color: u32,
}

/// How a fan stands in an integration.
#[derive(Serialize, ToSchema)]
pub(crate) struct FanIntegration {
    pub(crate) id: IntegrationId,
    pub(crate) name: DisplayName,
    pub(crate) server: Option<GuildAnswer>,
    /// `available`, `pending`, `connected`, `action_required`, `blocked`, `revoking`, `revoke_blocked` or `revoked`.
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    /// What is given there.
    pub(crate) roles: Vec<RoleName>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FanMembership {
    pub(crate) membership: MembershipId,
    pub(crate) tier: TierId,
    pub(crate) tier_name: Option<String>,
    pub(crate) creator: CreatorId,
    pub(crate) status: membership::Status,
    pub(crate) ends_at: Option<DateTime<Utc>>,
    /// Whether the fan has what they paid for now.
    pub(crate) live: bool,
    pub(crate) integrations: Vec<FanIntegration>,
}

impl FanIntegration {
    /// The same for a membership that gives nothing any more: what becomes of its roles, whatever else the fan has.
    /// `None` where the fan has nothing to do with the server.
    fn ended(row: &IntegrationRow, known: &FanRow, roles: &BTreeSet<RoleId>) -> Option<Self> {
        let shown = Self::of(row, known, roles, true);
        let still =
            |role: &RoleId| known.given.contains(role) && !known.desired.roles.contains(role);
        match known.status {
            // It is kept on purpose, or until somebody decides.
            _ if known.trouble == Some((Trouble::RemovalRejected, None)) => Some(shown),
            _ if known.trouble == Some((Trouble::RemovalHeld, None)) => {
                Some(Self { status: Status::Revoking, ..shown })
            }
            Status::Revoking | Status::RevokeBlocked | Status::Revoked => Some(shown),
            Status::Available if known.present.is_none() => None,
            _ => {
                let taking = roles.iter().any(still);
                let status = if taking { Status::Revoking } else { Status::Revoked };
                Some(Self { status, reason: None, ..shown })
            }
        }
    }

    /// An integration as one fan sees it; `roles`: what they are given there.
    pub(super) fn of(
        row: &IntegrationRow,
        known: &FanRow,
        roles: &BTreeSet<RoleId>,
        linked: bool,
    ) -> Self {
        let named = |id: &RoleId| {
            let role = row.state.roles.as_ref().and_then(|list| list.role(*id));
            RoleName {
                id: *id,
                name: role.map(|role| role.name.clone()),
                color: role.map_or(0, |role| role.color),
            }
        };
        Self {
            id: row.id,
            name: row.name.clone(),
            server: row.state.server.as_ref().map(GuildAnswer::of),
            status: known.status,
            reason: Reason::of_fan(known.status, known.trouble, linked),
            roles: roles.iter().map(named).collect(),
        }
    }
}

/// Shows the integrations of one creator to one fan.
struct Shown {
    rows: Vec<IntegrationRow>,
}

impl Shown {
    async fn of(app: &App, creator: &CreatorId) -> Result<Self, ApiError> {
        let mut rows = app.views.integrations().of_creator(creator, None, MOST).await?;
        rows.retain(|row| row.state.is_held());
        Ok(Self { rows })
    }

    async fn to(
        &self,
        app: &App,
        fan: &FanId,
        tier: &TierId,
        live: bool,
        linked: bool,
    ) -> Result<Vec<FanIntegration>, ApiError> {
        let mut shown = vec![];
        for row in &self.rows {
            let Some(roles) = row.state.attachments.get(tier) else { continue };
            let Some(known) = app.views.fan_access().fan_row(row.id, fan).await? else { continue };
            if live {
                shown.push(FanIntegration::of(row, &known, roles, linked));
            } else {
                shown.extend(FanIntegration::ended(row, &known, roles));
            }
        }
        Ok(shown)
    }

    /// A membership with its access in every integration of its tier.
    async fn membership(
        &self,
        app: &App,
        fan: &FanId,
        (membership, held): (MembershipId, Held),
        linked: bool,
    ) -> Result<FanMembership, ApiError> {
        let integrations = self.to(app, fan, &held.tier, held.live, linked).await?;
        let tier = app.views.integrations().tier(&held.creator, &held.tier).await?;
        Ok(FanMembership {
            membership,
            tier_name: tier.map(|tier| tier.name.to_string()),
            tier: held.tier,
            creator: held.creator,
            status: held.status.now(held.live),
            ends_at: held.ends_at,
            live: held.live,
            integrations,
        })
    }
}

/// One membership of a fan; `None` where it is not known, or not theirs.
pub(crate) async fn held(
    app: &App,
    caller: &Caller,
    fan: &FanId,
    membership: &MembershipId,
) -> Result<Option<FanMembership>, ApiError> {
    caller.fan(fan)?;
    let Some(mut facts) = app.views.fan_access().facts(fan).await? else { return Ok(None) };
    let Some(held) = facts.memberships.remove_entry(membership) else { return Ok(None) };
    let shown = Shown::of(app, &held.1.creator).await?;
    shown.membership(app, fan, held, facts.link.is_some()).await.map(Some)
}

/// A membership's access in every integration of its tier.
pub(crate) async fn of_membership(
    app: &App,
    fan: &FanId,
    creator: &CreatorId,
    tier: &TierId,
    live: bool,
) -> Result<Vec<FanIntegration>, ApiError> {
    let facts = app.views.fan_access().facts(fan).await?;
    let linked = facts.is_some_and(|facts| facts.link.is_some());
    Shown::of(app, creator).await?.to(app, fan, tier, live, linked).await
}

/// A fan's memberships and integrations
#[utoipa::path(get, path = "/v1/fans/{fan}/integrations", tag = "Fan", operation_id = "list_fan_integrations",
    params(("fan" = inline(FanId), Path), Paging),
    responses((status = 200, description = "By membership", body = Page<FanMembership>)))]
pub(crate) async fn integrations(
    State(app): AppState,
    caller: ByFan,
    Path(fan): Path<FanId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<FanMembership>>, ApiError> {
    caller.fan(&fan)?;
    let after: Option<MembershipId> = paging.after()?;
    let facts = app.views.fan_access().facts(&fan).await?.unwrap_or_default();
    let linked = facts.link.is_some();
    let held: Vec<(MembershipId, Held)> = facts
        .memberships
        .into_iter()
        .filter(|(membership, _)| after.as_ref().is_none_or(|after| membership > after))
        .take(paging.fetch_many())
        .collect();
    let (held, next_cursor) = paging.page(held, |(membership, _)| membership.clone());
    let (mut creators, mut data) = (BTreeMap::new(), vec![]);
    for held in held {
        if !creators.contains_key(&held.1.creator) {
            creators.insert(held.1.creator.clone(), Shown::of(&app, &held.1.creator).await?);
        }
        if let Some(shown) = creators.get(&held.1.creator) {
            data.push(shown.membership(&app, &fan, held, linked).await?);
        }
    }
    Ok(Json(Page { data, next_cursor }))
}

/// A fan's own choice for one integration.
#[derive(Serialize, ToSchema)]
pub(crate) struct Chosen {
    integration: IntegrationId,
    /// As the views show it now; what follows on Discord happens in the background.
    status: Option<Status>,
    reason: Option<Reason>,
}

/// Activate an integration, or restore its access
#[utoipa::path(post, path = "/v1/fans/{fan}/integrations/{id}/activate", tag = "Fan", operation_id = "activate_integration",
    params(("fan" = inline(FanId), Path), ("id" = uuid::Uuid, Path)),
    responses((status = 202, description = "Activated; access follows in the background", body = Chosen)))]
pub(crate) async fn activate(
    State(app): AppState,
    caller: ByFan,
    Path((fan, id)): Path<(FanId, IntegrationId)>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<Chosen>, ApiError> {
    let facts = offered(&app, &caller, &fan, id).await?;
    let row = app.views.fan_access().fan_row(id, &fan).await?;
    // Who was refused, or has left, asks to be let in anew; for everybody else once is enough.
    let again = facts.active.get(&id) == Some(&true)
        && row.is_some_and(|row| matches!(row.status, Status::ActionRequired | Status::Blocked));
    choose(
        &app,
        &caller,
        &fan,
        id,
        fan::Command::Activate { fan: fan.clone(), integration: id, again },
    )
    .await
}

/// Leave an integration
///
/// Its access is taken away, and not given again until the fan activates it again.
#[utoipa::path(delete, path = "/v1/fans/{fan}/integrations/{id}/activate", tag = "Fan", operation_id = "deactivate_integration",
    params(("fan" = inline(FanId), Path), ("id" = uuid::Uuid, Path)),
    responses((status = 202, description = "Deactivated; the access is taken away in the background", body = Chosen)))]
pub(crate) async fn deactivate(
    State(app): AppState,
    caller: ByFan,
    Path((fan, id)): Path<(FanId, IntegrationId)>,
) -> Result<Written<Chosen>, ApiError> {
    offered(&app, &caller, &fan, id).await?;
    choose(&app, &caller, &fan, id, fan::Command::Deactivate { fan: fan.clone(), integration: id })
        .await
}

/// What is known of the fan, where the integration has to do with them.
async fn offered(
    app: &Arc<App>,
    caller: &Caller,
    fan: &FanId,
    id: IntegrationId,
) -> Result<Facts, ApiError> {
    caller.fan(fan)?;
    app.caught_up().await?;
    let facts = app.views.fan_access().facts(fan).await?.ok_or_else(ApiError::not_found)?;
    let integration = app.views.integrations().get(id).await?.ok_or_else(ApiError::not_found)?;
    let known = domain::desired::offered(&facts, &integration.state).next().is_some();
    if known || facts.active.contains_key(&id) || facts.grants.contains_key(&id) {
        Ok(facts)
    } else {
        Err(ApiError::not_found())
    }
}

async fn choose(
    app: &Arc<App>,
    caller: &Caller,
    fan: &FanId,
    id: IntegrationId,
    command: fan::Command,
) -> Result<Written<Chosen>, ApiError> {
    let decided =
        match app.store.handle::<Fan>(&fan::stream(fan), command, caller.metadata(app), None).await
        {
            Ok(decided) => decided,
            Err(HandleError::Refused(refusal)) => {
                return Err(ApiError::new(Kind::NOT_LINKED, refusal.to_string()));
            }
            Err(HandleError::Store(error)) => return Err(error.into()),
        };
    app.seen(decided.position).await?;
    let row = app.views.fan_access().fan_row(id, fan).await?;
    let chosen = Chosen {
        integration: id,
        status: row.as_ref().map(|row| row.status),
        reason: row.and_then(|row| Reason::of_fan(row.status, row.trouble, true)),
    };
    Ok(Written::ok(decided.position, chosen).status(StatusCode::ACCEPTED))
}
