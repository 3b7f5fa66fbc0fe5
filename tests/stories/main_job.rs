//! The main job: a creator connects a server, a fan buys and is brought in, the membership ends.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_fan_who_buys_is_brought_in_and_loses_the_access_when_the_membership_ends() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.reports(&club, "ada", "vip", "active", 1).await;
    assert_eq!(world.status(&club, "ada").await, ("available".into(), Some("not_linked".into())));

    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));

    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    assert_eq!(world.status(&club, "ada").await, ("revoked".into(), None));

    assert_eq!(
        world.events().await,
        [
            "TierRegistered",
            "TierRegistered",
            "IntegrationCreated",
            "ServerConnected",
            "RolesRefreshed",
            "GuildReserved",
            "RolesRefreshed",
            "MembershipAttached",
            "MembershipPurchased",
            "AccountReserved",
            "FanLinked",
            "JoinAttempted",
            "AccessGranted",
            "MembershipExpired",
            "RemovalAttempted",
            "AccessRevoked",
        ]
    );
    world.prove().await;
}

#[tokio::test]
async fn it_takes_one_call_to_join_one_for_each_role_and_one_to_remove() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "vip", &[club.vip, club.gold]).await;
    world.sandbox.forget_calls();
    world.member(&club, "ada", "vip").await;
    assert_eq!(
        world.member_calls(),
        [
            "PUT /guilds/*/members/* 201",
            "PUT /guilds/*/members/*/roles/* 204",
            "PUT /guilds/*/members/*/roles/* 204",
        ]
    );
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "refunded", 2).await;
    world.settle().await;
    // Nobody listens, so she may have left and come again by herself: she is looked at first.
    assert_eq!(
        world.member_calls(),
        ["GET /guilds/*/members/* 200", "DELETE /guilds/*/members/* 204"]
    );
    world.prove().await;
}

#[tokio::test]
async fn it_takes_one_call_to_remove_where_the_hub_listens() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    // The server is compared once after the bot has come, which may take longer than the first of these.
    for version in (2..40).step_by(2) {
        world.sandbox.forget_calls();
        world.reports(&club, "ada", "vip", "paused", version).await;
        world.settle().await;
        if world.member_calls() == ["DELETE /guilds/*/members/* 204"] {
            return world.prove().await;
        }
        world.reports(&club, "ada", "vip", "active", version + 1).await;
        world.settle().await;
    }
    panic!("she is looked at before every removal");
}

#[tokio::test]
async fn it_is_the_same_whether_the_fan_links_before_or_after_buying() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn the_server_s_own_audit_log_names_the_command() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let reasons: Vec<_> =
        world.sandbox.calls().into_iter().filter_map(|call| call.reason).collect();
    assert!(
        reasons.iter().all(|reason| reason.starts_with("Integrations Hub, command ")),
        "{reasons:?}"
    );
    assert_eq!(reasons.len(), 1);
}

#[tokio::test]
async fn the_membership_shows_its_access_in_every_integration() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let shown = world.get("/v1/memberships/ada-vip").await.ok();
    assert_eq!(shown["state"]["live"], true);
    assert_eq!(shown["integrations"][0]["status"], "connected");
    assert_eq!(
        shown["integrations"][0]["roles"],
        json!([{ "id": club.vip.to_string(), "name": "vip", "color": 0 }])
    );
    let fan = world.get("/v1/fans/ada/integrations").await.ok();
    assert_eq!(fan["data"][0]["integrations"], shown["integrations"]);
    assert_eq!(fan["data"][0]["tier_name"], "vip");
    let active = world.get("/v1/creators/kim/integrations").await.ok();
    assert_eq!(
        (&active["data"][0]["status"], &active["data"][0]["fans"]["connected"]),
        (&json!("active"), &json!(1))
    );
}
