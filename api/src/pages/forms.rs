//! Forms: sent from a page of the Hub, by the session that the page was made for.

use std::{str::FromStr, sync::Arc};

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};

use crate::{
    app::App,
    error::{ApiError, Kind},
    extract::{self, MAX_BODY},
    pages::session::{Signed, Signs},
};

/// The field that carries the session's token.
pub(crate) const TOKEN: &str = "form_token";

/// The values of a form, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(pub(crate) Vec<(String, String)>);

impl Values {
    pub(crate) fn read(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A value, or nothing at all.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A value as what it stands for; `None` where it is missing or no such thing.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }
}

/// A form that somebody sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent<P> {
    pub(crate) signed: Signed<P>,
    pub(crate) values: Values,
}

impl<P: Signs> FromRequest<Arc<App>> for Sent<P> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        from_here(app, &headers)?;
        let signed = Signed::<P>::of(app, &headers).await?;
        let values = Values::read(&extract::bytes(request, MAX_BODY).await?);
        if !signed.held.is_form_token(values.text(TOKEN)) {
            return Err(ApiError::new(
                Kind::FORM_STALE,
                "the form is from an earlier sign-in; open the page again and repeat it",
            ));
        }
        Ok(Self { signed, values })
    }
}

/// Refuses a form that another site's page sent. Browsers say from where; what they do not say is held against the
/// origin, and a client that says neither is no browser and has no cookies to misuse.
pub(crate) fn from_here(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let here = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = text(header::HOST.as_str()).unwrap_or_default();
            origin == app.pages.public_url.origin().ascii_serialization()
                || origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        (None, None) => true,
    };
    if here {
        Ok(())
    } else {
        Err(ApiError::new(Kind::CROSS_SITE, "a form may only be sent from a page of the Hub"))
    }
}
