//! Integrations: the Active Integrations table, and one of its rows.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use domain::{
    CreatorId, Decider, DisplayName, GuildId, IntegrationId, RoleId, TierId,
    hold::{self, Cause, Held, Hold, RemovalLimit},
    integration::{self, Drift, Integration, OnEnd, Phase, Provider},
    status::Status,
};
use eventstore::{AppendKey, Decided, HandleError};
use projections::{IntegrationRow, ViewError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::{Written, etag},
    app::{App, AppState},
    auth::{ByCreator, Caller},
    error::{ApiError, FieldError, Kind},
    extract::{Body, Fields, FromFields, IfMatch, Path, Query},
    idempotency::{Idempotency, stored},
    paging::{Page, Paging},
    plan::losing_by_policy,
    reason::Reason,
    routes::holds::LimitAnswer,
};

/// A Discord server.
#[derive(Serialize, ToSchema)]
pub(crate) struct GuildAnswer {
    pub(crate) id: GuildId,
    pub(crate) name: String,
    /// Discord's hash of the icon.
    pub(crate) icon: Option<String>,
}

impl GuildAnswer {
    pub(crate) fn of(server: &integration::Server) -> Self {
        Self { id: server.id, name: server.name.clone(), icon: server.icon.clone() }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttachmentAnswer {
    pub(crate) tier: TierId,
    pub(crate) roles: Vec<RoleId>,
}

/// How many fans stand how.
#[derive(Serialize, ToSchema)]
pub(crate) struct FanCounts {
    pub(crate) connected: u64,
    pub(crate) pending: u64,
    pub(crate) action_required: u64,
    pub(crate) blocked: u64,
    pub(crate) available: u64,
    pub(crate) revoking: u64,
    pub(crate) revoke_blocked: u64,
    pub(crate) revoked: u64,
    /// Among those who are blocked: from whom the creator withholds it, and who are banned. Nobody has to mend that.
    pub(crate) kept_out: u64,
}

impl FanCounts {
    /// Those who wait for their creator to mend something.
    pub(crate) fn need_creator(&self) -> u64 {
        (self.blocked + self.revoke_blocked).saturating_sub(self.kept_out)
    }

    /// Those who wait for somebody to mend something.
    pub(crate) fn attention(&self) -> u64 {
        self.action_required + self.need_creator()
    }

    fn of(counts: &BTreeMap<Status, u64>, kept_out: u64) -> Self {
        let of = |status| counts.get(&status).copied().unwrap_or_default();
        Self {
            connected: of(Status::Connected),
            pending: of(Status::Pending),
            action_required: of(Status::ActionRequired),
            blocked: of(Status::Blocked),
            available: of(Status::Available),
            revoking: of(Status::Revoking),
            revoke_blocked: of(Status::RevokeBlocked),
            revoked: of(Status::Revoked),
            kept_out,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationAnswer {
    pub(crate) id: IntegrationId,
    pub(crate) creator: CreatorId,
    pub(crate) provider: Provider,
    pub(crate) name: DisplayName,
    /// `not_connected`, `connected`, `active`, `needs_attention`, `removing` or `disconnected`.
    pub(crate) status: &'static str,
    /// Why it needs attention.
    pub(crate) reasons: Vec<Reason>,
    pub(crate) guild: Option<GuildAnswer>,
    pub(crate) on_end: OnEnd,
    pub(crate) drift: Drift,
    pub(crate) removal_limit: LimitAnswer,
    pub(crate) memberships: Vec<AttachmentAnswer>,
    pub(crate) fans: FanCounts,
    pub(crate) created_at: DateTime<Utc>,
}

impl IntegrationAnswer {
    /// `waiting`: how many of its fans wait for something to be mended; `held`: for somebody to approve their removal.
    pub(crate) fn of(row: &IntegrationRow, fans: FanCounts, waiting: u64, held: u64) -> Self {
        let state = &row.state;
        let mut reasons: Vec<_> = state.troubles().into_iter().map(Reason::of).collect();
        reasons.extend(Reason::of_waiting(waiting));
        reasons.extend(Reason::of_held(held));
        let status = match state.phase {
            Phase::NotConnected => "not_connected",
            Phase::Connected if !reasons.is_empty() => "needs_attention",
            Phase::Connected if state.attachments.is_empty() => "connected",
            Phase::Connected => "active",
            Phase::Removing { .. } => "removing",
            Phase::Disconnected | Phase::Removed => "disconnected",
        };
        Self {
            id: row.id,
            creator: row.creator.clone(),
            provider: row.provider,
            name: row.name.clone(),
            status,
            reasons,
            guild: state.server.as_ref().filter(|_| state.is_held()).map(GuildAnswer::of),
            on_end: state.on_end,
            drift: state.drift,
            removal_limit: state.removal_limit.into(),
            memberships: attachments(state),
            fans,
            created_at: row.created_at,
        }
    }
}

/// An integration as it is shown, with how its fans stand.
pub(crate) async fn shown(app: &App, row: &IntegrationRow) -> Result<IntegrationAnswer, ViewError> {
    let access = app.views.fan_access();
    let (counts, held) = (access.counts(row.id).await?, access.waiting_for_approval(row.id).await?);
    let kept_out = access.kept_out(row.id, &counts).await?;
    let waiting = access.waiting(row.id, &counts, kept_out).await?;
    Ok(IntegrationAnswer::of(row, FanCounts::of(&counts, kept_out), waiting, held))
}

pub(crate) fn attachments(state: &integration::State) -> Vec<AttachmentAnswer> {
    let attached = state.attachments.iter();
    attached
        .map(|(tier, roles)| AttachmentAnswer {
            tier: tier.clone(),
            roles: roles.iter().copied().collect(),
        })
        .collect()
}

/// An integration as its stream tells it, if it is the caller's, at the version that the request is meant for.
pub(crate) async fn owned(
    app: &App,
    caller: &Caller,
    id: IntegrationId,
) -> Result<(CreatorId, integration::State, u64), ApiError> {
    caller.any_creator()?;
    let loaded = app.store.load::<Integration>(&integration::stream(id)).await?;
    let creator = loaded.state.creator.clone().filter(|_| loaded.state.phase != Phase::Removed);
    let creator = creator.ok_or_else(ApiError::not_found)?;
    caller.creator(&creator)?;
    caller.meant_for(loaded.version)?;
    Ok((creator, loaded.state, loaded.version))
}

/// An integration as the view shows it, if it is the caller's.
pub(crate) async fn row(
    app: &App,
    caller: &Caller,
    id: IntegrationId,
) -> Result<IntegrationRow, ApiError> {
    caller.any_creator()?;
    let row = app.views.integrations().get(id).await?.ok_or_else(ApiError::not_found)?;
    caller.creator(&row.creator)?;
    Ok(row)
}

pub(crate) fn refused(refusal: integration::Refusal) -> ApiError {
    use integration::Refusal;

    let text = refusal.to_string();
    match refusal {
        Refusal::Unknown => ApiError::not_found(),
        Refusal::ConnectedElsewhere => ApiError::new(Kind::CONNECTED_ELSEWHERE, text),
        Refusal::NotConnected => ApiError::new(Kind::NOT_CONNECTED, text),
        Refusal::Removing => ApiError::new(Kind::REMOVING, text),
        Refusal::RolesNotAssignable(roles) => {
            let errors = roles.into_iter().map(|role| FieldError {
                field: "roles".to_owned(),
                code: Some(role.why.code().to_owned()),
                detail: format!(
                    "{} for {}: {} {}",
                    role.role,
                    role.tier,
                    role.why.detail(),
                    role.why.fix()
                ),
            });
            ApiError::new(Kind::ROLES_NOT_ASSIGNABLE, text).with(errors.collect())
        }
    }
}

pub(crate) fn command_failed(error: HandleError<integration::Refusal>) -> ApiError {
    match error {
        HandleError::Refused(refusal) => refused(refusal),
        HandleError::Store(error) => error.into(),
    }
}

/// Sends commands to one integration, all of them or none; answers the position and the version that it reached.
///
/// `held`: what of it has to wait for approval.
pub(crate) async fn command(
    app: &Arc<App>,
    caller: &Caller,
    id: IntegrationId,
    if_match: &IfMatch,
    commands: Vec<integration::Command>,
    held: Option<Held>,
) -> Result<(Decided, u64), ApiError> {
    owned(app, caller, id).await?;
    let stream = integration::stream(id);
    let mut attempts = app.store.attempts();
    loop {
        let mut decision = app.store.begin(caller.metadata(app), None);
        decision.load::<Integration>(&stream).await?;
        if_match.check(decision.version(&stream))?;
        if let Some(held) = &held {
            // First, so that it covers everything that follows.
            let (stream, open) = (hold::stream(held.hold), hold::Command::Open(held.clone()));
            decision.handle::<Hold>(&stream, open).await.map_err(|error| match error {
                HandleError::Refused(refusal) => super::holds::refused(&refusal),
                HandleError::Store(error) => error.into(),
            })?;
        }
        for command in &commands {
            decision
                .handle::<Integration>(&stream, command.clone().to(id))
                .await
                .map_err(command_failed)?;
        }
        let version = decision.version(&stream);
        if let Some(decided) = decision.commit(&mut attempts).await? {
            return Ok((decided, version));
        }
    }
}

/// The answer of a write: the integration as it stands after it.
pub(crate) async fn written(
    app: &Arc<App>,
    id: IntegrationId,
    (decided, version): (Decided, u64),
) -> Result<Written<IntegrationAnswer>, ApiError> {
    app.seen(decided.position).await?;
    let row = app.views.integrations().get(id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Written::ok(decided.position, shown(app, &row).await?).version(version))
}

#[derive(ToSchema)]
pub(crate) struct CreateBody {
    /// `discord`.
    provider: Provider,
    /// 1 to 128 characters, for people.
    name: DisplayName,
}

impl FromFields for CreateBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (provider, name) = (fields.required("provider"), fields.required("name"));
        Some(Self { provider: provider?, name: name? })
    }
}

/// Create an integration
#[utoipa::path(post, path = "/v1/creators/{creator}/integrations", tag = "Creator", operation_id = "create_integration",
    params(("creator" = inline(CreatorId), Path)), request_body = CreateBody,
    responses((status = 201, description = "Created, not connected yet", body = IntegrationAnswer)))]
pub(crate) async fn create(
    State(app): AppState,
    caller: ByCreator,
    Path(creator): Path<CreatorId>,
    Idempotency(key): Idempotency,
    Body(CreateBody { provider, name }): Body<CreateBody>,
) -> Result<Response, ApiError> {
    let id = IntegrationId(Uuid::now_v7());
    let (answer, decided) = begin(&app, &caller, id, creator, provider, name, key).await?;
    let headers = headers(answer.id);
    let written = Written::ok(decided.position, answer).status(StatusCode::CREATED);
    Ok((AppendHeaders(headers), written).into_response())
}

fn headers(id: IntegrationId) -> [(HeaderName, String); 2] {
    [(header::ETAG, "\"1\"".to_owned()), (header::LOCATION, format!("/v1/integrations/{id}"))]
}

/// Creates an integration; one that exists already stays as it is. Where `key` was known already, what is answered was
/// not created: the first one stands.
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    id: IntegrationId,
    creator: CreatorId,
    provider: Provider,
    name: DisplayName,
    key: Option<AppendKey>,
) -> Result<(IntegrationAnswer, Decided), ApiError> {
    caller.creator(&creator)?;
    let metadata = caller.metadata(app);
    let created = integration::Event::IntegrationCreated {
        integration: id,
        creator: creator.clone(),
        provider,
        name: name.clone(),
    };
    let mut state = integration::State::default();
    Integration::evolve(&mut state, &created);
    let row = IntegrationRow {
        id,
        creator: creator.clone(),
        provider,
        name: name.clone(),
        created_at: metadata.at,
        version: 1,
        position: app.store.log().head(),
        state,
    };
    let answer = IntegrationAnswer::of(&row, FanCounts::of(&BTreeMap::new(), 0), 0, 0);
    let command = integration::Command::Create { integration: id, creator, provider, name };
    let mut attempts = app.store.attempts();
    loop {
        let mut decision = app.store.begin(metadata.clone(), key.clone());
        decision
            .handle::<Integration>(&integration::stream(id), command.clone().to(id))
            .await
            .map_err(command_failed)?;
        // Committed with the event: a repetition is answered with this id even after a crash.
        decision.answer(stored(StatusCode::CREATED, &headers(id), &answer));
        if let Some(decided) = decision.commit(&mut attempts).await? {
            return Ok((answer, decided));
        }
    }
}

/// List a creator's integrations
#[utoipa::path(get, path = "/v1/creators/{creator}/integrations", tag = "Creator", operation_id = "list_integrations",
    params(("creator" = inline(CreatorId), Path), Paging),
    responses((status = 200, description = "The Active Integrations table, oldest first", body = Page<IntegrationAnswer>)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: ByCreator,
    Path(creator): Path<CreatorId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<IntegrationAnswer>>, ApiError> {
    caller.creator(&creator)?;
    let rows =
        app.views.integrations().of_creator(&creator, paging.after()?, paging.fetch()).await?;
    let (rows, next_cursor) = paging.page(rows, |row| row.id);
    let mut data = vec![];
    for row in rows {
        data.push(shown(&app, &row).await?);
    }
    Ok(Json(Page { data, next_cursor }))
}

/// One integration
#[utoipa::path(get, path = "/v1/integrations/{id}", tag = "Creator", operation_id = "get_integration",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "As it stands; the `ETag` is its version", body = IntegrationAnswer)))]
pub(crate) async fn get(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
) -> Result<Response, ApiError> {
    let row = row(&app, &caller, id).await?;
    Ok(([(header::ETAG, etag(row.version))], Json(shown(&app, &row).await?)).into_response())
}

/// More removals at once than this wait for approval. What is left out stays as it is.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitBody {
    /// 0 holds every removal by an import or a change of the creator's.
    pub(crate) fans: Option<u32>,
    /// 0 to 100; 100 sets no share.
    #[schema(minimum = 0, maximum = 100)]
    pub(crate) percent: Option<u8>,
}

#[derive(ToSchema)]
pub(crate) struct ChangeBody {
    pub(crate) name: Option<DisplayName>,
    /// `remove_from_server` or `roles_only`.
    pub(crate) on_end: Option<OnEnd>,
    /// `repair`, `report` or `respect`.
    pub(crate) drift: Option<Drift>,
    pub(crate) removal_limit: Option<LimitBody>,
}

impl FromFields for ChangeBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (name, on_end, drift) =
            (fields.optional("name"), fields.optional("on_end"), fields.optional("drift"));
        let removal_limit = fields.optional::<LimitBody>("removal_limit")?;
        if removal_limit.and_then(|limit| limit.percent).is_some_and(|percent| percent > 100) {
            fields.fault("removal_limit", "`percent` must be 0 to 100");
            return None;
        }
        Some(Self { name: name?, on_end: on_end?, drift: drift?, removal_limit })
    }
}

/// Rename an integration, or change its policies
#[utoipa::path(patch, path = "/v1/integrations/{id}", tag = "Creator", operation_id = "change_integration",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)), request_body = ChangeBody,
    responses((status = 200, description = "Changed", body = IntegrationAnswer)))]
pub(crate) async fn change(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    if_match: IfMatch,
    Body(ChangeBody { name, on_end, drift, removal_limit }): Body<ChangeBody>,
) -> Result<Written<IntegrationAnswer>, ApiError> {
    let (_, before, _) = owned(&app, &caller, id).await?;
    let removal_limit = removal_limit.map(|LimitBody { fans, percent }| RemovalLimit {
        fans: fans.unwrap_or(before.removal_limit.fans),
        percent: percent.unwrap_or(before.removal_limit.percent),
    });
    let after = integration::State {
        on_end: on_end.unwrap_or(before.on_end),
        removal_limit: removal_limit.unwrap_or(before.removal_limit),
        ..before.clone()
    };
    // Former fans who were left in the server until now would be removed from it.
    let held = if (before.on_end, after.on_end) == (OnEnd::RolesOnly, OnEnd::RemoveFromServer) {
        let losing = losing_by_policy(&app, id, &after).await?;
        app.views.fan_access().hold_for(id, &after, losing, Cause::RemovalPolicy, None).await?
    } else {
        None
    };
    let commands = [
        name.map(|name| integration::Command::Rename { name }),
        on_end.map(|on_end| integration::Command::ChangeRemovalPolicy { on_end }),
        drift.map(|drift| integration::Command::ChangeDriftPolicy { drift }),
        removal_limit.map(|limit| integration::Command::ChangeRemovalLimit { limit }),
    ];
    let commands = commands.into_iter().flatten().collect();
    let changed = command(&app, &caller, id, &if_match, commands, held).await?;
    written(&app, id, changed).await
}
