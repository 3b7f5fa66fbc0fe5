//! One-time links that sign a browser in to the pages.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::MembershipId;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::AppState,
    auth::ByPlatform,
    error::ApiError,
    extract::{Body, Fields, FromFields, NO_CONTENT, Query},
    pages::session::{Destination, Held, Link, Person},
};

/// Whom a link signs in, and where it leads.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the body is read from")]
pub(crate) struct SessionFields {
    /// `creator`, `fan`, `auditor` or `operator`.
    role: Role,
    /// Which creator or fan. An auditor or an operator needs none.
    id: Option<String>,
    /// The first page: `hub` (creators), `memberships` or `welcome` (fans), `audit` (auditors), `status` (operators).
    page: Option<Page>,
    /// The membership that was just bought, for `welcome`.
    membership: Option<MembershipId>,
    /// Where the pages lead back to: an `http` or `https` URL.
    #[schema(value_type = Option<String>, format = "uri", max_length = 2048)]
    return_url: Option<Url>,
}

pub(crate) struct SessionBody(Link);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    Creator,
    Fan,
    Auditor,
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Page {
    Hub,
    Memberships,
    Welcome,
    Audit,
    Status,
}

fn person(fields: &mut Fields) -> Option<Person> {
    match fields.required("role") {
        Some(Role::Creator) => fields.required("id").map(Person::Creator),
        Some(Role::Fan) => fields.required("id").map(Person::Fan),
        // Whoever looks after everything is not told apart, and may be named all the same.
        Some(other) => {
            fields.optional::<String>("id")?;
            Some(if other == Role::Auditor { Person::Auditor } else { Person::Operator })
        }
        None => {
            fields.text("id");
            None
        }
    }
}

impl FromFields for SessionBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (person, return_url) = (person(fields), fields.web_address("return_url"));
        let page: Option<Option<Page>> = fields.optional("page");
        let membership: Option<Option<MembershipId>> = fields.optional("membership");
        let (person, return_url, page, membership) = (person?, return_url?, page?, membership?);
        let destination = destination(fields, &person, page, membership)?;
        Some(Self(Link { person, destination, return_url }))
    }
}

fn destination(
    fields: &mut Fields,
    person: &Person,
    page: Option<Page>,
    membership: Option<MembershipId>,
) -> Option<Destination> {
    let named = membership.is_some();
    let destination = match (person, page, membership) {
        (Person::Creator(_), None | Some(Page::Hub), None) => Destination::Hub,
        (Person::Fan(_), None | Some(Page::Memberships), None) => Destination::Memberships,
        (Person::Fan(_), Some(Page::Welcome), Some(membership)) => Destination::Welcome(membership),
        (Person::Auditor, None | Some(Page::Audit), None) => Destination::Audit,
        (Person::Operator, None | Some(Page::Status), None) => Destination::Operator,
        (Person::Fan(_), Some(Page::Welcome), None) => {
            fields.fault("membership", "must be given for the page welcome");
            return None;
        }
        _ if named => {
            fields.fault("membership", "is for a fan's page welcome only");
            return None;
        }
        _ => {
            fields.fault(
                "page",
                "must be hub for a creator, memberships or welcome for a fan, audit for an auditor, status for an operator",
            );
            return None;
        }
    };
    Some(destination)
}

/// A link to be opened in a browser.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionAnswer {
    /// Signs in once.
    url: String,
    expires_at: DateTime<Utc>,
}

/// Make a sign-in link
///
/// Send the person's browser there: the link works once and for five minutes. `Idempotency-Key` is not honoured, as the
/// answer is a secret.
#[utoipa::path(post, path = "/v1/sessions", tag = "Platform", operation_id = "create_session",
    request_body = SessionFields,
    responses((status = 201, description = "Where to send the browser", body = SessionAnswer)))]
pub(crate) async fn create(
    State(app): AppState,
    _: ByPlatform,
    Body(SessionBody(link)): Body<SessionBody>,
) -> Result<(StatusCode, Json<SessionAnswer>), ApiError> {
    let (url, expires_at) = link.create(&app).await?;
    Ok((StatusCode::CREATED, Json(SessionAnswer { url, expires_at })))
}

/// Whose sessions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what the query is read from")]
pub(crate) struct WhoseQuery {
    /// `creator`, `fan`, `auditor` or `operator`.
    #[param(inline)]
    role: Role,
    /// Which creator or fan.
    id: Option<String>,
}

pub(crate) struct Whose(Person);

impl FromFields for Whose {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        person(fields).map(Self)
    }
}

/// Sign somebody out everywhere
#[utoipa::path(delete, path = "/v1/sessions", tag = "Platform", operation_id = "end_sessions", params(WhoseQuery),
    responses((status = 204, description = "No browser is signed in as them any more")))]
pub(crate) async fn end(
    State(app): AppState,
    _: ByPlatform,
    Query(Whose(person)): Query<Whose>,
) -> Result<StatusCode, ApiError> {
    Held::end_all(&app, &person).await?;
    Ok(NO_CONTENT)
}
