//! Purchases and ends that come as webhooks.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, INBOUND, STRIPE, World};

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

async fn inbound(world: &World, at: i64, body: &str) -> Answer {
    // Every message has an id of its own, and the same one whenever it is sent.
    let id = format!("msg_{:x}", Uuid::new_v5(&Uuid::NAMESPACE_OID, body.as_bytes()).as_simple());
    inbound_under(world, &id, at, body).await
}

async fn inbound_under(world: &World, id: &str, at: i64, body: &str) -> Answer {
    let key = STANDARD.decode(INBOUND.strip_prefix("whsec_").unwrap()).unwrap();
    let signature = STANDARD.encode(sign(&key, &format!("{id}.{at}.{body}")));
    let request = world
        .bare(Method::POST, "/v1/webhooks/inbound")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", format!("v1,bm90IGl0 v1,{signature}"));
    world.send(request.body(body.to_owned())).await
}

fn purchased(version: u64) -> Value {
    let data = json!({ "membership": "ada-vip", "fan": "ada", "creator": "kim", "tier": "vip", "version": version });
    json!({ "type": "membership.purchased", "timestamp": "2027-01-01T00:00:00Z", "data": data })
}

#[tokio::test]
async fn a_purchase_and_an_end_may_come_as_webhooks() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    let at = world.now().timestamp();
    let mut body = purchased(1);
    assert_eq!(inbound(&world, at, &body.to_string()).await.ok()["outcome"], "applied");
    assert_eq!(inbound(&world, at, &body.to_string()).await.ok()["outcome"], "unchanged");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    body["type"] = json!("membership.refunded");
    body["data"]["version"] = json!(2);
    assert_eq!(inbound(&world, at, &body.to_string()).await.ok()["outcome"], "applied");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    body["type"] = json!("invoice.sent");
    assert_eq!(inbound(&world, at, &body.to_string()).await.ok()["outcome"], "ignored");
    world.prove().await;
}

#[tokio::test]
async fn a_webhook_that_is_not_genuine_or_too_old_changes_nothing() {
    let world = World::start().await;
    world.club("kim").await;
    let before = world.node().store().log().head();
    let (at, body) = (world.now().timestamp(), purchased(1).to_string());
    inbound(&world, at - 301, &body).await.problem(401, "signature_invalid");
    let forged = world
        .bare(Method::POST, "/v1/webhooks/inbound")
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", at)
        .header("webhook-signature", "v1,Zm9yZ2Vk");
    world.send(forged.body(body)).await.problem(401, "signature_invalid");
    world
        .send(world.bare(Method::POST, "/v1/webhooks/inbound").body("{}"))
        .await
        .problem(401, "signature_invalid");
    let mut wrong = purchased(1);
    wrong["data"]["fan"] = json!("a b");
    inbound(&world, at, &wrong.to_string()).await.problem(422, "validation_failed");
    inbound(&world, at, "{").await.problem(400, "malformed_json");
    for untyped in ["{}", "", r#"{"type": 5, "data": {}}"#] {
        inbound(&world, at, untyped).await.problem(422, "validation_failed");
    }
    // The type says it, and the membership something else.
    let mut torn = purchased(1);
    torn["data"]["status"] = json!("expired");
    inbound(&world, at, &torn.to_string()).await.problem(422, "validation_failed");
    assert_eq!(world.node().store().log().head(), before);
}

#[tokio::test]
async fn one_id_stands_for_one_message() {
    let world = World::start().await;
    world.club("kim").await;
    let at = world.now().timestamp();
    let first = purchased(1).to_string();
    assert_eq!(inbound_under(&world, "m1", at, &first).await.ok()["outcome"], "applied");
    assert_eq!(inbound_under(&world, "m1", at, &first).await.ok()["outcome"], "unchanged");
    let mut other = purchased(2);
    other["type"] = json!("membership.refunded");
    let other = other.to_string();
    let refused = inbound_under(&world, "m1", at, &other).await;
    refused.problem(422, "idempotency_key_reused");
    assert_eq!(world.get("/v1/memberships/ada-vip").await.ok()["state"]["status"], "active");
    assert_eq!(inbound_under(&world, "m2", at, &other).await.ok()["outcome"], "applied");
}

async fn stripe(world: &World, kind: &str, created: i64, object: Value) -> Answer {
    let body =
        json!({ "id": "evt_1", "type": kind, "created": created, "data": { "object": object } })
            .to_string();
    let at = world.now().timestamp();
    let signature = sign(STRIPE.as_bytes(), &format!("{at}.{body}"));
    let signature: Vec<_> = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let request = world.bare(Method::POST, "/v1/webhooks/stripe");
    world
        .send(
            request
                .header("stripe-signature", format!("t={at},v1={}", signature.concat()))
                .body(body),
        )
        .await
}

#[tokio::test]
async fn a_subscription_of_stripe_is_a_membership() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    let at = world.now().timestamp();
    let subscription = |status: &str, leaving: bool| {
        json!({
            "id": "sub_1", "object": "subscription", "status": status, "cancel_at_period_end": leaving,
            "metadata": { "fan": "ada" },
            "items": { "data": [{ "price": { "id": "price_vip" }, "current_period_end": at + 86_400 }] },
        })
    };
    let said =
        stripe(&world, "customer.subscription.created", at, subscription("active", false)).await;
    assert_eq!(said.ok()["outcome"], "applied");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    // Two events of one second: a renewal counts whether it comes first or last.
    let mut renewed = subscription("active", false);
    renewed["items"]["data"][0]["current_period_end"] = json!(at + 30 * 86_400);
    let kind = "customer.subscription.updated";
    assert_eq!(stripe(&world, kind, at, renewed).await.ok()["outcome"], "applied");
    let first = stripe(&world, kind, at, subscription("active", false)).await;
    assert_eq!(first.ok()["outcome"], "stale");
    // The later one first: the more final one counts.
    stripe(&world, "customer.subscription.deleted", at + 1, subscription("canceled", false))
        .await
        .ok();
    let late =
        stripe(&world, "customer.subscription.updated", at + 1, subscription("active", true)).await;
    assert_eq!(late.ok()["outcome"], "stale");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    let other = json!({ "id": "sub_2", "status": "active", "items": { "data": [{ "price": { "id": "price_other" } }] } });
    let other = stripe(&world, "customer.subscription.created", at, other).await;
    assert_eq!(other.ok()["outcome"], "ignored");
    assert_eq!(stripe(&world, "charge.succeeded", at, json!({})).await.ok()["outcome"], "ignored");
    world.prove().await;
}

#[tokio::test]
async fn a_subscription_that_changes_to_a_price_that_buys_nothing_has_expired() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    let at = world.now().timestamp();
    let subscription = |price: &str| {
        json!({
            "id": "sub_1", "status": "active", "metadata": { "fan": "ada" },
            "items": { "data": [{ "price": { "id": price }, "current_period_end": at + 86_400 }] },
        })
    };
    let kind = "customer.subscription.updated";
    assert_eq!(
        stripe(&world, kind, at, subscription("price_vip")).await.ok()["outcome"],
        "applied"
    );
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    let free = stripe(&world, kind, at + 1, subscription("price_free")).await;
    assert_eq!(free.ok()["outcome"], "applied");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    // What Stripe does not say again is known of the membership.
    let mut back = subscription("price_vip");
    back.as_object_mut().unwrap().remove("metadata");
    assert_eq!(stripe(&world, kind, at + 2, back).await.ok()["outcome"], "applied");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}
