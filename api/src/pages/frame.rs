//! What stands around every page: head, navigation, account, support.

use std::sync::Arc;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    error::ApiError,
    pages::{
        PagesSettings,
        session::{Area, Held, Signed},
        texts::{self, Texts},
    },
};

/// Nothing from elsewhere, nothing inline. Ways to Discord are links: a form that was redirected there would be blocked.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who looks at the page.
pub(crate) struct Viewer {
    pub(crate) area: Area,
    pub(crate) id: Option<String>,
    /// What the page's forms carry.
    pub(crate) form_token: String,
    pub(crate) return_url: Option<String>,
}

impl Viewer {
    pub(crate) fn of(held: &Held) -> Self {
        Self {
            area: held.session.person.area(),
            id: held.session.person.id().map(str::to_owned),
            form_token: held.form_token(),
            return_url: held.session.return_url.as_ref().map(ToString::to_string),
        }
    }
}

/// An entry of the navigation.
pub(crate) struct Entry {
    pub(crate) key: &'static str,
    pub(crate) text: &'static str,
    pub(crate) path: &'static str,
}

/// A page above this one.
pub(crate) struct Crumb {
    pub(crate) text: String,
    pub(crate) path: String,
}

pub(crate) struct Frame {
    pub(crate) t: &'static Texts,
    pub(crate) settings: Arc<PagesSettings>,
    pub(crate) title: String,
    pub(crate) viewer: Option<Viewer>,
    /// The entry of the navigation that the page belongs to.
    pub(crate) at: &'static str,
    pub(crate) crumbs: Vec<Crumb>,
    /// The class of the page's width: empty, `narrow`, `middle` or `slim`.
    pub(crate) width: &'static str,
    /// What was just done, to be said once.
    pub(crate) said: Option<String>,
    /// An entry of the navigation, and how much waits there.
    pub(crate) counted: (&'static str, usize),
}

impl Frame {
    /// The frame of a page that anybody may see.
    pub(crate) fn open(app: &App, title: impl Into<String>) -> Self {
        Self {
            t: &texts::EN,
            settings: Arc::clone(&app.pages),
            title: title.into(),
            viewer: None,
            at: "",
            crumbs: vec![],
            width: "",
            said: None,
            counted: ("", 0),
        }
    }

    pub(crate) fn of<P>(app: &App, signed: &Signed<P>, title: impl Into<String>) -> Self {
        Self::open(app, title).viewed_by(Viewer::of(&signed.held))
    }

    pub(crate) fn viewed_by(self, viewer: Viewer) -> Self {
        Self { viewer: Some(viewer), ..self }
    }

    pub(crate) fn at(self, at: &'static str) -> Self {
        Self { at, ..self }
    }

    pub(crate) fn under(mut self, text: impl Into<String>, path: impl Into<String>) -> Self {
        self.crumbs.push(Crumb { text: text.into(), path: path.into() });
        self
    }

    pub(crate) fn narrow(self) -> Self {
        Self { width: "narrow", ..self }
    }

    pub(crate) fn middle(self) -> Self {
        Self { width: "middle", ..self }
    }

    pub(crate) fn slim(self) -> Self {
        Self { width: "slim", ..self }
    }

    pub(crate) fn saying(self, said: Option<String>) -> Self {
        Self { said, ..self }
    }

    /// Says how much waits at an entry of the navigation.
    pub(crate) fn counting(self, entry: &'static str, much: usize) -> Self {
        Self { counted: (entry, much), ..self }
    }

    // What templates ask.

    /// How much waits at an entry of the navigation; `None` where that is not counted.
    pub(crate) fn count(&self, entry: &Entry) -> Option<usize> {
        (self.counted.0 == entry.key).then_some(self.counted.1)
    }

    /// What the pages are called: after the platform that they belong to.
    pub(crate) fn brand(&self) -> &str {
        self.settings.platform_name.as_deref().unwrap_or(self.t.frame.product)
    }

    /// The platform in a sentence.
    pub(crate) fn platform(&self) -> &str {
        self.settings.platform_name.as_deref().unwrap_or(self.t.frame.your_platform)
    }

    /// What the forms of the page carry; nothing where nobody is signed in.
    pub(crate) fn form_token(&self) -> &str {
        self.viewer.as_ref().map_or("", |viewer| viewer.form_token.as_str())
    }

    /// The navigation of the viewer's area.
    pub(crate) fn nav(&self) -> Vec<Entry> {
        let t = &self.t.frame;
        match self.viewer.as_ref().map(|viewer| viewer.area) {
            Some(Area::Creator) => {
                let entry = |key, text, path| Entry { key, text, path };
                vec![
                    entry("integrations", t.integrations, Area::Creator.home()),
                    entry("approvals", t.approvals, "/creator/approvals"),
                ]
            }
            Some(Area::Auditor) => {
                let t = &self.t.audit;
                vec![
                    Entry { key: "log", text: t.log, path: Area::Auditor.home() },
                    Entry { key: "access", text: t.access, path: "/audit/access" },
                    Entry { key: "explain", text: t.explain, path: "/audit/explain" },
                ]
            }
            Some(Area::Fan) => vec![
                Entry { key: "memberships", text: t.memberships, path: Area::Fan.home() },
                Entry { key: "notifications", text: t.notifications, path: "/fan/notifications" },
            ],
            Some(Area::Operator) | None => vec![],
        }
    }

    pub(crate) fn role(&self) -> &'static str {
        let t = &self.t.frame;
        match self.viewer.as_ref().map(|viewer| viewer.area) {
            Some(Area::Creator) => t.creator,
            Some(Area::Fan) => t.fan,
            Some(Area::Auditor) => t.auditor,
            Some(Area::Operator) => t.operator,
            None => "",
        }
    }

    pub(crate) fn home(&self) -> &'static str {
        self.viewer.as_ref().map_or("/", |viewer| viewer.area.home())
    }
}

/// A page as an answer.
pub(crate) fn page(template: &impl Template) -> Result<Response, ApiError> {
    page_with(StatusCode::OK, template)
}

pub(crate) fn page_with(
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, ApiError> {
    let html = template.render().map_err(|error| ApiError::internal(&error))?;
    let mut response = (status, html).into_response();
    dress_headers(response.headers_mut());
    Ok(response)
}

fn dress_headers(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A sign-in link must not be told to whatever a page links to.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        // Kept by this browser alone, which asks each time: going back shows what was typed.
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Sends a browser on after a form was carried out.
pub(crate) fn see_other(path: &str) -> Response {
    let place = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}
