//! What bot processes ask: shards, commands, leave to call Discord.

use std::num::NonZeroU16;

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use bot::wire::{
    IdentifyRequest, IdentifyTurn, LeaseRef, LeaseRequest, Leases, Noted, Observation, Outcome,
    OutcomeResult, Recorded, Share, ShareRequest, StartRequest, Started,
};
use eventstore::Position;
use projections::CommandCursor;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::Written,
    app::AppState,
    auth::{ByBot, Caller},
    error::{ApiError, Kind},
    extract::{Body, Fields, FromFields, Path, Query},
    routes::streams::{Source, last_event_id, reached, stream},
};

/// The most calls that Discord can have refused a process since it asked for its share last: after as many in ten
/// minutes Discord blocks its address.
const MOST_REFUSED: u32 = 10_000;

/// The longest name of a bot process.
const LONGEST_NAME: usize = 128;

fn name(fields: &mut Fields) -> Option<String> {
    let name: String = fields.required("bot")?;
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control)
    {
        fields.fault("bot", format!("must be 1 to {LONGEST_NAME} characters"));
        return None;
    }
    Some(name)
}

impl FromFields for LeaseRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (bot, of, want) = (name(fields), fields.required("of"), fields.required("want"));
        Some(Self { bot: bot?, of: of?, want: want? })
    }
}

impl FromFields for LeaseRef {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (bot, epoch) = (name(fields), fields.required("epoch"));
        Some(Self { bot: bot?, epoch: epoch? })
    }
}

impl FromFields for ShareRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (bot, using) = (name(fields), fields.required("using"));
        let (wanted, refused) = (fields.required("wanted"), fields.required("refused"));
        if wanted.is_some() && refused.is_some_and(|refused| refused > MOST_REFUSED) {
            fields.fault(
                "refused",
                format!("must be 0 to {MOST_REFUSED}: those since it asked last"),
            );
            return None;
        }
        Some(Self { bot: bot?, using: using?, wanted: wanted?, refused: refused? })
    }
}

impl FromFields for IdentifyRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (bot, shard) = (name(fields), fields.required("shard"));
        let max_concurrency = fields.required::<NonZeroU16>("max_concurrency");
        if shard.is_some_and(|shard: u32| shard >= bot::desk::MAX_SHARDS) {
            fields.fault("shard", format!("must be 0 to {}", bot::desk::MAX_SHARDS - 1));
            return None;
        }
        Some(Self { bot: bot?, shard: shard?, max_concurrency: max_concurrency?.get() })
    }
}

impl FromFields for StartRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (epoch, seen) = (fields.required("epoch"), fields.optional("seen"));
        let refused_token = fields.optional("refused_token");
        Some(Self { epoch: epoch?, seen: seen?, refused_token: refused_token? })
    }
}

impl FromFields for Outcome {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (epoch, result) = (fields.required("epoch"), fields.required("result"));
        let (code, role) = (fields.optional("code"), fields.optional("role"));
        let (http_status, detail) = (fields.optional("http_status"), fields.optional("detail"));
        let observed = fields.optional("observed");
        let (result, code) = (result?, code?);
        if result == OutcomeResult::Refused && code.is_none() {
            fields.fault("code", "must be given where `result` is `refused`: Discord's error code, or one of the Hub's");
            return None;
        }
        if result != OutcomeResult::Refused && code.is_some() {
            fields.fault("code", "belongs to `refused`; leave it out");
            return None;
        }
        if http_status.flatten().is_some_and(|status| !(100..=599).contains(&status)) {
            fields.fault("http_status", "must be 100 to 599");
            return None;
        }
        Some(Self {
            epoch: epoch?,
            result,
            code,
            role: role?,
            http_status: http_status?,
            detail: detail?,
            observed: observed?,
        })
    }
}

/// The holder of a lease: a process of the key's owner. Another key cannot speak in its name.
fn holder(caller: &Caller, bot: &str) -> String {
    format!("{}/{bot}", caller.key.id)
}

fn lost() -> ApiError {
    ApiError::new(Kind::LEASE_LOST, "this lease is not held under this epoch; acquire it again")
}

/// Acquire shards
///
/// Takes shards that are free, up to `want` with those that the process holds already, for 30 seconds. Asking again
/// renews them.
#[utoipa::path(post, path = "/v1/bot/leases", tag = "Bots", operation_id = "acquire_leases", request_body = LeaseRequest,
    responses((status = 200, description = "What the process holds now", body = Leases)))]
pub(crate) async fn acquire(
    State(app): AppState,
    caller: ByBot,
    Body(request): Body<LeaseRequest>,
) -> Result<Json<Leases>, ApiError> {
    let data = app.desk.acquire(&holder(&caller, &request.bot), request.of, request.want).await?;
    Ok(Json(Leases { data, position: app.store.log().head().0 }))
}

/// Renew a lease
#[utoipa::path(post, path = "/v1/bot/leases/renew", tag = "Bots", operation_id = "renew_lease", request_body = LeaseRef,
    responses((status = 200, description = "Renewed", body = bot::wire::Lease)))]
pub(crate) async fn renew(
    State(app): AppState,
    caller: ByBot,
    Body(LeaseRef { bot, epoch }): Body<LeaseRef>,
) -> Result<Json<bot::wire::Lease>, ApiError> {
    app.desk.renew(&holder(&caller, &bot), epoch).await?.map(Json).ok_or_else(lost)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Released {
    /// Whether it was held.
    released: bool,
}

/// Release a lease
#[utoipa::path(post, path = "/v1/bot/leases/release", tag = "Bots", operation_id = "release_lease", request_body = LeaseRef,
    responses((status = 200, description = "Free for the next", body = Released)))]
pub(crate) async fn release(
    State(app): AppState,
    caller: ByBot,
    Body(LeaseRef { bot, epoch }): Body<LeaseRef>,
) -> Result<Json<Released>, ApiError> {
    Ok(Json(Released { released: app.desk.release(&holder(&caller, &bot), epoch).await? }))
}

/// Share the calls to Discord
///
/// Discord allows so many calls a second to one token, however many processes use it. A process makes none before it
/// has a share, and never more in any second than its share says; it asks again before the share ends, more often
/// while it has much to do, so that shares follow the work. Where a share got smaller it counts at once, and the next
/// `using` says how many calls the last second still shows.
#[utoipa::path(post, path = "/v1/bot/share", tag = "Bots", operation_id = "share_calls", request_body = ShareRequest,
    responses((status = 200, description = "What the process may use from now on", body = Share)))]
pub(crate) async fn share(
    State(app): AppState,
    caller: ByBot,
    Body(request): Body<ShareRequest>,
) -> Result<Json<Share>, ApiError> {
    Ok(Json(app.desk.share(&holder(&caller, &request.bot), &request).await?))
}

/// Begin a session on the gateway
///
/// Discord lets a token begin so many sessions in five seconds, however many processes use it. Answers how long to wait
/// before a shard identifies; a turn that is not used is lost.
#[utoipa::path(post, path = "/v1/bot/identify", tag = "Bots", operation_id = "identify", request_body = IdentifyRequest,
    responses((status = 200, description = "When the shard may identify", body = IdentifyTurn)))]
pub(crate) async fn identify(
    State(app): AppState,
    caller: ByBot,
    Body(request): Body<IdentifyRequest>,
) -> Result<Json<IdentifyTurn>, ApiError> {
    Ok(Json(app.desk.identify(&holder(&caller, &request.bot), &request)?))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CommandsQuery {
    /// Which shards, with commas between them; all where it is missing.
    #[param(value_type = Option<String>, example = "0,3")]
    shards: Vec<u32>,
    /// Into how many shards servers are divided by Discord's formula, `(guild_id >> 22) % of`.
    #[param(required = false, default = 1)]
    of: u32,
}

impl FromFields for CommandsQuery {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let shards = fields.text("shards");
        let of = fields.optional::<u32>("of")?.unwrap_or(1);
        if !(1..=bot::desk::MAX_SHARDS).contains(&of) {
            fields.fault("of", format!("must be 1 to {}", bot::desk::MAX_SHARDS));
            return None;
        }
        let named: Option<Vec<u32>> = match &shards {
            None => Some((0..of).collect()),
            Some(text) => text
                .split(',')
                .map(|shard| shard.trim().parse().ok().filter(|shard| *shard < of))
                .collect(),
        };
        if named.is_none() {
            fields.fault(
                "shards",
                "must be numbers below `of` with commas between them, for example 0,3",
            );
        }
        Some(Self { shards: named?, of })
    }
}

/// Follow the command stream
///
/// Server-sent events. Each `command` brings one user in one server to the desired access, in order for each of
/// them; a later one supersedes the earlier. `Last-Event-ID` goes on after a command.
#[utoipa::path(get, path = "/v1/bot/commands", tag = "Bots", operation_id = "follow_commands",
    params(CommandsQuery, ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, description = "A stream of `command` events, each with a Command as its data",
               body = bot::wire::Command, content_type = "text/event-stream")))]
pub(crate) async fn commands(
    State(app): AppState,
    caller: ByBot,
    Query(CommandsQuery { shards, of }): Query<CommandsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let bad =
        || ApiError::new(Kind::MALFORMED_REQUEST, "Last-Event-ID must be the id of a command");
    let after = match last_event_id(&headers) {
        None => CommandCursor::after(Position(0)),
        Some(id) => id.parse().map_err(|_| bad())?,
    };
    reached(&app, after.position())?;
    Ok(stream(app, &caller, Source::Commands { shards, of, after }))
}

/// Announce the calls of a command
///
/// Records the attempt before Discord is called. For a join it answers the fan's token. Where a join is answered 204, or
/// the user is in the server already, look at the member and start again with `seen` before giving roles. Where Discord
/// refuses the token, start again with `refused_token`.
#[utoipa::path(post, path = "/v1/bot/commands/{command}/start", tag = "Bots", operation_id = "start_command",
    params(("command" = String, Path)), request_body = StartRequest,
    responses((status = 200, description = "Discord may be called", body = Started)))]
pub(crate) async fn start(
    State(app): AppState,
    caller: ByBot,
    Path(command): Path<String>,
    Body(request): Body<StartRequest>,
) -> Result<Json<Started>, ApiError> {
    Ok(Json(app.desk.start(&caller.key.id.to_string(), &command, request).await?))
}

/// Tell what was seen on Discord
///
/// What others change: roles, members who come and go, a bot that is thrown out.
#[utoipa::path(post, path = "/v1/bot/observations", tag = "Bots", operation_id = "observe", request_body = Observation,
    responses((status = 200, description = "Taken in", body = Noted)))]
pub(crate) async fn observe(
    State(app): AppState,
    caller: ByBot,
    Body(Observed(observation)): Body<Observed>,
) -> Result<Json<Noted>, ApiError> {
    Ok(Json(app.desk.observe(&caller.key.id.to_string(), observation).await?))
}

/// An observation, whose fields depend on its kind.
pub(crate) struct Observed(Observation);

impl FromFields for Observed {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let observation = fields.whole("kind")?;
        if let Observation::Session { shard, of, .. } = observation
            && !((1..=bot::desk::MAX_SHARDS).contains(&of) && shard < of)
        {
            fields.fault(
                "of",
                format!("must be 1 to {}, and more than `shard`", bot::desk::MAX_SHARDS),
            );
            return None;
        }
        Some(Self(observation))
    }
}

/// Report what came of a command
#[utoipa::path(post, path = "/v1/bot/commands/{command}/outcome", tag = "Bots", operation_id = "report_outcome",
    params(("command" = String, Path)), request_body = Outcome,
    responses((status = 200, description = "Recorded; saying it twice records it once", body = Recorded)))]
pub(crate) async fn outcome(
    State(app): AppState,
    caller: ByBot,
    Path(command): Path<String>,
    Body(outcome): Body<Outcome>,
) -> Result<Written<Recorded>, ApiError> {
    let recorded = app.desk.outcome(&caller.key.id.to_string(), &command, outcome).await?;
    Ok(Written::ok(Position(recorded.position), recorded))
}
