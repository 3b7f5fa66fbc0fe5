//! The first page: who is signed in here, and in a demo, whom to be.

use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};

use crate::{
    app::AppState,
    error::ApiError,
    pages::{
        components::Tile,
        demo,
        frame::{Frame, page},
        session::{Area, Held},
        settings::Demo,
        texts,
    },
};

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    frame: Frame,
    open: Vec<Open>,
    demo: Option<Demo>,
    /// What can be bought: whose, which tier, and whether they hold it.
    offers: Vec<(String, String, bool)>,
}

/// Somebody who is signed in here.
struct Open {
    area: Area,
    id: Option<String>,
}

impl StartPage {
    fn role(&self, area: Area) -> &'static str {
        let t = &self.frame.t.frame;
        match area {
            Area::Creator => t.creator,
            Area::Fan => t.fan,
            Area::Auditor => t.auditor,
            Area::Operator => t.operator,
        }
    }
}

pub(crate) async fn show(State(app): AppState, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut open = vec![];
    for area in Area::ALL {
        if let Some(held) = Held::find(&app, &headers, area).await?
            && held.live(&app)
        {
            open.push(Open { area, id: held.session.person.id().map(str::to_owned) });
        }
    }
    let frame = Frame::open(&app, texts::EN.sign_in.start).middle();
    let mut offers = vec![];
    for offer in app.pages.demo.iter().flat_map(|demo| &demo.offers) {
        let (fan, tier) = offer.names.clone();
        offers.push((fan, tier, demo::holds(&app, offer).await?));
    }
    page(&StartPage { frame, open, demo: app.pages.demo.clone(), offers })
}
