//! What Discord said to a call, sorted by what it means.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Trouble, trouble};
use reqwest::{StatusCode, header};
use serde::de::DeserializeOwned;

use crate::pacing::{Wait, retry_after};

/// What Discord said to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<T> {
    Done(T),
    Refused(Refusal),
    /// It is not known what became of the call, or Discord asked to wait.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// Discord does not take the bot's token any more: nothing can be done until it is changed.
    TokenDead,
    /// The call was not made: while it waited for its turn, what it was for was no longer wanted.
    Unwanted,
}

/// Discord's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub trouble: Trouble,
    pub http_status: u16,
    /// Discord's own error code; 0 where it gave none.
    pub code: u64,
    pub detail: String,
}

impl Refusal {
    /// Whether the user is not in the server: 10007, or 10013 for an account that is gone.
    pub fn not_a_member(&self) -> bool {
        matches!(self.code, 10007 | 10013)
    }
}

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// 201: the call brought them in, at this time by Discord's clock.
    Added(Option<DateTime<Utc>>),
    /// 204: they were there; nothing changed.
    Already,
}

impl<T> Answer<T> {
    pub(crate) fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Done(value) => Answer::Done(with(value)),
            other => other.without(),
        }
    }

    /// What was asked for; everything else is not told.
    pub(super) fn done(self) -> Option<T> {
        if let Self::Done(value) = self { Some(value) } else { None }
    }

    /// The same answer where it is not `Done`; a `Done` whose value is not wanted is asked for again.
    pub(crate) fn without<U>(self) -> Answer<U> {
        match self {
            Self::Done(_) => {
                Answer::Later { why: "the answer was not used".to_owned(), after: None }
            }
            Self::Refused(refusal) => Answer::Refused(refusal),
            Self::Later { why, after } => Answer::Later { why, after },
            Self::TokenDead => Answer::TokenDead,
            Self::Unwanted => Answer::Unwanted,
        }
    }
}

/// An answer that has arrived.
pub(super) struct Arrived {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// Reads an answer's body.
pub(super) fn read<T: DeserializeOwned>(answer: Answer<Arrived>) -> Answer<T> {
    match answer {
        Answer::Done(arrived) => match serde_json::from_slice(&arrived.body) {
            Ok(value) => Answer::Done(value),
            Err(error) => {
                Answer::Later { why: format!("the answer cannot be read: {error}"), after: None }
            }
        },
        other => other.without(),
    }
}

/// What an answer is, before it is known whether it is asked for again.
pub(super) enum Sorted {
    Wait(Wait),
    Is(Answer<Arrived>),
}

pub(super) fn sorted(status: StatusCode, headers: &header::HeaderMap, body: Vec<u8>) -> Sorted {
    let later = |why: String, after| Sorted::Is(Answer::Later { why, after });
    if status.is_success() {
        return Sorted::Is(Answer::Done(Arrived { status, body }));
    }
    if status == StatusCode::UNAUTHORIZED {
        return Sorted::Is(Answer::TokenDead);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Sorted::Wait(Wait::asked(headers, &body));
    }
    if status.is_server_error() {
        return later(format!("Discord answered {status}"), retry_after(headers));
    }
    let Ok(error) = serde_json::from_slice::<serde_json::Value>(&body) else {
        // A page of whoever stands in front of Discord: it speaks for every call.
        return Sorted::Wait(Wait::asked(headers, &body));
    };
    let code = error["code"].as_u64().unwrap_or_default();
    let trouble = trouble::of_discord_code(code).unwrap_or(Trouble::Refused);
    if matches!(code, 130_000 | 40062) {
        return later("Discord is overloaded".to_owned(), retry_after(headers));
    }
    if trouble == Trouble::BotTokenDead {
        return Sorted::Is(Answer::TokenDead);
    }
    let detail = error["message"].as_str().unwrap_or_default().to_owned();
    Sorted::Is(Answer::Refused(Refusal { trouble, http_status: status.as_u16(), code, detail }))
}
