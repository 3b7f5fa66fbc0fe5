//! What pages load: kept in the binary, named by content, cached for good.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;

use crate::error::ApiError;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 5] = [
    Asset {
        name: "app.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("../../assets/app.css"),
    },
    Asset {
        name: "app.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../../assets/app.js"),
    },
    Asset {
        name: "htmx.min.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../../assets/htmx.min.js"),
    },
    Asset {
        name: "htmx-sse.min.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../../assets/htmx-sse.min.js"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        content: include_str!("../../assets/icon.svg"),
    },
];

/// A name for all assets together: it changes when one of them does.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut context = digest::Context::new(&digest::SHA256);
    for asset in &ASSETS {
        context.update(asset.content.as_bytes());
    }
    short(context.finish().as_ref())
});

/// The beginning of a hash, as text.
pub(crate) fn short(hash: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&hash[..hash.len().min(6)])
}

/// Where an asset is.
pub(crate) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *EDITION)
}

pub(crate) async fn serve(Path((_, name)): Path<(String, String)>) -> Result<Response, ApiError> {
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(ApiError::not_found)?;
    let mut response = asset.content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
