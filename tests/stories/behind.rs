//! A view that is behind, as after an upgrade, keeps only those waiting who ask it.

use serde_json::json;

use crate::support::{Browser, World};

#[tokio::test]
async fn the_view_of_what_happened_keeps_neither_the_bot_nor_other_reads_waiting() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.settle().await;

    let behind = world.hold_back("audit").await;
    world.links("ada", ada).await.is(200);
    world.until_called("/guilds/*/members/*").await;
    world.get(&club.path()).await.is(200);
    world.get("/v1/fans/ada/integrations").await.is(200);
    // Whoever asks what happened waits until everything is there.
    let meanwhile = async {
        world.get(&club.path()).await.is(200);
        drop(behind);
    };
    let asked = world.get("/v1/audit/events?fan=ada&type=FanLinked");
    let (events, ()) = tokio::join!(asked, meanwhile);
    assert_eq!(events.ok()["data"].as_array().unwrap().len(), 1);
    world.prove().await;
}

#[tokio::test]
async fn nobody_is_kept_from_what_needs_no_view() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::new(&world);
    let link = kim.link("creator", Some("kim")).await;

    let behind = world.hold_back("fan_access").await;
    world.put("/v1/creators/kim/tiers/gold", json!({ "name": "Golden" })).await.is(200);
    for path in ["/openapi.json", "/docs", "/"] {
        kim.get(path).await.is(200);
    }
    kim.get(&link).await.is(200).has("kim");
    kim.get("/oauth/discord/callback?state=none").await.is(400);
    kim.get("/nothing").await.is(404);
    // What a read tells has seen what was written before.
    let meanwhile = async {
        world.get("/healthz").await.is(200);
        drop(behind);
    };
    let (tiers, ()) = tokio::join!(world.get("/v1/creators/kim/tiers"), meanwhile);
    assert_eq!(tiers.ok()["data"][0]["name"], "Golden");
    world.member(&club, "ada", "vip").await;
    world.prove().await;
}
