//! What is said twice, or in two ways: keys, ids, parameters.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Receiver, World};

impl World {
    async fn post_under(&self, key: &str, path: &str, body: &Value) -> crate::support::Answer {
        let request = self.request(Method::POST, path).header("idempotency-key", key);
        self.send(request.json(body)).await
    }
}

#[tokio::test]
async fn an_endpoint_s_secret_is_answered_alike_under_one_key_and_kept_sealed() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = json!({ "url": receiver.url });
    let make =
        async |key: &str| world.post_under(key, "/v1/webhook_endpoints", &endpoint).await.is(201);
    let (first, again) = (make("k1").await, make("k1").await);
    assert_eq!(first.json, again.json);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let listed = world.get("/v1/webhook_endpoints").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let rotate =
        format!("/v1/webhook_endpoints/{}/rotate_secret", first.json["id"].as_str().unwrap());
    let rotated = world.post_under("k2", &rotate, &json!({})).await.ok();
    assert_eq!(world.post_under("k2", &rotate, &json!({})).await.ok(), rotated);
    assert_ne!(world.post_under("k3", &rotate, &json!({})).await.ok(), rotated);
    // Nobody reads it off the disk.
    for answer in [&first.json, &rotated] {
        let secret = answer["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
        for file in ["hub.sqlite", "hub.sqlite-wal"] {
            let bytes = std::fs::read(world.folder().join(file)).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_parameter_that_stands_twice_is_refused() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let path = format!("{}/memberships/vip?dry_run=true&dry_run=false", club.path());
    world.delete(&path).await.problem(400, "duplicate_field");
    let attached = world.get(&format!("{}/memberships", club.path())).await.ok();
    assert_eq!(attached["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_what_is_at_fault_is_named() {
    let world = World::start().await;
    let named = |problem: Value| {
        let errors = problem["errors"].as_array().unwrap().clone();
        errors.into_iter().map(|error| error["field"].clone()).collect::<Vec<_>>()
    };
    let events = world.get("/v1/audit/events?type=Bogus&limit=5&after=0").await;
    assert_eq!(named(events.problem(422, "validation_failed")), ["type"]);
    let link = world.post("/v1/sessions", json!({ "role": "king", "id": "x" })).await;
    assert_eq!(named(link.problem(422, "validation_failed")), ["role"]);
    for role in ["auditor", "operator"] {
        world.post("/v1/sessions", json!({ "role": role, "id": "x" })).await.is(201);
    }
}

#[tokio::test]
async fn every_write_tells_how_far_the_log_is() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let head = world.node().store().log().head().0;
    let made = world.post("/v1/webhook_endpoints", json!({ "url": receiver.url })).await.is(201);
    assert_eq!(made.position(), head);
    let lease = json!({ "bot": "b", "of": 1, "want": 1 });
    assert_eq!(world.post("/v1/bot/leases", lease).await.position(), head);
}
