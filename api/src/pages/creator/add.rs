//! Add Integration, the first two steps: a provider, and a name.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{
    CreatorId, DisplayName, IntegrationId,
    integration::{Event as IntegrationEvent, Provider},
    name::MAX_NAME,
};
use eventstore::{AppendKey, Position};
use ring::digest;
use uuid::Uuid;

use crate::{
    app::{App, AppState},
    error::ApiError,
    pages::{
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
    /// Makes the form one form, however often it is sent.
    once: Uuid,
}

impl NamePage {
    const MOST: usize = MAX_NAME;

    fn new(
        app: &App,
        signed: &Signed<CreatorId>,
        name: &str,
        fault: &'static str,
        once: Uuid,
    ) -> Self {
        let t = &texts::EN;
        let frame = Frame::of(app, signed, t.add.name_title)
            .at("integrations")
            .under(t.frame.integrations, Area::Creator.home())
            .under(t.add.title, "/creator/integrations/new")
            .narrow();
        Self { frame, name: name.to_owned(), fault, once }
    }
}

pub(crate) async fn providers(
    State(app): AppState,
    signed: Signed<CreatorId>,
) -> Result<Response, ApiError> {
    let t = &texts::EN;
    let frame = Frame::of(&app, &signed, t.add.title)
        .at("integrations")
        .under(t.frame.integrations, Area::Creator.home())
        .narrow();
    page(&ProvidersPage { frame })
}

pub(crate) async fn ask_name(
    State(app): AppState,
    signed: Signed<CreatorId>,
) -> Result<Response, ApiError> {
    page(&NamePage::new(&app, &signed, "", "", Uuid::new_v4()))
}

pub(crate) async fn create(
    State(app): AppState,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let (typed, once) = (values.text("name"), values.parse("once").unwrap_or_else(Uuid::new_v4));
    let Ok(name) = typed.parse::<DisplayName>() else {
        let again = NamePage::new(&app, &signed, typed, texts::EN.add.name_fault, once);
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
    };
    let key = key_of(&signed.who, once, &name);
    let (made, decided) =
        integrations::begin(&app, &signed.caller, signed.who, Provider::Discord, name, Some(key))
            .await?;
    let id = if decided.replayed { created_at(&app, decided.position).await? } else { made.id };
    Ok(see_other(&format!("/creator/integrations/{id}/connect")))
}

/// One form with one name makes one integration, however often it is sent.
fn key_of(creator: &CreatorId, once: Uuid, name: &DisplayName) -> AppendKey {
    let mut request_hash = [0; 32];
    let hash = digest::digest(&digest::SHA256, name.as_str().as_bytes());
    request_hash.copy_from_slice(hash.as_ref());
    let short =
        u32::from_be_bytes([request_hash[0], request_hash[1], request_hash[2], request_hash[3]]);
    AppendKey { key: format!("http:page:{creator}:{once}:{short:08x}"), request_hash, answer: None }
}

/// The integration that an event at a position created.
async fn created_at(app: &App, position: Position) -> Result<IntegrationId, ApiError> {
    let before = Position(position.0.saturating_sub(1));
    let read = app.store.log().read_after(before, 1).await?;
    let created =
        app.store.decode(read).await?.into_iter().find_map(|envelope| match envelope.event {
            domain::Event::Integration(event @ IntegrationEvent::IntegrationCreated { .. }) => {
                Some(event.integration())
            }
            _ => None,
        });
    created.ok_or_else(ApiError::not_found)
}
