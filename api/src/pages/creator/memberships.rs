//! Add Membership: which tiers give which roles. Every change is shown as a plan before it is made.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{CreatorId, FanId, IntegrationId, RoleId, TierId, Trouble, desired::Facts};
use ring::digest;

use crate::{
    app::{App, AppState},
    auth::ByCreator,
    error::{ApiError, Kind},
    extract::{Body, Fields, FromFields, IfMatch, Path, Query},
    pages::{
        assets::short,
        components::RolePill,
        creator::{
            head::{Head, Integration, Tab},
            table::waits,
        },
        forms::{Sent, Values},
        frame::{Frame, page, page_with, see_other},
        session::Signed,
        texts::{self, Html},
    },
    plan::Plan,
    reason::Reason,
    routes::attachments::{self, DryRun, SeveralBody, TierRoles},
};

/// How many fans are looked at with one query.
const PAGE: u32 = 500;

/// What each tier gives.
type Chosen = BTreeMap<TierId, BTreeSet<RoleId>>;

/// A tier that can be attached, and what it gives or would give.
struct Offer {
    tier: TierId,
    name: String,
    attached: bool,
    chosen: bool,
    roles: Vec<Choice>,
}

struct Choice {
    id: RoleId,
    pill: RolePill,
    chosen: bool,
    /// Why the role cannot be given, where it is chosen and cannot.
    why_not: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "creator/memberships.html")]
struct MembershipsPage {
    frame: Frame,
    /// The integration's pages; none while it is being set up.
    head: Option<Head>,
    integration: Integration,
    /// What the form was made for.
    edition: String,
    offers: Vec<Offer>,
    /// Whether there is a role that can be given.
    any_role: bool,
    /// What has to be mended before it can be reviewed.
    fault: Option<&'static str>,
    /// Roles with the names of tiers are ticked already.
    suggested: bool,
}

#[derive(Template)]
#[template(path = "creator/plan.html")]
struct PlanPage {
    frame: Frame,
    setting_up: bool,
    integration: Integration,
    /// What the change is, for each tier: its name, and the roles that it gives after it.
    changes: Vec<(String, Vec<RolePill>)>,
    chosen: Chosen,
    plan: PlanShown,
    /// The integration has changed since the choice was made.
    moved: bool,
}

#[derive(Template)]
#[template(path = "creator/remove_tier.html")]
struct RemoveTierPage {
    frame: Frame,
    title: Html,
    integration: Integration,
    tier: TierId,
    plan: PlanShown,
}

/// A plan as it is read.
pub(super) struct PlanShown {
    pub(super) fans: u64,
    /// How many fans hold a membership that gives access only after it: they are told, and may activate it.
    pub(super) told: u64,
    pub(super) gain: Vec<(RolePill, String)>,
    pub(super) lose: Vec<(RolePill, String)>,
    pub(super) leave_server: u64,
    /// Whether what it takes away waits for approval.
    pub(super) held: bool,
    /// Roles that bring power over the server with them, and which.
    pub(super) powers: Vec<(RolePill, String)>,
}

impl PlanShown {
    pub(super) fn of(integration: &Integration, plan: &Plan) -> Self {
        let fans = texts::EN.plan.fans;
        let shown = |counts: &[crate::plan::RoleCount]| {
            counts.iter().map(|count| (integration.role(count.role), fans.of(count.fans))).collect()
        };
        let powers = |reason: &Reason| {
            let text = format!("{} {}", reason.detail, reason.fix);
            Some((integration.role(reason.role?), text))
        };
        Self {
            fans: plan.fans,
            told: 0,
            gain: shown(&plan.gain),
            lose: shown(&plan.lose),
            leave_server: plan.leave_server,
            held: plan.held,
            powers: plan.warnings.iter().filter_map(powers).collect(),
        }
    }
}

/// The creator's tiers with what is chosen for each, where anything is.
fn offers(integration: &Integration, chosen: &Chosen) -> Vec<Offer> {
    let state = &integration.row.state;
    let known = state.open_guild().zip(state.roles.as_ref());
    let offer = |(tier, name): (&TierId, &String)| {
        let roles = chosen.get(tier);
        let has = |role: &RoleId| roles.is_some_and(|roles| roles.contains(role));
        let choices = known.iter().flat_map(|(guild, list)| {
            list.roles().iter().filter_map(|role| {
                let why_not = list.why_not(*guild, role.id);
                let chosen = has(&role.id);
                (why_not.is_none() || chosen).then(|| Choice {
                    id: role.id,
                    pill: RolePill::new(&role.name, role.color),
                    chosen,
                    why_not: why_not.map(Trouble::detail),
                })
            })
        });
        Offer {
            tier: tier.clone(),
            name: name.clone(),
            attached: state.attachments.contains_key(tier),
            chosen: roles.is_some(),
            roles: choices.collect(),
        }
    };
    integration.tiers.iter().map(offer).collect()
}

/// What a creator probably wants who has chosen nothing yet: a role with the same name as a tier is for that tier.
fn suggested(integration: &Integration) -> Chosen {
    let state = &integration.row.state;
    let Some((guild, list)) = state.open_guild().zip(state.roles.as_ref()) else {
        return Chosen::new();
    };
    let same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
    let alike = integration.tiers.iter().filter_map(|(tier, name)| {
        let role = list.roles().iter().find(|role| same(&role.name, name))?;
        list.why_not(guild, role.id).is_none().then(|| (tier.clone(), [role.id].into()))
    });
    alike.collect()
}

/// What a form chose: the tiers that are ticked and those that it showed as attached, with the roles ticked for them.
/// Roles of another tier stand for nothing. A tier that was attached since then is not of its choice, and one that was
/// detached is not attached again.
fn chosen(values: &Values, integration: &Integration) -> Chosen {
    let tiers = |name| values.all(name).filter_map(|tier| tier.parse::<TierId>().ok());
    let mut chosen: Chosen =
        tiers("tier").chain(tiers("attached")).map(|tier| (tier, BTreeSet::new())).collect();
    for role in values.all("role") {
        let parsed = role
            .split_once('/')
            .and_then(|(tier, role)| Some((tier.parse().ok()?, role.parse().ok()?)));
        if let Some((tier, role)) = parsed
            && let Some(roles) = chosen.get_mut::<TierId>(&tier)
        {
            roles.insert(role);
        }
    }
    let detached: BTreeSet<TierId> = tiers("attached")
        .filter(|tier| !integration.row.state.attachments.contains_key(tier))
        .collect();
    chosen.retain(|tier, _| integration.tiers.contains_key(tier) && !detached.contains(tier));
    chosen
}

/// The name of what an integration's memberships give now: a form that was made for another has been overtaken.
fn edition(integration: &Integration) -> String {
    let given = format!("{:?}", integration.row.state.attachments);
    short(digest::digest(&digest::SHA256, given.as_bytes()).as_ref())
}

/// The part of a choice that is not so already.
fn changed(integration: &Integration, chosen: Chosen) -> Chosen {
    let is_new = |(tier, roles): &(TierId, BTreeSet<RoleId>)| {
        integration.row.state.attachments.get(tier) != Some(roles)
    };
    chosen.into_iter().filter(is_new).collect()
}

fn editor(
    app: &App,
    signed: &Signed<CreatorId>,
    integration: Integration,
    chosen: &Chosen,
    fault: Option<&'static str>,
) -> MembershipsPage {
    let t = &texts::EN.memberships;
    let setting_up = integration.setting_up();
    let head = (!setting_up).then(|| integration.head(Tab::Memberships));
    let frame = if setting_up {
        integration.frame_below(app, signed, t.title).narrow()
    } else {
        integration.frame(app, signed, t.title)
    };
    let offers = offers(&integration, chosen);
    let any_role = offers.iter().any(|offer| !offer.roles.is_empty());
    let edition = edition(&integration);
    MembershipsPage { frame, head, edition, integration, offers, any_role, fault, suggested: false }
}

pub(crate) struct DoneQuery(pub(super) Option<String>);

impl FromFields for DoneQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.text("done")))
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(DoneQuery(done)): Query<DoneQuery>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    if !integration.connected() {
        return Ok(see_other(&integration.place("/connect")));
    }
    let t = &texts::EN.memberships;
    let said = done.map(|done| if done == "removed" { t.removed } else { t.saved }.to_owned());
    let chosen = if integration.setting_up() {
        suggested(&integration)
    } else {
        integration.row.state.attachments.clone()
    };
    let mut shown = editor(&app, &signed, integration, &chosen, None);
    shown.suggested = shown.head.is_none() && !chosen.is_empty();
    shown.frame = shown.frame.saying(said);
    page(&shown)
}

/// Shows what a choice would do.
pub(crate) async fn review(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    let chosen = chosen(&values, &integration);
    let moved = values.get("edition").is_some_and(|made_for| made_for != edition(&integration));
    reviewed(&app, &signed, integration, chosen, moved).await
}

async fn reviewed(
    app: &Arc<App>,
    signed: &Signed<CreatorId>,
    integration: Integration,
    chosen: Chosen,
    moved: bool,
) -> Result<Response, ApiError> {
    let t = &texts::EN.memberships;
    let change = changed(&integration, chosen.clone());
    if change.is_empty() {
        let fault = if chosen.is_empty() { t.choose_one } else { t.nothing };
        let again = editor(app, signed, integration, &chosen, Some(fault));
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    let version = IfMatch(Some(integration.row.version));
    let plan =
        attachments::propose(app, &signed.caller, integration.id(), &version, &change).await?;
    if !plan.unmanageable.is_empty() {
        let again = editor(app, signed, integration, &chosen, Some(t.cannot_give));
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    let plan = PlanShown::of(&integration, &plan);
    let plan = PlanShown { told: told(app, &integration, &change).await?, ..plan };
    let changes = change
        .iter()
        .map(|(tier, roles)| (integration.tier(tier).to_owned(), integration.pills(roles)))
        .collect();
    let frame = integration
        .frame_below(app, signed, t.plan_title)
        .under(t.title, integration.place("/memberships"))
        .narrow();
    page(&PlanPage {
        frame,
        setting_up: integration.setting_up(),
        changes,
        plan,
        integration,
        chosen,
        moved,
    })
}

/// How many fans hold a tier that a change attaches.
async fn told(app: &App, integration: &Integration, change: &Chosen) -> Result<u64, ApiError> {
    let access = app.views.fan_access();
    let (creator, attached) = (&integration.row.creator, &integration.row.state.attachments);
    let mut told = BTreeSet::new();
    for tier in change.keys().filter(|tier| !attached.contains_key(*tier)) {
        let mut last: Option<FanId> = None;
        loop {
            let fans = access.holders(creator, tier, last.as_ref(), PAGE).await?;
            let Some(end) = fans.last().cloned() else { break };
            let live = |facts: &Facts| {
                let held = &mut facts.memberships.values();
                held.any(|held| held.live && held.creator == *creator && held.tier == *tier)
            };
            let facts = access.facts_of(&fans).await?.into_iter();
            told.extend(facts.filter(|(_, facts)| live(facts)).map(|(fan, _)| fan));
            last = Some(end);
        }
    }
    Ok(told.len() as u64)
}

/// Makes a change that was reviewed.
pub(crate) async fn apply(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    let setting_up = integration.setting_up();
    let chosen = chosen(&values, &integration);
    let change = changed(&integration, chosen.clone());
    let memberships: Vec<_> =
        change.into_iter().map(|(tier, roles)| TierRoles { tier, roles }).collect();
    // Sent twice, or done in another tab: it is as it was wanted.
    if !memberships.is_empty() {
        let done = attachments::put_all(
            State(Arc::clone(&app)),
            ByCreator::of(signed.caller.clone())?,
            Path(id),
            Query(DryRun { dry_run: false }),
            IfMatch(values.parse("version")),
            Body(SeveralBody { memberships }),
        );
        match done.await {
            Ok(_) => {}
            Err(error) if error.is(Kind::PRECONDITION_FAILED) => {
                let integration = Integration::load(&app, &signed, id).await?;
                return reviewed(&app, &signed, integration, chosen, true).await;
            }
            Err(error) => return Err(error),
        }
    }
    let next = if setting_up { "?done=set_up" } else { "/memberships?done=saved" };
    done(&app, &signed, id, next).await
}

/// Shows what detaching a tier would do.
pub(crate) async fn ask_remove(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path((id, tier)): Path<(IntegrationId, TierId)>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    let t = &texts::EN.memberships;
    let plan =
        attachments::propose_without(&app, &signed.caller, id, &IfMatch(None), &tier).await?;
    let name = integration.tier(&tier).to_owned();
    let frame = integration
        .frame_below(&app, &signed, &t.remove_title.plain(&name))
        .under(t.title, integration.place("/memberships"))
        .narrow();
    let plan = PlanShown::of(&integration, &plan);
    page(&RemoveTierPage { frame, title: t.remove_title.of(name), integration, tier, plan })
}

pub(crate) async fn remove(
    State(app): AppState,
    Path((id, tier)): Path<(IntegrationId, TierId)>,
    Sent { signed, .. }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let removed = attachments::delete(
        State(Arc::clone(&app)),
        ByCreator::of(signed.caller.clone())?,
        Path((id, tier)),
        Query(DryRun { dry_run: false }),
        IfMatch(None),
    );
    match removed.await {
        Ok(_) => {}
        // Detached already: sent twice, or done in another tab.
        Err(error) if error.is(Kind::NOT_FOUND) => {}
        Err(error) => return Err(error),
    }
    done(&app, &signed, id, "/memberships?done=removed").await
}

/// Where a change leads: to its approval, where it waits for one.
async fn done(
    app: &Arc<App>,
    signed: &Signed<CreatorId>,
    id: IntegrationId,
    next: &str,
) -> Result<Response, ApiError> {
    let integration = Integration::load(app, signed, id).await?;
    if waits(&integration.answer) {
        return Ok(see_other("/creator/approvals"));
    }
    Ok(see_other(&integration.place(next)))
}
