//! What a fan does by themselves: activate, leave, be told.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_new_integration_on_a_held_membership_is_told_and_waits_to_be_activated() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "gold").await;
    assert_eq!(world.roles(&club, ada), None);
    world.attach(&club, "gold", &[club.gold]).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    assert_eq!(
        world.status(&club, "ada").await,
        ("available".into(), Some("not_activated".into()))
    );
    let told = world.get("/v1/fans/ada/notifications").await.ok();
    let told = &told["data"].as_array().unwrap()[0];
    assert_eq!((&told["kind"], &told["read"]), (&json!("integration_available"), &json!(false)));
    let id = told["id"].as_str().unwrap();
    world.post(&format!("/v1/fans/ada/notifications/{id}/read"), json!({})).await.is(204);
    assert_eq!(world.get("/v1/fans/ada/notifications").await.ok()["data"][0]["read"], true);
    world
        .post(&format!("/v1/fans/ben/notifications/{id}/read"), json!({}))
        .await
        .problem(404, "not_found");

    world
        .post(&format!("/v1/fans/ada/integrations/{}/activate", club.integration), json!({}))
        .await
        .is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));
    world.prove().await;
}

#[tokio::test]
async fn who_leaves_an_integration_stays_out_until_they_activate_it_again() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let activate = format!("/v1/fans/ada/integrations/{}/activate", club.integration);
    world.delete(&activate).await.is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    // Neither a renewal nor linking again brings them back.
    world.reports(&club, "ada", "vip", "active", 2).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.post(&activate, json!({})).await.is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn activating_needs_an_account_and_an_integration_that_is_offered() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.reports(&club, "ada", "vip", "active", 1).await;
    let activate = |fan: &str| format!("/v1/fans/{fan}/integrations/{}/activate", club.integration);
    world.post(&activate("ada"), json!({})).await.problem(409, "not_linked");
    world.post(&activate("nobody"), json!({})).await.problem(404, "not_found");
    let other = world.club("eve").await;
    let path = format!("/v1/fans/ada/integrations/{}/activate", other.integration);
    world.post(&path, json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_fan_whom_discord_lets_into_no_more_servers_is_told_and_can_restore_the_access() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.sandbox.with(|discord| discord.users.get_mut(&ada).unwrap().at_guild_limit = true);
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(
        world.status(&club, "ada").await,
        ("action_required".into(), Some("server_limit_reached".into()))
    );
    world.sandbox.with(|discord| discord.users.get_mut(&ada).unwrap().at_guild_limit = false);
    world
        .post(&format!("/v1/fans/ada/integrations/{}/activate", club.integration), json!({}))
        .await
        .is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}
