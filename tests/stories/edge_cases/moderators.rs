//! What moderators do, and those whom a bot cannot remove.

use chrono::TimeDelta;
use discord_sandbox::NewRole;
use serde_json::json;

use crate::support::{Club, World};

#[tokio::test]
async fn case_21_a_role_that_a_moderator_took_away_is_given_again() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.takes_away(&club, ada);
    world.is_given(&club, ada).await;
    assert!(world.events().await.contains(&"DriftObserved".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn case_21_who_was_in_the_server_before_is_never_removed_from_it_and_keeps_what_they_had() {
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
async fn case_21_a_banned_fan_is_not_tried_again_and_never_unbanned() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.sandbox.with(|discord| discord.ban(club.guild, ada));
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("banned".into())));
    // Somebody decided it: nothing is out of order with the integration.
    let shown = world.get(&club.path()).await.ok();
    assert_eq!((&shown["status"], &shown["fans"]["blocked"]), (&json!("active"), &json!(1)));
    let health = world.get(&format!("{}/health", club.path())).await.ok();
    let fans = health["data"].as_array().unwrap().iter().find(|check| check["check"] == "fans");
    assert_eq!(fans.unwrap()["reasons"][0]["code"], "banned");
    assert_eq!(health["ok"], true);
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "active", 2).await;
    world.raise_bot(&club).await;
    world.settle().await;
    assert!(!world.member_calls().iter().any(|call| call.starts_with("PUT")));
    world.sandbox.with(|discord| discord.unban(club.guild, ada));
    world
        .post(&format!("/v1/fans/ada/integrations/{}/activate", club.integration), json!({}))
        .await
        .is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn case_21_who_was_kicked_comes_back_by_their_own_click_alone_and_who_was_banned_does_not() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.sandbox.with(|discord| {
        discord.remove_member(club.guild, ada);
        discord.ban(club.guild, ben);
    });
    // Discord tells no difference between them until one tries to come in.
    for fan in ["ada", "ben"] {
        world.comes_to(&club, fan, "action_required", Some("left_server")).await;
        world.reports(&club, fan, "vip", "active", 2).await;
    }
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.roles(&club, ben)), (None, None));
    world.restores(&club, "ada").await;
    world.is_given(&club, ada).await;
    world.restores(&club, "ben").await;
    world.comes_to(&club, "ben", "blocked", Some("banned")).await;
    assert!(world.sandbox.with(|discord| discord.guild(club.guild).unwrap().bans.contains(&ben)));
    world.prove().await;
}

#[tokio::test]
async fn case_21_roles_that_a_moderator_gave_are_never_taken() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    world.attach(&club, "gold", &[club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    let extra = world.sandbox.with(|discord| {
        let new = NewRole { name: "helper".into(), position: 1, ..NewRole::default() };
        let extra = discord.add_role(club.guild, new).unwrap();
        discord.set_role(club.guild, ada, extra, true);
        // A role that the hub would give as well.
        discord.set_role(club.guild, ada, club.gold, true);
        extra
    });
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold, extra]));
    assert_eq!(world.status(&club, "ada").await.0, "revoked");
    world.prove().await;
}

#[tokio::test]
async fn case_22_the_owner_of_a_server_may_be_a_fan_and_is_never_removed() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.clock.advance(chrono::TimeDelta::minutes(10));
    world.reports(&club, "kim", "vip", "active", 1).await;
    world.links("kim", club.owner).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, club.owner), Some(vec![club.vip]));
    world.reports(&club, "kim", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, club.owner), Some(vec![]));
    assert_eq!(world.status(&club, "kim").await.0, "revoked");
    world.prove().await;
}

#[tokio::test]
async fn case_22_a_fan_who_became_staff_loses_the_role_and_the_creator_is_told_that_they_stay() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let staff = world.sandbox.with(|discord| {
        let new =
            discord_sandbox::NewRole { name: "staff".into(), position: 200, ..Default::default() };
        let staff = discord.add_role(club.guild, new).unwrap();
        discord.set_role(club.guild, ada, staff, true);
        staff
    });
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![staff]));
    assert_eq!(
        world.status(&club, "ada").await,
        ("revoke_blocked".into(), Some("fan_above_bot".into()))
    );
    world.prove().await;
}

/// A fan who became staff above the bot, and whose removal was refused for it.
async fn stays_as_staff(world: &World, club: &Club) -> (u64, u64) {
    let ada = world.member(club, "ada", "vip").await;
    let staff = world.sandbox.with(|discord| {
        let new = NewRole { name: "staff".into(), position: 200, ..NewRole::default() };
        let staff = discord.add_role(club.guild, new).unwrap();
        discord.set_role(club.guild, ada, staff, true);
        staff
    });
    world.reports(club, "ada", "vip", "expired", 2).await;
    world.comes_to(club, "ada", "revoke_blocked", Some("fan_above_bot")).await;
    (ada, staff)
}

#[tokio::test]
async fn case_22_who_is_staff_no_more_is_removed_as_soon_as_that_is_heard() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let (ada, staff) = stays_as_staff(&world, &club).await;
    // Something else about them changes nothing.
    world.sandbox.with(|discord| discord.set_role(club.guild, ada, club.gold, true));
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await.0, "revoke_blocked");
    world.sandbox.with(|discord| discord.set_role(club.guild, ada, staff, false));
    world.comes_to(&club, "ada", "revoked", None).await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn case_22_who_is_staff_no_more_is_removed_when_somebody_asks() {
    for ask in ["roles/refresh", "sync"] {
        let world = World::start().await;
        let club = world.club("kim").await;
        let (ada, staff) = stays_as_staff(&world, &club).await;
        let path = format!("{}/{ask}", club.path());
        // Asked too early, it is refused again and shown as such.
        let refusals = async |world: &World| {
            world.events().await.iter().filter(|kind| *kind == "RevokeBlocked").count()
        };
        world.post(&path, json!({})).await.ok();
        world.until("one more try", async |world| refusals(world).await == 2).await;
        assert_eq!(
            world.status(&club, "ada").await,
            ("revoke_blocked".into(), Some("fan_above_bot".into()))
        );
        world.sandbox.with(|discord| discord.set_role(club.guild, ada, staff, false));
        world.post(&path, json!({})).await.ok();
        world.comes_to(&club, "ada", "revoked", None).await;
        assert_eq!(world.roles(&club, ada), None);
        // Where nobody waits, asking records nothing.
        let before = world.node().store().log().head();
        world.post(&path, json!({})).await.ok();
        world.settle().await;
        assert_eq!(world.node().store().log().head(), before, "{ask}");
        world.prove().await;
    }
}

#[tokio::test]
async fn case_22_an_administrator_is_given_and_loses_roles_and_is_never_removed() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let admin = world.sandbox.with(|discord| {
        let new =
            NewRole { name: "admin".into(), position: 300, permissions: 8, ..NewRole::default() };
        let admin = discord.add_role(club.guild, new).unwrap();
        discord.set_role(club.guild, ada, admin, true);
        admin
    });
    world.attach(&club, "gold", &[club.gold]).await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 3);
    for tier in ["vip", "gold"] {
        world.reports(&club, "ada", tier, "expired", 2).await;
    }
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![admin]));
    let (status, code) = world.status(&club, "ada").await;
    assert_eq!((status.as_str(), code.as_deref()), ("revoke_blocked", Some("fan_above_bot")));
    // The creator is told, and taking the role from them lets the removal happen.
    world.sandbox.with(|discord| discord.set_role(club.guild, ada, admin, false));
    world.raise_bot(&club).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn case_26_a_role_that_another_bot_fights_for_is_reported_and_not_fought_for() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    for _ in 0..2 {
        world.takes_away(&club, ada);
        world.is_given(&club, ada).await;
    }
    world.takes_away(&club, ada);
    world.comes_to(&club, "ada", "blocked", Some("role_contested")).await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    // The creator looked into it.
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
    world.is_given(&club, ada).await;
    world.prove().await;
}
