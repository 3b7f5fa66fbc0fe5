//! Fault scripts: what goes wrong, on which call, how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whom a rate limit is about, as Discord names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    User,
    Global,
    Shared,
}

/// What happens instead of, or after, the call's effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Discord says no, and nothing happens.
    Refuse { status: u16, code: u64, message: String },
    /// The call has its effect late, and so comes the answer.
    Delay { ms: u64 },
    /// The call has its effect at once, and the answer comes late: what it shows may be old by then.
    DelayAfter { ms: u64 },
    /// The call has its effect, and the answer is an error of the server.
    ErrorAfterEffect { status: u16 },
    /// An error of the server, and nothing happens.
    Error { status: u16 },
    /// The connection is cut before anything happens.
    DropBefore,
    /// The call has its effect, and the connection is cut before the answer.
    DropAfter,
    /// 429.
    RateLimit { scope: Scope, retry_after: f64 },
    /// The page of whoever stands in front of Discord: 429 in HTML, without Discord's headers.
    Cloudflare { retry_after: u64 },
    /// The answer says that it is done, and nothing happens.
    LostUpdate,
}

/// A fault and the calls that it befalls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// `PUT`, or `*` for every method.
    #[serde(default = "any")]
    pub method: String,
    /// A path below `/api/v10`; `*` stands for one part: `/guilds/*/members/*/roles/*`. A `**` at the end stands
    /// for all the rest.
    pub path: String,
    /// How many matching calls go by first.
    #[serde(default)]
    pub after: u64,
    /// How many calls it befalls.
    #[serde(default = "once")]
    pub times: u64,
    pub action: Action,
}

fn any() -> String {
    "*".to_owned()
}

fn once() -> u64 {
    1
}

impl Fault {
    /// Befalls the next call.
    pub fn once(method: &str, path: &str, action: Action) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), after: 0, times: 1, action }
    }

    /// Befalls every call until it is taken away.
    pub fn always(method: &str, path: &str, action: Action) -> Self {
        Self { times: u64::MAX, ..Self::once(method, path, action) }
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let wanted = self.path.trim_matches('/');
        let (wanted, open) = match wanted.strip_suffix("**") {
            Some(start) => (start.trim_end_matches('/'), true),
            None => (wanted, false),
        };
        let mut given = path.trim_matches('/').split('/');
        (self.method == "*" || self.method.eq_ignore_ascii_case(method))
            && wanted
                .split('/')
                .filter(|wanted| !(open && wanted.is_empty()))
                .all(|wanted| given.next().is_some_and(|given| wanted == "*" || wanted == given))
            && (open || given.next().is_none())
    }
}

/// The faults that wait for calls, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<(u64, Fault)>,
    last: u64,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.last += 1;
        self.armed.push((self.last, fault));
    }

    pub(crate) fn disarm(&mut self, number: u64) {
        self.armed.retain(|(known, _)| *known != number);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// The faults, each with the number by which it is disarmed.
    pub(crate) fn armed(&self) -> &[(u64, Fault)] {
        &self.armed
    }

    /// The fault that befalls a call, if any; it counts the call.
    pub(crate) fn strike(&mut self, method: &str, path: &str) -> Option<Action> {
        let at = self.armed.iter_mut().position(|(_, fault)| {
            let hit = fault.matches(method, path);
            if hit && fault.after > 0 {
                fault.after -= 1;
                return false;
            }
            hit
        })?;
        let (_, fault) = &mut self.armed[at];
        let action = fault.action.clone();
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            self.armed.remove(at);
        }
        Some(action)
    }
}

pub(crate) async fn wait(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_befalls_the_calls_that_it_names_and_no_more() {
        let mut faults = Faults::default();
        faults.arm(Fault {
            after: 1,
            times: 2,
            ..Fault::once("PUT", "/guilds/*/members/*", Action::DropBefore)
        });
        let mut call = |method, path| faults.strike(method, path).is_some();
        assert!(!call("PUT", "/guilds/1/members/2"), "the first goes by");
        assert!(!call("DELETE", "/guilds/1/members/2"));
        assert!(!call("PUT", "/guilds/1/members/2/roles/3"));
        assert!(call("PUT", "/guilds/1/members/2"));
        assert!(call("put", "/guilds/9/members/9/"));
        assert!(!call("PUT", "/guilds/1/members/2"), "it is used up");
    }

    #[test]
    fn a_path_that_ends_in_two_stars_means_all_below_it() {
        let below = |path: &str, call: &str| {
            Fault::once("*", path, Action::DropBefore).matches("GET", call)
        };
        assert!(below("**", "/guilds/1/members/2"));
        assert!(below("/guilds/*/members/**", "/guilds/1/members/2/roles/3"));
        assert!(!below("/guilds/*/members/**", "/guilds/1/roles"));
        assert!(!below("/guilds/*/members/*", "/guilds/1/members/2/roles/3"));
    }
}
