//! The set-up screen: the server's roles in Discord's order, where the bot stands among them, and what it can give.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use domain::{
    CreatorId, Decider, IntegrationId, RoleId, Trouble,
    discord::{Role, RoleList},
    integration::{self, Event as IntegrationEvent, Integration as Aggregate},
    trouble,
};
use projections::{Change, Topic};

use crate::{
    app::{App, AppState},
    auth::ByCreator,
    error::{ApiError, Kind},
    extract::{Body, Fields, FromFields, Nothing, Path, Query},
    pages::{
        components::RolePill,
        creator::{
            head::{Head, Integration, Tab},
            is_within,
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
}

/// What came of reading the roles anew.
enum Outcome {
    /// Discord did not let them be read: what to do about it.
    Failed(String),
    Same,
    /// What became of the roles.
    Changed(Vec<Html>),
}

/// The part of the page that is live: who drags a role in Discord sees it move here.
#[derive(Template)]
#[template(path = "creator/roles_live.html")]
struct Setup {
    t: &'static Texts,
    form_token: String,
    integration: Integration,
    setting_up: bool,
    /// The bot is not in the server: whatever is known of the roles, it can give none.
    gone: bool,
    ladder: Ladder,
    outcome: Option<Outcome>,
}

impl Setup {
    async fn of(
        app: &App,
        signed: &Signed<CreatorId>,
        integration: Integration,
        asked: &RolesQuery,
    ) -> Result<Self, ApiError> {
        let outcome = outcome(app, &integration, asked).await?;
        let state = &integration.row.state;
        let refused = matches!(outcome, Some(Outcome::Failed(_)))
            && asked.error.as_deref() == Some(Trouble::BotMissing.code());
        Ok(Self {
            t: &texts::EN,
            form_token: signed.held.form_token(),
            setting_up: integration.setting_up(),
            gone: state.bot_missing || refused,
            ladder: Ladder::of(state),
            outcome,
            integration,
        })
    }

    /// Whether the bot's role has to be dragged before anything can go on.
    fn is_low(&self) -> bool {
        !self.gone && self.ladder.is_low()
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
#[derive(Default)]
struct Ladder {
    lines: Vec<Line>,
    /// The bot lacks the right to give any role.
    powerless: bool,
    /// How many roles stand above the bot that could be given otherwise.
    above: usize,
    /// Among them is one that a membership gives.
    broken: bool,
    can_give: usize,
    /// What the bot's highest role is called.
    bot: Option<String>,
}

impl Ladder {
    fn of(state: &integration::State) -> Self {
        let (Some(guild), Some(list)) = (state.held_guild(), &state.roles) else {
            return Self::default();
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
        let low = |why| matches!(why, Some(Trouble::RoleAboveBot | Trouble::RoleTied));
        let above = count(low);
        let can_give = count(|why| why.is_none());
        let powerless = list.missing_permissions(guild).contains(&Trouble::MissingManageRoles);
        let broken = lines
            .iter()
            .any(|line| matches!(line, Line::Role { why_not, given: true, .. } if low(*why_not)));
        let bot = list.bot_top().map(|role| role.name.clone());
        Self { lines, powerless, above, broken, can_give, bot }
    }

    /// Whether the bot's role has to be dragged before anything can go on.
    fn is_low(&self) -> bool {
        !self.powerless && (self.broken || (self.can_give == 0 && self.above > 0))
    }

    /// What the bot's role is called.
    fn bot(&self) -> &str {
        self.bot.as_deref().unwrap_or(texts::EN.roles.the_bot)
    }

    /// The same where there is room for a few letters.
    fn bot_in_short(&self) -> String {
        match self.bot().char_indices().nth(LETTERS) {
            Some((end, _)) => format!("{}…", self.bot()[..end].trim_end()),
            None => self.bot().to_owned(),
        }
    }
}

/// How many letters have room in a picture.
const LETTERS: usize = 26;

#[derive(Clone)]
pub(crate) struct RolesQuery {
    /// The version of the integration that the page showed before the roles were read anew; with an `error`, the one
    /// at which they could not be.
    since: Option<u64>,
    error: Option<String>,
    done: Option<String>,
    have: Option<String>,
}

impl FromFields for RolesQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (since, error) = (fields.optional("since"), fields.text("error"));
        let (done, have) = (fields.text("done"), fields.text("have"));
        Some(Self { since: since?, error, done, have })
    }
}

impl RolesQuery {
    /// What the live part needs to know of it.
    fn live(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.since.map(|since| ("since", since.to_string())));
        query.extend_pairs(self.error.as_ref().map(|error| ("error", error)));
        let query = query.finish();
        if query.is_empty() { query } else { format!("{query}&") }
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(asked): Query<RolesQuery>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    if integration.row.state.held_guild().is_none() {
        return Ok(see_other(&integration.place("/connect")));
    }
    let t = &texts::EN;
    let said = asked.done.as_ref().map(|_| t.roles.connected.to_owned());
    let setting_up = integration.setting_up();
    let head = (!setting_up).then(|| integration.head(Tab::Roles));
    let frame = if setting_up {
        integration.frame_below(&app, &signed, t.roles.title)
    } else {
        integration.frame(&app, &signed, t.roles.title)
    };
    let live = integration.place(&format!("/roles/live?{}", asked.live()));
    let region = Region::of(&Setup::of(&app, &signed, integration, &asked).await?)?;
    page(&RolesPage { frame: frame.saying(said), head, live, region })
}

struct LiveSetup {
    signed: Signed<CreatorId>,
    id: IntegrationId,
    asked: RolesQuery,
}

impl Live for LiveSetup {
    fn concerns(&self, change: &Change) -> bool {
        is_within(change, &[Topic::Integrations], self.id)
    }

    async fn render(&self, app: &Arc<App>) -> Result<Region, ApiError> {
        let integration = Integration::load(app, &self.signed, self.id).await?;
        Region::of(&Setup::of(app, &self.signed, integration, &self.asked).await?)
    }
}

pub(crate) async fn follow(
    State(app): AppState,
    signed: Signed<CreatorId>,
    headers: HeaderMap,
    Path(id): Path<IntegrationId>,
    Query(asked): Query<RolesQuery>,
) -> Result<Response, ApiError> {
    Integration::load(&app, &signed, id).await?;
    let (held, have) = (signed.held.clone(), asked.have.clone());
    Ok(live::stream(&app, held, &headers, have, LiveSetup { signed, id, asked }))
}

pub(crate) async fn refresh(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let caller = ByCreator::of(signed.caller.clone())?;
    let query = match roles::refresh(State(Arc::clone(&app)), caller, Path(id), Body(Nothing)).await
    {
        // What has changed is told from what the page showed: the bot may have heard of it meanwhile.
        Ok(_) => values.parse("seen").map(|seen: u64| format!("?since={seen}")),
        Err(error) => {
            let Some(why) = why_unread(&error) else { return Err(error) };
            let row = Integration::load(&app, &signed, id).await?.row;
            // One refusal is no proof that the bot was thrown out; comparing finds out.
            if let (true, Some(guild)) = (why == Trouble::BotMissing.code(), row.state.held_guild())
            {
                app.desk.compare(guild);
            }
            Some(format!("?since={}&error={why}", row.version))
        }
    };
    Ok(see_other(&super::place(id, &format!("/roles{}", query.unwrap_or_default()))))
}

/// Why the roles could not be read, in a word for the address; nothing where it is not Discord's doing.
fn why_unread(error: &ApiError) -> Option<&'static str> {
    let known =
        || Trouble::ALL.iter().copied().find(|known| error.detail().starts_with(known.detail()));
    if error.is(Kind::DISCORD_UNAVAILABLE) {
        Some(error.code())
    } else if error.is(Kind::DISCORD_REFUSED) {
        Some(known().map_or(error.code(), Trouble::code))
    } else {
        None
    }
}

/// What to do about roles that could not be read.
fn words(why: &str) -> String {
    let t = &texts::EN.roles;
    match trouble::of_code(why) {
        Some(trouble) => format!("{} {}", trouble.detail(), trouble.fix()),
        None if why == "discord_unavailable" => t.unread_later.to_owned(),
        None => t.unread_refused.to_owned(),
    }
}

/// What came of reading the roles anew, as far as it still holds.
async fn outcome(
    app: &App,
    integration: &Integration,
    asked: &RolesQuery,
) -> Result<Option<Outcome>, ApiError> {
    let Some(since) = asked.since else { return Ok(None) };
    let row = &integration.row;
    let changed = changes(app, &row.state, row.id, since).await?;
    Ok(match &asked.error {
        _ if !changed.is_empty() => Some(Outcome::Changed(changed)),
        None => Some(Outcome::Same),
        // Something was heard from the server since then.
        Some(_) if row.version > since => None,
        Some(why) => Some(Outcome::Failed(words(why))),
    })
}

/// What became of a server's roles since a version of the integration.
async fn changes(
    app: &App,
    now: &integration::State,
    id: IntegrationId,
    since: u64,
) -> Result<Vec<Html>, ApiError> {
    // Each reading has the whole list, and there may be a great many of them.
    let stream = integration::stream(id);
    let read = app.store.log().last_of(&stream, "RolesRefreshed", since).await?;
    let read = app.store.decode(read.into_iter().collect()).await?.into_iter();
    let was = read.filter_map(|envelope| {
        let event = Aggregate::own(envelope.event)?;
        let IntegrationEvent::RolesRefreshed { roles, .. } = event else { return None };
        Some(roles)
    });
    let (Some(guild), Some(was), Some(is)) = (now.held_guild(), was.last(), &now.roles) else {
        return Ok(vec![]);
    };
    Ok(difference(|list, role| list.why_not(guild, role), &was, is))
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
