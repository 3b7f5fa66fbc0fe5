//! The table of contents: every path, and what every request goes through.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    http::header::CONTENT_TYPE,
    middleware,
    response::{Html, Response},
    routing::get,
};
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};
use utoipa::openapi::{
    Components, ContentBuilder, HeaderBuilder, InfoBuilder, Object, OpenApi, OpenApiBuilder,
    PathItem, Ref, RefOr, Required, ResponseBuilder, Schema, SecurityRequirement, Type,
    path::{Operation, ParameterBuilder, ParameterIn},
    schema::AdditionalProperties,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    consistency, drain,
    error::{ApiError, FieldError, Problem},
    extract::{unrouted, wrong_method},
    idempotency, pages,
    routes::{
        attachments, audit, bot, connect, fan_grants, fans, health, holds, import,
        integration_fans, integrations, keys, leaving, links, manual, memberships, notifications,
        oauth, ops, providers, roles, sessions, streams, tiers, webhook_deliveries,
        webhook_endpoints, webhooks,
    },
    telemetry,
};

fn described() -> OpenApiRouter<Arc<App>> {
    let v1 = OpenApiRouter::new()
        // Platform
        .routes(routes!(tiers::put))
        .routes(routes!(tiers::list))
        .routes(routes!(memberships::put, memberships::get))
        .routes(routes!(import::import))
        .routes(routes!(webhooks::inbound::inbound))
        .routes(routes!(webhooks::stripe::stripe))
        .routes(routes!(webhooks::discord::discord))
        .routes(routes!(webhook_endpoints::create, webhook_endpoints::list))
        .routes(routes!(
            webhook_endpoints::get,
            webhook_endpoints::change,
            webhook_endpoints::delete
        ))
        .routes(routes!(webhook_endpoints::rotate_secret))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_deliveries::replay))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(sessions::create, sessions::end))
        // Creator
        .routes(routes!(providers::list))
        .routes(routes!(integrations::create, integrations::list))
        .routes(routes!(integrations::get, integrations::change, leaving::delete))
        .routes(routes!(connect::connect))
        .routes(routes!(leaving::disconnect))
        .routes(routes!(roles::get))
        .routes(routes!(roles::refresh))
        .routes(routes!(attachments::put_all, attachments::list))
        .routes(routes!(attachments::put, attachments::delete))
        .routes(routes!(integration_fans::list))
        .routes(routes!(manual::grant, manual::end_grant))
        .routes(routes!(manual::withhold, manual::lift))
        .routes(routes!(health::get))
        .routes(routes!(health::sync))
        .routes(routes!(holds::list))
        .routes(routes!(holds::get))
        .routes(routes!(holds::approve))
        .routes(routes!(holds::reject))
        .routes(routes!(notifications::list_of_creator))
        .routes(routes!(notifications::read_of_creator))
        // Fan
        .routes(routes!(fans::integrations))
        .routes(routes!(fan_grants::list))
        .routes(routes!(fans::activate, fans::deactivate))
        .routes(routes!(links::get, links::create, links::delete))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::read))
        // Auditor
        .routes(routes!(audit::events))
        .routes(routes!(audit::access))
        .routes(routes!(audit::explain))
        .routes(routes!(audit::history))
        // Bots and subscribers
        .routes(routes!(bot::acquire))
        .routes(routes!(bot::renew))
        .routes(routes!(bot::release))
        .routes(routes!(bot::share))
        .routes(routes!(bot::identify))
        .routes(routes!(bot::commands))
        .routes(routes!(bot::start))
        .routes(routes!(bot::outcome))
        .routes(routes!(bot::observe))
        .routes(routes!(streams::follow));
    OpenApiRouter::with_openapi(OpenApiBuilder::new().components(Some(Components::new())).build())
        .merge(v1)
        .routes(routes!(oauth::callback))
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
        .routes(routes!(ops::metrics_text))
}

/// The description of every path, as `/openapi.json` answers it.
pub fn openapi() -> OpenApi {
    describe(described().split_for_parts().1)
}

/// Everything that the Hub answers.
pub fn router(app: Arc<App>) -> Router {
    let (routes, description) = described().split_for_parts();
    // Routes are cloned with every connection, so what they hold is made once and shared.
    let description = describe(description);
    let json = serde_json::to_vec(&description).map(Bytes::from).unwrap_or_default();
    let docs = Bytes::from(ops::docs(&description));
    routes
        .route("/openapi.json", get(([(CONTENT_TYPE, "application/json")], json)))
        .route("/docs", get(Html(docs)))
        .merge(pages::router())
        .method_not_allowed_fallback(wrong_method)
        .fallback(unrouted)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), idempotency::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), consistency::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), pages::dress))
        .layer(middleware::from_fn(telemetry::measured))
        // A failure is logged where it becomes an answer.
        .layer(TraceLayer::new_for_http().make_span_with(telemetry::span).on_failure(()))
        .layer(middleware::from_fn(drain::guard))
        .with_state(app)
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    use axum::response::IntoResponse;

    ApiError::internal(&std::io::Error::other("a handler panicked")).into_response()
}

/// What holds for every call, for whoever reads the description alone.
const CONVENTIONS: &str = "\
Connects creators' Discord servers to the memberships that their fans pay for.

- **Key.** `Authorization: Bearer KEY`. A key is the platform's, a creator's, a fan's, an auditor's or a bot's; what belongs to \
somebody else is answered 404.
- **Problems** are `application/problem+json` with a stable `code`, `errors` that name the fields at fault, and a `detail` that says \
what to do.
- **Lists** come in pages of `limit`; `next_cursor` asks for the next one, and is null on the last.
- **Repeating.** A POST with an `Idempotency-Key` is carried out once; sent again, it gets the same answer and \
`Idempotency-Replayed: true`.
- **Reading what was written.** A write answers `Hub-Position`. A read that sends it as `Hub-After` sees that write, or is answered \
503 `view_behind`.
- **Changing what was read.** The `ETag` of an integration goes into `If-Match`; 412 says that it has changed since.";

/// Adds what holds for every path: the key, the headers, and the form of problems.
fn describe(mut description: OpenApi) -> OpenApi {
    description.info = InfoBuilder::new()
        .title("Integrations Hub")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(CONVENTIONS))
        .build();
    let tags = ["Platform", "Creator", "Fan", "Auditor", "Bots", "Browser", "Operations"];
    description.tags = Some(tags.map(|name| TagBuilder::new().name(name).build()).into());
    let components = description.components.get_or_insert_default();
    components.add_security_scheme(
        "key",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("An API key"))
                .build(),
        ),
    );
    let schemas = [
        ("Problem", <Problem as utoipa::PartialSchema>::schema()),
        ("FieldError", <FieldError as utoipa::PartialSchema>::schema()),
    ];
    components.schemas.extend(schemas.map(|(name, schema)| (name.to_owned(), schema)));
    description.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("key", [])]);
    takes_nothing_else(&mut description);
    for (path, item) in &mut description.paths.paths {
        if path.starts_with("/v1/") {
            takes_headers(path, item);
        }
        let calls =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for call in calls.into_iter().flatten() {
            answers_problems(call);
        }
    }
    description
}

/// Every body is read field by field, and what nobody took is refused.
fn takes_nothing_else(description: &mut OpenApi) {
    let calls = description.paths.paths.values().flat_map(|item| {
        [&item.get, &item.put, &item.post, &item.delete, &item.patch].into_iter().flatten()
    });
    let bodies: BTreeSet<String> = calls
        .filter_map(|call| {
            let RefOr::T(body) = call.request_body.as_ref()? else { return None };
            let RefOr::T(json) = body.content.get("application/json")? else { return None };
            let RefOr::Ref(named) = json.schema.as_ref()? else { return None };
            named.ref_location.rsplit('/').next().map(str::to_owned)
        })
        .collect();
    let schemas = description.components.iter_mut().flat_map(|known| known.schemas.iter_mut());
    for (_, schema) in schemas.filter(|(name, _)| bodies.contains(*name)) {
        if let RefOr::T(Schema::Object(object)) = schema {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// The headers that are read and answered beside the routes.
fn takes_headers(path: &str, item: &mut PathItem) {
    if let Some(read) = &mut item.get {
        let after = "The `Hub-Position` of a write that the answer must have seen";
        take(read, "Hub-After", after, Type::Integer);
    }
    if let Some(post) = item.post.as_mut().filter(|_| !idempotency::answers_secret(path)) {
        let key = "Makes the request safe to repeat: up to 255 visible characters, one for each thing that is wanted";
        take(post, "Idempotency-Key", key, Type::String);
        let replayed = "Set where the answer is that of the first request with this key";
        answer(post, "Idempotency-Replayed", replayed, &Type::Boolean);
    }
    let writes = [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
    for write in writes.into_iter().flatten() {
        answer(
            write,
            "Hub-Position",
            "The log's position that holds what was written",
            &Type::Integer,
        );
    }
}

fn take(call: &mut Operation, name: &str, what: &str, kind: Type) {
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(what))
        .schema(Some(Object::with_type(kind)));
    call.parameters.get_or_insert_default().push(RefOr::T(header.build()));
}

fn answer(call: &mut Operation, name: &str, what: &str, kind: &Type) {
    for (status, response) in &mut call.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
        {
            let header = HeaderBuilder::new()
                .schema(Some(Object::with_type(kind.clone())))
                .description(Some(what));
            response.headers.insert(name.to_owned(), RefOr::T(header.build()));
        }
    }
}

fn answers_problems(call: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("What went wrong, and what to do")
        .content("application/problem+json", content)
        .build();
    call.responses.responses.insert("default".to_owned(), RefOr::T(problem));
}
