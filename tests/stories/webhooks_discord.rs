//! What Discord tells of authorisations.

use chrono::TimeDelta;
use domain::FanId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

const DEAUTHORIZED: &str = "APPLICATION_DEAUTHORIZED";

impl World {
    /// A hub that Discord tells what becomes of authorisations.
    async fn start_told() -> Self {
        let world = Self::start().await;
        let place = format!("{}/v1/webhooks/discord", world.node().url());
        world.sandbox.tell_to(place.parse().unwrap()).await.unwrap();
        world
    }

    /// The code of what is the matter with a fan's account, if anything is.
    async fn link_reason(&self, fan: &str) -> Value {
        self.get(&format!("/v1/fans/{fan}/link")).await.ok()["discord"]["reason"]["code"].clone()
    }

    async fn has_token(&self, fan: &str) -> bool {
        let fan: FanId = fan.parse().unwrap();
        self.node().store().tokens().get(&fan).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn a_fan_who_removes_the_application_in_discord_is_asked_to_connect_again() {
    let world = World::start_told().await;
    let club = world.club("kim").await;
    let (ada, ben) = (world.member(&club, "ada", "vip").await, world.user("ben"));
    world.links("ben", ben).await.is(200);
    for (fan, user) in [("ada", ada), ("ben", ben)] {
        world.sandbox.deauthorize(user);
        world
            .until("the link is known to be broken", async |world| {
                world.link_reason(fan).await == "link_broken"
            })
            .await;
        assert!(!world.has_token(fan).await, "it brings nobody in");
    }
    // Who is inside needs no token: they stay, with their roles.
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    // Who is not is asked to connect again; they are looked for, and nobody tries to bring them in.
    world.sandbox.forget_calls();
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.settle().await;
    let waits = ("action_required".into(), Some("link_broken".into()));
    assert_eq!(world.status(&club, "ben").await, waits);
    assert_eq!(world.sandbox.asked(), ["GET /guilds/*/members/*"]);
    world.links("ben", ben).await.is(200);
    world.settle().await;
    assert_eq!(world.link_reason("ben").await, Value::Null);
    assert_eq!(world.roles(&club, ben), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn the_log_says_that_the_fan_removed_the_application() {
    let world = World::start_told().await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    world.sandbox.deauthorize(ada);
    world.until("it is recorded", async |world| !world.link_reason("ada").await.is_null()).await;
    let events = world.get("/v1/audit/events?fan=ada&type=LinkBroken").await.ok();
    let [event] = &events["data"].as_array().unwrap()[..] else { panic!("{events}") };
    assert_eq!(event["data"]["reason"], "deauthorized");
    assert_eq!(event["actor"], "fan:ada");
}

#[tokio::test]
async fn an_event_that_comes_late_or_again_does_not_break_a_newer_connection() {
    let world = World::start_told().await;
    let (ada, other) = (world.user("ada"), world.user("other"));
    world.links("ada", ada).await.is(200);
    let account = |user: u64| json!({ "user": { "id": user.to_string(), "username": "ada" } });
    let told = async |user, at| world.sandbox.tell(DEAUTHORIZED, &account(user), at).await;
    let head = || world.node().store().log().head();
    let (before, linked_at) = (head(), world.now());
    // From before she connected, of somebody whom nobody knows, and what the Hub does not understand.
    assert_eq!(told(ada, linked_at - TimeDelta::minutes(1)).await, Ok(Some(204)));
    assert_eq!(told(other, linked_at + TimeDelta::minutes(1)).await, Ok(Some(204)));
    let more = world.sandbox.tell("APPLICATION_AUTHORIZED", &account(ada), linked_at).await;
    assert_eq!((more, head()), (Ok(Some(204)), before));
    assert!(world.has_token("ada").await);
    let removed = linked_at + TimeDelta::minutes(1);
    assert_eq!(told(ada, removed).await, Ok(Some(204)));
    assert_eq!(world.link_reason("ada").await, "link_broken");
    // She connects anew; then Discord says it again.
    world.clock.advance(TimeDelta::minutes(2));
    world.links("ada", ada).await.is(200);
    assert_eq!(told(ada, removed).await, Ok(Some(204)));
    assert_eq!(world.link_reason("ada").await, Value::Null);
    // She exchanges the account: what becomes of the first is nothing to the second.
    world.links("ada", other).await.is(200);
    assert_eq!(told(ada, world.now() + TimeDelta::minutes(1)).await, Ok(Some(204)));
    assert_eq!(world.link_reason("ada").await, Value::Null);
    assert!(world.has_token("ada").await);
    world.prove().await;
}

#[tokio::test]
async fn what_discord_did_not_sign_or_cannot_mean_changes_nothing() {
    let world = World::start_told().await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    let before = world.node().store().log().head();
    let data = json!({ "user": { "id": ada.to_string() } });
    let event = json!({ "type": DEAUTHORIZED, "timestamp": "2027-01-01T00:00:00", "data": data });
    let body = json!({ "version": 1, "application_id": "1", "type": 1, "event": event });
    for signature in ["", "00", &"ab".repeat(64)] {
        let forged = world
            .bare(Method::POST, "/v1/webhooks/discord")
            .header("x-signature-timestamp", world.now().timestamp())
            .header("x-signature-ed25519", signature);
        world.send(forged.body(body.to_string())).await.problem(401, "signature_invalid");
    }
    for nonsense in [json!({}), json!({ "user": { "id": "ada" } })] {
        let told = world.sandbox.tell(DEAUTHORIZED, &nonsense, world.now()).await;
        assert_eq!(told, Ok(Some(422)), "{nonsense}");
    }
    assert_eq!(world.node().store().log().head(), before);
    assert_eq!(world.link_reason("ada").await, Value::Null);
}
