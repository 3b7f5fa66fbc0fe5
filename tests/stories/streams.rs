//! Streams: whoever follows a view hears of every row that changed, also after having been away.

use discord_sandbox::{Action, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn a_stream_begins_with_what_changed_after_a_position_and_goes_on() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut stream = world.request(Method::GET, "/v1/streams/fan_access").send().await.unwrap();
    world.member(&club, "ada", "vip").await;
    let mut text = String::new();
    while !text.contains("\"connected\"") {
        let part = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
    let id = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    let request = world.request(Method::GET, "/v1/streams/fan_access").header("last-event-id", id);
    let mut resumed = request.send().await.unwrap();
    world.reports(&club, "ada", "vip", "expired", 2).await;
    let part = resumed.chunk().await.unwrap().expect("the stream goes on");
    assert!(
        !std::str::from_utf8(&part).unwrap().contains("\"connected\""),
        "what was seen is not sent again"
    );
    world.get("/v1/streams/nothing").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_stream_ends_with_the_key_that_it_was_asked_for_with() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let made = world.post("/v1/keys", json!({ "role": "auditor" })).await.ok();
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let request = world.request_as(secret, Method::GET, "/v1/streams/fan_access");
    let mut stream = request.send().await.unwrap();
    world.reports(&club, "ben", "vip", "active", 1).await;
    let mut text = String::new();
    while !text.contains("\"ben\"") {
        let part = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
    world.delete(&format!("/v1/keys/{id}")).await.is(204);
    world.reports(&club, "cyd", "vip", "active", 1).await;
    while let Some(part) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
    assert!(!text.contains("\"cyd\""), "what came after the key's end is not told");
}

#[tokio::test]
async fn an_integration_is_told_again_when_it_is_its_fans_who_change() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    world.settle().await;
    let follow = async |after: u64| {
        let request = world.request(Method::GET, "/v1/streams/integrations");
        request.header("last-event-id", after).send().await.unwrap()
    };
    let before = world.node().store().log().head().0;
    let mut stream = follow(before).await;
    let full = Action::Refuse { status: 403, code: 30019, message: "full".into() };
    world.sandbox.fault(Fault::always("PUT", "/guilds/*/members/*", full));
    world.reports(&club, "ada", "vip", "active", 1).await;
    let mut text = String::new();
    let told = |text: &str| {
        let (rows, _) = text.rsplit_once("\n\n")?;
        let data = rows.rsplit_once("data: ")?.1.lines().next()?;
        let row: Value = serde_json::from_str(data).unwrap();
        Some((row["status"].clone(), row["fans"]["blocked"].clone()))
    };
    let wanted = Some((json!("needs_attention"), json!(1)));
    while told(&text) != wanted {
        let part = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
    // And whoever was away hears it when they come back.
    let (mut again, mut text) = (follow(before).await, String::new());
    while told(&text) != wanted {
        let part = again.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
}

#[tokio::test]
async fn a_stream_tells_what_there_is_no_more() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    let mut stream = world.request(Method::GET, "/v1/streams/fan_access").send().await.unwrap();
    world.delete(&format!("{}/memberships/vip", club.path())).await.is(204);
    let mut text = String::new();
    while !text.contains("event: removed") {
        let part = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
    let (_, removed) = text.split_once("event: removed\n").unwrap();
    let removed = removed.lines().next().and_then(|line| line.strip_prefix("data: ")).unwrap();
    let removed: Value = serde_json::from_str(removed).unwrap();
    assert_eq!(removed, json!({ "integration": club.integration, "fan": "ben" }));
    world.prove().await;
}
