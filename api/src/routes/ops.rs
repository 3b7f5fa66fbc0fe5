//! For operators: alive, ready, measured, described.

use std::fmt::Write;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bot::Desk;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::{
    app::{App, AppState},
    error::{ApiError, FieldError, Kind},
};

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    version: &'static str,
}

/// Alive
#[utoipa::path(get, path = "/healthz", tag = "Operations", operation_id = "healthz", security(()),
    responses((status = 200, description = "The process answers", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// What keeps the Hub from doing its work, if anything does.
pub(crate) async fn faults(app: &App) -> Result<Vec<FieldError>, ApiError> {
    let mut faults = vec![];
    if app.store.log().stopped().is_cancelled() {
        faults.push(FieldError::new(
            "log",
            "it takes no events; check the disk and start the Hub again",
        ));
    }
    if app.all_caught_up().await.is_err() {
        faults.push(FieldError::new(
            "views",
            "they are behind the log; wait, or look at `hub views list`",
        ));
    }
    if app.desk.held().await?.is_empty() {
        faults.push(FieldError::new(
            "bot",
            "no bot holds a shard; start one with `hub serve` or `hub bot`",
        ));
    }
    if app.discord.is_token_dead() {
        faults.push(FieldError::new(
            "bot",
            "Discord does not accept its token; set a new one and start every process of the Hub again",
        ));
    }
    Ok(faults)
}

/// Ready
#[utoipa::path(get, path = "/readyz", tag = "Operations", operation_id = "readyz", security(()),
    responses((status = 200, description = "The log takes events, the views follow, a bot holds shards, Discord accepts its token", body = Health)))]
pub(crate) async fn readyz(State(app): AppState) -> Result<Json<Health>, ApiError> {
    let faults = faults(&app).await?;
    if faults.is_empty() {
        Ok(healthz().await)
    } else {
        Err(ApiError::new(Kind::NOT_READY, "see `errors`").with(faults))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts up to 2^53 are exact in a double")]
fn number(count: u64) -> f64 {
    count as f64
}

fn measure(app: &App) {
    let accepted = if app.discord.is_token_dead() { 0.0 } else { 1.0 };
    metrics::gauge!("hub_discord_token_accepted").set(accepted);
    metrics::gauge!("hub_log_position").set(number(app.store.log().head().0));
    for view in app.views.status() {
        metrics::gauge!("hub_view_lag_events", "view" => view.name)
            .set(number(view.head.0.saturating_sub(view.position.0)));
    }
}

/// What the bots are at.
async fn measure_bots(app: &App) -> Result<(), ApiError> {
    let leases = app.desk.held().await?;
    let held = u64::try_from(leases.len()).unwrap_or_default();
    metrics::gauge!("hub_shards", "state" => "held").set(number(held));
    metrics::gauge!("hub_shards", "state" => "free").set(number(Desk::free(&leases)));
    let (mut due, mut waiting) = (0, 0);
    for queued in app.views.fan_access().queue().await? {
        *(if queued.parked.is_some() { &mut waiting } else { &mut due }) += queued.commands;
    }
    metrics::gauge!("hub_commands", "state" => "due").set(number(due));
    metrics::gauge!("hub_commands", "state" => "waiting").set(number(waiting));
    let refused = app.desk.budget().await?.refused;
    metrics::gauge!("hub_discord_refused_calls").set(number(refused));
    Ok(())
}

/// Metrics, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "Operations", operation_id = "metrics", security(()),
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics_text(State(app): AppState) -> Response {
    measure(&app);
    // What cannot be asked is left out, and was logged: the rest is wanted all the more.
    drop(measure_bots(&app).await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (app.metrics)()).into_response()
}

/// A page that shows the description, without a script from anywhere.
pub(crate) fn docs(description: &OpenApi) -> String {
    let json = serde_json::to_value(description).unwrap_or_default();
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Integrations Hub API</title><style>\
         body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
         code{font-family:ui-monospace,monospace}summary{cursor:pointer;padding:.35rem 0}\
         summary b{display:inline-block;min-width:4.5rem}pre{overflow:auto;padding:.75rem;border:1px solid #8884}\
         h2{margin-top:2.5rem}</style><h1>Integrations Hub API</h1>\
         <p>Generated from the code. The whole description: <a href=\"/openapi.json\">openapi.json</a></p>",
    );
    let tags = json["tags"].as_array().cloned().unwrap_or_default();
    for tag in tags.iter().filter_map(|tag| tag["name"].as_str()) {
        let _ = write!(page, "<h2>{}</h2>", escape(tag));
        for (path, methods) in json["paths"].as_object().into_iter().flatten() {
            for (method, call) in methods.as_object().into_iter().flatten() {
                if call["tags"][0].as_str() == Some(tag) {
                    let text = |name: &str| escape(call[name].as_str().unwrap_or_default());
                    let shown = serde_json::json!({
                        "parameters": call["parameters"], "body": call["requestBody"], "answers": call["responses"],
                    });
                    let _ = write!(
                        page,
                        "<details><summary><b>{}</b> <code>{}</code> {}</summary><p>{}</p><pre><code>{}</code></pre></details>",
                        method.to_uppercase(),
                        escape(path),
                        text("summary"),
                        text("description"),
                        escape(&serde_json::to_string_pretty(&shown).unwrap_or_default()),
                    );
                }
            }
        }
    }
    page.push_str("</html>");
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
