//! An integration's settings: its name, what happens when memberships end, what to do about others' changes.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use domain::{
    CreatorId, DisplayName, IntegrationId,
    integration::{Drift, OnEnd},
};
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error as Unreadable};

use crate::{
    app::{App, AppState},
    auth::ByCreator,
    error::{ApiError, Kind},
    extract::{Body, IfMatch, Path, Query},
    pages::{
        creator::{
            head::{Head, Integration, Tab},
            memberships::DoneQuery,
        },
        forms::Sent,
        frame::{Frame, page, page_with, see_other},
        session::Signed,
        texts,
    },
    routes::integrations::{self, ChangeBody, LimitBody},
};

#[derive(Template)]
#[template(path = "creator/settings.html")]
struct SettingsPage {
    frame: Frame,
    head: Head,
    integration: Integration,
    name: String,
    on_end: OnEnd,
    drift: Drift,
    /// More removals at once than this wait for approval: fans, and a share in percent.
    limit: (String, String),
    fault: &'static str,
    limit_fault: &'static str,
    /// Somebody else has changed the integration meanwhile.
    moved: bool,
}

impl SettingsPage {
    fn new(app: &App, signed: &Signed<CreatorId>, integration: Integration) -> Self {
        let state = &integration.row.state;
        Self {
            frame: integration.frame(app, signed, texts::EN.integration.settings),
            head: integration.head(Tab::Settings),
            name: integration.row.name.to_string(),
            on_end: state.on_end,
            drift: state.drift,
            limit: (state.removal_limit.fans.to_string(), state.removal_limit.percent.to_string()),
            fault: "",
            limit_fault: "",
            moved: false,
            integration,
        }
    }

    fn has_server(&self) -> bool {
        self.integration.row.state.is_held()
    }
}

/// A policy by the contract's word for it.
fn word<T: DeserializeOwned>(word: &str) -> Option<T> {
    let word: serde::de::value::StrDeserializer<'_, Unreadable> = word.into_deserializer();
    T::deserialize(word).ok()
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<CreatorId>,
    Path(id): Path<IntegrationId>,
    Query(DoneQuery(done)): Query<DoneQuery>,
) -> Result<Response, ApiError> {
    let integration = Integration::load(&app, &signed, id).await?;
    let mut shown = SettingsPage::new(&app, &signed, integration);
    shown.frame = shown.frame.saying(done.map(|_| texts::EN.settings.saved.to_owned()));
    page(&shown)
}

pub(crate) async fn change(
    State(app): AppState,
    Path(id): Path<IntegrationId>,
    Sent { signed, values }: Sent<CreatorId>,
) -> Result<Response, ApiError> {
    let (on_end, drift) = (word(values.text("on_end")), word(values.text("drift")));
    let typed = values.text("name");
    let typed_limit = (values.text("limit_fans"), values.text("limit_percent"));
    let again = async |fault: &'static str, limit_fault: &'static str, moved: bool| {
        let integration = Integration::load(&app, &signed, id).await?;
        let mut shown = SettingsPage::new(&app, &signed, integration);
        typed.clone_into(&mut shown.name);
        shown.on_end = on_end.unwrap_or(shown.on_end);
        shown.drift = drift.unwrap_or(shown.drift);
        shown.limit = (typed_limit.0.to_owned(), typed_limit.1.to_owned());
        (shown.fault, shown.limit_fault, shown.moved) = (fault, limit_fault, moved);
        page_with(
            if moved { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY },
            &shown,
        )
    };
    let Ok(name) = typed.parse::<DisplayName>() else {
        return again(texts::EN.add.name_fault, "", false).await;
    };
    let (fans, percent) = (typed_limit.0.parse::<u32>().ok(), typed_limit.1.parse::<u8>().ok());
    if fans.is_none() || percent.is_none_or(|percent| percent > 100) {
        return again("", texts::EN.settings.limit_fault, false).await;
    }
    let removal_limit = Some(LimitBody { fans, percent });
    let changed = integrations::change(
        State(Arc::clone(&app)),
        ByCreator::of(signed.caller.clone())?,
        Path(id),
        IfMatch(values.parse("version")),
        Body(ChangeBody { name: Some(name), on_end, drift, removal_limit }),
    );
    match changed.await {
        Ok(_) => Ok(see_other(&super::place(id, "/settings?done=saved"))),
        Err(error) if error.is(Kind::PRECONDITION_FAILED) => again("", "", true).await,
        Err(error) => Err(error),
    }
}
