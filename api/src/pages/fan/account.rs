//! The Discord account: the way to Discord and back, switching, disconnecting.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{FanId, MembershipId, status::Status};

use crate::{
    app::{App, AppState},
    auth::{ByFan, Caller},
    error::ApiError,
    extract::{Fields, FromFields, Path, Query},
    pages::{
        components::{Tile, When},
        fan::{
            HOME,
            access::{self, Access},
        },
        forms::Sent,
        frame::{Frame, page, see_other},
        session::{Destination, Signed},
        texts,
    },
    routes::links,
};

/// The account as pages show it.
pub(super) struct Account {
    pub(super) linked: Option<Linked>,
}

pub(super) struct Linked {
    pub(super) username: String,
    pub(super) since: When,
    pub(super) broken: bool,
}

impl Account {
    pub(super) async fn of(app: &Arc<App>, caller: &Caller, fan: &FanId) -> Result<Self, ApiError> {
        let link =
            links::get(State(Arc::clone(app)), ByFan::of(caller.clone())?, Path(fan.clone()))
                .await?;
        let linked = link.0.discord.map(|discord| Linked {
            username: discord.username,
            since: When(discord.linked_at),
            broken: discord.reason.is_some(),
        });
        Ok(Self { linked })
    }
}

/// What an address says of what was just done: by a form, or on the way back from Discord.
pub(crate) struct BackQuery {
    pub(super) done: Option<String>,
    pub(super) status: Option<String>,
    error: Option<String>,
}

impl FromFields for BackQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let said = ["done", "status", "error"].map(|name| fields.text(name));
        fields.ignore_the_rest();
        let [done, status, error] = said;
        Some(Self { done, status, error })
    }
}

impl BackQuery {
    /// Why Discord was not connected.
    pub(super) fn failed(&self) -> Option<&'static str> {
        let t = &texts::EN;
        Some(match self.error.as_deref()? {
            "oauth_denied" => t.account.denied,
            "account_taken" => t.account.taken,
            "discord_unavailable" => t.account.unavailable,
            "discord_refused" => t.account.refused,
            "missing_scope" => t.troubles.missing_scope,
            _ => t.account.failed_lead,
        })
    }
}

/// Where to come back to from Discord.
pub(crate) struct ToDiscord {
    welcome: Option<MembershipId>,
}

impl FromFields for ToDiscord {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { welcome: fields.optional("welcome")? })
    }
}

/// Sends the browser to Discord. A link rather than a form: a form may not lead to another site.
pub(crate) async fn to_discord(
    State(app): AppState,
    signed: Signed<FanId>,
    Query(ToDiscord { welcome }): Query<ToDiscord>,
) -> Result<Response, ApiError> {
    let back = welcome.map_or(HOME.to_owned(), |bought| Destination::Welcome(bought).path());
    let back = app.pages.url(&back).parse().ok();
    let browser = Some(signed.held.browser());
    let url = links::begin(&app, &signed.caller, signed.who, back, browser).await?;
    Ok(see_other(url.as_str()))
}

#[derive(Template)]
#[template(path = "fan/switch.html")]
struct SwitchPage {
    frame: Frame,
    account: Account,
}

#[derive(Template)]
#[template(path = "fan/disconnect.html")]
struct DisconnectPage {
    frame: Frame,
    username: String,
    /// What goes with it.
    loses: Vec<Access>,
}

/// The frame of a step away from the Memberships page.
pub(super) async fn step(
    app: &App,
    signed: &Signed<FanId>,
    title: String,
) -> Result<Frame, ApiError> {
    let home = texts::EN.held.title;
    Ok(super::frame(app, signed, title).await?.at("memberships").under(home, HOME).slim())
}

pub(crate) async fn ask_switch(
    State(app): AppState,
    signed: Signed<FanId>,
) -> Result<Response, ApiError> {
    let account = Account::of(&app, &signed.caller, &signed.who).await?;
    let frame = step(&app, &signed, texts::EN.account.switch_title.to_owned()).await?;
    page(&SwitchPage { frame, account })
}

pub(crate) async fn ask_disconnect(
    State(app): AppState,
    signed: Signed<FanId>,
) -> Result<Response, ApiError> {
    let account = Account::of(&app, &signed.caller, &signed.who).await?;
    // Whoever goes back, or is done in another tab, goes on where things stand.
    let Some(linked) = account.linked else { return Ok(see_other(HOME)) };
    let all = access::all(&app, &signed).await?;
    let has = all.iter().filter(|shown| shown.status == Status::Connected);
    let mut loses = vec![];
    for shown in has {
        loses.push(Access::of(&app, &texts::EN, &signed.who, "", shown).await?);
    }
    let frame = step(&app, &signed, texts::EN.account.disconnect_title.to_owned()).await?;
    page(&DisconnectPage { frame, username: linked.username, loses })
}

pub(crate) async fn disconnect(
    State(app): AppState,
    Sent { signed, .. }: Sent<FanId>,
) -> Result<Response, ApiError> {
    match links::delete(State(Arc::clone(&app)), ByFan::of(signed.caller)?, Path(signed.who)).await
    {
        Ok(written) => app.seen(written.position).await?,
        // Sent twice: it is done.
        Err(error) if error.code() == "not_linked" => {}
        Err(error) => return Err(error),
    }
    Ok(see_other(&format!("{HOME}?done=disconnected")))
}
