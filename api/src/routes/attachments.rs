//! Attachments: which tiers give which roles. Every change can be tried first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    CreatorId, Decider, HoldId, IntegrationId, RoleId, TierId,
    hold::Held,
    integration::{self, Integration, MAX_ROLES},
    tier::{self, Tier},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::{ByCreator, Caller},
    error::{ApiError, FieldError},
    extract::{Body, Fields, FromFields, IfMatch, NO_CONTENT, Path, Query},
    paging::{Page, Paging},
    plan::{Plan, plan, warnings},
    reason::Reason,
    routes::integrations::{AttachmentAnswer, attachments, command, owned, refused, row},
};

/// The most tiers that are attached with one request.
const MAX_TIERS: usize = 100;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DryRun {
    /// Answer what would change, and change nothing.
    #[param(required = false)]
    pub(crate) dry_run: bool,
}

impl FromFields for DryRun {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { dry_run: fields.optional("dry_run")?.unwrap_or(false) })
    }
}

#[derive(ToSchema)]
pub(crate) struct RolesBody {
    roles: BTreeSet<RoleId>,
}

impl FromFields for RolesBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let roles: BTreeSet<RoleId> = fields.required("roles")?;
        if roles.len() > MAX_ROLES {
            fields.fault("roles", format!("may be at most {MAX_ROLES}: no server has more"));
            return None;
        }
        Some(Self { roles })
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TierRoles {
    pub(crate) tier: TierId,
    pub(crate) roles: BTreeSet<RoleId>,
}

#[derive(ToSchema)]
pub(crate) struct SeveralBody {
    pub(crate) memberships: Vec<TierRoles>,
}

impl FromFields for SeveralBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let memberships: Vec<TierRoles> = fields.required("memberships")?;
        let distinct: BTreeSet<_> = memberships.iter().map(|membership| &membership.tier).collect();
        if distinct.len() < memberships.len() {
            fields.fault("memberships", "must name each tier once");
            return None;
        }
        if !(1..=MAX_TIERS).contains(&memberships.len()) {
            fields.fault("memberships", format!("must name 1 to {MAX_TIERS} tiers"));
            return None;
        }
        if memberships.iter().any(|membership| membership.roles.len() > MAX_ROLES) {
            fields.fault("memberships", format!("roles may be at most {MAX_ROLES} for each tier"));
            return None;
        }
        Some(Self { memberships })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttachedAnswer {
    memberships: Vec<AttachmentAnswer>,
    /// The roles just attached that bring power over the server with them.
    warnings: Vec<Reason>,
    /// The hold in which what it takes away waits for approval; null within the removal limit.
    hold: Option<HoldId>,
}

/// The hold that a change of some tiers needs.
async fn needed(
    app: &App,
    id: IntegrationId,
    before: &integration::State,
    after: &integration::State,
    tiers: &BTreeMap<TierId, BTreeSet<RoleId>>,
) -> Result<Option<Held>, ApiError> {
    let narrows = |(tier, roles): (&TierId, &BTreeSet<RoleId>)| {
        let gave = before.attachments.get(tier);
        let gives = after.attachments.get(tier);
        gave.is_some_and(|gave| gives.is_none() || !gave.is_subset(roles))
    };
    // Giving more takes nothing from anybody, except what is kept already only because a removal is held.
    let takes = tiers.iter().any(narrows) || app.views.fan_access().keeps_anything(id).await?;
    match &before.creator {
        Some(creator) if takes => Ok(plan(app, creator, id, before, after, tiers).await?.needs),
        Some(_) | None => Ok(None),
    }
}

/// An integration, and that every one of some tiers is its creator's.
async fn known(
    app: &Arc<App>,
    caller: &Caller,
    id: IntegrationId,
    tiers: &BTreeMap<TierId, BTreeSet<RoleId>>,
) -> Result<(CreatorId, integration::State, u64), ApiError> {
    let (creator, before, version) = owned(app, caller, id).await?;
    let mut unknown = vec![];
    for tier in tiers.keys() {
        if app.store.load::<Tier>(&tier::stream(&creator, tier)).await?.state.name.is_none() {
            let mut error = FieldError::new(
                "tier",
                format!("{tier} is not a tier of this creator; register it first"),
            );
            error.code = Some("unknown_tier".to_owned());
            unknown.push(error);
        }
    }
    if unknown.is_empty() {
        Ok((creator, before, version))
    } else {
        Err(ApiError::invalid(unknown))
    }
}

/// What attaching tiers, or changing their roles, would do.
pub(crate) async fn propose(
    app: &Arc<App>,
    caller: &Caller,
    id: IntegrationId,
    if_match: &IfMatch,
    tiers: &BTreeMap<TierId, BTreeSet<RoleId>>,
) -> Result<Plan, ApiError> {
    let (creator, before, version) = known(app, caller, id, tiers).await?;
    if_match.check(version)?;
    let mut after = before.clone();
    after.attachments.extend(tiers.clone());
    // A change that the rules refuse for another reason than a role is refused here too.
    match Integration::decide(&before, integration::Command::Attach { tiers: tiers.clone() }.to(id))
    {
        Ok(_) | Err(integration::Refusal::RolesNotAssignable(_)) => {}
        Err(refusal) => return Err(refused(refusal)),
    }
    plan(app, &creator, id, &before, &after, tiers).await
}

/// What detaching a tier would do.
pub(crate) async fn propose_without(
    app: &Arc<App>,
    caller: &Caller,
    id: IntegrationId,
    if_match: &IfMatch,
    tier: &TierId,
) -> Result<Plan, ApiError> {
    let (creator, before, version) = owned(app, caller, id).await?;
    if_match.check(version)?;
    let mut after = before.clone();
    let roles = after.attachments.remove(tier).ok_or_else(ApiError::not_found)?;
    let tiers = [(tier.clone(), roles)].into();
    let mut plan = plan(app, &creator, id, &before, &after, &tiers).await?;
    // Nothing is given, so nothing can be refused or thought twice about.
    plan.unmanageable.clear();
    plan.warnings.clear();
    Ok(plan)
}

/// Answers the plan of a change, or makes it.
async fn attach(
    app: &Arc<App>,
    caller: &Caller,
    id: IntegrationId,
    if_match: &IfMatch,
    tiers: BTreeMap<TierId, BTreeSet<RoleId>>,
    dry_run: bool,
) -> Result<Response, ApiError> {
    if dry_run {
        return Ok(Json(propose(app, caller, id, if_match, &tiers).await?).into_response());
    }
    let (_, before, _) = known(app, caller, id, &tiers).await?;
    let mut after = before.clone();
    after.attachments.extend(tiers.clone());
    let needed = needed(app, id, &before, &after, &tiers).await?;
    let hold = needed.as_ref().map(|held| held.hold);
    let attach = integration::Command::Attach { tiers: tiers.clone() };
    let (decided, version) = command(app, caller, id, if_match, vec![attach], needed).await?;
    let (_, state, _) = owned(app, caller, id).await?;
    let (memberships, warnings) = (attachments(&state), warnings(&state, &tiers));
    let body = AttachedAnswer { memberships, warnings, hold };
    Ok(Written::ok(decided.position, body).version(version).into_response())
}

/// Attach a tier, or change its roles
///
/// With `dry_run=true` it answers the plan: how many fans gain and lose which role.
#[utoipa::path(put, path = "/v1/integrations/{id}/memberships/{tier}", tag = "Creator", operation_id = "attach_tier",
    params(("id" = uuid::Uuid, Path), ("tier" = inline(TierId), Path), DryRun, ("If-Match" = Option<String>, Header)),
    request_body = RolesBody,
    responses((status = 200, description = "All attachments, or the plan", body = AttachedOrPlan)))]
pub(crate) async fn put(
    State(app): AppState,
    caller: ByCreator,
    Path((id, tier)): Path<(IntegrationId, TierId)>,
    Query(DryRun { dry_run }): Query<DryRun>,
    if_match: IfMatch,
    Body(RolesBody { roles }): Body<RolesBody>,
) -> Result<Response, ApiError> {
    attach(&app, &caller, id, &if_match, [(tier, roles)].into(), dry_run).await
}

/// Attach several tiers, or change their roles: all or none
#[utoipa::path(put, path = "/v1/integrations/{id}/memberships", tag = "Creator", operation_id = "attach_tiers",
    params(("id" = uuid::Uuid, Path), DryRun, ("If-Match" = Option<String>, Header)), request_body = SeveralBody,
    responses((status = 200, description = "All attachments, or one plan for all", body = AttachedOrPlan)))]
pub(crate) async fn put_all(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Query(DryRun { dry_run }): Query<DryRun>,
    if_match: IfMatch,
    Body(SeveralBody { memberships }): Body<SeveralBody>,
) -> Result<Response, ApiError> {
    let tiers =
        memberships.into_iter().map(|membership| (membership.tier, membership.roles)).collect();
    attach(&app, &caller, id, &if_match, tiers, dry_run).await
}

/// What a change answers: the attachments, or with `dry_run` the plan.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes two answers in one schema")]
pub(crate) enum AttachedOrPlan {
    Attached(AttachedAnswer),
    Plan(Plan),
}

/// List what is attached
#[utoipa::path(get, path = "/v1/integrations/{id}/memberships", tag = "Creator", operation_id = "list_attachments",
    params(("id" = uuid::Uuid, Path), Paging),
    responses((status = 200, description = "By tier", body = Page<AttachmentAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<AttachmentAnswer>>, ApiError> {
    let row = row(&app, &caller, id).await?;
    let after: Option<TierId> = paging.after()?;
    let attached = attachments(&row.state).into_iter();
    let left = attached.filter(|one| after.as_ref().is_none_or(|after| one.tier > *after));
    let (data, next_cursor) = paging.page(left.collect(), |one| one.tier.clone());
    Ok(Json(Page { data, next_cursor }))
}

/// Detach a tier
#[utoipa::path(delete, path = "/v1/integrations/{id}/memberships/{tier}", tag = "Creator", operation_id = "detach_tier",
    params(("id" = uuid::Uuid, Path), ("tier" = inline(TierId), Path), DryRun, ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "With `dry_run`: the plan", body = Plan),
              (status = 202, description = "Detached; what it takes away waits for approval", body = AttachedAnswer),
              (status = 204, description = "Detached")))]
pub(crate) async fn delete(
    State(app): AppState,
    caller: ByCreator,
    Path((id, tier)): Path<(IntegrationId, TierId)>,
    Query(DryRun { dry_run }): Query<DryRun>,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    if dry_run {
        let plan = propose_without(&app, &caller, id, &if_match, &tier).await?;
        return Ok(Json(plan).into_response());
    }
    let (_, before, _) = owned(&app, &caller, id).await?;
    if !before.attachments.contains_key(&tier) {
        return Err(ApiError::not_found());
    }
    let mut after = before.clone();
    let roles = after.attachments.remove(&tier).unwrap_or_default();
    let needed = needed(&app, id, &before, &after, &[(tier.clone(), roles)].into()).await?;
    let hold = needed.as_ref().map(|held| held.hold);
    let detach = integration::Command::Detach { tier };
    let (decided, version) = command(&app, &caller, id, &if_match, vec![detach], needed).await?;
    if hold.is_some() {
        let body = AttachedAnswer { memberships: attachments(&after), warnings: vec![], hold };
        let written = Written::ok(decided.position, body).status(StatusCode::ACCEPTED);
        return Ok(written.version(version).into_response());
    }
    Ok(Written::ok(decided.position, ()).status(NO_CONTENT).version(version).into_response())
}
