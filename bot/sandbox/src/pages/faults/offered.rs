//! What the page offers: the kinds of calls, and faults that one click arms.

use crate::{
    faults::{Action, Fault, Scope},
    pages::refusals::{REFUSALS, Refusal},
};

/// Calls that a fault can be about.
pub(super) struct Calls {
    pub(super) label: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
}

const fn calls(label: &'static str, method: &'static str, path: &'static str) -> Calls {
    Calls { label, method, path }
}

const ROLE: &str = "/guilds/*/members/*/roles/*";
const MEMBER: &str = "/guilds/*/members/*";

pub(super) const CALLS: &[Calls] = &[
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
pub(in crate::pages) struct Preset {
    pub(in crate::pages) label: &'static str,
    pub(super) make: fn() -> Fault,
}

pub(in crate::pages) const ARMED_BY_ONE_CLICK: &[Preset] = &[
    Preset {
        label: "Refuse the next role twice: Missing Permissions",
        make: || Fault { times: 2, ..Fault::once("PUT", ROLE, refusal(&REFUSALS[0])) },
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

pub(super) fn refusal(refusal: &Refusal) -> Action {
    let Refusal { code, status, message } = *refusal;
    Action::Refuse { status, code, message: message.to_owned() }
}

pub(super) fn limited(scope: Scope, retry_after: f64) -> Action {
    Action::RateLimit { scope, retry_after }
}
