//! What auditors ask: the log decoded, who had access at a time, why, and what changed.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{CreatorId, Event, FanId, IntegrationId};
use eventstore::Position;
use projections::audit::{Direction, Wanted};
use utoipa::IntoParams;

use crate::{
    app::AppState,
    audit::{self, AccessAt, Asked, Change, Explanation, Of, Told},
    auth::ByAuditor,
    error::ApiError,
    extract::{Fields, FromFields, Query},
    paging::{Page, Paging},
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    #[param(inline)]
    fan: Option<FanId>,
    /// All of the creator's: tiers, memberships, integrations, and what happened in their servers.
    #[param(inline)]
    creator: Option<CreatorId>,
    /// The integration's own, and what happened in its server.
    #[param(inline)]
    integration: Option<IntegrationId>,
    /// An event's name, for example `FanLinked`.
    r#type: Option<String>,
    /// Not before this time.
    from: Option<DateTime<Utc>>,
    /// Before this time.
    to: Option<DateTime<Utc>>,
    /// After this log position.
    after: Option<u64>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for EventsQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (fan, creator, integration) =
            (fields.optional("fan"), fields.optional("creator"), fields.optional("integration"));
        let kind = fields.optional::<String>("type");
        let (from, to) = (fields.time("from"), fields.time("to"));
        let (after, paging) = (fields.optional("after"), Paging::from_fields(fields));
        if let Some(Some(unknown)) = &kind
            && !Event::is_called(unknown)
        {
            fields.fault("type", "is not the name of an event; they are written as in `FanLinked`");
            return None;
        }
        Some(Self {
            fan: fan?,
            creator: creator?,
            integration: integration?,
            r#type: kind?,
            from: from?,
            to: to?,
            after: after?,
            paging: paging?,
        })
    }
}

/// The log
///
/// Oldest first. What is found costs as much as what is answered, however long the log is.
#[utoipa::path(get, path = "/v1/audit/events", tag = "Auditor", operation_id = "list_events", params(EventsQuery, Paging),
    responses((status = 200, description = "In log order", body = Page<Told>)))]
pub(crate) async fn events(
    State(app): AppState,
    _: ByAuditor,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Page<Told>>, ApiError> {
    let EventsQuery { fan, creator, integration, r#type: kind, from, to, after, paging } = query;
    let cursor: Option<Position> = paging.after()?;
    let start = cursor.unwrap_or_default().max(Position(after.unwrap_or_default()));
    let wanted = Wanted { fan, creator, integration, kind, from, to };
    let found = audit::events(
        &app.store,
        app.audit().await?,
        &wanted,
        Direction::After(start),
        paging.fetch_many(),
    )
    .await?;
    let (data, next_cursor) = paging.page(found, |told| told.position);
    Ok(Json(Page { data, next_cursor }))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccessQuery {
    /// The time; what happened at that very time counts. Now, where it is missing.
    at: Option<DateTime<Utc>>,
    #[param(inline)]
    fan: Option<FanId>,
    #[param(inline)]
    integration: Option<IntegrationId>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for AccessQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (at, fan) = (fields.time("at"), fields.optional("fan"));
        let (integration, paging) = (fields.optional("integration"), Paging::from_fields(fields));
        Some(Self { at: at?, fan: fan?, integration: integration?, paging: paging? })
    }
}

/// Who had which roles at a time
///
/// As Discord told it: what it accepted, what was on its way, what it refused. Everybody, a fan, or an integration.
/// Access in a server that several integrations share is told for each of them.
#[utoipa::path(get, path = "/v1/audit/access", tag = "Auditor", operation_id = "get_access_at", params(AccessQuery, Paging),
    responses((status = 200, description = "By server and fan", body = Page<AccessAt>)))]
pub(crate) async fn access(
    State(app): AppState,
    _: ByAuditor,
    Query(query): Query<AccessQuery>,
) -> Result<Json<Page<AccessAt>>, ApiError> {
    let AccessQuery { at, fan, integration, paging } = query;
    let asked = Asked { at: at.unwrap_or_else(|| app.now()), fan, integration };
    let after = paging.after()?;
    let limit = paging.fetch();
    let rows = audit::access(&app.store, app.audit().await?, &asked, after.as_ref(), limit).await?;
    let (data, next_cursor) = paging.page(rows, AccessAt::row);
    Ok(Json(Page { data, next_cursor }))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    #[param(inline)]
    fan: FanId,
    #[param(inline)]
    integration: IntegrationId,
    /// The time; now, where it is missing.
    at: Option<DateTime<Utc>>,
}

impl FromFields for ExplainQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (fan, integration) = (fields.required("fan"), fields.required("integration"));
        let at = fields.time("at");
        Some(Self { fan: fan?, integration: integration?, at: at? })
    }
}

/// Why a fan had what they had
///
/// The chain from the purchase to the decision, the command and Discord's answer. What was sent to Discord is told as it
/// was recorded, whatever the rules are by now.
#[utoipa::path(get, path = "/v1/audit/explain", tag = "Auditor", operation_id = "explain_access", params(ExplainQuery),
    responses((status = 200, description = "The answer, and the steps that led to it", body = Explanation)))]
pub(crate) async fn explain(
    State(app): AppState,
    _: ByAuditor,
    Query(ExplainQuery { fan, integration, at }): Query<ExplainQuery>,
) -> Result<Json<Explanation>, ApiError> {
    let at = at.unwrap_or_else(|| app.now());
    Ok(Json(audit::explain(&app.store, app.audit().await?, &fan, integration, at).await?))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// One of `fan` and `integration` is needed, or both.
    #[param(inline)]
    fan: Option<FanId>,
    #[param(inline)]
    integration: Option<IntegrationId>,
    #[param(ignore)]
    paging: Paging,
}

impl FromFields for HistoryQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (fan, integration) = (fields.optional("fan"), fields.optional("integration"));
        let paging = Paging::from_fields(fields);
        let (fan, integration) = (fan?, integration?);
        if fan.is_none() && integration.is_none() {
            fields.fault("fan", "must be given, or an integration");
            return None;
        }
        Some(Self { fan, integration, paging: paging? })
    }
}

/// How access changed over time
///
/// A fan's history tells every change of what they should have and had. An integration's tells what everybody had there.
#[utoipa::path(get, path = "/v1/audit/history", tag = "Auditor", operation_id = "list_access_changes", params(HistoryQuery, Paging),
    responses((status = 200, description = "In log order", body = Page<Change>)))]
pub(crate) async fn history(
    State(app): AppState,
    _: ByAuditor,
    Query(HistoryQuery { fan, integration, paging }): Query<HistoryQuery>,
) -> Result<Json<Page<Change>>, ApiError> {
    let of = match (fan, integration) {
        (Some(fan), integration) => Of::Fan(fan, integration),
        (None, Some(integration)) => Of::Integration(integration),
        (None, None) => return Ok(Json(Page { data: vec![], next_cursor: None })),
    };
    let after = paging.after()?.unwrap_or_default();
    let changes =
        audit::history(&app.store, app.audit().await?, &of, after, paging.fetch_many()).await?;
    let (data, next_cursor) = paging.page(changes, Change::row);
    Ok(Json(Page { data, next_cursor }))
}
