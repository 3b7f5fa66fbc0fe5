//! Problems as pages: what happened, what to do, and what was typed is kept.
//!
//! Handlers of pages fail with the same `ApiError` as every route; it becomes a page here, on the way out, wherever a
//! browser asked.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    app::{App, AppState},
    error::Problem,
    extract::{self, MAX_BODY},
    pages::{
        forms::{TOKEN, Values},
        frame::{Frame, Viewer, page_with},
        session::{Area, Held},
        texts,
    },
};

/// A form that was not carried out.
struct Kept {
    action: String,
    values: Values,
}

/// The fields that people write in; what they choose by a click is kept too, in words that only the page knows.
const WRITTEN: [&str; 2] = ["name", "why"];

impl Kept {
    /// What somebody wrote, for their eyes.
    fn shown(&self) -> impl Iterator<Item = &str> {
        let written = |(name, value): &&(String, String)| {
            WRITTEN.contains(&name.as_str()) && !value.trim().is_empty()
        };
        self.values.0.iter().filter(written).map(|(_, value)| value.as_str())
    }

    /// What is sent again, without the token, which is the new session's.
    fn hidden(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .0
            .iter()
            .filter(|(name, _)| name != TOKEN)
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    lead: String,
    /// What the Hub says of this case in particular.
    detail: Option<String>,
    faults: Vec<String>,
    code: String,
    kept: Option<Kept>,
    /// Where to go from here.
    way_out: WayOut,
}

enum WayOut {
    /// To the platform, which signs in again.
    Platform(Option<String>),
    /// The same once more.
    Again(String),
    Home(&'static str),
    /// To where this browser is signed in.
    On(&'static str),
}

/// Where a browser is signed in.
async fn signed_in(app: &App, headers: &HeaderMap) -> Vec<Area> {
    let mut areas = vec![];
    for area in Area::ALL {
        // The page about a failing store must not fail for it.
        let held = Held::find(app, headers, area).await.ok().flatten();
        if held.is_some_and(|held| held.live(app)) {
            areas.push(area);
        }
    }
    areas
}

/// Where somebody goes on who is signed in; the first page where that is in several places.
fn home(areas: &[Area]) -> Option<&'static str> {
    match areas {
        [] => None,
        [area] => Some(area.home()),
        _ => Some("/"),
    }
}

/// Whom an area is for: one of them, and all.
fn people(area: Area) -> (&'static str, &'static str) {
    let t = &texts::EN.errors;
    match area {
        Area::Creator => (t.a_creator, t.creators),
        Area::Fan => (t.a_fan, t.fans),
        Area::Auditor => (t.an_auditor, t.auditors),
        Area::Operator => (t.an_operator, t.operators),
    }
}

/// Whether a person will read the answer.
fn is_page(request: &Request) -> bool {
    let headers = request.headers();
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    !request.uri().path().starts_with("/v1/")
        && (headers.contains_key("hx-request")
            || accepts.is_some_and(|accept| accept.contains("text/html")))
}

/// Makes a page of what went wrong.
pub(crate) async fn dress(State(app): AppState, request: Request, next: Next) -> Response {
    if !is_page(&request) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let (headers, uri, method) = (parts.headers.clone(), parts.uri.clone(), parts.method.clone());
    let action = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let (response, kept) = if method == Method::POST {
        match extract::bytes(Request::from_parts(parts.clone(), body), MAX_BODY).await {
            Ok(bytes) => {
                let values = Values::read(&bytes);
                let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
                (response, Some(Kept { action: action.clone(), values }))
            }
            Err(error) => (error.into_response(), None),
        }
    } else {
        (next.run(Request::from_parts(parts, body)).await, None)
    };
    let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned() else {
        return response;
    };
    let status = response.status();
    let area = Area::of_path(uri.path());
    match shown(&app, &headers, area, &problem, status, kept, action).await {
        Some(page) => page,
        None => response,
    }
}

async fn shown(
    app: &App,
    headers: &HeaderMap,
    area: Option<Area>,
    problem: &Problem,
    status: StatusCode,
    kept: Option<Kept>,
    here: String,
) -> Option<Response> {
    let t = &texts::EN.errors;
    // The page about a failing store must not fail for it.
    let held = match area {
        Some(area) => Held::find(app, headers, area).await.ok().flatten(),
        None => None,
    };
    let frame = Frame::open(app, "").slim();
    let platform = frame.platform().to_owned();
    let from_platform = || {
        let held = held.as_ref().and_then(|held| held.session.return_url.as_ref());
        WayOut::Platform(held.map(ToString::to_string))
    };
    let home = WayOut::Home(area.map_or("/", Area::home));
    let still_in = match problem.code.as_str() {
        "link_used" | "not_signed_in" => signed_in(app, headers).await,
        _ => vec![],
    };
    let on = self::home(&still_in).map(WayOut::On);
    let (mut detail, mut title) = (None, String::new());
    let (known, lead, way_out) = match problem.code.as_str() {
        "not_found" => (t.not_found, t.not_found_lead.to_owned(), home),
        "session_ended" => (t.ended, t.ended_lead.plain(&platform), from_platform()),
        "not_signed_in" => match (area, still_in.first(), on) {
            (Some(area), Some(other), Some(on)) => {
                title = t.somebody_else.plain(people(*other).0);
                let lead = t.somebody_else_lead.plain(people(area).1);
                ("", lead.replacen("{}", &platform, 1), on)
            }
            (..) => (t.nobody, t.nobody_lead.plain(&platform), from_platform()),
        },
        "form_stale" => (t.stale, t.stale_lead.to_owned(), home),
        "cross_site" => (t.cross_site, t.cross_site_lead.to_owned(), home),
        "link_used" => match on {
            Some(on) => (t.link_used, t.link_used_in.to_owned(), on),
            None => (t.link_used, t.link_used_lead.plain(&platform), from_platform()),
        },
        "oauth_state_invalid" => (t.way_back, t.way_back_lead.to_owned(), home),
        "discord_unavailable" => {
            detail = Some(sentence(&problem.detail));
            (t.failed, String::new(), WayOut::Again(here))
        }
        _ if status == StatusCode::SERVICE_UNAVAILABLE => {
            (t.later, t.later_lead.to_owned(), WayOut::Again(here))
        }
        _ if status.is_server_error() => (t.broken, t.broken_lead.to_owned(), WayOut::Again(here)),
        _ => {
            detail = Some(sentence(&problem.detail));
            (t.failed, String::new(), home)
        }
    };
    let way_out = match &problem.again {
        Some(url) => WayOut::Again(url.to_string()),
        None => way_out,
    };
    let signed_out = matches!(problem.code.as_str(), "session_ended" | "not_signed_in");
    let kept =
        kept.filter(|_| signed_out || problem.code == "form_stale" || status.is_server_error());
    let title = if title.is_empty() { known.to_owned() } else { title };
    let mut frame = Frame { title, ..frame };
    if let Some(held) = held.filter(|held| held.live(app)) {
        frame = frame.viewed_by(Viewer::of(&held));
    }
    let faults = problem.errors.iter().map(|fault| sentence(&fault.detail)).collect();
    let code = problem.code.clone();
    let page = ErrorPage { frame, lead, detail, faults, code, kept, way_out };
    page_with(status, &page).ok()
}

/// A problem's words as a sentence: they begin small and end without a stop, as logs have them.
pub(crate) fn sentence(words: &str) -> String {
    let mut letters = words.trim().chars();
    let Some(first) = letters.next() else { return String::new() };
    let mut sentence: String = first.to_uppercase().chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_sentence() {
        assert_eq!(sentence("wait; try again"), "Wait; try again.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn what_only_the_page_knows_is_not_shown_as_typed() {
        let values = [("form_token", "abc"), ("name", "My club"), ("role", "123"), ("why", "")];
        let values = Values(values.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let kept = Kept { action: "/".to_owned(), values };
        assert_eq!(kept.shown().collect::<Vec<_>>(), ["My club"]);
        assert_eq!(kept.hidden().count(), 3);
    }
}
