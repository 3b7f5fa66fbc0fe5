//! What an answer's headers say of the limits, and how long it asks to wait.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How long everything waits after an answer that did not come from Discord itself and names no time.
const BLOCKED: Duration = Duration::from_mins(1);

/// The shortest wait: a refusal that names none is not answered by a hot loop.
const SHORTEST: Duration = Duration::from_millis(50);

/// What an answer's headers say of its bucket.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Told {
    /// Discord's name of the bucket: routes with the same name share it within a server.
    pub(super) bucket: Option<Arc<str>>,
    pub(super) window: Option<Window>,
}

/// A window as Discord shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset_after: Duration,
    /// When it ends by Discord's clock, since 1970: the same in all answers of a window, however late they come.
    pub(super) reset: Option<Duration>,
}

impl Told {
    pub(crate) fn by(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let window = || {
            Some(Window {
                limit: text("x-ratelimit-limit")?.parse().ok()?,
                remaining: text("x-ratelimit-remaining")?.parse().ok()?,
                reset_after: seconds(text("x-ratelimit-reset-after")?.parse().ok()?)?,
                reset: text("x-ratelimit-reset").and_then(|text| seconds(text.parse().ok()?)),
            })
        };
        Self { bucket: text("x-ratelimit-bucket").map(Arc::from), window: window() }
    }
}

/// An answer that asks to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) long: Duration,
    /// Whether it is about every call, and not about one bucket.
    pub(crate) everything: bool,
}

impl Wait {
    /// What a refusal asks for. Without JSON it was not Discord that answered, but whoever guards it from too many
    /// calls: that speaks for everything.
    pub(crate) fn asked(headers: &HeaderMap, body: &[u8]) -> Self {
        let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let in_body = json.as_ref().and_then(|json| json["retry_after"].as_f64()).and_then(seconds);
        let asked = in_body.or_else(|| retry_after(headers));
        let Some(json) = json.filter(serde_json::Value::is_object) else {
            return Self { long: asked.unwrap_or(BLOCKED).max(SHORTEST), everything: true };
        };
        let scope = headers.get("x-ratelimit-scope").and_then(|scope| scope.to_str().ok());
        let named = headers.get("x-ratelimit-global").is_some_and(|global| global == "true");
        let everything =
            json["global"].as_bool().unwrap_or(false) || scope == Some("global") || named;
        Self { long: asked.unwrap_or(Duration::from_secs(1)).max(SHORTEST), everything }
    }
}

/// `Retry-After` in its two forms: seconds, or a date, which is held against the answer's own.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(number) = text.parse() {
        return seconds(number);
    }
    let date =
        |text: &str| DateTime::parse_from_rfc2822(text).ok().map(|at| at.with_timezone(&Utc));
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    (date(text)? - now).to_std().ok()
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn wait(ms: u64, everything: bool) -> Wait {
        Wait { long: Duration::from_millis(ms), everything }
    }

    #[test]
    fn a_page_that_is_not_discord_s_speaks_for_everything() {
        let page = b"<html>1015</html>";
        assert_eq!(Wait::asked(&headers(&[]), page), Wait { long: BLOCKED, everything: true });
        assert_eq!(Wait::asked(&headers(&[("retry-after", "5")]), page), wait(5_000, true));
        let dated = [
            ("date", "Tue, 01 Jul 2025 10:00:00 GMT"),
            ("retry-after", "Tue, 01 Jul 2025 10:02:00 GMT"),
        ];
        assert_eq!(Wait::asked(&headers(&dated), page), wait(120_000, true));
    }

    #[test]
    fn every_scope_is_told_apart() {
        let asked = |scope: &'static str, body: &str| {
            Wait::asked(
                &headers(&[("x-ratelimit-scope", scope), ("retry-after", "3")]),
                body.as_bytes(),
            )
        };
        let body = r#"{"message": "x", "retry_after": 2.5, "global": false}"#;
        assert_eq!(asked("user", body), wait(2_500, false));
        assert_eq!(asked("shared", body), wait(2_500, false));
        assert_eq!(asked("global", body), wait(2_500, true));
        assert_eq!(asked("user", r#"{"retry_after": 0.5, "global": true}"#), wait(500, true));
        // A shared limit may last longer than 65,535 seconds; a body without a time leaves the header's.
        assert_eq!(asked("shared", r#"{"retry_after": 86400.0}"#), wait(86_400_000, false));
        assert_eq!(asked("user", r#"{"code": 40062}"#), wait(3_000, false));
    }

    #[test]
    fn half_a_window_is_none() {
        let whole = headers(&[
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-reset-after", "2.5"),
            ("x-ratelimit-reset", "1800000000.25"),
            ("x-ratelimit-bucket", "abc"),
        ]);
        let told = Told::by(&whole);
        let reset_after = Duration::from_millis(2_500);
        let reset = Some(Duration::from_millis(1_800_000_000_250));
        assert_eq!(told.window, Some(Window { limit: 10, remaining: 9, reset_after, reset }));
        assert_eq!(told.bucket.as_deref(), Some("abc"));
        assert_eq!(Told::by(&headers(&[("x-ratelimit-limit", "10")])), Told::default());
    }
}
