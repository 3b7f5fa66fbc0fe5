//! The log of what the sandbox was asked and what it answered.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;

/// Whose token a call carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Bot,
    /// A user's access token; without a user where nobody knows the token.
    Bearer(#[serde(serialize_with = "crate::ids::optional::serialize")] Option<u64>),
    /// The application itself, by its secret.
    Application,
    #[default]
    Nobody,
}

/// A call to the REST API, or to OAuth2's token routes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Call {
    /// Counts from 1.
    pub n: u64,
    /// When it came in.
    pub asked_at: DateTime<Utc>,
    /// When it was answered.
    pub at: DateTime<Utc>,
    pub by: By,
    pub method: String,
    /// Below `/api/v10`.
    pub path: String,
    /// The path with `*` for every id.
    pub route: String,
    pub query: String,
    /// 0: the connection was cut.
    pub status: u16,
    /// Discord's own error code.
    pub code: Option<u64>,
    pub reason: Option<String>,
    /// The body that was sent, without tokens.
    pub body: Option<Value>,
}

/// How many calls are kept.
const KEPT: usize = 100_000;

/// Discord blocks an address after 10,000 of these in ten minutes.
const WINDOW: TimeDelta = TimeDelta::minutes(10);

#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: u64,
    /// What was asked for, as `METHOD route`, in order; an answer may still be on its way.
    pub(crate) asked: VecDeque<String>,
    pub(crate) kept: VecDeque<Call>,
    /// One call of every kind: method, route, query and body.
    pub(crate) kinds: BTreeMap<String, Call>,
    invalid: VecDeque<DateTime<Utc>>,
}

impl Calls {
    pub(crate) fn hear(&mut self, method: &str, route: &str) {
        if self.asked.len() == KEPT {
            self.asked.pop_front();
        }
        self.asked.push_back(format!("{method} {route}"));
    }

    pub(crate) fn push(&mut self, mut call: Call, counts_as_invalid: bool) {
        self.next += 1;
        call.n = self.next;
        if counts_as_invalid {
            self.invalid.push_back(call.at);
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let body = call.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let kind = format!("{} {} {} {body}", call.method, call.route, call.query);
        self.kinds.entry(kind).or_insert_with(|| call.clone());
        self.kept.push_back(call);
    }

    /// Forgets the calls so far, and keeps what kinds there were.
    pub(crate) fn forget(&mut self) {
        *self = Self { kinds: std::mem::take(&mut self.kinds), ..Self::default() };
    }

    /// How many calls of the last ten minutes Discord would count against the address.
    pub(crate) fn invalid(&mut self, now: DateTime<Utc>) -> usize {
        while self.invalid.front().is_some_and(|at| *at < now - WINDOW) {
            self.invalid.pop_front();
        }
        self.invalid.len()
    }
}

/// A path with `*` for every id in it.
pub(crate) fn masked(path: &str) -> String {
    let mask = |part: &str| {
        let id = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if id { "*".to_owned() } else { part.to_owned() }
    };
    path.split('/').map(mask).collect::<Vec<_>>().join("/")
}
