//! Signing in by a one-time link, and out.
//!
//! Opening the link uses nothing up: whatever looks at links before people do would take it from them. The page behind
//! it signs in by a form, which is sent by itself where scripts run.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use url::Url;

use eventstore::{Store, StoreError};

use crate::{
    app::{App, AppState},
    error::{ApiError, Kind},
    pages::{
        forms::from_here,
        frame::{Frame, page, page_with, see_other},
        session::{Area, Destination, Held, Link, Person, forget},
        texts::{self, Html},
    },
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    token: String,
    lead: Html,
    /// Somebody else, who would be signed out.
    instead_of: Option<Html>,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage {
    frame: Frame,
    return_url: Option<String>,
}

/// Somebody who works for the platform, and whom whoever can open the data folder lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staff {
    Auditor,
    Operator,
}

/// The path of a link that signs somebody in once, within five minutes.
///
/// # Errors
/// The link cannot be stored.
pub async fn sign_in_path(store: &Store, staff: Staff) -> Result<String, StoreError> {
    let (person, destination) = match staff {
        Staff::Auditor => (Person::Auditor, Destination::Audit),
        Staff::Operator => (Person::Operator, Destination::Operator),
    };
    let (path, _) = Link { person, destination, return_url: None }.save(store).await?;
    Ok(path)
}

fn used() -> ApiError {
    ApiError::new(
        Kind::LINK_USED,
        "a sign-in link works once and for five minutes; ask for a new one",
    )
}

pub(crate) async fn ask(
    State(app): AppState,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let link = Link::get(&app, &token).await?.ok_or_else(used)?;
    let t = &texts::EN.sign_in;
    let lead = match &link.person {
        Person::Creator(id) => t.lead_creator.of(id),
        Person::Fan(id) => t.lead_fan.of(id),
        Person::Auditor => texts::Html::text(t.lead_auditor),
        Person::Operator => texts::Html::text(t.lead_operator),
    };
    let before = Held::find(&app, &headers, link.person.area()).await?;
    let other = before.filter(|held| held.live(&app) && held.session.person != link.person);
    // In a demo, one reader is everybody in turn.
    let other = other.filter(|_| app.pages.demo.is_none());
    let instead_of = other.and_then(|held| Some(t.switch_lead.of(held.session.person.id()?)));
    let title = if instead_of.is_some() { t.switch } else { t.title };
    page(&SignInPage { frame: Frame::open(&app, title).slim(), token, lead, instead_of })
}

pub(crate) async fn enter(
    State(app): AppState,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    from_here(&app, &headers)?;
    let link = Link::take(&app, &token).await?.ok_or_else(used)?;
    let path = link.destination.path();
    let held = Held::begin(&app, &headers, link).await?;
    let mut response = see_other(&path);
    response.headers_mut().append(header::SET_COOKIE, held.set_cookie(&app));
    Ok(response)
}

/// Ends the session of an area; it works without one, so that nobody is told to sign in to sign out.
pub(crate) async fn leave(
    State(app): AppState,
    headers: HeaderMap,
    Path(area): Path<String>,
) -> Result<Response, ApiError> {
    from_here(&app, &headers)?;
    let area = Area::of_path(&format!("/{area}")).ok_or_else(ApiError::not_found)?;
    let held = Held::find(&app, &headers, area).await?;
    if let Some(held) = &held {
        held.end(&app).await?;
    }
    let return_url = held.and_then(|held| held.session.return_url).map(|url| url.to_string());
    let frame = Frame::open(&app, texts::EN.sign_in.out).slim();
    let shown = page(&SignedOutPage { frame, return_url })?;
    let headers = AppendHeaders([
        (header::SET_COOKIE, forget(&app, area)),
        // Going back must not show what was open before.
        (header::HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\"")),
    ]);
    Ok((StatusCode::OK, headers, shown).into_response())
}

#[derive(Template)]
#[template(path = "connected.html")]
struct ConnectedPage {
    frame: Frame,
}

/// What a browser sees that came back from Discord and has nowhere to go on to.
pub(crate) fn connected(app: &App) -> Result<Response, ApiError> {
    page(&ConnectedPage { frame: Frame::open(app, texts::EN.sign_in.connected).slim() })
}

#[derive(Template)]
#[template(path = "connect_again.html")]
struct ConnectAgainPage {
    frame: Frame,
    again: String,
}

/// What a fan sees who came back from Discord without having allowed to be added to servers; `again`: where they can.
pub(crate) fn connect_again(app: &App, again: &Url) -> Result<Response, ApiError> {
    let frame = Frame::open(app, texts::EN.sign_in.without_scope).slim();
    page_with(StatusCode::BAD_REQUEST, &ConnectAgainPage { frame, again: again.to_string() })
}
