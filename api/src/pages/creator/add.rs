//! Add Integration, the first two steps: a provider, and a name.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{
    CreatorId, DisplayName, IntegrationId,
    integration::{self, Provider},
};
use uuid::Uuid;

use crate::{
    app::{App, AppState},
    error::{ApiError, Kind},
    extract::{Fields, FromFields, IfMatch, Query},
    pages::{
        creator::place,
        forms::Sent,
        frame::{Frame, page, page_with, see_other},
        session::{Area, Signed},
        texts,
    },
    routes::integrations,
};

#[derive(Template)]
#[template(path = "creator/add.html")]
struct ProvidersPage {
    frame: Frame,
}

#[derive(Template)]
#[template(path = "creator/name.html")]
struct NamePage {
    frame: Frame,
    name: String,
    fault: &'static str,
    /// Which integration it makes, however often it is sent.
    id: Uuid,
}

impl NamePage {
    async fn new(
        app: &App,
        signed: &Signed<CreatorId>,
        name: &str,
        fault: &'static str,
        id: Uuid,
    ) -> Result<Self, ApiError> {
        let t = &texts::EN;
        let frame = super::frame(app, signed, t.add.name_title)
            .await?
            .at("integrations")
            .under(t.frame.integrations, Area::Creator.home())
            .under(t.add.title, "/creator/integrations/new")
            .narrow();
        Ok(Self { frame, name: name.to_owned(), fault, id })
    }
}

pub(crate) async fn providers(
    State(app): AppState,
    signed: Signed<CreatorId>,
) -> Result<Response, ApiError> {
    let t = &texts::EN;
    let frame = super::frame(&app, &signed, t.add.title)
        .await?
        .at("integrations")
        .under(t.frame.integrations, Area::Creator.home())
        .narrow();
    page(&ProvidersPage { frame })
}

/// Which integration is named.
pub(crate) struct Which(Option<Uuid>);

impl FromFields for Which {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.optional("id")?))
    }
}

/// Asks for a name. The address says which integration gets it, so that coming back to it is not beginning another one.
pub(crate) async fn ask_name(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Query(Which(id)): Query<Which>,
) -> Result<Response, ApiError> {
    let Some(id) = id else {
        return Ok(see_other(&format!("/creator/integrations/new/discord?id={}", Uuid::now_v7())));
    };
    let name = match integrations::row(&app, &signed.caller, IntegrationId(id)).await {
        Ok(row) => row.name.to_string(),
        Err(error) if error.is(Kind::NOT_FOUND) => String::new(),
        Err(error) => return Err(error),
    };
    page(&NamePage::new(&app, &signed, &name, "", id).await?)
}

pub(crate) async fn create(
    State(app): AppState,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let typed = values.text("name");
    let id = values.parse("id").unwrap_or_else(Uuid::now_v7);
    let Ok(name) = typed.parse::<DisplayName>() else {
        let again = NamePage::new(&app, &signed, typed, texts::EN.add.name_fault, id).await?;
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
    };
    let id = match named(&app, &signed, IntegrationId(id), name.clone()).await {
        // Deleted since the form was made.
        Err(error) if error.is(Kind::NOT_FOUND) => {
            named(&app, &signed, IntegrationId(Uuid::now_v7()), name).await?
        }
        done => done?,
    };
    Ok(see_other(&place(id, "/connect")))
}

/// Creates the integration, or renames it: whoever goes back to the form and sends it again means the same one.
async fn named(
    app: &Arc<App>,
    signed: &Signed<CreatorId>,
    id: IntegrationId,
    name: DisplayName,
) -> Result<IntegrationId, ApiError> {
    let (caller, creator) = (&signed.caller, signed.who.clone());
    integrations::begin(app, caller, id, creator, Provider::Discord, name.clone(), None).await?;
    let rename = vec![integration::Command::Rename { name }];
    let (decided, _) = integrations::command(app, caller, id, &IfMatch(None), rename, None).await?;
    app.seen(decided.position).await?;
    Ok(id)
}
