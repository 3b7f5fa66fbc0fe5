//! Parameters that a call does not know are refused. Whoever sends `dry_run` to a call that has none means the opposite
//! of what it would do.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::form_urlencoded;
use utoipa::openapi::{OpenApi, RefOr, path::ParameterIn};

use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, FieldError},
    reading::{UNKNOWN, cut},
};

/// The calls below `/v1` that take no parameters, by method and path. Those that take some name what they do not know by
/// themselves.
#[derive(Clone)]
pub(crate) struct Without(Arc<HashMap<String, BTreeSet<Method>>>);

impl Without {
    pub(crate) fn of(description: &OpenApi) -> Self {
        let mut without = HashMap::new();
        for (path, item) in &description.paths.paths {
            let calls = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            let bare = calls.into_iter().filter(|(_, call)| {
                call.as_ref().is_some_and(|call| {
                    let mut known = call.parameters.iter().flatten();
                    !known.any(|known| matches!(known, RefOr::T(known) if known.parameter_in == ParameterIn::Query))
                })
            });
            let methods: BTreeSet<Method> = bare.map(|(method, _)| method).collect();
            // Whoever sends webhooks may have parameters of their own in the address.
            if path.starts_with("/v1/") && !path.starts_with("/v1/webhooks/") {
                without.insert(path.clone(), methods);
            }
        }
        Self(Arc::new(without))
    }

    fn has(&self, path: &str, method: &Method) -> bool {
        self.0.get(path).is_some_and(|methods| methods.contains(method))
    }
}

pub(crate) async fn guard(
    State((app, without)): State<(Arc<App>, Without)>,
    request: Request,
    next: Next,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let takes_none = request
        .extensions()
        .get::<MatchedPath>()
        .is_some_and(|path| without.has(path.as_str(), request.method()));
    if query.is_empty() || !takes_none {
        return next.run(request).await;
    }
    let names: BTreeSet<String> =
        form_urlencoded::parse(query.as_bytes()).map(|(name, _)| cut(&name)).collect();
    let (mut parts, _) = request.into_parts();
    // Nobody learns anything without a key.
    match Caller::from_request_parts(&mut parts, &app).await {
        Ok(_) => {
            let unknown = names.into_iter().take(100);
            let errors = unknown.map(|name| FieldError::new(name, UNKNOWN)).collect();
            ApiError::invalid(errors).into_response()
        }
        Err(error) => error.into_response(),
    }
}
