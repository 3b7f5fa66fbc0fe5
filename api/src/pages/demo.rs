//! In a demo, the start page stands for the platform: it signs its people in, sells memberships and ends them.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use domain::membership::{self, Membership, Status, Terms};
use eventstore::keys::Role;

use crate::{
    app::{App, AppState},
    auth::Caller,
    error::ApiError,
    pages::{
        forms::from_here,
        frame::see_other,
        session::{Destination, Link, Person},
        settings::DemoOffer,
    },
    routes::memberships::report,
};

/// Goes on as somebody, by a link like every other.
async fn go_on(app: &App, person: Person, destination: Destination) -> Result<Response, ApiError> {
    let return_url = app.pages.url("/").parse().ok();
    let (url, _) = Link { person, destination, return_url }.create(app).await?;
    Ok(see_other(&url))
}

/// Signs in as somebody of the demo.
pub(crate) async fn enter(
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
    go_on(&app, person, destination).await
}

/// Whether somebody holds now what is offered.
pub(crate) async fn holds(app: &App, offer: &DemoOffer) -> Result<bool, ApiError> {
    let known = app.store.load::<Membership>(&membership::stream(&offer.membership)).await?.state;
    Ok(known.live)
}

/// Sells a membership, or ends it, and reports that as a platform does. Whoever has bought is led to where they connect.
pub(crate) async fn trade(
    State(app): AppState,
    headers: HeaderMap,
    Path(number): Path<usize>,
) -> Result<Response, ApiError> {
    from_here(&app, &headers)?;
    let offer = app.pages.demo.as_ref().and_then(|demo| demo.offers.get(number));
    let DemoOffer { membership, fan, creator, tier, .. } =
        offer.cloned().ok_or_else(ApiError::not_found)?;
    let known = app.store.load::<Membership>(&membership::stream(&membership)).await?.state;
    let status = if known.live { Status::Expired } else { Status::Active };
    let terms = Terms {
        membership: membership.clone(),
        fan: fan.clone(),
        creator,
        tier,
        status,
        ends_at: None,
        version: known.terms.map_or(1, |terms| terms.version + 1),
    };
    report(&app, Caller::signed_in(Role::Platform, app.now()).metadata(&app), terms).await?;
    if known.live {
        return Ok(see_other("/"));
    }
    go_on(&app, Person::Fan(fan), Destination::Welcome(membership)).await
}
