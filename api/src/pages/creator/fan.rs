//! One fan in one integration: how they stand and why, and what the creator decides about them by hand.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use domain::{
    CreatorId, FanId, IntegrationId, RoleId, Trouble, Who,
    desired::Facts,
    fan::{self, Fan, Grant},
    membership,
    status::Status,
};
use projections::{Change, Topic};

use crate::{
    app::{App, AppState},
    auth::ByCreator,
    error::{ApiError, FieldError},
    extract::{Body, Path, Query},
    pages::{
        components::{Chip, RolePill, When},
        creator::{
            activity::{self, Happened},
            head::Integration,
            is_within,
            memberships::DoneQuery,
            overview::OverviewQuery,
        },
        forms::Sent,
        frame::{Frame, page, page_with, see_other},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Texts},
    },
    routes::{
        integration_fans::FanAnswer,
        manual::{self, GrantBody, LONGEST_WHY, WithholdBody},
    },
};

#[derive(Template)]
#[template(path = "creator/fan.html")]
struct FanPage {
    frame: Frame,
    integration: Integration,
    fan: FanId,
    region: Region,
    hand: ByHand,
}

/// What the creator decided by hand, and can decide.
struct ByHand {
    /// Roles that can be given, and whether they are.
    roles: Vec<(RoleId, RolePill, bool)>,
    /// The server is given without a role.
    bare: bool,
    /// Neither is ticked.
    nothing: bool,
    given: Option<Grant>,
    until: String,
    withheld: bool,
    /// Why it is withheld, in the creator's own words.
    why: Option<String>,
    fault: Option<String>,
    typed_why: String,
}

impl ByHand {
    const LONGEST: usize = LONGEST_WHY;

    fn given_now(&self) -> &'static str {
        let t = &texts::EN.fan;
        match &self.given {
            Some(given) if given.roles.is_empty() => t.given_bare,
            Some(_) | None => t.given_now,
        }
    }

    fn until(&self) -> Option<When> {
        self.given.as_ref().and_then(|given| given.until).map(When)
    }
}

/// The part of the page that is live.
#[derive(Template)]
#[template(path = "creator/fan_live.html")]
struct Standing {
    t: &'static Texts,
    integration: Integration,
    answer: Option<FanAnswer>,
    /// The memberships that the fan holds of this creator: name, status, end.
    memberships: Vec<(String, &'static str, Option<When>)>,
    happened: Vec<Happened>,
}

impl Standing {
    fn chip(&self) -> Option<Chip> {
        let answer = self.answer.as_ref()?;
        let code = answer.reason.as_ref().map(|reason| reason.code.as_str());
        Some(Chip::of_fan(&self.t.status, answer.status, code))
    }

    fn tone(&self) -> &'static str {
        match self.answer.as_ref().map(|answer| answer.status) {
            Some(Status::Blocked | Status::RevokeBlocked) => "bad",
            Some(Status::ActionRequired) => "warn",
            _ => "",
        }
    }
}

async fn standing(
    app: &Arc<App>,
    signed: &Signed<CreatorId>,
    id: IntegrationId,
    fan: &FanId,
) -> Result<(Standing, Facts), ApiError> {
    let integration = Integration::load(app, signed, id).await?;
    let t = &texts::EN;
    let facts = app.views.fan_access().facts(fan).await?.unwrap_or_default();
    let answer = app.views.fan_access().fan_row(id, fan).await?.map(Into::into);
    // What the fan has from other creators is none of this one's business.
    let held = facts.memberships.values().filter(|held| held.creator == signed.who);
    let memberships = held
        .map(|held| {
            let status = match held.status {
                membership::Status::Active => t.fan.active,
                membership::Status::Canceled => t.fan.canceled,
                membership::Status::Paused => t.fan.paused,
                membership::Status::Expired => t.fan.expired,
                membership::Status::Refunded => t.fan.refunded,
                membership::Status::ChargedBack => t.fan.charged_back,
            };
            (integration.tier(&held.tier).to_owned(), status, held.ends_at.map(When))
        })
        .collect();
    let (happened, _) = activity::happened(app, id, Some(fan.clone()), None).await?;
    Ok((Standing { t, integration, answer, memberships, happened }, facts))
}

/// Why the fan's access is withheld, as the creator wrote it.
async fn why_withheld(
    app: &App,
    id: IntegrationId,
    fan: &FanId,
) -> Result<Option<String>, ApiError> {
    let known = app.store.load::<Fan>(&fan::stream(fan)).await?;
    Ok(known.state.withheld.get(&id).cloned())
}

async fn shown(
    app: &Arc<App>,
    signed: &Signed<CreatorId>,
    id: IntegrationId,
    fan: FanId,
) -> Result<FanPage, ApiError> {
    let (standing, facts) = standing(app, signed, id, &fan).await?;
    let region = Region::of(&standing)?;
    let integration = standing.integration;
    let state = &integration.row.state;
    let given = facts.grants.get(&id).cloned();
    let has = |role| given.as_ref().is_some_and(|given| given.roles.contains(&role));
    let known = state.open_guild().zip(state.roles.as_ref());
    let roles = known.iter().flat_map(|(guild, list)| {
        let can = list.roles().iter().filter(|role| list.why_not(*guild, role.id).is_none());
        can.map(|role| (role.id, RolePill::new(&role.name, role.color), has(role.id)))
    });
    let withheld = facts.withheld.contains(&id);
    let until = given
        .as_ref()
        .and_then(|given| given.until)
        .and_then(|at| at.checked_sub_days(Days::new(1)));
    let hand = ByHand {
        roles: roles.collect(),
        until: until.map(|at| at.date_naive().to_string()).unwrap_or_default(),
        withheld,
        why: if withheld { why_withheld(app, id, &fan).await? } else { None },
        bare: given.as_ref().is_some_and(|given| given.roles.is_empty()),
        nothing: false,
        fault: None,
        typed_why: String::new(),
        given,
    };
    let frame = integration
        .frame_below(app, signed, fan.as_str())
        .under(texts::EN.integration.fans, integration.place("/fans"))
        .narrow();
    Ok(FanPage { frame, integration, fan, region, hand })
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Query(DoneQuery(done)): Query<DoneQuery>,
) -> Result<Response, ApiError> {
    let t = &texts::EN.fan;
    let said = match done.as_deref() {
        Some("given") => Some(t.done_given),
        Some("let_in") => Some(t.done_let_in),
        Some("taken") => Some(t.done_taken),
        Some("withheld") => Some(t.done_withheld),
        Some("lifted") => Some(t.done_lifted),
        _ => None,
    };
    let mut shown = shown(&app, &signed, id, fan).await?;
    shown.frame = shown.frame.saying(said.map(str::to_owned));
    page(&shown)
}

struct LiveFan {
    signed: Signed<CreatorId>,
    id: IntegrationId,
    fan: FanId,
}

impl Live for LiveFan {
    fn concerns(&self, change: &Change) -> bool {
        let of_fan = change.topic == Topic::Fans && change.key == self.fan.as_str();
        of_fan || is_within(change, &[Topic::Integrations], self.id)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        Region::of(&standing(app, &self.signed, self.id, &self.fan).await?.0)
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<CreatorId>,
    headers: HeaderMap,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Query(query): Query<OverviewQuery>,
) -> Result<Response, ApiError> {
    Integration::load(&app, &signed, id).await?;
    let held = signed.held.clone();
    Ok(live::stream(&app, held, &headers, query.have, LiveFan { signed, id, fan }))
}

fn back(id: IntegrationId, fan: &FanId, done: &str) -> Response {
    see_other(&super::place(id, &format!("/fans/{fan}?done={done}")))
}

/// The end of a day that was chosen; `Err` where it is no day.
fn end_of(day: &str) -> Result<Option<DateTime<Utc>>, ()> {
    if day.is_empty() {
        return Ok(None);
    }
    let day: NaiveDate = day.parse().map_err(|_| ())?;
    let next = day.checked_add_days(Days::new(1)).ok_or(())?;
    Ok(Some(next.and_time(NaiveTime::MIN).and_utc()))
}

pub(crate) async fn grant(
    State(app): AppState,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let roles: BTreeSet<RoleId> = values.all("role").filter_map(|role| role.parse().ok()).collect();
    let (day, bare) = (values.text("until"), values.get("bare").is_some());
    let nothing = roles.is_empty() && !bare;
    let refused = match end_of(day) {
        _ if nothing => None,
        Err(()) => Some(texts::EN.fan.no_day.to_owned()),
        Ok(until) => {
            let body = Body(GrantBody { roles: roles.clone(), until });
            let path = Path((id, fan.clone()));
            match manual::grant(
                State(Arc::clone(&app)),
                ByCreator::of(signed.caller.clone())?,
                path,
                body,
            )
            .await
            {
                Ok(_) => {
                    let done = if roles.is_empty() { "let_in" } else { "given" };
                    return Ok(back(id, &fan, done));
                }
                Err(error) if error.is_invalid() => Some(told(&error)),
                Err(error) => return Err(error),
            }
        }
    };
    let mut again = shown(&app, &signed, id, fan).await?;
    day.clone_into(&mut again.hand.until);
    for (role, _, chosen) in &mut again.hand.roles {
        *chosen = roles.contains(role);
    }
    (again.hand.bare, again.hand.nothing, again.hand.fault) = (bare, nothing, refused);
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &again)
}

/// What is wrong with what was sent, in a sentence.
fn told(error: &ApiError) -> String {
    if error.errors().iter().any(|fault| fault.field == "until") {
        return texts::EN.fan.no_day.to_owned();
    }
    let faults = error.errors().iter().map(|FieldError { detail, .. }| detail.as_str());
    crate::pages::errors::sentence(&faults.collect::<Vec<_>>().join("; "))
}

pub(crate) async fn end_grant(
    State(app): AppState,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Sent { signed, .. }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    manual::end_grant(State(app), ByCreator::of(signed.caller)?, Path((id, fan.clone()))).await?;
    Ok(back(id, &fan, "taken"))
}

pub(crate) async fn withhold(
    State(app): AppState,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let why = values.text("why").trim().to_owned();
    if why.is_empty() || why.chars().count() > LONGEST_WHY {
        let mut again = shown(&app, &signed, id, fan).await?;
        again.hand.fault = Some(texts::EN.fan.why_fault.to_owned());
        again.hand.typed_why = why;
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    let body = Body(WithholdBody { why });
    manual::withhold(State(app), ByCreator::of(signed.caller)?, Path((id, fan.clone())), body)
        .await?;
    Ok(back(id, &fan, "withheld"))
}

pub(crate) async fn lift(
    State(app): AppState,
    Path((id, fan)): Path<(IntegrationId, FanId)>,
    Sent { signed, .. }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    manual::lift(State(app), ByCreator::of(signed.caller)?, Path((id, fan.clone()))).await?;
    Ok(back(id, &fan, "lifted"))
}
