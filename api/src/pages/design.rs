//! `/design`: every part of the design system in one place.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::status::Status;

use crate::{
    app::AppState,
    error::ApiError,
    pages::{
        components::{Chip, RolePill, Tile, When},
        frame::{Frame, page},
        texts::{self, Texts},
    },
};

#[derive(Template)]
#[template(path = "design.html")]
struct DesignPage {
    frame: Frame,
    colours: [&'static str; 16],
    integrations: Vec<Chip>,
    fans: Vec<Chip>,
    roles: [RolePill; 4],
    servers: Vec<Tile>,
    people: Vec<Tile>,
    now: When,
}

pub(crate) async fn show(State(app): AppState) -> Result<Response, ApiError> {
    let t: &'static Texts = &texts::EN;
    let names =
        ["Kim's Club", "Nordlicht", "Ночной клуб", "🎮 Arcade", "四季", "a", "Old Gods", "Bees"];
    let statuses =
        ["not_connected", "connected", "active", "needs_attention", "removing", "disconnected"];
    page(&DesignPage {
        frame: Frame::open(&app, "Design")
            .saying(Some("A toast says once what was done".to_owned())),
        colours: [
            "canvas",
            "surface",
            "sunken",
            "line",
            "line-strong",
            "ink",
            "ink-2",
            "ink-3",
            "accent",
            "accent-soft",
            "good-soft",
            "good-dot",
            "warn-soft",
            "warn-dot",
            "bad-soft",
            "bad-dot",
        ],
        integrations: statuses.map(|status| Chip::of_integration(&t.status, status)).into(),
        fans: Status::ALL.map(|status| Chip::of_fan(&t.status, status, None)).into(),
        roles: [
            RolePill::new("Gold", 0x00d4_a017),
            RolePill::new("عضو مميز", 0x002e_cc71),
            RolePill::new("no colour", 0),
            RolePill::gone("deleted"),
        ],
        servers: names.map(Tile::server).into_iter().chain([Tile::large(names[0])]).collect(),
        people: names.map(Tile::person).into(),
        now: When(app.now()),
    })
}
