//! Access over time: a picture, a slider over it, and who had what at the moment that is looked at.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use domain::{FanId, IntegrationId};
use projections::audit::Knowledge;

use super::{
    Choice, Faults, address,
    ask::{Asked, exact, read, shown, time},
    frame, integrations, name_of,
    picture::{self, Band, Group, Lane, Scale, Shows, Tick, percent},
    standing,
};
use crate::{
    app::{App, AppState},
    audit::{self, AccessAt, Change, Course, HadShape, PersonalData, RoleShape},
    error::ApiError,
    extract::Query,
    pages::{
        components::{Chip, Exact, RolePill, Tile},
        frame::{Frame, page, page_with},
        session::{Auditor, Signed},
        texts::{self, Html, Texts, auditor::Travel},
    },
    paging::Paging,
};

/// How many integrations and people a page shows.
const SHOWN: u32 = 50;

/// How many values the picture of an integration has.
const SAMPLES: u32 = 80;

/// How high the picture of an integration is, in pixels.
const HEIGHT: f64 = 88.0;

/// Whose access is looked at.
enum Whose {
    /// A fan's, in all integrations or in one.
    Fan(FanId, Option<IntegrationId>),
    Integration(IntegrationId),
}

#[derive(Template)]
#[template(path = "auditor/start.html")]
struct StartPage {
    frame: Frame,
    asked: Asked,
    faults: Faults,
    integrations: Vec<Choice>,
    more: Option<String>,
}

impl StartPage {
    fn fault(&self, field: &str) -> &'static str {
        self.faults.get(field).copied().unwrap_or_default()
    }
}

#[derive(Template)]
#[template(path = "auditor/travel.html")]
struct TravelPage {
    frame: Frame,
    lead: &'static str,
    asked: Asked,
    fault: &'static str,
    picture: Option<Picture>,
    moment: Html,
    changes: Vec<Change>,
}

impl TravelPage {
    fn go(&self, at: DateTime<Utc>) -> String {
        let Asked { fan, integration, .. } = &self.asked;
        address("/audit/access", &[("fan", fan), ("integration", integration), ("at", &exact(at))])
    }

    fn chip(change: &Change) -> Option<Chip> {
        change.status.map(standing)
    }
}

/// What is drawn.
struct Picture {
    scale: Scale,
    /// Where the moment is that is looked at.
    at: String,
    /// The same as a number, for the slider.
    value: String,
    paid: Vec<Lane>,
    groups: Vec<Group>,
    people: Option<People>,
    warped: bool,
}

impl Picture {
    fn ticks(&self) -> Vec<Tick> {
        self.scale.ticks()
    }

    fn drawn(&self, band: &Band) -> Html {
        picture::drawn(&self.scale, band)
    }
}

/// How many had access over time.
struct People {
    bars: Vec<Bar>,
    most: u64,
    connected: Lane,
}

/// How many at one time: who had access, and above them who was on the way or refused.
struct Bar {
    x: String,
    width: String,
    had: (f64, f64),
    open: (f64, f64),
}

/// What one fan had at a moment.
#[derive(Template)]
#[template(path = "auditor/moment_fan.html")]
struct FanMoment {
    t: &'static Texts,
    at: DateTime<Utc>,
    ways: Ways,
    standings: Vec<Stood>,
}

/// To the changes around a moment.
struct Ways {
    before: Option<String>,
    after: Option<String>,
    now: String,
}

struct Stood {
    change: Change,
    name: String,
    server: Option<String>,
    chip: Option<Chip>,
    explain: String,
}

/// Who had something through an integration at a moment.
#[derive(Template)]
#[template(path = "auditor/moment_integration.html")]
struct IntegrationMoment {
    t: &'static Texts,
    at: DateTime<Utc>,
    ways: Ways,
    count: u64,
    rows: Vec<AccessAt>,
    more: Option<String>,
}

impl IntegrationMoment {
    fn chip(t: &Travel, row: &AccessAt) -> Chip {
        known(t, row.had.state)
    }

    fn discord(t: &Travel, row: &AccessAt) -> Html {
        match (&row.discord, row.personal_data) {
            (Some(account), _) => Html::text(&account.username),
            (None, PersonalData::Erased) => Html::text(t.erased),
            (None, PersonalData::Sealed | PersonalData::Known) => Html::text(t.sealed),
        }
    }

    fn held(row: &AccessAt) -> Vec<RolePill> {
        pills(row.had.roles.iter().chain(&row.had.kept))
    }

    fn explain(row: &AccessAt, at: &DateTime<Utc>) -> String {
        let integration = row.integration.map(|id| id.to_string()).unwrap_or_default();
        let asked = [("fan", row.fan.as_str()), ("integration", &integration), ("at", &exact(*at))];
        address("/audit/explain", &asked)
    }
}

/// How it is known what somebody had.
fn known(t: &Travel, state: Knowledge) -> Chip {
    match state {
        Knowledge::Accepted => Chip::new(t.accepted, "good"),
        Knowledge::Attempted => Chip::new(t.attempted, "work"),
        Knowledge::Refused => Chip::new(t.refused, "bad"),
        Knowledge::Observed => Chip::new(t.observed, "warn"),
    }
}

/// Roles as Discord names them.
fn pills<'a>(roles: impl IntoIterator<Item = &'a RoleShape>) -> Vec<RolePill> {
    let name = |role: &RoleShape| role.name.clone().unwrap_or_else(|| role.id.to_string());
    roles.into_iter().map(|role| RolePill::new(&name(role), 0)).collect()
}

impl FanMoment {
    fn pills(roles: &[RoleShape]) -> Vec<RolePill> {
        pills(roles)
    }

    fn held(had: &HadShape) -> Vec<RolePill> {
        pills(had.roles.iter().chain(&had.kept))
    }

    /// Whether and how somebody was in the server.
    fn inside(t: &Travel, had: &HadShape) -> &'static str {
        match (had.present, had.brought_in) {
            (Some(true), true) => t.inside_brought,
            (Some(true), false) => t.inside,
            (Some(false), _) => t.outside,
            (None, _) => t.inside_unknown,
        }
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<Auditor>,
    Query(mut asked): Query<Asked>,
) -> Result<Response, ApiError> {
    signed.caller.auditor()?;
    let (t, mut faults) = (&texts::EN, Faults::new());
    let whose = whose(&asked, &mut faults);
    let at = time(&mut faults, "at", &asked.at, t.audit.fault_time);
    let Some(whose) = whose else { return start(&app, &signed, asked, faults).await };
    let now = app.now();
    let fault = faults.get("at").copied().unwrap_or_default();
    // What is at fault comes back as it was written.
    asked.at =
        at.map_or_else(|| if fault.is_empty() { String::new() } else { asked.at.clone() }, shown);
    let at = at.unwrap_or(now);
    let title = match &whose {
        Whose::Fan(fan, _) => t.travel.of_fan.plain(fan),
        Whose::Integration(id) => {
            app.audit().await?.creator(*id).await?.ok_or_else(ApiError::not_found)?;
            t.travel.of_integration.plain(name_of(&app, *id).await?)
        }
    };
    let frame = frame(&app, &signed, title, "access").under(t.travel.title, "/audit/access");
    let (lead, picture, changes) = match &whose {
        Whose::Fan(fan, id) => {
            let course = audit::course(&app.store, app.audit().await?, fan, *id).await?;
            (t.travel.of_fan_lead, of_fan(t, &course, at, now), course.changes)
        }
        Whose::Integration(id) => {
            (t.travel.of_integration_lead, of_integration(&app, *id, at, now).await?, vec![])
        }
    };
    let moment = moment_of(&app, &whose, at, &asked).await?;
    let shown = TravelPage { frame, lead, asked, fault, picture, moment, changes };
    if fault.is_empty() {
        page(&shown)
    } else {
        page_with(StatusCode::UNPROCESSABLE_ENTITY, &shown)
    }
}

/// What is shown of a moment, for whoever drags the slider.
pub(crate) async fn moment(
    State(app): AppState,
    signed: Signed<Auditor>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    signed.caller.auditor()?;
    let mut faults = Faults::new();
    let whose = whose(&asked, &mut faults).ok_or_else(ApiError::not_found)?;
    let at = time(&mut faults, "at", &asked.at, texts::EN.audit.fault_time);
    let moment = moment_of(&app, &whose, at.unwrap_or_else(|| app.now()), &asked).await?;
    page(&Fragment { moment })
}

#[derive(Template)]
#[template(source = "{{ moment }}", ext = "html")]
struct Fragment {
    moment: Html,
}

fn whose(asked: &Asked, faults: &mut Faults) -> Option<Whose> {
    let t = &texts::EN.audit;
    let fan = read(faults, "fan", &asked.fan, t.fault_fan);
    let integration = read(faults, "integration", &asked.integration, t.fault_integration);
    if faults.is_empty() {
        match (fan, integration) {
            (Some(fan), integration) => Some(Whose::Fan(fan, integration)),
            (None, Some(id)) => Some(Whose::Integration(id)),
            (None, None) => None,
        }
    } else {
        None
    }
}

async fn start(
    app: &App,
    signed: &Signed<Auditor>,
    asked: Asked,
    faults: Faults,
) -> Result<Response, ApiError> {
    let mut choices = integrations(app, asked.cursor.parse().ok(), SHOWN + 1).await?;
    let more = choices.len() > usize::try_from(SHOWN).unwrap_or(usize::MAX);
    choices.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let more = choices
        .last()
        .filter(|_| more)
        .map(|last| address("/audit/access", &[("cursor", &last.id.to_string())]));
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = frame(app, signed, texts::EN.travel.title, "access");
    let shown = StartPage { frame, asked, faults, integrations: choices, more };
    if status == StatusCode::OK { page(&shown) } else { page_with(status, &shown) }
}

fn of_fan(t: &Texts, course: &Course, at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Picture> {
    let (paid, groups) = picture::of_fan(&t.travel, course);
    if paid.is_empty() && groups.is_empty() {
        return None;
    }
    let mut times: Vec<_> = course.changes.iter().map(|change| change.at).collect();
    times.extend(course.paid.iter().flat_map(|paid| [Some(paid.from), paid.until]).flatten());
    times.sort_unstable();
    let scale = Scale::of_changes(times, now);
    let x = scale.x(at);
    Some(Picture {
        at: percent(x),
        value: format!("{x:.3}"),
        scale,
        paid,
        groups,
        people: None,
        warped: true,
    })
}

async fn of_integration(
    app: &App,
    id: IntegrationId,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Picture>, ApiError> {
    let t = &texts::EN.travel;
    let servers = app.audit().await?.servers_of(id).await?;
    let Some((_, first, _)) = servers.first() else { return Ok(None) };
    let scale = Scale::even(*first, now);
    let mut values = vec![];
    for (x, sampled) in scale.samples(SAMPLES) {
        let server = servers.iter().rev().find(|(_, began, ended)| {
            *began <= sampled && ended.is_none_or(|ended| ended > sampled)
        });
        let counts = match server {
            Some((server, ..)) => app.audit().await?.count_in_server(*server, sampled).await?,
            None => BTreeMap::new(),
        };
        values.push((x, counts));
    }
    let connected = Lane {
        name: t.lane_connected.to_owned(),
        bands: servers
            .iter()
            .map(|(_, from, until)| Band::new(Shows::Wanted, *from, *until))
            .collect(),
    };
    let x = scale.x(at);
    Ok(Some(Picture {
        at: percent(x),
        value: format!("{x:.3}"),
        scale,
        paid: vec![],
        groups: vec![],
        people: Some(people(&values, connected)),
        warped: false,
    }))
}

fn people(values: &[(f64, BTreeMap<Knowledge, u64>)], connected: Lane) -> People {
    let most = values.iter().map(|(_, counts)| counts.values().sum::<u64>()).max().unwrap_or(0);
    let part = |count: u64| {
        let (count, most) = (u32::try_from(count), u32::try_from(most.max(1)));
        f64::from(count.unwrap_or(u32::MAX)) / f64::from(most.unwrap_or(u32::MAX)) * (HEIGHT - 2.0)
    };
    let bars = values.iter().map(|(x, counts)| {
        let of = |state| counts.get(&state).copied().unwrap_or_default();
        let had = part(of(Knowledge::Accepted) + of(Knowledge::Observed));
        let open = part(of(Knowledge::Attempted) + of(Knowledge::Refused));
        Bar {
            x: percent(*x),
            width: percent(100.0 / f64::from(SAMPLES)),
            had: (HEIGHT - had, had),
            open: (HEIGHT - had - open, open),
        }
    });
    People { bars: bars.collect(), most, connected }
}

async fn moment_of(
    app: &App,
    whose: &Whose,
    at: DateTime<Utc>,
    asked: &Asked,
) -> Result<Html, ApiError> {
    let html = match whose {
        Whose::Fan(fan, id) => fan_moment(app, fan, *id, at, asked).await?.render(),
        Whose::Integration(id) => integration_moment(app, *id, at, asked).await?.render(),
    };
    Ok(Html::rendered(html.map_err(|error| ApiError::internal(&error))?))
}

fn to(asked: &Asked, at: Option<DateTime<Utc>>) -> Option<String> {
    let Asked { fan, integration, .. } = asked;
    Some(address(
        "/audit/access",
        &[("fan", fan), ("integration", integration), ("at", &exact(at?))],
    ))
}

async fn fan_moment(
    app: &App,
    fan: &FanId,
    id: Option<IntegrationId>,
    at: DateTime<Utc>,
    asked: &Asked,
) -> Result<FanMoment, ApiError> {
    let t = &texts::EN;
    let course = audit::course(&app.store, app.audit().await?, fan, id).await?;
    let before = course.changes.iter().rev().map(|change| change.at).find(|time| *time < at);
    let after = course.changes.iter().map(|change| change.at).find(|time| *time > at);
    let mut last: BTreeMap<IntegrationId, Change> = BTreeMap::new();
    for change in course.changes.into_iter().filter(|change| change.at <= at) {
        if let Some(id) = change.integration {
            last.insert(id, change);
        }
    }
    let standings = last.into_iter().filter(|(_, change)| change.status.is_some());
    let standings = standings.map(|(id, change)| {
        let (name, server) = course.integrations.get(&id).cloned().unwrap_or_default();
        let asked = [("fan", fan.as_str()), ("integration", &id.to_string()), ("at", &exact(at))];
        let chip = change.status.map(standing);
        Stood { explain: address("/audit/explain", &asked), name, server, chip, change }
    });
    let now = Asked { at: String::new(), ..asked.clone() };
    let ways = Ways {
        before: to(asked, before),
        after: to(asked, after),
        now: address("/audit/access", &[("fan", &now.fan), ("integration", &now.integration)]),
    };
    Ok(FanMoment { t, at, ways, standings: standings.collect() })
}

async fn integration_moment(
    app: &App,
    id: IntegrationId,
    at: DateTime<Utc>,
    asked: &Asked,
) -> Result<IntegrationMoment, ApiError> {
    let view = app.audit().await?;
    let count = match view.server_at(id, at).await? {
        Some(server) => view.count_in_server(server, at).await?.values().sum(),
        None => 0,
    };
    let paging = Paging::at(&asked.cursor);
    let of = audit::Asked { at, fan: None, integration: Some(id) };
    let after = paging.after()?;
    let rows = audit::access(&app.store, view, &of, after.as_ref(), paging.fetch()).await?;
    let (rows, next) = paging.page(rows, AccessAt::row);
    let integration = id.to_string();
    let more = next.map(|next| {
        address(
            "/audit/access",
            &[("integration", &integration), ("at", &exact(at)), ("cursor", &next)],
        )
    });
    let ways = Ways {
        before: None,
        after: None,
        now: address("/audit/access", &[("integration", &integration)]),
    };
    Ok(IntegrationMoment { t: &texts::EN, at, ways, count, rows, more })
}
