//! The stylesheet, the script and the icon, and the colours of roles as a stylesheet.
//!
//! Roles have any colour, and the content policy allows no inline style: a stylesheet made from the colours that
//! its own address names takes their place.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    extract::RawQuery,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use super::look;
use crate::server::State;

const STYLE: &str = include_str!("../../assets/sandbox.css");
const SCRIPT: &str = include_str!("../../assets/sandbox.js");
const ICON: &str = include_str!("../../assets/icon.svg");

/// What stands behind the addresses of the assets, so that a browser keeps them until they change.
pub(super) struct Versions {
    pub(super) style: String,
    pub(super) script: String,
}

pub(super) fn versions() -> &'static Versions {
    static VERSIONS: LazyLock<Versions> =
        LazyLock::new(|| Versions { style: version(STYLE), script: version(SCRIPT) });
    &VERSIONS
}

fn version(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/assets/sandbox.css", get(|| async { kept("text/css; charset=utf-8", STYLE) }))
        .route(
            "/assets/sandbox.js",
            get(|| async { kept("text/javascript; charset=utf-8", SCRIPT) }),
        )
        .route("/assets/icon.svg", get(|| async { kept("image/svg+xml", ICON) }))
        .route("/assets/tints.css", get(tints))
}

fn kept(kind: &'static str, body: impl IntoResponse) -> Response {
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=31536000, immutable")];
    (headers, body).into_response()
}

/// The colours that the query names: `d4a017.a0a0b0`.
async fn tints(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let colours = query.split('.').filter(|text| text.len() == 6);
    let colours = colours.filter_map(|text| u32::from_str_radix(text, 16).ok());
    let mut css = String::new();
    for colour in colours.take(look::MOST_TINTS) {
        let (light, dark) = look::inks(colour);
        let _ = writeln!(
            css,
            ".c-{colour:06x}{{--dot:#{colour:06x};--ink:#{light:06x}}}\n\
             @media(prefers-color-scheme:dark){{.c-{colour:06x}{{--ink:#{dark:06x}}}}}"
        );
    }
    kept("text/css; charset=utf-8", css)
}
