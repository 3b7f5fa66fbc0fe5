//! Rate limits as Discord has them: fixed windows per route and server, and a global one per token.

use std::{collections::HashMap, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::faults::Scope;

/// How many calls a window takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub calls: u32,
    pub per_ms: u64,
}

/// The limits in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub enabled: bool,
    /// Giving and taking roles, per server.
    pub member_roles: Limit,
    /// Adding and removing members, per server.
    pub members: Limit,
    /// Every other route, per server.
    pub other: Limit,
    /// All calls of one token.
    pub global: Limit,
    /// Whether successes carry `X-RateLimit-Scope`, which Discord documents for refusals only.
    pub scope_on_success: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            member_roles: Limit { calls: 10, per_ms: 10_000 },
            members: Limit { calls: 10, per_ms: 10_000 },
            other: Limit { calls: 50, per_ms: 1_000 },
            global: Limit { calls: 50, per_ms: 1_000 },
            scope_on_success: false,
        }
    }
}

impl Limits {
    /// No limits: for stories that are about something else.
    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }

    fn of(&self, method: &str, route: &str) -> (Limit, &'static str) {
        match (method, route) {
            ("PUT" | "DELETE", "/guilds/*/members/*/roles/*") => (self.member_roles, "b0a7c1role"),
            ("PUT" | "DELETE" | "PATCH", "/guilds/*/members/*") => (self.members, "b0a7c1member"),
            _ => (self.other, "b0a7c1other"),
        }
    }
}

#[derive(Debug)]
struct Window {
    ends: DateTime<Utc>,
    left: u32,
}

/// The windows that are open.
#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<(&'static str, String), Window>);

/// What a call may do, and the headers that its answer carries.
pub(crate) enum Permit {
    Granted(HeaderMap),
    Refused { scope: Scope, retry_after: Duration, headers: HeaderMap },
}

impl Windows {
    /// `major`: the server that the route is about.
    pub(crate) fn take(
        &mut self,
        limits: &Limits,
        method: &str,
        route: &str,
        major: &str,
        now: DateTime<Utc>,
    ) -> Permit {
        if !limits.enabled {
            return Permit::Granted(HeaderMap::new());
        }
        if let Err(left) = self.count("global", String::new(), limits.global, now).map(drop) {
            let headers = headers(&[
                ("x-ratelimit-global", "true".into()),
                ("x-ratelimit-scope", "global".into()),
            ]);
            return Permit::Refused { scope: Scope::Global, retry_after: left, headers };
        }
        let (limit, bucket) = limits.of(method, route);
        let counted = self.count(bucket, major.to_owned(), limit, now);
        let (left, ends) = match &counted {
            Ok((left, ends)) => (*left, *ends),
            Err(wait) => (0, now + TimeDelta::from_std(*wait).unwrap_or_default()),
        };
        let seconds = |time: TimeDelta| format!("{:.3}", time.as_seconds_f64());
        let mut sent = headers(&[
            ("x-ratelimit-bucket", bucket.to_owned()),
            ("x-ratelimit-limit", limit.calls.to_string()),
            ("x-ratelimit-remaining", left.to_string()),
            ("x-ratelimit-reset", seconds(ends - DateTime::UNIX_EPOCH)),
            ("x-ratelimit-reset-after", seconds(ends - now)),
        ]);
        if limits.scope_on_success || counted.is_err() {
            sent.extend(headers(&[("x-ratelimit-scope", "user".into())]));
        }
        match counted {
            Ok(_) => Permit::Granted(sent),
            Err(retry_after) => Permit::Refused { scope: Scope::User, retry_after, headers: sent },
        }
    }

    fn count(
        &mut self,
        bucket: &'static str,
        major: String,
        limit: Limit,
        now: DateTime<Utc>,
    ) -> Result<(u32, DateTime<Utc>), Duration> {
        let per = TimeDelta::milliseconds(i64::try_from(limit.per_ms).unwrap_or(i64::MAX));
        let fresh = || Window { ends: now + per, left: limit.calls };
        let window = self.0.entry((bucket, major)).or_insert_with(fresh);
        if window.ends <= now {
            *window = fresh();
        }
        match window.left.checked_sub(1) {
            Some(left) => {
                window.left = left;
                Ok((left, window.ends))
            }
            None => Err((window.ends - now).to_std().unwrap_or_default()),
        }
    }
}

pub(crate) fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    let pairs = pairs.iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
    });
    pairs.collect()
}
