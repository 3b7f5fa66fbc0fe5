//! What goes wrong: faults armed by one click or by a form, and the bot's token and connection.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State as Extract},
    response::{Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Sandbox,
    refusals::{self, REFUSALS, Refusal},
    shell::{Here, Shell},
    show,
    trouble::Trouble,
};
use crate::{
    faults::{Action, Fault, Scope},
    server::{State, lock},
};

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/faults", get(page).post(arm))
        .route("/faults/preset", post(arm_preset))
        .route("/faults/{number}/disarm", post(disarm))
        .route("/faults/clear", post(clear))
        .route("/faults/token", post(token))
        .route("/faults/gateway", post(gateway))
}

/// Calls that a fault can be about.
struct Calls {
    label: &'static str,
    method: &'static str,
    path: &'static str,
}

const fn calls(label: &'static str, method: &'static str, path: &'static str) -> Calls {
    Calls { label, method, path }
}

const ROLE: &str = "/guilds/*/members/*/roles/*";
const MEMBER: &str = "/guilds/*/members/*";

const CALLS: &[Calls] = &[
    calls("Giving a role", "PUT", ROLE),
    calls("Taking a role", "DELETE", ROLE),
    calls("Bringing somebody in", "PUT", MEMBER),
    calls("Removing somebody", "DELETE", MEMBER),
    calls("Reading a member", "GET", MEMBER),
    calls("Reading a server", "GET", "/guilds/*"),
    calls("Reading the roles", "GET", "/guilds/*/roles"),
    calls("Anything about members", "*", "/guilds/*/members/**"),
    calls("Any call", "*", "**"),
];

/// A fault that one click arms.
pub(super) struct Preset {
    pub(super) label: &'static str,
    make: fn() -> Fault,
}

pub(super) const ARMED_BY_ONE_CLICK: &[Preset] = &[
    Preset {
        label: "Refuse the next role: Missing Permissions",
        make: || Fault::once("PUT", ROLE, refusal(&REFUSALS[0])),
    },
    Preset {
        label: "Let the next role take effect, and answer 502",
        make: || Fault::once("PUT", ROLE, Action::ErrorAfterEffect { status: 502 }),
    },
    Preset {
        label: "Cut the connection after the next join took effect",
        make: || Fault::once("PUT", MEMBER, Action::DropAfter),
    },
    Preset {
        label: "Say that the next role is given, and do nothing",
        make: || Fault::once("PUT", ROLE, Action::LostUpdate),
    },
    Preset {
        label: "Answer the next call 5 seconds late",
        make: || Fault::once("*", "**", Action::Delay { ms: 5_000 }),
    },
    Preset {
        label: "Rate limit the next call for 5 seconds",
        make: || Fault::once("*", "**", limited(Scope::User, 5.0)),
    },
    Preset {
        label: "Rate limit everything for 5 seconds",
        make: || Fault::once("*", "**", limited(Scope::Global, 5.0)),
    },
    Preset {
        label: "Fail every call with 503 until disarmed",
        make: || Fault::always("*", "**", Action::Error { status: 503 }),
    },
];

fn refusal(refusal: &Refusal) -> Action {
    let Refusal { code, status, message } = *refusal;
    Action::Refuse { status, code, message: message.to_owned() }
}

fn limited(scope: Scope, retry_after: f64) -> Action {
    Action::RateLimit { scope, retry_after }
}

/// A fault that waits for its call, in words.
pub(super) struct Armed {
    pub(super) number: u64,
    pub(super) calls: String,
    pub(super) action: String,
    pub(super) times: String,
}

impl Armed {
    pub(super) fn all(state: &State) -> Vec<Self> {
        let faults = lock(&state.faults);
        let armed = faults.armed().iter().map(|(number, fault)| Self {
            number: *number,
            calls: befallen(fault),
            action: sentence(&fault.action),
            times: times(fault),
        });
        armed.collect()
    }
}

fn befallen(fault: &Fault) -> String {
    let same = |calls: &&Calls| calls.method == fault.method && calls.path == fault.path;
    CALLS
        .iter()
        .find(same)
        .map_or_else(|| format!("{} {}", fault.method, fault.path), |calls| calls.label.to_owned())
}

fn sentence(action: &Action) -> String {
    match action {
        Action::Refuse { status, code, message } => {
            format!("is refused with {status}: {code} {message}")
        }
        Action::Delay { ms } => format!("is answered {} s late", seconds(*ms)),
        Action::ErrorAfterEffect { status } => format!("takes effect and is answered {status}"),
        Action::Error { status } => format!("fails with {status}"),
        Action::DropBefore => "is cut off before it takes effect".to_owned(),
        Action::DropAfter => "takes effect and is cut off".to_owned(),
        Action::RateLimit { scope, retry_after } => {
            let scope = match scope {
                Scope::User => "of its own limit",
                Scope::Global => "of the global limit",
                Scope::Shared => "of the shared limit",
            };
            format!("is refused with 429 {scope} for {retry_after} s")
        }
        Action::Cloudflare { retry_after } => {
            format!("is stopped by the guard before Discord for {retry_after} s")
        }
        Action::LostUpdate => "is said to be done and is not".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to people")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn times(fault: &Fault) -> String {
    let after = match fault.after {
        0 => String::new(),
        1 => ", after 1 call".to_owned(),
        calls => format!(", after {calls} calls"),
    };
    match fault.times {
        1 => format!("once{after}"),
        u64::MAX => format!("every time{after}"),
        times => format!("{times} times{after}"),
    }
}

#[derive(Template)]
#[template(path = "faults.html")]
struct FaultsPage {
    shell: Shell,
    faults: Vec<Armed>,
    presets: &'static [Preset],
    calls: &'static [Calls],
    refusals: &'static [Refusal],
}

async fn page(Extract(state): Sandbox) -> Response {
    let world = lock(&state.world);
    let page = FaultsPage {
        shell: Shell::new(&state, &world, Here::Faults),
        faults: Armed::all(&state),
        presets: ARMED_BY_ONE_CLICK,
        calls: CALLS,
        refusals: REFUSALS,
    };
    drop(world);
    show(&page)
}

#[derive(Deserialize)]
struct Wanted {
    /// Which of the calls listed, or `other` with a method and a path.
    calls: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    path: String,
    action: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    seconds: String,
    #[serde(default)]
    after: String,
    /// Empty: until it is disarmed.
    #[serde(default)]
    times: String,
}

fn number<T: std::str::FromStr>(typed: &str, default: T, what: &str) -> Result<T, Trouble> {
    match typed.trim() {
        "" => Ok(default),
        typed => typed.parse().map_err(|_| {
            Trouble::invalid(format!("{what} is not a number that fits here.")).back("/faults")
        }),
    }
}

impl Wanted {
    fn fault(&self) -> Result<Fault, Trouble> {
        let (method, path) = if self.calls == "other" {
            let (method, path) = (self.method.trim(), self.path.trim());
            if path.is_empty() {
                let missing = Trouble::invalid("A path is needed, such as /guilds/*/roles.");
                return Err(missing.back("/faults"));
            }
            (if method.is_empty() { "*" } else { method }, path)
        } else {
            let chosen = self.calls.parse().ok().and_then(|at: usize| CALLS.get(at));
            let chosen = chosen.ok_or_else(|| Trouble::missing("kind of call").back("/faults"))?;
            (chosen.method, chosen.path)
        };
        Ok(Fault {
            method: method.to_owned(),
            path: path.to_owned(),
            after: number(&self.after, 0, "The calls that go by")?,
            times: number(&self.times, u64::MAX, "How often it happens")?.max(1),
            action: self.action()?,
        })
    }

    fn action(&self) -> Result<Action, Trouble> {
        let status = |default| {
            let status = number(&self.status, default, "The status")?;
            if (400..600).contains(&status) {
                return Ok(status);
            }
            let odd = Trouble::invalid("An error has a status from 400 to 599.");
            Err(odd.back("/faults"))
        };
        let seconds = || {
            let seconds: f64 = number(&self.seconds, 5.0, "The seconds")?;
            if (0.0..=3_600.0).contains(&seconds) {
                return Ok(seconds);
            }
            Err(Trouble::invalid("Seconds go from 0 to 3600.").back("/faults"))
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to an hour"
        )]
        let whole = |seconds: f64| seconds.round() as u64;
        Ok(match self.action.as_str() {
            "refuse" => {
                let code = number(&self.code, 50_013, "The code")?;
                match refusals::by_code(code) {
                    Some(known) => refusal(known),
                    None => Action::Refuse {
                        status: status(400)?,
                        code,
                        message: "Refused by a fault of the sandbox".to_owned(),
                    },
                }
            }
            "error" => Action::Error { status: status(503)? },
            "error_after_effect" => Action::ErrorAfterEffect { status: status(502)? },
            "delay" => Action::Delay { ms: whole(seconds()? * 1_000.0) },
            "drop_before" => Action::DropBefore,
            "drop_after" => Action::DropAfter,
            "lost_update" => Action::LostUpdate,
            "limit_user" => limited(Scope::User, seconds()?),
            "limit_shared" => limited(Scope::Shared, seconds()?),
            "limit_global" => limited(Scope::Global, seconds()?),
            "cloudflare" => Action::Cloudflare { retry_after: whole(seconds()?) },
            _ => return Err(Trouble::missing("kind of fault").back("/faults")),
        })
    }
}

async fn arm(Extract(state): Sandbox, Form(wanted): Form<Wanted>) -> Result<Redirect, Trouble> {
    state.arm(wanted.fault()?);
    Ok(Redirect::to("/faults"))
}

/// From where a form was sent: a server's page, or the page of faults.
#[derive(Deserialize)]
struct From {
    server: Option<u64>,
}

impl From {
    fn back(&self) -> Redirect {
        let page = self.server.map_or_else(|| "/faults".to_owned(), |id| format!("/servers/{id}"));
        Redirect::to(&page)
    }
}

#[derive(Deserialize)]
struct Chosen {
    preset: usize,
    server: Option<u64>,
}

async fn arm_preset(
    Extract(state): Sandbox,
    Form(Chosen { preset, server }): Form<Chosen>,
) -> Result<Redirect, Trouble> {
    let preset = ARMED_BY_ONE_CLICK.get(preset);
    let preset = preset.ok_or_else(|| Trouble::missing("fault").back("/faults"))?;
    state.arm((preset.make)());
    Ok(From { server }.back())
}

async fn disarm(
    Extract(state): Sandbox,
    Path(number): Path<u64>,
    Form(from): Form<From>,
) -> Redirect {
    lock(&state.faults).disarm(number);
    state.changed();
    from.back()
}

async fn clear(Extract(state): Sandbox) -> Redirect {
    state.clear_faults();
    Redirect::to("/faults")
}

#[derive(Deserialize)]
struct Token {
    alive: bool,
}

async fn token(Extract(state): Sandbox, Form(token): Form<Token>) -> Redirect {
    state.set_token_alive(token.alive);
    Redirect::to("/faults")
}

#[derive(Deserialize)]
struct Cut {
    resumable: bool,
}

async fn gateway(Extract(state): Sandbox, Form(cut): Form<Cut>) -> Redirect {
    state.gateway.cut(cut.resumable);
    state.changed();
    Redirect::to("/faults")
}
