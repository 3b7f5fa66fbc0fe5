//! The Hub over REST: what `desk` does, for a bot process of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::mpsc, time::timeout};
use url::Url;

use crate::{
    http::{self, ClientError, DEADLINE},
    wire::{
        Command, IdentifyRequest, IdentifyTurn, Lease, LeaseRef, LeaseRequest, Leases, Noted,
        Observation, Outcome, Recorded, Share, ShareRequest, StartRequest, Started,
    },
};

/// The longest silence on the stream: the Hub sends a comment every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// The longest pause before the stream is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why the Hub did not answer as hoped.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("the hub cannot be reached: {0}; check --hub and that it is running")]
    Unreachable(String),
    #[error("the hub answered {status} {code}: {detail}")]
    Problem { status: u16, code: String, detail: String },
    #[error("the hub's answer cannot be read: {0}; check that --hub names a hub of this version")]
    Malformed(String),
}

impl RemoteError {
    /// The stable code of the Hub's answer.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem { code, .. } => Some(code),
            Self::Unreachable(_) | Self::Malformed(_) => None,
        }
    }
}

impl From<reqwest::Error> for RemoteError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url().to_string())
    }
}

/// A client of the Hub's bot routes. Cloning is cheap.
#[derive(Clone)]
pub struct Remote {
    http: reqwest::Client,
    hub: Url,
    key: SecretString,
    /// The highest position of the log that the Hub has told.
    told: Arc<AtomicU64>,
}

impl Remote {
    pub fn new(hub: Url, key: SecretString) -> Result<Self, ClientError> {
        let http = http::client(&format!("hub-bot/{}", env!("CARGO_PKG_VERSION")))?;
        Ok(Self { http, hub, key, told: Arc::default() })
    }

    pub(crate) fn position(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    fn is_at(&self, position: u64) {
        self.told.fetch_max(position, Ordering::Relaxed);
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.hub.as_str().trim_end_matches('/');
        self.http.request(method, format!("{base}{path}")).bearer_auth(self.key.expose_secret())
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, RemoteError> {
        let answer = self.request(Method::POST, path).json(body).timeout(DEADLINE).send().await?;
        let answer = sorted(answer).await?;
        answer.json().await.map_err(|error| RemoteError::Malformed(error.without_url().to_string()))
    }

    pub(crate) async fn acquire(&self, request: &LeaseRequest) -> Result<Vec<Lease>, RemoteError> {
        let Leases { data, position } = self.post("/v1/bot/leases", request).await?;
        self.is_at(position);
        Ok(data)
    }

    pub(crate) async fn release(&self, bot: &str, epoch: u64) -> Result<(), RemoteError> {
        let body = LeaseRef { bot: bot.to_owned(), epoch };
        let request =
            self.request(Method::POST, "/v1/bot/leases/release").json(&body).timeout(DEADLINE);
        sorted(request.send().await?).await.map(drop)
    }

    pub(crate) async fn share(&self, request: &ShareRequest) -> Result<Share, RemoteError> {
        self.post("/v1/bot/share", request).await
    }

    pub(crate) async fn identify(
        &self,
        request: &IdentifyRequest,
    ) -> Result<IdentifyTurn, RemoteError> {
        self.post("/v1/bot/identify", request).await
    }

    pub(crate) async fn start(
        &self,
        id: &str,
        request: &StartRequest,
    ) -> Result<Started, RemoteError> {
        self.post(&format!("/v1/bot/commands/{id}/start"), request).await
    }

    pub(crate) async fn outcome(
        &self,
        id: &str,
        outcome: &Outcome,
    ) -> Result<Recorded, RemoteError> {
        let path = format!("/v1/bot/commands/{id}/outcome");
        let recorded: Recorded = self.post(&path, outcome).await?;
        self.is_at(recorded.position);
        Ok(recorded)
    }

    pub(crate) async fn observe(&self, observation: &Observation) -> Result<Noted, RemoteError> {
        let noted: Noted = self.post("/v1/bot/observations", observation).await?;
        self.is_at(noted.position);
        Ok(noted)
    }

    /// Follows the command stream, again from where it was whenever it breaks.
    pub(crate) async fn follow(&self, shards: &[u32], of: u32, commands: &mpsc::Sender<Command>) {
        let shards: Vec<String> = shards.iter().map(u32::to_string).collect();
        let path = format!("/v1/bot/commands?shards={}&of={of}", shards.join(","));
        let (mut last, mut pause) = (None, Duration::from_millis(200));
        loop {
            match self.stream(&path, &mut last, commands).await {
                Ok(heard) if heard => pause = Duration::from_millis(200),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the command stream broke; it is opened again");
                    // The log was restored from a copy that has not come so far.
                    if matches!(&error, RemoteError::Problem { code, .. } if code == "beyond_the_log")
                    {
                        last = None;
                    }
                }
            }
            if commands.is_closed() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads the stream until it ends; answers whether anything was heard.
    async fn stream(
        &self,
        path: &str,
        last: &mut Option<String>,
        commands: &mpsc::Sender<Command>,
    ) -> Result<bool, RemoteError> {
        let mut request = self.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(id) = &*last {
            request = request.header("last-event-id", id);
        }
        let answer = timeout(DEADLINE, request.send())
            .await
            .map_err(|_| RemoteError::Unreachable("it did not answer in time".to_owned()))??;
        let mut parts = sorted(answer).await?.bytes_stream();
        let (mut lines, mut heard) = (Lines::default(), false);
        loop {
            let part = timeout(SILENCE, parts.next())
                .await
                .map_err(|_| RemoteError::Unreachable("the stream fell silent".to_owned()))?;
            let Some(part) = part else { return Ok(heard) };
            heard = true;
            for (id, data) in lines.take(&part?) {
                let command: Command = serde_json::from_str(&data)
                    .map_err(|error| RemoteError::Malformed(error.to_string()))?;
                self.is_at(command.position);
                if commands.send(command).await.is_err() {
                    return Ok(heard);
                }
                *last = id.or(last.take());
            }
        }
    }
}

async fn sorted(answer: Response) -> Result<Response, RemoteError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let problem: serde_json::Value = answer.json().await.unwrap_or_default();
    let text = |name: &str| problem[name].as_str().map(str::to_owned);
    Err(RemoteError::Problem {
        status: status.as_u16(),
        code: text("code").unwrap_or_else(|| default_code(status).to_owned()),
        detail: text("detail").unwrap_or_default(),
    })
}

fn default_code(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("unknown")
}

/// Puts server-sent events together from parts that are cut anywhere.
#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
    id: Option<String>,
    data: String,
}

impl Lines {
    /// The events that a part completes, each with its id.
    fn take(&mut self, part: &[u8]) -> Vec<(Option<String>, String)> {
        self.pending.extend_from_slice(part);
        let mut events = vec![];
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if !self.data.is_empty() {
                    events.push((self.id.take(), std::mem::take(&mut self.data)));
                }
            } else if let Some(id) = field(line, "id") {
                self.id = Some(id.to_owned());
            } else if let Some(data) = field(line, "data") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data);
            }
        }
        events
    }
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value = line.strip_prefix(name)?.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_however_they_are_cut() {
        let text = ": hello\n\nid: 7-1-a\nevent: command\ndata: {\"a\":\ndata: \"ü\"}\n\nid:8\ndata:x\r\n\r\n";
        let whole = Lines::default().take(text.as_bytes());
        assert_eq!(
            whole,
            [
                (Some("7-1-a".to_owned()), "{\"a\":\n\"ü\"}".to_owned()),
                (Some("8".to_owned()), "x".to_owned()),
            ]
        );
        for cut in 1..text.len() {
            let mut lines = Lines::default();
            let mut events = lines.take(&text.as_bytes()[..cut]);
            events.extend(lines.take(&text.as_bytes()[cut..]));
            assert_eq!(events, whole, "cut at {cut}");
        }
    }
}
