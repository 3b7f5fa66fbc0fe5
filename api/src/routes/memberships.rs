//! Memberships: what the platform reports of who holds which tier.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    CreatorId, FanId, MembershipId, TierId,
    membership::{self, Membership, Outcome, Status, Terms},
    tier::{self, Tier},
};
use eventstore::{Decided, HandleError, Metadata};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::ByPlatform,
    error::{ApiError, FieldError, Kind},
    extract::{Body, Fields, FromFields, Path},
    routes::fans::{FanIntegration, of_membership},
};

#[derive(ToSchema)]
pub(crate) struct MembershipBody {
    pub(crate) fan: FanId,
    pub(crate) creator: CreatorId,
    /// Must be registered.
    pub(crate) tier: TierId,
    /// `active`, `canceled` (access until `ends_at`; without one, ends now), `paused`, `expired`, `refunded`,
    /// `charged_back`.
    pub(crate) status: Status,
    pub(crate) ends_at: Option<DateTime<Utc>>,
    /// Grows with every change; an older one changes nothing.
    #[schema(minimum = 0)]
    pub(crate) version: u64,
}

impl FromFields for MembershipBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (fan, creator) = (fields.required("fan"), fields.required("creator"));
        let (tier, status) = (fields.required("tier"), fields.required("status"));
        let (ends_at, version) = (fields.time("ends_at"), fields.required::<u64>("version"));
        if version.is_some_and(|version| i64::try_from(version).is_err()) {
            fields.fault("version", format!("must be at most {}", i64::MAX));
            return None;
        }
        Some(Self {
            fan: fan?,
            creator: creator?,
            tier: tier?,
            status: status?,
            ends_at: ends_at?,
            version: version?,
        })
    }
}

/// A report that names its membership itself.
pub(crate) struct Named(pub(crate) Terms);

impl FromFields for Named {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (membership, body) =
            (fields.required("membership"), MembershipBody::from_fields(fields));
        Some(Self(body?.terms(membership?)))
    }
}

impl MembershipBody {
    pub(crate) fn terms(self, membership: MembershipId) -> Terms {
        let Self { fan, creator, tier, status, ends_at, version } = self;
        // The log stores microseconds: a time reads back as it was written.
        let ends_at = ends_at.and_then(|at| DateTime::from_timestamp_micros(at.timestamp_micros()));
        Terms { membership, fan, creator, tier, status, ends_at, version }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MembershipState {
    fan: FanId,
    creator: CreatorId,
    tier: TierId,
    status: Status,
    ends_at: Option<DateTime<Utc>>,
    version: u64,
    /// Whether the fan has what they paid for now.
    live: bool,
}

impl MembershipState {
    fn of(state: membership::State) -> Option<Self> {
        let Terms { fan, creator, tier, status, ends_at, version, .. } = state.terms?;
        let (status, live) = (status.now(state.live), state.live);
        Some(Self { fan, creator, tier, status, ends_at, version, live })
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MembershipWritten {
    membership: MembershipId,
    /// `applied`, `unchanged` or `stale`.
    outcome: Outcome,
    /// What the Hub holds now.
    state: Option<MembershipState>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MembershipAnswer {
    membership: MembershipId,
    state: MembershipState,
    integrations: Vec<FanIntegration>,
}

/// What became of one report.
pub(crate) struct Reported {
    pub(crate) outcome: Outcome,
    pub(crate) state: membership::State,
    pub(crate) decided: Decided,
}

/// Takes one report in.
pub(crate) async fn report(
    app: &Arc<App>,
    metadata: Metadata,
    terms: Terms,
) -> Result<Reported, ApiError> {
    let (stream, tier) =
        (membership::stream(&terms.membership), tier::stream(&terms.creator, &terms.tier));
    let mut attempts = app.store.attempts();
    loop {
        if app.store.load::<Tier>(&tier).await?.state.name.is_none() {
            let mut unknown =
                FieldError::new("tier", "is not a tier of this creator; register it first");
            unknown.code = Some("unknown_tier".to_owned());
            return Err(ApiError::invalid(vec![unknown]));
        }
        let mut decision = app.store.begin(metadata.clone(), None);
        let known = decision.load::<Membership>(&stream).await?;
        let outcome = known.outcome(&terms).map_err(|refusal| {
            // Two truths about one version: somebody who can look into the platform has to know.
            tracing::warn!(membership = %terms.membership, version = terms.version, %refusal, "a report was refused");
            refused(&refusal)
        })?;
        let command = membership::Command::Report {
            terms: terms.clone(),
            now: metadata.at,
            grace: app.grace,
        };
        match decision.handle::<Membership>(&stream, command).await {
            Ok(_) => {}
            Err(HandleError::Refused(refusal)) => return Err(refused(&refusal)),
            Err(HandleError::Store(error)) => return Err(error.into()),
        }
        let state = decision.load::<Membership>(&stream).await?;
        if let Some(decided) = decision.commit(&mut attempts).await? {
            return Ok(Reported { outcome, state, decided });
        }
    }
}

fn refused(refusal: &membership::Refusal) -> ApiError {
    let (kind, field) = match refusal {
        membership::Refusal::VersionConflict { .. } => (Kind::VERSION_CONFLICT, "version"),
        membership::Refusal::OwnerFixed { field } => (Kind::OWNER_FIXED, *field),
    };
    ApiError::new(kind, refusal.to_string()).with(vec![FieldError::new(field, refusal.to_string())])
}

/// Report a membership
///
/// The full state of one membership. Safe to repeat and to arrive out of order: an older `version` changes
/// nothing and says so.
#[utoipa::path(put, path = "/v1/memberships/{membership}", tag = "Platform", operation_id = "put_membership",
    params(("membership" = inline(MembershipId), Path)), request_body = MembershipBody,
    responses((status = 200, description = "Taken in", body = MembershipWritten)))]
pub(crate) async fn put(
    State(app): AppState,
    caller: ByPlatform,
    Path(membership): Path<MembershipId>,
    Body(body): Body<MembershipBody>,
) -> Result<Written<MembershipWritten>, ApiError> {
    let Reported { outcome, state, decided } =
        report(&app, caller.metadata(&app), body.terms(membership.clone())).await?;
    let body = MembershipWritten { membership, outcome, state: MembershipState::of(state) };
    Ok(Written::ok(decided.position, body))
}

/// A membership and its access in every integration
#[utoipa::path(get, path = "/v1/memberships/{membership}", tag = "Platform", operation_id = "get_membership",
    params(("membership" = inline(MembershipId), Path)), responses((status = 200, description = "As it stands", body = MembershipAnswer)))]
pub(crate) async fn get(
    State(app): AppState,
    _: ByPlatform,
    Path(membership): Path<MembershipId>,
) -> Result<Json<MembershipAnswer>, ApiError> {
    let state = app.store.load::<Membership>(&membership::stream(&membership)).await?.state;
    let state = MembershipState::of(state).ok_or_else(ApiError::not_found)?;
    let integrations =
        of_membership(&app, &state.fan, &state.creator, &state.tier, state.live).await?;
    Ok(Json(MembershipAnswer { membership, state, integrations }))
}
