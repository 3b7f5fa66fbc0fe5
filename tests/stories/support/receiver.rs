//! An endpoint of the platform: takes webhooks on loopback, checks who signed them, answers as it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    time::timeout,
};

/// A webhook as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) id: String,
    pub(crate) at: i64,
    pub(crate) signatures: Vec<String>,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Got {
    pub(crate) fn kind(&self) -> &str {
        self.json["type"].as_str().unwrap()
    }

    /// Whether one of the signatures was made with a secret.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signed = format!("{}.{}.{}", self.id, self.at, self.text);
        let fits = |one: &String| {
            let tag = STANDARD.decode(one.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
        };
        self.signatures.iter().any(fits)
    }
}

/// A status and, where there is one, a header.
type Scripted = (u16, Option<(&'static str, &'static str)>);

struct Shared {
    got: Mutex<Vec<Got>>,
    /// What the next webhooks are answered; 204 after that.
    script: Mutex<VecDeque<Scripted>>,
    held: watch::Sender<bool>,
    came: Notify,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            got: Mutex::default(),
            script: Mutex::default(),
            held: watch::Sender::new(false),
            came: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let router = Router::new().route("/hooks", post(take)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    /// Answers the next webhooks with these, one after the other.
    pub(crate) fn answers(&self, script: &[Scripted]) {
        self.shared.script.lock().unwrap().extend(script);
    }

    /// Leaves webhooks without an answer from now on.
    pub(crate) fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.shared.held.send_replace(false);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    /// What came since it was asked last.
    pub(crate) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.shared.got.lock().unwrap())
    }

    /// Waits for so many webhooks, while everything else goes on.
    pub(crate) async fn until(&self, count: usize) {
        let waiting = async {
            loop {
                let came = self.shared.came.notified();
                if self.got().len() >= count {
                    return;
                }
                came.await;
            }
        };
        assert!(timeout(Duration::from_secs(30), waiting).await.is_ok(), "{:#?}", self.got());
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    text: String,
) -> impl IntoResponse {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    let got = Got {
        id: header("webhook-id"),
        at: header("webhook-timestamp").parse().unwrap(),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        json: serde_json::from_str(&text).unwrap(),
        text,
    };
    shared.got.lock().unwrap().push(got);
    shared.came.notify_waiters();
    shared.held.subscribe().wait_for(|held| !held).await.unwrap();
    let scripted = shared.script.lock().unwrap().pop_front();
    let (status, header) = scripted.unwrap_or((204, None));
    let mut answer = StatusCode::from_u16(status).unwrap().into_response();
    if let Some((name, value)) = header {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}
