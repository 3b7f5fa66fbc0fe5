//! The faults that wait for their calls, in words.

use super::offered::{CALLS, Calls};
use crate::{
    faults::{Action, Fault, Scope},
    server::{State, lock},
};

/// A fault that waits for its call, in words.
pub(in crate::pages) struct Armed {
    pub(in crate::pages) number: u64,
    pub(in crate::pages) calls: String,
    pub(in crate::pages) action: String,
    pub(in crate::pages) times: String,
}

impl Armed {
    pub(in crate::pages) fn all(state: &State) -> Vec<Self> {
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
        Action::Delay { ms } => format!("takes effect {} s late", seconds(*ms)),
        Action::DelayAfter { ms } => {
            format!("takes effect and is answered {} s late", seconds(*ms))
        }
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
