//! Many memberships at once, as lines of JSON.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    response::IntoResponse,
};
use domain::{MembershipId, membership::Outcome};
use eventstore::{Metadata, Position};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::Caller,
    error::{ApiError, FieldError},
    extract::{self, Fields, FromFields},
    routes::memberships::{MembershipBody, Reported, report},
};

/// The most that one import may have, in bytes.
pub(crate) const MAX_BODY: usize = 32 << 20;

/// How many reports are on their way to the disk together.
const TOGETHER: usize = 256;

/// How many lines at fault are shown.
const SHOWN: usize = 100;

struct Line {
    membership: MembershipId,
    body: MembershipBody,
}

impl FromFields for Line {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (membership, body) =
            (fields.required("membership"), MembershipBody::from_fields(fields));
        Some(Self { membership: membership?, body: body? })
    }
}

/// A line that was not taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineError {
    /// From 1.
    line: usize,
    code: String,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Imported {
    applied: u64,
    unchanged: u64,
    stale: u64,
    refused: u64,
    /// The first hundred lines that were refused.
    errors: Vec<LineError>,
}

/// Import memberships
///
/// One membership on each line: the object of `PUT /v1/memberships/{membership}` with `membership` beside. Each
/// line stands for itself: one at fault does not hold up the others.
#[utoipa::path(post, path = "/v1/memberships:import", tag = "Platform", operation_id = "import_memberships",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, description = "A count of each outcome", body = Imported)))]
pub(crate) async fn import(
    State(app): AppState,
    caller: Caller,
    body: Raw,
) -> Result<impl IntoResponse, ApiError> {
    caller.platform()?;
    let metadata = caller.metadata(&app);
    let lines: Vec<(usize, Vec<u8>)> = (1..)
        .zip(body.0.split(|byte| *byte == b'\n'))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(number, line)| (number, line.to_vec()))
        .collect();
    let reports = lines
        .into_iter()
        .map(|(number, line)| one(Arc::clone(&app), metadata.clone(), number, line));
    let mut imported = Imported::default();
    // Two lines of one membership may be on their way together: their versions say which of them stands.
    let mut done = stream::iter(reports).buffered(TOGETHER);
    let mut position = app.store.log().head();
    while let Some(line) = done.next().await {
        match line {
            Ok((outcome, reached)) => {
                position = position.max(reached);
                match outcome {
                    Outcome::Applied => imported.applied += 1,
                    Outcome::Unchanged => imported.unchanged += 1,
                    Outcome::Stale => imported.stale += 1,
                }
            }
            Err(error) => {
                imported.refused += 1;
                if imported.errors.len() < SHOWN {
                    imported.errors.push(error);
                }
            }
        }
    }
    Ok(Written::ok(position, imported))
}

async fn one(
    app: Arc<App>,
    metadata: Metadata,
    line: usize,
    text: Vec<u8>,
) -> Result<(Outcome, Position), LineError> {
    let reported = async {
        let Line { membership, body } = Fields::of_object(extract::object(&text)?)?;
        report(&app, metadata, body.terms(membership)).await
    };
    match reported.await {
        Ok(Reported { outcome, decided, .. }) => Ok((outcome, decided.position)),
        Err(error) => Err(LineError {
            line,
            code: error.code().to_owned(),
            detail: error.detail().to_owned(),
            errors: error.errors().to_vec(),
        }),
    }
}

/// A body of any kind, up to the import's limit.
pub(crate) struct Raw(Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        extract::bytes(request, MAX_BODY).await.map(Self)
    }
}
