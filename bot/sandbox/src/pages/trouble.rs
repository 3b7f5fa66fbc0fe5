//! The page that says what did not work, and what to do.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::show;

#[derive(Template)]
#[template(path = "trouble.html")]
pub(super) struct Trouble {
    status: StatusCode,
    what: String,
    fix: &'static str,
    back: String,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, what: impl Into<String>) -> Self {
        Self { status, what: what.into(), fix: "Go back and try again.", back: "/".to_owned() }
    }

    /// Something that is gone, or never was.
    pub(super) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what} here."))
            .fix("It may have been deleted. Go back to see what there is.")
    }

    /// Something typed that cannot be taken.
    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, what)
    }

    pub(super) fn fix(self, fix: &'static str) -> Self {
        Self { fix, ..self }
    }

    pub(super) fn back(self, back: impl Into<String>) -> Self {
        Self { back: back.into(), ..self }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.status, show(&self)).into_response()
    }
}
