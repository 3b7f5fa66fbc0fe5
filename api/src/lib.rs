//! The edge: REST for platforms, creators, fans, auditors and bots, and the pages of people. `router` is the table of
//! contents.
//!
//! A route parses, sends a command or asks a view, and answers. `extract` reads requests, `error` is the one
//! error, `idempotency` and `consistency` are what every request goes through. `webhooks` tells the platform's endpoints.

mod answer;
mod app;
pub mod audit;
mod auth;
mod consistency;
mod drain;
mod error;
mod extract;
mod idempotency;
mod json;
mod pages;
mod paging;
mod parameters;
mod plan;
mod reading;
mod reason;
mod router;
mod routes;
mod telemetry;
mod webhook_key;
mod webhooks;

pub use app::App;
pub use idempotency::InFlight;
pub use pages::{Demo, DemoOffer, DemoPerson, PagesSettings, Staff, sign_in_path};
pub use router::{openapi, router};
pub use routes::webhooks::WebhookSettings;
pub use webhook_key::{DiscordKey, InvalidWebhookKey, WebhookKey};
pub use webhooks::{WebhookError, Webhooks};
