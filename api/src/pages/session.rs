//! Who is signed in to the pages, and how a browser proves it.
//!
//! Each role has a cookie of its own, so that somebody who sells memberships and buys others is both in one browser.
//! The token in the cookie is the only secret: what forms and ways back from Discord are bound to follows from it.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{CreatorId, FanId, MembershipId};
use eventstore::{Store, StoreError, keys::Role, sessions::Kind as Token};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, Kind},
};

/// How long a sign-in link can be used.
pub(crate) const LINK: TimeDelta = TimeDelta::minutes(5);

/// How long somebody stays signed in.
const SESSION: TimeDelta = TimeDelta::hours(12);

/// How long an ended session is remembered, for the way back to where it was opened from.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", content = "id", rename_all = "snake_case")]
pub(crate) enum Person {
    Creator(CreatorId),
    Fan(FanId),
    Auditor,
    Operator,
}

impl Person {
    pub(crate) fn area(&self) -> Area {
        match self {
            Self::Creator(_) => Area::Creator,
            Self::Fan(_) => Area::Fan,
            Self::Auditor => Area::Auditor,
            Self::Operator => Area::Operator,
        }
    }

    /// Who they are on their platform, where they are somebody in particular.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Creator(id) => Some(id.as_str()),
            Self::Fan(id) => Some(id.as_str()),
            Self::Auditor | Self::Operator => None,
        }
    }

    /// What they may do: what the holder of such a key may.
    fn role(&self) -> Role {
        match self {
            Self::Creator(id) => Role::Creator(id.clone()),
            Self::Fan(id) => Role::Fan(id.clone()),
            Self::Auditor => Role::Auditor,
            Self::Operator => Role::Platform,
        }
    }
}

impl TryFrom<&Role> for Person {
    type Error = ();

    fn try_from(role: &Role) -> Result<Self, ()> {
        match role {
            Role::Creator(id) => Ok(Self::Creator(id.clone())),
            Role::Fan(id) => Ok(Self::Fan(id.clone())),
            Role::Auditor => Ok(Self::Auditor),
            Role::Platform => Ok(Self::Operator),
            Role::Bot => Err(()),
        }
    }
}

/// The pages of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    Creator,
    Fan,
    Auditor,
    Operator,
}

impl Area {
    pub(crate) const ALL: [Self; 4] = [Self::Creator, Self::Fan, Self::Auditor, Self::Operator];

    /// The beginning of the area's paths.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Creator => "/creator",
            Self::Fan => "/fan",
            Self::Auditor => "/audit",
            Self::Operator => "/operator",
        }
    }

    /// The first page.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::Creator => "/creator/integrations",
            Self::Fan => "/fan/memberships",
            Self::Auditor => "/audit",
            Self::Operator => "/operator",
        }
    }

    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let within = |area: &Self| {
            path.strip_prefix(area.path())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Self::ALL.into_iter().find(within)
    }

    fn cookie(self, secure: bool) -> String {
        let name = match self {
            Self::Creator => "creator",
            Self::Fan => "fan",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        };
        // The prefix makes browsers refuse the cookie from anywhere else, and from a connection that is not encrypted.
        if secure { format!("__Host-hub_{name}") } else { format!("hub_{name}") }
    }
}

/// Where a sign-in link leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Destination {
    Hub,
    Memberships,
    Welcome(MembershipId),
    Audit,
    Operator,
}

impl Destination {
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Hub => Area::Creator.home().to_owned(),
            Self::Memberships => Area::Fan.home().to_owned(),
            Self::Welcome(membership) => format!("/fan/welcome/{membership}"),
            Self::Audit => Area::Auditor.home().to_owned(),
            Self::Operator => Area::Operator.home().to_owned(),
        }
    }
}

/// What a sign-in link stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) person: Person,
    pub(crate) destination: Destination,
    pub(crate) return_url: Option<Url>,
}

impl Link {
    /// Makes the link; answers its address.
    pub(crate) async fn create(&self, app: &App) -> Result<(String, DateTime<Utc>), ApiError> {
        let (path, expires_at) = self.save(&app.store).await?;
        Ok((app.pages.url(&path), expires_at))
    }

    /// Makes the link; answers its path.
    pub(crate) async fn save(&self, store: &Store) -> Result<(String, DateTime<Utc>), StoreError> {
        let now = store.clock().now();
        let expires_at = now + LINK;
        let token = store.sessions().create(Token::Link, self, expires_at, now).await?;
        Ok((format!("/sign-in/{}", token.expose_secret()), expires_at))
    }

    pub(crate) async fn get(app: &App, token: &str) -> Result<Option<Self>, ApiError> {
        Ok(app.store.sessions().get(Token::Link, token, app.now()).await?)
    }

    /// Uses the link up.
    pub(crate) async fn take(app: &App, token: &str) -> Result<Option<Self>, ApiError> {
        Ok(app.store.sessions().take(Token::Link, token, app.now()).await?)
    }
}

/// What a session stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) person: Person,
    /// Where the platform wants the browser back.
    pub(crate) return_url: Option<Url>,
    pub(crate) ends_at: DateTime<Utc>,
}

/// A session as its browser holds it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    token: SecretString,
    pub(crate) session: Session,
}

impl Held {
    /// Begins a session; the one before in this browser ends.
    pub(crate) async fn begin(
        app: &App,
        headers: &HeaderMap,
        link: Link,
    ) -> Result<Self, ApiError> {
        let Link { person, return_url, .. } = link;
        if let Some(before) = token(app, headers, person.area()) {
            app.store.sessions().take::<Session>(Token::Session, &before, app.now()).await?;
        }
        let ends_at = app.now() + SESSION;
        let session = Session { person, return_url, ends_at };
        let kept = ends_at + REMEMBERED;
        let token = app.store.sessions().create(Token::Session, &session, kept, app.now()).await?;
        Ok(Self { token, session })
    }

    /// The session of an area in this browser, whether it has ended or not.
    pub(crate) async fn find(
        app: &App,
        headers: &HeaderMap,
        area: Area,
    ) -> Result<Option<Self>, ApiError> {
        let Some(token) = token(app, headers, area) else { return Ok(None) };
        let session: Option<Session> =
            app.store.sessions().get(Token::Session, &token, app.now()).await?;
        let session = session.filter(|session| session.person.area() == area);
        Ok(session.map(|session| Self { token: token.into(), session }))
    }

    pub(crate) fn live(&self, app: &App) -> bool {
        self.session.ends_at > app.now()
    }

    /// Whether the session is still there, for streams that outlive many requests.
    pub(crate) async fn still(&self, app: &App) -> Result<bool, ApiError> {
        let token = self.token.expose_secret();
        let now: Option<Session> =
            app.store.sessions().get(Token::Session, token, app.now()).await?;
        Ok(now.is_some_and(|session| session.ends_at > app.now()))
    }

    /// Ends the session at once.
    pub(crate) async fn end(&self, app: &App) -> Result<(), ApiError> {
        let token = self.token.expose_secret();
        app.store.sessions().take::<Session>(Token::Session, token, app.now()).await?;
        Ok(())
    }

    /// Ends every session of somebody.
    pub(crate) async fn end_all(app: &App, person: &Person) -> Result<(), ApiError> {
        Ok(app.store.sessions().end_all(Token::Session, "person", person).await?)
    }

    pub(crate) fn set_cookie(&self, app: &App) -> HeaderValue {
        let area = self.session.person.area();
        cookie(app, area, self.token.expose_secret(), SESSION + REMEMBERED)
    }

    /// What the session's forms carry.
    pub(crate) fn form_token(&self) -> String {
        self.derived("form")
    }

    /// What a way back from Discord is bound to.
    pub(crate) fn browser(&self) -> String {
        self.derived("oauth")
    }

    pub(crate) fn is_form_token(&self, given: &str) -> bool {
        self.is_derived("form", given)
    }

    pub(crate) fn is_browser(&self, given: &str) -> bool {
        self.is_derived("oauth", given)
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.token.expose_secret().as_bytes())
    }

    fn derived(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key(), purpose.as_bytes()))
    }

    fn is_derived(&self, purpose: &str, given: &str) -> bool {
        let given = URL_SAFE_NO_PAD.decode(given).unwrap_or_default();
        hmac::verify(&self.key(), purpose.as_bytes(), &given).is_ok()
    }
}

fn token(app: &App, headers: &HeaderMap, area: Area) -> Option<String> {
    let name = area.cookie(app.pages.secure());
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then(|| value.to_owned()))
}

fn cookie(app: &App, area: Area, value: &str, lifetime: TimeDelta) -> HeaderValue {
    let secure = app.pages.secure();
    let text = format!(
        "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{}",
        area.cookie(secure),
        lifetime.num_seconds(),
        if secure { "; Secure" } else { "" }
    );
    // Tokens are letters, digits, - and _.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// A cookie that makes a browser forget an area's session.
pub(crate) fn forget(app: &App, area: Area) -> HeaderValue {
    cookie(app, area, "", TimeDelta::zero())
}

/// Those whose pages an area has.
pub(crate) trait Signs: Sized + Send {
    const AREA: Area;
    fn of(person: &Person) -> Option<Self>;
}

impl Signs for CreatorId {
    const AREA: Area = Area::Creator;

    fn of(person: &Person) -> Option<Self> {
        if let Person::Creator(id) = person { Some(id.clone()) } else { None }
    }
}

impl Signs for FanId {
    const AREA: Area = Area::Fan;

    fn of(person: &Person) -> Option<Self> {
        if let Person::Fan(id) = person { Some(id.clone()) } else { None }
    }
}

/// Whoever audits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Auditor;

impl Signs for Auditor {
    const AREA: Area = Area::Auditor;

    fn of(person: &Person) -> Option<Self> {
        if let Person::Auditor = person { Some(Self) } else { None }
    }
}

/// Whoever runs the Hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator;

impl Signs for Operator {
    const AREA: Area = Area::Operator;

    fn of(person: &Person) -> Option<Self> {
        if let Person::Operator = person { Some(Self) } else { None }
    }
}

/// Somebody who is signed in, and calls with what their role may do.
#[derive(Debug, Clone)]
pub(crate) struct Signed<P> {
    pub(crate) who: P,
    pub(crate) held: Held,
    pub(crate) caller: Caller,
}

impl<P: Signs> Signed<P> {
    pub(crate) async fn of(app: &App, headers: &HeaderMap) -> Result<Self, ApiError> {
        let nobody = || ApiError::new(Kind::NOT_SIGNED_IN, "open the Hub from your platform");
        let held = Held::find(app, headers, P::AREA).await?.ok_or_else(nobody)?;
        if !held.live(app) {
            return Err(ApiError::new(
                Kind::SESSION_ENDED,
                "open the Hub from your platform again",
            ));
        }
        let who = P::of(&held.session.person).ok_or_else(nobody)?;
        let caller = Caller::signed_in(held.session.person.role(), app.now());
        Ok(Self { who, held, caller })
    }
}

impl<P: Signs> FromRequestParts<Arc<App>> for Signed<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Self::of(app, &parts.headers).await
    }
}
