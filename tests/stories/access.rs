//! Who has what, when: overlapping reasons, ends that time brings, people who were there before.

use chrono::TimeDelta;
use discord_sandbox::{Action, Fault};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_role_stays_as_long_as_one_reason_for_it_does() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.vip, club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn two_integrations_on_one_server_give_the_union_and_both_must_want_the_removal() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let second = world.integration("kim").await;
    world.connect(&second, club.owner, club.guild).await.is(200);
    let roles = json!({ "roles": [club.gold.to_string()] });
    world.put(&format!("/v1/integrations/{second}/memberships/vip"), roles).await.ok();
    world
        .patch(&format!("/v1/integrations/{second}"), json!({ "on_end": "roles_only" }))
        .await
        .ok();
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.reports(&club, "ada", "vip", "refunded", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn who_was_in_the_server_before_is_never_removed_from_it_and_keeps_what_they_had() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "vip", &[club.vip, club.gold]).await;
    let ada = world.user("ada");
    world.sandbox.with(|discord| {
        discord.add_member(club.guild, ada);
        discord.set_role(club.guild, ada, club.gold, true);
    });
    // Long before the hub knew of her.
    world.clock.advance(TimeDelta::minutes(10));
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await.0, "connected");
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));
    assert_eq!(world.status(&club, "ada").await.0, "revoked");
    world.prove().await;
}

#[tokio::test]
async fn another_tier_means_other_roles_and_no_moment_without() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.forget_calls();
    let body =
        json!({ "fan": "ada", "creator": "kim", "tier": "gold", "status": "active", "version": 2 });
    world.put("/v1/memberships/ada-vip", body).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));
    assert_eq!(
        world.member_calls(),
        [
            // What she has from elsewhere would not be the hub's to take later.
            "GET /guilds/*/members/* 200",
            "PUT /guilds/*/members/*/roles/* 204",
            "DELETE /guilds/*/members/*/roles/* 204",
        ]
    );
    world.prove().await;
}

#[tokio::test]
async fn a_change_of_an_attachment_reaches_every_fan() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.attach(&club, "vip", &[club.gold]).await;
    world.settle().await;
    assert_eq!(
        (world.roles(&club, ada), world.roles(&club, ben)),
        (Some(vec![club.gold]), Some(vec![club.gold]))
    );
    world.delete(&format!("{}/memberships/vip", club.path())).await.is(204);
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.roles(&club, ben)), (None, None));
    world.prove().await;
}

#[tokio::test]
async fn a_canceled_membership_ends_at_its_time_and_an_unpaid_one_after_the_grace() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let end = world.now() + TimeDelta::days(10);
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.reports_until(&club, "ada", "vip", "canceled", 2, Some(end)).await;
    world.reports_until(&club, "ben", "vip", "active", 2, Some(end)).await;
    world.clock.advance(TimeDelta::days(10) - TimeDelta::seconds(1));
    world.settle().await;
    assert!(world.roles(&club, ada).is_some());
    world.clock.advance(TimeDelta::seconds(1));
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.roles(&club, ben)), (None, Some(vec![club.vip])));
    world.clock.advance(TimeDelta::days(3));
    world.settle().await;
    assert_eq!(world.roles(&club, ben), None);
    let expired = world.events().await.iter().filter(|kind| *kind == "MembershipExpired").count();
    assert_eq!(expired, 2);
    world.prove().await;
}

#[tokio::test]
async fn an_end_that_passed_while_the_hub_was_down_is_made_up_for() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world
        .reports_until(&club, "ada", "vip", "canceled", 2, Some(world.now() + TimeDelta::days(1)))
        .await;
    world.settle().await;
    world.stop().await;
    world.clock.advance(TimeDelta::days(400));
    world.start_again().await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn taking_a_cancellation_back_before_the_end_makes_no_call() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.forget_calls();
    let end = world.now() + TimeDelta::days(1);
    world.reports_until(&club, "ada", "vip", "canceled", 2, Some(end)).await;
    world.settle().await;
    world.reports(&club, "ada", "vip", "active", 3).await;
    world.clock.advance(TimeDelta::days(2));
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.member_calls().len()), (Some(vec![club.vip]), 0));
    world.prove().await;
}

#[tokio::test]
async fn a_paused_membership_gives_nothing_until_it_is_taken_up_again() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "vip", "paused", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.reports(&club, "ada", "vip", "active", 3).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn a_removal_that_discord_refuses_is_never_shown_as_done_and_heals_by_a_refresh() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| {
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| role.position = 1);
        discord.edit_role(club.guild, club.vip, |role| role.position = 50);
    });
    world.reports(&club, "ada", "vip", "refunded", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert_eq!(
        world.status(&club, "ada").await,
        ("revoke_blocked".into(), Some("role_above_bot".into()))
    );
    let shown = world.get(&club.path()).await.ok();
    assert_eq!(shown["status"], "needs_attention");
    assert!(!world.events().await.contains(&"AccessRevoked".to_owned()));

    world.raise_bot(&club).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    assert_eq!(world.status(&club, "ada").await.0, "revoked");
    world.prove().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_without_doing_harm() {
    let (member, role) = ("/guilds/*/members/*", "/guilds/*/members/*/roles/*");
    for (method, path) in [("PUT", member), ("PUT", role), ("DELETE", member)] {
        let world = World::start().await;
        let club = world.club("kim").await;
        world.sandbox.fault(Fault::once(method, path, Action::ErrorAfterEffect { status: 502 }));
        let ada = world.member(&club, "ada", "vip").await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.vip]), "{method} {path}");
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), None, "{method} {path}");
        assert_eq!(world.status(&club, "ada").await.0, "revoked");
        world.prove().await;
    }
}
