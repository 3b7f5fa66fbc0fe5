//! What whoever runs the Hub can alarm on: how much waits, and for whom.

use reqwest::Method;
use serde_json::json;

use crate::support::World;

async fn metric(world: &World, name: &str) -> Option<f64> {
    let text = world.bare(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn shards_that_nobody_holds_and_commands_that_are_due_are_measured() {
    let world = World::start_without_bot().await;
    assert_eq!(metric(&world, r#"hub_shards{state="held"}"#).await, Some(0.0));
    let leases = json!({ "bot": "one", "of": 4, "want": 1 });
    world.post("/v1/bot/leases", leases).await.ok();
    assert_eq!(metric(&world, r#"hub_shards{state="held"}"#).await, Some(1.0));
    assert_eq!(metric(&world, r#"hub_shards{state="free"}"#).await, Some(3.0));
    let club = world.club("kim").await;
    world.attach(&club, "vip", &[club.vip]).await;
    world.reports(&club, "ada", "vip", "active", 1).await.ok();
    assert_eq!(metric(&world, r#"hub_commands{state="due"}"#).await, Some(0.0));
    world.links("ada", world.user("ada")).await.is(200);
    // Metrics wait for no view.
    assert_eq!(world.status(&club, "ada").await.0, "pending");
    assert_eq!(metric(&world, r#"hub_commands{state="due"}"#).await, Some(1.0));
    assert_eq!(metric(&world, r#"hub_commands{state="waiting"}"#).await, Some(0.0));
    let share = json!({ "bot": "one", "using": 0, "wanted": 1, "refused": 7 });
    world.post("/v1/bot/share", share).await.ok();
    assert_eq!(metric(&world, "hub_discord_refused_calls").await, Some(7.0));
}
