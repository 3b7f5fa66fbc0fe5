//! The pages: what creators, fans, auditors and operators see in a browser.
//!
//! A page asks the same questions and sends the same commands as the REST routes, by their functions, as whoever is
//! signed in. `frame` is what stands around every page, `texts` has every word, `components` and `templates/ui.html`
//! every part; `/design` shows them.

mod assets;
mod auditor;
mod components;
mod creator;
mod demo;
mod design;
mod errors;
mod fan;
mod forms;
mod frame;
mod live;
mod operator;
pub(crate) mod session;
mod settings;
mod sign_in;
mod start;
mod texts;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

pub(crate) use errors::dress;
pub use settings::{Demo, DemoOffer, DemoPerson, PagesSettings};
pub use sign_in::{Staff, sign_in_path};
pub(crate) use sign_in::{connect_again, connected};

use crate::app::App;

/// Every page.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(start::show))
        .route("/assets/{edition}/{name}", get(assets::serve))
        .route("/demo/{number}", post(demo::enter))
        .route("/demo/offers/{number}", post(demo::trade))
        .route("/design", get(design::show))
        .route("/sign-in/{token}", get(sign_in::ask).post(sign_in::enter))
        .route("/{area}/sign-out", post(sign_in::leave))
        .merge(auditor::router())
        .merge(creator::router())
        .merge(fan::router())
        .merge(operator::router())
}
