//! A fan looks at what they have in the pages, and their creator sees the same.

use serde_json::json;

use crate::support::{Browser, World};

const TABLE: &str = "/creator/integrations";
const HOME: &str = "/fan/memberships";

#[tokio::test]
async fn access_that_waits_for_a_decision_does_not_pass_for_none() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.member(&club, "ben", "vip").await;
    let limit = json!({ "removal_limit": { "fans": 1, "percent": 100 } });
    world.patch(&club.path(), limit).await.ok();
    world.delete(&format!("{}/memberships/vip", club.path())).await.ok();
    world.settle().await;

    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let at = format!("{TABLE}/{}", club.integration);
    let table = kim.get(TABLE).await.is(200).has("2 wait for your approval");
    let table = table.lacks("No fans yet").lacks("None yet");
    table.has("<span data-number>1</span>");
    let overview = kim.get(&at).await.is(200).lacks("One step is left");
    let overview = overview.has("<b>2</b><span>wait for your approval</span>");
    let overview = overview.has("<span data-number>1</span>").has("No membership gives access now");
    let hold = overview.html.split("href=\"/creator/approvals/").nth(1).expect("a way to it");
    let hold = format!("/creator/approvals/{}", &hold[..hold.find('"').unwrap()]);
    kim.get(&format!("{at}/fans/ada")).await.is(200).has(&format!("href=\"{hold}\""));

    let mut ada = Browser::of(&world, "fan", Some("ada")).await;
    let shown = ada.get(HOME).await.is(200).has("You keep it for now").has("Open in Discord");
    shown.lacks("nothing to connect").lacks(">Leave<");

    let shown = kim.get(&hold).await.is(200).has("Caused by").lacks("<bdi>platform</bdi>");
    kim.submit(&shown, &format!("{hold}/reject"), &[]).await.is(200);
    world.settle().await;
    kim.get(&at).await.is(200).lacks("One step is left").lacks("Review the removal");
    kim.get(TABLE).await.is(200).has("2 connected").lacks("No fans yet");
    for tab in ["roles", "memberships"] {
        kim.get(&format!("{at}/{tab}")).await.is(200).lacks("Steps of the set-up");
    }
    let kept = ada.get(HOME).await.is(200).has("You keep it for now").lacks("nothing to connect");
    kept.has(">Connected</span>").lacks("<a id=\"leave-");
}

#[tokio::test]
async fn who_is_in_is_not_told_of_a_way_in() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let user = world.user("ben");
    world.sandbox.with(|discord| discord.add_member(club.guild, user));
    world.moves_bot(&club, 0);
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.links("ben", user).await.is(200);
    world.settle().await;
    world.post(&format!("{}/sync", club.path()), json!({})).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ben").await.0, "blocked");

    let mut ben = Browser::of(&world, "fan", Some("ben")).await;
    let shown = ben.get(HOME).await.is(200).has("You are in. The creator has to fix your role");
    shown.has("Open in Discord").lacks("let you in right now");
    let welcome = ben.get("/fan/welcome/ben-vip").await.is(200).has("You are in. The creator");
    welcome.has("The creator has something to fix").lacks("a moment of your attention");
}

#[tokio::test]
async fn who_is_not_in_yet_is_told_what_is_missing() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.reports(&club, "cleo", "gold", "active", 1).await;
    world.links("cleo", world.user("cleo")).await.is(200);
    world.attach(&club, "gold", &[club.gold]).await;
    world.settle().await;

    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let at = format!("{TABLE}/{}/fans", club.integration);
    let fans = kim.get(&at).await.is(200).has(">Discord not connected</span>");
    fans.has(">Not activated yet</span>").has("Not in yet <span").lacks("Not connected yet");
    kim.get(&format!("{at}/cleo")).await.is(200).has(">Not activated yet</span>");
    let mut ben = Browser::of(&world, "fan", Some("ben")).await;
    ben.get(HOME).await.is(200).has(">Discord not connected</span>");
    let mut cleo = Browser::of(&world, "fan", Some("cleo")).await;
    cleo.get(HOME).await.is(200).has(">Not activated yet</span>");
}

#[tokio::test]
async fn a_fan_on_a_creator_s_page_is_told_who_they_are_here() {
    let world = World::start().await;
    let mut ada = Browser::of(&world, "fan", Some("ada")).await;
    let refused = ada.get(TABLE).await.is(401).has("You are signed in as a fan");
    let refused = refused.has("This page is for creators").lacks("You are not signed in");
    refused.has(&format!("href=\"{HOME}\""));
    let mut nobody = Browser::new(&world);
    nobody.get(TABLE).await.is(401).has("You are not signed in");
}

#[tokio::test]
async fn what_is_over_is_not_in_the_way_of_what_is_live_in_the_same_server() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.gold]).await;
    let user = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.settle().await;
    let mut ada = Browser::of(&world, "fan", Some("ada")).await;
    let leave = format!("/fan/integrations/{}/leave", club.integration);
    ada.get(HOME).await.is(200).has(&format!("href=\"{leave}\""));
    ada.get("/fan/discord/disconnect").await.is(200).has("<bdi>Club</bdi>");
    let asked =
        ada.get(&leave).await.is(200).has("<form method=\"post\" action=\"/fan/integrations");
    ada.submit(&asked, &leave, &[]).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, user), None);
    // Of what is over and was never connected it is not said that it opens no server.
    world.reports(&club, "ben", "vip", "expired", 1).await;
    let mut ben = Browser::of(&world, "fan", Some("ben")).await;
    ben.get(HOME).await.is(200).has("It is over, and you have nothing through it.");
}
