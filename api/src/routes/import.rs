//! Many memberships at once, as lines of JSON.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    response::IntoResponse,
};
use domain::{
    Decider, FanId, HoldId, IntegrationId, MembershipId,
    hold::{self, Cause, Held, Hold},
    kept::Because,
    membership::{self, Membership, Outcome, Status, Terms},
};
use eventstore::{HandleError, Metadata};
use futures_util::{StreamExt, stream};
use projections::Losing;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::ByPlatform,
    error::{ApiError, FieldError},
    extract::{self, Fields},
    routes::{
        holds,
        memberships::{Named, Reported, report},
    },
};

pub(crate) const PATH: &str = "/v1/memberships:import";

/// The most that one import may have, in bytes.
pub(crate) const MAX_BODY: usize = 32 << 20;

/// How many memberships are on their way to the disk together.
const TOGETHER: usize = 256;

/// How many lines are read, and how many fans are looked at, at once.
const PAGE: usize = 500;

/// How many lines at fault are shown.
const SHOWN: usize = 100;

/// A line that was not taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineError {
    /// From 1.
    line: usize,
    code: String,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Imported {
    applied: u64,
    unchanged: u64,
    stale: u64,
    refused: u64,
    /// The first hundred lines that were refused.
    errors: Vec<LineError>,
    /// Where it would have taken access from too many fans at once: what waits for approval.
    holds: Vec<ImportHold>,
}

/// Removals of an import that wait for approval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportHold {
    id: HoldId,
    integration: IntegrationId,
    fans: u64,
}

/// Import memberships
///
/// One membership on each line: the object of `PUT /v1/memberships/{membership}` with `membership` beside. Each
/// line stands for itself: one at fault does not hold up the others. Where all of them together would take access from
/// more fans of an integration than its removal limit allows, the memberships change and the access stays until
/// somebody approves the hold.
#[utoipa::path(post, path = "/v1/memberships:import", tag = "Platform", operation_id = "import_memberships",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, description = "A count of each outcome", body = Imported)))]
pub(crate) async fn import(
    State(app): AppState,
    caller: ByPlatform,
    request: Request,
) -> Result<impl IntoResponse, ApiError> {
    // Before so much is read of anybody.
    let metadata = caller.metadata(&app);
    let lines = lines(&extract::bytes(request, MAX_BODY).await?).await;
    let mut imported = Imported::default();
    for held in weigh(&app, &metadata, &lines).await? {
        let Held { hold: id, integration, losing: fans, .. } = held;
        let (stream, open) = (hold::stream(id), hold::Command::Open(held));
        match app.store.handle::<Hold>(&stream, open, metadata.clone(), None).await {
            Ok(_) => imported.holds.push(ImportHold { id, integration, fans }),
            Err(HandleError::Refused(refusal)) => return Err(holds::refused(&refusal)),
            Err(HandleError::Store(error)) => return Err(error.into()),
        }
    }
    // The lines of one membership go one after the other: together they would be in each other's way.
    let mut by_membership: BTreeMap<MembershipId, Vec<(usize, Terms)>> = BTreeMap::new();
    let mut refused = Refused::default();
    for (line, terms) in lines {
        match terms {
            Ok(terms) => {
                by_membership.entry(terms.membership.clone()).or_default().push((line, terms));
            }
            Err(error) => refused.add(line, &error),
        }
    }
    let reports = by_membership.into_values().map(|lines| {
        stream::iter(lines)
            .then(|(line, terms)| {
                let (app, metadata) = (Arc::clone(&app), metadata.clone());
                async move { (line, report(&app, metadata, terms).await) }
            })
            .boxed()
    });
    let mut done = stream::iter(reports).flatten_unordered(TOGETHER);
    let mut position = app.store.log().head();
    while let Some((line, reported)) = done.next().await {
        match reported {
            Ok(Reported { outcome, decided, .. }) => {
                position = position.max(decided.position);
                match outcome {
                    Outcome::Applied => imported.applied += 1,
                    Outcome::Unchanged => imported.unchanged += 1,
                    Outcome::Stale => imported.stale += 1,
                }
            }
            Err(error) => refused.add(line, &error),
        }
    }
    imported.refused = refused.count;
    imported.errors = refused.first.into_values().collect();
    Ok(Written::ok(position, imported))
}

/// The lines that were refused: how many, and the first of them.
#[derive(Default)]
struct Refused {
    count: u64,
    first: BTreeMap<usize, LineError>,
}

impl Refused {
    fn add(&mut self, line: usize, error: &ApiError) {
        self.count += 1;
        let (code, detail) = (error.code().to_owned(), error.detail().to_owned());
        self.first.insert(line, LineError { line, code, detail, errors: error.errors().to_vec() });
        if self.first.len() > SHOWN {
            self.first.pop_last();
        }
    }
}

/// Every line that says something, with its number. Others have their turn meanwhile.
async fn lines(body: &[u8]) -> Vec<(usize, Result<Terms, ApiError>)> {
    let mut lines = vec![];
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        if !line.trim_ascii().is_empty() {
            lines.push((number, read(line)));
        }
        if number % PAGE == 0 {
            tokio::task::yield_now().await;
        }
    }
    lines
}

fn read(line: &[u8]) -> Result<Terms, ApiError> {
    let Named(terms) = Fields::of_object(extract::object(line)?)?;
    Ok(terms)
}

/// The holds that are needed before these lines are taken in: all of them together count.
async fn weigh(
    app: &App,
    metadata: &Metadata,
    lines: &[(usize, Result<Terms, ApiError>)],
) -> Result<Vec<Held>, ApiError> {
    app.caught_up().await?;
    let mut by_fan: BTreeMap<FanId, Vec<&Terms>> = BTreeMap::new();
    for terms in lines.iter().filter_map(|(_, line)| line.as_ref().ok()) {
        by_fan.entry(terms.fan.clone()).or_default().push(terms);
    }
    let access = app.views.fan_access();
    let mut losing = Losing::new(access);
    let fans: Vec<FanId> = by_fan.keys().cloned().collect();
    for some in fans.chunks(PAGE) {
        for (fan, facts) in access.facts_of(some).await? {
            // What gave nothing can take nothing, and what goes on as it is takes nothing either.
            let may_take = |terms: &&Terms| {
                let because = Because::Membership(terms.membership.clone());
                let kept = facts.kept.iter().any(|kept| kept.because == because);
                let live = facts.memberships.get(&terms.membership).filter(|held| held.live);
                kept || live.is_some_and(|held| {
                    terms.status != Status::Active
                        || held.tier != terms.tier
                        || terms.due(app.grace).is_some_and(|due| due <= metadata.at)
                })
            };
            let Some(lines) = by_fan.get(&fan).filter(|lines| lines.iter().any(may_take)) else {
                continue;
            };
            let mut events = vec![];
            for terms in lines {
                let stream = membership::stream(&terms.membership);
                let state = app.store.load::<Membership>(&stream).await?.state;
                let (now, grace) = (metadata.at, app.grace);
                let told = membership::Command::Report { terms: (*terms).clone(), now, grace };
                // What is refused is told line by line, when it is taken in.
                events.extend(Membership::decide(&state, told).unwrap_or_default());
            }
            losing.count(facts, &events).await?;
        }
    }
    Ok(losing.holds(Cause::Import, None).await?)
}
