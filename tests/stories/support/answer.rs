//! An answer of the Hub, and what a story expects of it.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    /// The body of an answer that says yes.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {:#}", self.status, self.json);
        self.json
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.json);
        self
    }

    /// The answer is a problem with this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status.as_u16(), self.json["code"].as_str()),
            (status, Some(code)),
            "{:#}",
            self.json
        );
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert!(
            self.json["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{:#}",
            self.json
        );
        self.json
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The log position that a write reached.
    #[track_caller]
    pub(crate) fn position(&self) -> u64 {
        self.header("hub-position")
            .and_then(|position| position.parse().ok())
            .expect("the answer has a Hub-Position")
    }
}
