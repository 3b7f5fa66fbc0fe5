//! The set-up screen: the server's roles in Discord's order, where the bot stands among them, and what it can give.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use domain::{
    CreatorId, Decider, IntegrationId, RoleId, Trouble,
    discord::{Role, RoleList},
    integration::{self, Integration as Aggregate},
};
use projections::Change;

use crate::{
    app::{App, AppState},
    error::ApiError,
    extract::{Body, Fields, FromFields, Nothing, Path, Query},
    pages::{
        components::RolePill,
        creator::{
            head::{Head, Integration, Tab},
            overview::OverviewQuery,
        },
        forms::Sent,
        frame::{Frame, page, see_other},
        live::{self, Live, Region},
        session::Signed,
        texts::{self, Html, Texts},
    },
    routes::roles,
};

#[derive(Template)]
#[template(path = "creator/roles.html")]
struct RolesPage {
    frame: Frame,
    /// The integration's pages; none while it is being set up.
    head: Option<Head>,
    /// Where the part is that is live.
    live: String,
    region: Region,
    /// What became of the roles since they were last read; none where they were not read anew.
    changes: Option<Vec<Html>>,
}

/// The part of the page that is live: who drags a role in Discord sees it move here.
#[derive(Template)]
#[template(path = "creator/roles_live.html")]
struct Setup {
    t: &'static Texts,
    form_token: String,
    integration: Integration,
    setting_up: bool,
    ladder: Ladder,
}

impl Setup {
    fn of(signed: &Signed<CreatorId>, integration: Integration) -> Self {
        Self {
            t: &texts::EN,
            form_token: signed.held.form_token(),
            setting_up: integration.connected() && integration.row.state.attachments.is_empty(),
            ladder: Ladder::of(&integration.row.state),
            integration,
        }
    }
}

/// One line of the list.
enum Line {
    /// Where the bot stands: its highest role.
    Bot(RolePill),
    Role {
        pill: RolePill,
        why_not: Option<Trouble>,
        given: bool,
    },
}

/// The server's roles, highest first.
struct Ladder {
    lines: Vec<Line>,
    /// The bot lacks the right to give any role.
    powerless: bool,
    /// How many roles stand above the bot that could be given otherwise.
    above: usize,
    /// A role that a membership gives cannot be given.
    broken: bool,
    can_give: usize,
}

impl Ladder {
    fn of(state: &integration::State) -> Self {
        let (Some(guild), Some(list)) = (state.held_guild(), &state.roles) else {
            return Self { lines: vec![], powerless: false, above: 0, broken: false, can_give: 0 };
        };
        let top = list.bot_top().map(|role| role.id);
        let given = |role: &Role| state.attachments.values().any(|roles| roles.contains(&role.id));
        let line = |role: &Role| {
            let pill = RolePill::new(&role.name, role.color);
            if Some(role.id) == top {
                return Line::Bot(pill);
            }
            Line::Role { pill, why_not: list.why_not(guild, role.id), given: given(role) }
        };
        let lines: Vec<_> = list.roles().iter().map(line).collect();
        let count = |is: fn(Option<Trouble>) -> bool| {
            lines
                .iter()
                .filter(|line| matches!(line, Line::Role { why_not, .. } if is(*why_not)))
                .count()
        };
        let above = count(|why| matches!(why, Some(Trouble::RoleAboveBot | Trouble::RoleTied)));
        let can_give = count(|why| why.is_none());
        let powerless = list.missing_permissions(guild).contains(&Trouble::MissingManageRoles);
        let broken = lines
            .iter()
            .any(|line| matches!(line, Line::Role { why_not: Some(_), given: true, .. }));
        Self { lines, powerless, above, broken, can_give }
    }

    /// Whether the bot's role has to be moved before anything can go on.
    fn stuck(&self) -> bool {
        self.powerless || self.broken || (self.can_give == 0 && self.above > 0)
    }
}

pub(crate) struct RolesQuery {
    /// The version of the integration that the page showed before the roles were read anew.
    since: Option<u64>,
    done: Option<String>,
}

impl FromFields for RolesQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (since, done) = (fields.optional("since"), fields.text("done"));
        Some(Self { since: since?, done })
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(RolesQuery { since, done }): Query<RolesQuery>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    if integration.row.state.held_guild().is_none() {
        return Ok(see_other(&integration.place("/connect")));
    }
    let t = &texts::EN;
    let said = done.map(|_| t.roles.connected.to_owned());
    let setting_up = integration.connected() && integration.row.state.attachments.is_empty();
    let head = (!setting_up).then(|| integration.head(Tab::Roles));
    let frame = if setting_up {
        integration.frame_below(&app, &signed, t.roles.title)
    } else {
        integration.frame(&app, &signed, t.roles.title)
    };
    let changes = match since {
        Some(since) => Some(changes(&app, &integration.row.state, id, since).await?),
        None => None,
    };
    let live = integration.place("/roles/live?");
    let region = Region::of(&Setup::of(&signed, integration))?;
    page(&RolesPage { frame: frame.saying(said), head, live, region, changes })
}

struct LiveSetup {
    signed: Signed<CreatorId>,
    id: IntegrationId,
}

impl Live for LiveSetup {
    fn concerns(&self, change: &Change) -> bool {
        change.stream == "integrations" && change.key == self.id.to_string()
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        let integration = Integration::load(app, &self.signed, self.id).await?;
        Region::of(&Setup::of(&self.signed, integration))
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<CreatorId>,
    headers: HeaderMap,
    Path(id): Path<IntegrationId>,
    Query(query): Query<OverviewQuery>,
) -> Result<Response, ApiError> {
    Integration::load(&app, &signed, id).await?;
    let held = signed.held.clone();
    Ok(live::stream(&app, held, &headers, query.have, LiveSetup { signed, id }))
}

pub(crate) async fn refresh(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    roles::refresh(State(app), signed.caller, Path(id), Body(Nothing)).await?;
    // What has changed is told from what the page showed: the bot may have heard of it meanwhile.
    let seen: Option<u64> = values.parse("seen");
    let since = seen.map(|seen| format!("?since={seen}")).unwrap_or_default();
    Ok(see_other(&super::place(id, &format!("/roles{since}"))))
}

/// What became of a server's roles since a version of the integration.
async fn changes(
    app: &App,
    now: &integration::State,
    id: IntegrationId,
    since: u64,
) -> Result<Vec<Html>, ApiError> {
    let recorded = app.store.log().read_stream(&integration::stream(id), 0).await?;
    let mut before = integration::State::default();
    for envelope in app.store.decode(recorded).await? {
        if envelope.version > since {
            break;
        }
        if let Some(event) = Aggregate::own(envelope.event) {
            Aggregate::evolve(&mut before, &event);
        }
    }
    let (Some(guild), Some(was), Some(is)) = (now.held_guild(), &before.roles, &now.roles) else {
        return Ok(vec![]);
    };
    Ok(difference(|list, role| list.why_not(guild, role), was, is))
}

/// What differs between two readings of a server's roles, in words.
fn difference(
    why_not: impl Fn(&RoleList, RoleId) -> Option<Trouble>,
    was: &RoleList,
    is: &RoleList,
) -> Vec<Html> {
    let t = &texts::EN.roles;
    let mut said = vec![];
    let known: BTreeMap<RoleId, &Role> = was.roles().iter().map(|role| (role.id, role)).collect();
    for role in is.roles() {
        let Some(before) = known.get(&role.id) else {
            said.push(t.new.of(&role.name));
            continue;
        };
        if before.name != role.name {
            said.push(t.renamed.of2(&before.name, &role.name));
        }
        match (why_not(was, role.id), why_not(is, role.id)) {
            (Some(_), None) => said.push(t.now_can.of(&role.name)),
            (None, Some(_)) => said.push(t.no_longer.of(&role.name)),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    let gone = was.roles().iter().filter(|role| is.role(role.id).is_none());
    said.extend(gone.map(|role| t.gone.of(&role.name)));
    said
}
