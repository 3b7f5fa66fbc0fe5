//! One call, from its turn to what is learnt from its answer.

use std::time::Duration;

use domain::{GuildId, Trouble};
use reqwest::{StatusCode, header};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};
use twilight_http::request::{Method, Request};

use super::{
    Discord, Inner,
    answer::{Answer, Arrived, Refusal, Sorted, sorted},
};
use crate::{
    http::DEADLINE,
    pacing::{NoPermit, Route, Subject, Turn},
};

/// How often a call is repeated that Discord asked to wait with.
const WAITS: u32 = 3;

/// How long somebody waits for the turn of a call whose answer they want to see.
const ASKED_WAIT: Duration = Duration::from_secs(10);

/// What a call is, for whoever decides when it may be made.
pub(super) struct Call {
    route: Route,
    turn: Turn,
    /// What holds it back where Discord refuses it to others.
    subjects: Vec<Subject>,
}

impl Call {
    pub(super) fn new(name: &'static str, guild: GuildId, turn: Turn) -> Self {
        Self { route: Route { name, guild: guild.0 }, turn, subjects: vec![] }
    }

    /// A call that changes something in a server.
    pub(super) fn change(
        name: &'static str,
        guild: GuildId,
        turn: Turn,
        of: Option<Subject>,
    ) -> Self {
        let subjects = std::iter::once(Subject::Guild(guild)).chain(of).collect();
        Self { subjects, ..Self::new(name, guild, turn) }
    }

    /// What a refusal of this call speaks for beyond the call itself.
    fn refused(&self, refusal: &Refusal) -> Option<Subject> {
        let guild = Subject::Guild(GuildId(self.route.guild));
        let of = |subject: &&Subject| match (subject, refusal.trouble) {
            (_, Trouble::BotMissing | Trouble::TwoFactorNeeded) => **subject == guild,
            (Subject::Role(..), Trouble::MissingPermissions | Trouble::RoleInvalid)
            | (Subject::Joins(..), Trouble::MissingPermissions | Trouble::ServerFull) => true,
            // A role that is gone is taken from everybody all the same.
            (Subject::Role(..), Trouble::RoleDeleted) => self.turn == Turn::Access,
            _ => false,
        };
        self.subjects.iter().find(of).copied()
    }
}

/// Why a call is not made.
enum Stopped {
    NoPermit(NoPermit),
    /// It is known what would be answered.
    Refused(Refusal),
}

impl Discord {
    /// Makes one call: waits for its permit as long as it is wanted, keeps to the deadline from then on, learns from
    /// the answer. A call that Discord asks to wait with had no effect, so it is repeated here.
    pub(super) async fn call(
        &self,
        call: Call,
        request: Result<Request, twilight_http::Error>,
    ) -> Answer<Arrived> {
        let later = |why: String, after| Answer::Later { why, after };
        let request = match request {
            Ok(request) => request,
            Err(error) => return later(format!("the request cannot be built: {error}"), None),
        };
        let Inner { pacer, breakers, .. } = &*self.inner;
        let mut waits = 0;
        loop {
            let permitted = async {
                loop {
                    let passed = breakers.pass(&call.subjects).await.map_err(Stopped::Refused)?;
                    let permit =
                        pacer.permit(call.route, call.turn).await.map_err(Stopped::NoPermit)?;
                    if breakers.holds(passed, &call.subjects) {
                        return Ok(permit);
                    }
                    permit.unused();
                }
            };
            let permitted = async {
                // Whoever asks to look does not wait for everybody else.
                if call.turn == Turn::Asked {
                    let busy = Stopped::NoPermit(NoPermit::Later(ASKED_WAIT));
                    timeout(ASKED_WAIT, permitted).await.unwrap_or(Err(busy))
                } else {
                    permitted.await
                }
            };
            let permit = match self.until.run_until_cancelled(permitted).await {
                Some(Ok(permit)) => permit,
                Some(Err(Stopped::Refused(refusal))) => return Answer::Refused(refusal),
                Some(Err(Stopped::NoPermit(NoPermit::TokenDead))) => return Answer::TokenDead,
                Some(Err(Stopped::NoPermit(NoPermit::Later(wait)))) => {
                    return later(
                        "the limits of Discord let no call through now".to_owned(),
                        Some(wait),
                    );
                }
                None => return Answer::Unwanted,
            };
            let (status, headers, body) = match timeout(DEADLINE, self.send(&request)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => {
                    return later(format!("the connection failed: {}", error.without_url()), None);
                }
                Err(_) => return later("Discord did not answer in time".to_owned(), None),
            };
            let shared = headers.get("x-ratelimit-scope").is_some_and(|scope| scope == "shared");
            if matches!(status.as_u16(), 401 | 403 | 429) && !shared {
                pacer.count_refusal();
            }
            match sorted(status, &headers, body) {
                Sorted::Wait(wait) => {
                    permit.refused(&headers, wait);
                    waits += 1;
                    if waits == WAITS {
                        return later("Discord asked to wait".to_owned(), Some(wait.long));
                    }
                }
                Sorted::Is(Answer::TokenDead) => {
                    permit.token_refused(&headers);
                    return Answer::TokenDead;
                }
                Sorted::Is(answer) => {
                    permit.answered(&headers);
                    self.learn(&call, &answer);
                    return answer;
                }
            }
        }
    }

    /// What an answer means for the calls that wait.
    fn learn(&self, call: &Call, answer: &Answer<Arrived>) {
        let Inner { pacer, breakers, .. } = &*self.inner;
        match answer {
            Answer::Done(_) => breakers.accepted(&call.subjects),
            Answer::Refused(refusal) => {
                if let Some(subject) = call.refused(refusal) {
                    breakers.refused(subject, Instant::now());
                }
            }
            Answer::Later { .. } | Answer::TokenDead | Answer::Unwanted => return,
        }
        pacer.token_accepted();
    }

    async fn send(
        &self,
        request: &Request,
    ) -> Result<(StatusCode, header::HeaderMap, Vec<u8>), reqwest::Error> {
        let method = match request.method() {
            Method::Delete => reqwest::Method::DELETE,
            Method::Patch => reqwest::Method::PATCH,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            // Reading, and what twilight may learn that no request of this room uses.
            _ => reqwest::Method::GET,
        };
        let url = self.inner.settings.api(&format!("/api/v10/{}", request.path()));
        let token = format!("Bot {}", self.inner.settings.bot_token.expose_secret());
        let mut built = self.inner.http.request(method, url).header(header::AUTHORIZATION, token);
        for (name, value) in request.headers().into_iter().flatten() {
            built = built.header(name, value);
        }
        built = match request.body() {
            Some(body) => {
                built.header(header::CONTENT_TYPE, "application/json").body(body.to_vec())
            }
            None => built.header(header::CONTENT_LENGTH, 0),
        };
        let answer = built.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await?.to_vec()))
    }
}
