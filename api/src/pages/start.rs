//! The first page: who is signed in here, and in a demo, whom to be.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use crate::{
    app::AppState,
    error::ApiError,
    pages::{
        components::Tile,
        forms::from_here,
        frame::{Frame, page, see_other},
        session::{Area, Destination, Held, Link, Person},
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
    page(&StartPage { frame, open, demo: app.pages.demo.clone() })
}

/// Signs in as somebody of the demo, by a link like every other.
pub(crate) async fn enter_demo(
    State(app): AppState,
    headers: HeaderMap,
    Path(number): Path<usize>,
) -> Result<Response, ApiError> {
    from_here(&app, &headers)?;
    let chosen = app.pages.demo.as_ref().and_then(|demo| demo.people.get(number));
    let person = chosen.and_then(|chosen| Person::try_from(&chosen.role).ok());
    let person = person.ok_or_else(ApiError::not_found)?;
    let destination = match &person {
        Person::Creator(_) => Destination::Hub,
        Person::Fan(_) => Destination::Memberships,
        Person::Auditor => Destination::Audit,
        Person::Operator => Destination::Operator,
    };
    let return_url = app.pages.url("/").parse().ok();
    let (url, _) = Link { person, destination, return_url }.create(&app).await?;
    Ok(see_other(&url))
}
