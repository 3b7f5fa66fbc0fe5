//! One attempt: signed as Standard Webhooks has it, sent, and what its answer means.

use std::{error::Error, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bot::http::{self, ClientError};
use chrono::{DateTime, TimeDelta, Utc};
use eventstore::webhooks::{Attempted, Delivery, DeliveryState};
use reqwest::{Client, StatusCode, header};
use ring::hmac;
use url::Url;

use super::target::{self, Forbidden};

/// How long after the attempt before it each attempt is made, in seconds.
pub(super) const SCHEDULE: [u32; 10] =
    [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The longest that an endpoint may take to answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// The longest that an endpoint may ask to be left alone.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(24);

/// The longest text of a problem that is kept.
const LONGEST_PROBLEM: usize = 200;

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Taken(StatusCode),
    /// 410: nothing is to come any more.
    Gone,
    Refused {
        status: StatusCode,
        wait: Option<TimeDelta>,
    },
    Nothing(String),
}

/// Sends to public addresses, and elsewhere where that is allowed.
pub(super) struct Sender {
    http: Client,
    private: bool,
}

impl Sender {
    pub(super) fn new(private: bool) -> Result<Self, ClientError> {
        // A proxy would resolve names by itself, past the check.
        let agent = concat!("IntegrationsHub/", env!("CARGO_PKG_VERSION"));
        let mut builder = http::builder(agent)?.no_proxy().timeout(DEADLINE);
        if !private {
            builder = builder.dns_resolver(target::resolver());
        }
        Ok(Self { http: http::build(builder)?, private })
    }

    /// Sends a message, signed with each of the secrets.
    pub(super) async fn send<S: AsRef<[u8]>>(
        &self,
        url: &str,
        secrets: &[S],
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Answer {
        let target = Url::parse(url).map_err(|_| Forbidden::NoTarget);
        let target = match target.and_then(|url| target::check(&url, self.private).map(|()| url)) {
            Ok(target) => target,
            Err(forbidden) => return Answer::Nothing(format!("the URL {forbidden}")),
        };
        let (id, at) = (delivery.id.to_string(), now.timestamp());
        let signatures: Vec<_> =
            secrets.iter().map(|secret| sign(secret.as_ref(), &id, at, &delivery.body)).collect();
        let sent = self
            .http
            .post(target)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signatures.join(" "))
            .body(delivery.body.clone())
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let status = answer.status();
                let wait = answer.headers().get(header::RETRY_AFTER);
                let wait = wait.and_then(|wait| retry_after(wait.to_str().ok()?, now));
                match status {
                    StatusCode::GONE => Answer::Gone,
                    status if status.is_success() => Answer::Taken(status),
                    status => Answer::Refused { status, wait },
                }
            }
            Err(error) => Answer::Nothing(innermost(&error)),
        }
    }
}

/// `v1,` and the base64 of the HMAC of id, time and body.
fn sign(secret: &[u8], id: &str, at: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// Seconds, or a date.
fn retry_after(text: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let seconds = || text.parse().ok().and_then(TimeDelta::try_seconds);
    let date = || Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now);
    let wait = seconds().or_else(date)?;
    Some(wait.clamp(TimeDelta::zero(), LONGEST_WAIT))
}

/// The cause at the bottom says the most, and holds no URL.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = if cause.to_string().is_empty() { "no answer" } else { &cause.to_string() };
    text.chars().take(LONGEST_PROBLEM).collect()
}

/// What becomes of a delivery after `attempts` attempts of which this was the last.
pub(super) fn outcome(answer: Answer, attempts: u32, now: DateTime<Utc>) -> Attempted {
    let (status, problem, wait) = match answer {
        Answer::Taken(status) => {
            return Attempted {
                state: DeliveryState::Delivered,
                next_at: None,
                http_status: Some(status.as_u16()),
                problem: None,
            };
        }
        Answer::Gone => {
            return Attempted {
                state: DeliveryState::Failed,
                next_at: None,
                http_status: Some(StatusCode::GONE.as_u16()),
                problem: Some("the endpoint is gone, and was disabled".to_owned()),
            };
        }
        Answer::Refused { status, wait } if status.is_redirection() => {
            (Some(status), "redirects are not followed; set the final URL".to_owned(), wait)
        }
        Answer::Refused { status, wait } => {
            (Some(status), "the endpoint must answer 2xx".to_owned(), wait)
        }
        Answer::Nothing(problem) => (None, problem, None),
    };
    let tried = usize::try_from(attempts).unwrap_or(usize::MAX);
    let next_at = SCHEDULE
        .get(tried)
        .map(|seconds| now + TimeDelta::seconds((*seconds).into()).max(wait.unwrap_or_default()));
    let state = if next_at.is_some() { DeliveryState::Waiting } else { DeliveryState::Failed };
    let http_status = status.map(|status| status.as_u16());
    Attempted { state, next_at, http_status, problem: Some(problem) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn it_signs_as_the_standard_s_example() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn it_tries_ten_times_over_three_days() {
        let refused = || Answer::Refused { status: StatusCode::INTERNAL_SERVER_ERROR, wait: None };
        let waits: Vec<_> = (1..=10)
            .map(|attempts| outcome(refused(), attempts, now()).next_at.map(|at| at - now()))
            .collect();
        let wanted: Vec<_> = SCHEDULE[1..]
            .iter()
            .map(|seconds| Some(TimeDelta::seconds((*seconds).into())))
            .chain([None])
            .collect();
        assert_eq!(waits, wanted);
        assert_eq!(outcome(refused(), 10, now()).state, DeliveryState::Failed);
    }

    #[test]
    fn an_endpoint_may_ask_to_be_left_alone_for_a_day_at_most() {
        for (text, seconds) in [
            ("120", 120),
            ("Fri, 15 Jan 2027 08:01:00 GMT", 60),
            ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
            ("99999999", 86_400),
        ] {
            assert_eq!(retry_after(text, now()), Some(TimeDelta::seconds(seconds)), "{text}");
        }
        assert_eq!(retry_after("soon", now()), None);
        let busy = Answer::Refused {
            status: StatusCode::TOO_MANY_REQUESTS,
            wait: Some(TimeDelta::seconds(120)),
        };
        assert_eq!(outcome(busy, 1, now()).next_at, Some(now() + TimeDelta::seconds(120)));
    }
}
