//! Webhook events: who is told, and how it is signed.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use reqwest::{Method, Url};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::place::Place;

/// Somebody who listens at an address of their own.
#[derive(Default)]
struct Listener {
    public_key: Vec<u8>,
    checks: bool,
    /// How many events are still to be turned away.
    busy: Mutex<usize>,
    heard: Mutex<Vec<Value>>,
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

async fn hear(
    State(listener): State<Arc<Listener>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap();
    let signed = [header("x-signature-timestamp").as_bytes(), &body].concat();
    let key = UnparsedPublicKey::new(&ED25519, &listener.public_key);
    if listener.checks && key.verify(&signed, &bytes(header("x-signature-ed25519"))).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let told: Value = serde_json::from_slice(&body).unwrap();
    let mut busy = listener.busy.lock().unwrap();
    if told["type"] == 1 && *busy > 0 {
        *busy -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    listener.heard.lock().unwrap().push(told);
    StatusCode::NO_CONTENT
}

impl Listener {
    async fn start(place: &Place, checks: bool, busy: usize) -> (Arc<Self>, Url) {
        let listener = Arc::new(Self {
            public_key: bytes(&place.sandbox.public_key()),
            checks,
            busy: busy.into(),
            heard: Mutex::default(),
        });
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", socket.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().route("/events", post(hear)).with_state(Arc::clone(&listener));
        tokio::spawn(async move { axum::serve(socket, router).await });
        (listener, url)
    }
}

#[tokio::test]
async fn who_does_not_check_signatures_is_not_told() {
    let place = Place::new().await;
    let (_, careless) = Listener::start(&place, false, 0).await;
    let refused = place.sandbox.tell_to(careless).await.unwrap_err();
    assert!(refused.contains("401"), "{refused}");
    let (_, careful) = Listener::start(&place, true, 0).await;
    place.sandbox.tell_to(careful).await.unwrap();
    let elsewhere = "http://example.com/events".parse().unwrap();
    assert!(place.sandbox.tell_to(elsewhere).await.is_err());
}

#[tokio::test]
async fn who_removes_the_application_is_told_of_until_it_is_taken_in() {
    let place = Place::new().await;
    let (listener, url) = Listener::start(&place, true, 2).await;
    let told = place
        .http
        .put(format!("{}/sandbox/webhook", place.sandbox.base_url()))
        .json(&json!({ "url": url }))
        .send();
    assert_eq!(told.await.unwrap().status(), 204);
    let (ada, ben) = (place.user("ada"), place.user("ben"));
    place.access(ada).await;
    // Ben never allowed anything, so nothing is told of him.
    place.sandbox.deauthorize(ben);
    place.sandbox.deauthorize(ada);
    let events = async {
        loop {
            let heard = listener.heard.lock().unwrap().clone();
            if heard.len() > 1 {
                return heard;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    let heard = tokio::time::timeout(limit, events).await.unwrap();
    let [ping, event] = &heard[..] else { panic!("{heard:#?}") };
    assert_eq!(ping["type"], 0);
    let happened = &event["event"];
    assert_eq!(happened["type"], "APPLICATION_DEAUTHORIZED");
    assert_eq!(happened["data"]["user"]["id"], ada.to_string());
    assert!(happened["timestamp"].as_str().unwrap().parse::<chrono::NaiveDateTime>().is_ok());
    // The key that the application is known by is the one that signs.
    let application = place.bot(Method::GET, "/applications/@me", Value::Null).await;
    assert_eq!(application.body["verify_key"], place.sandbox.public_key());
}
