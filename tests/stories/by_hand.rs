//! What a creator decides by hand: roles without a membership, access withheld despite one.

use chrono::TimeDelta;
use discord_sandbox::{Action, Fault};
use serde_json::json;

use crate::support::{Browser, Club, World};

impl World {
    /// A fan says that they want in.
    async fn activates(&self, club: &Club, fan: &str) {
        let path = format!("/v1/fans/{fan}/integrations/{}/activate", club.integration);
        self.post(&path, json!({})).await.is(202);
        self.settle().await;
    }
}

/// Somebody without any membership who was given gold by hand and is in; answers their account and the grant.
async fn guest(world: &World, club: &Club, name: &str) -> (u64, String) {
    let (user, grant) = (world.user(name), format!("{}/grants/{name}", club.path()));
    world.put(&grant, json!({ "roles": [club.gold.to_string()] })).await.ok();
    world.links(name, user).await.is(200);
    world.activates(club, name).await;
    (user, grant)
}

#[tokio::test]
async fn roles_given_by_hand_are_a_reason_like_any_other() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let grant = format!("{}/grants/ada", club.path());
    let given = json!({ "roles": [club.gold.to_string(), club.vip.to_string()] });
    world.put(&grant, given.clone()).await.ok();
    world.put(&grant, given).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    // The membership ends and the grant keeps everything; then the grant is taken back.
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    assert_eq!(world.status(&club, "ada").await.0, "connected");
    world.delete(&grant).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    let given = world.events().await.iter().filter(|kind| *kind == "ManualGrantGiven").count();
    assert_eq!(given, 1, "saying it twice gives once");
    world.prove().await;
}

#[tokio::test]
async fn what_a_guest_was_given_is_owed_until_discord_takes_it() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (ben, grant) = guest(&world, &club, "ben").await;
    // He stands above the bot, which can take the role and not remove him; and then not even that.
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
    let of_ben = format!("/guilds/{}/members/{ben}", club.guild);
    world.sandbox.fault(Fault::always("DELETE", &of_ben, refuse.clone()));
    world.sandbox.fault(Fault::always("DELETE", &format!("{of_ben}/roles/*"), refuse));
    world.delete(&grant).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ben), Some(vec![club.gold]));
    let owed = ("revoke_blocked".into(), Some("fan_above_bot".into()));
    assert_eq!(world.status(&club, "ben").await, owed);
    assert_eq!(world.get(&club.path()).await.ok()["reasons"][0]["code"], "fans_blocked");
    world.sandbox.clear_faults();
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.gold, |role| role.color = 7));
    world.raise_bot(&club).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ben), None);
    assert_eq!(world.status(&club, "ben").await, ("revoked".into(), None));
    world.prove().await;
}

#[tokio::test]
async fn nobody_is_brought_into_a_stranger_s_server_or_shown_to_them_without_having_said_so() {
    let world = World::start().await;
    let (club, other) = (world.club("kim").await, world.club("eve").await);
    let ada = world.member(&club, "ada", "vip").await;
    let grant = format!("{}/grants/ada", other.path());
    let given = world.put(&grant, json!({ "roles": [other.gold.to_string()] })).await.ok();
    world.settle().await;
    assert_eq!(given["status"], "available");
    assert_eq!(world.roles(&other, ada), None);
    let row = world.get(&format!("{}/fans", other.path())).await.ok()["data"][0].clone();
    assert_eq!((&row["fan"], &row["discord"]), (&json!("ada"), &json!(null)));
    // Nor is she told of by being refused.
    let withheld = format!("{}/revocations/ada", other.path());
    world.put(&withheld, json!({ "why": "curious" })).await.ok();
    let row = world.get(&format!("{}/fans", other.path())).await.ok()["data"][0].clone();
    assert_eq!((&row["status"], &row["discord"]), (&json!("blocked"), &json!(null)));
    world.delete(&withheld).await.ok();
    // She sees it, and it is hers to say.
    let seen = world.get("/v1/fans/ada/grants").await.ok();
    assert_eq!(seen["data"][0]["integration"]["status"], "available");
    world.activates(&other, "ada").await;
    assert_eq!(world.roles(&other, ada), Some(vec![other.gold]));
    // A creator whom she pays, or paid, needs no click.
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    let grant = format!("{}/grants/ada", club.path());
    world.put(&grant, json!({ "roles": [club.gold.to_string()] })).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));
    world.prove().await;
}

#[tokio::test]
async fn a_removal_that_is_not_answered_is_whole_for_a_guest_too() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (ben, grant) = guest(&world, &club, "ben").await;
    let down = Action::Error { status: 502 };
    world.sandbox.fault(Fault::once("DELETE", "/guilds/*/members/*", down));
    world.delete(&grant).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ben), None);
    world.prove().await;
}

#[tokio::test]
async fn a_guest_without_any_membership_is_brought_in_until_a_time() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ben = world.user("ben");
    let until = world.now() + TimeDelta::days(7);
    let body = json!({ "roles": [club.gold.to_string()], "until": until });
    let waiting = world.put(&format!("{}/grants/ben", club.path()), body).await.ok();
    assert_eq!(
        (&waiting["status"], &waiting["reason"]["code"]),
        (&json!("available"), &json!("not_linked"))
    );
    world.links("ben", ben).await.is(200);
    world.activates(&club, "ben").await;
    assert_eq!(world.roles(&club, ben), Some(vec![club.gold]));
    // He sees what he has, from whom, how long and as which role.
    let seen = &world.get("/v1/fans/ben/grants").await.ok()["data"];
    assert_eq!((&seen[0]["creator"], &seen[0]["until"]), (&json!("kim"), &json!(until)));
    let integration = &seen[0]["integration"];
    assert_eq!(integration["status"], "connected");
    assert_eq!(integration["roles"][0]["id"], club.gold.to_string());
    world.clock.advance(TimeDelta::days(7));
    world.settle().await;
    assert_eq!(world.roles(&club, ben), None);
    assert_eq!(world.get("/v1/fans/ben/grants").await.ok()["data"], json!([]));
    world.prove().await;
}

#[tokio::test]
async fn withheld_access_stays_withheld_whatever_the_fan_buys_or_clicks() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let revocation = format!("{}/revocations/ada", club.path());
    world.put(&revocation, json!({ "why": "spam" })).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("withheld".into())));
    // It is as it should be: nobody is told to mend it.
    let shown = world.get(&club.path()).await.ok();
    assert_eq!((&shown["fans"]["blocked"], &shown["fans"]["kept_out"]), (&json!(1), &json!(1)));
    assert_eq!(shown["status"], "active");
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let overview = format!("/creator/integrations/{}", club.integration);
    kim.get(&overview).await.is(200).has("<b>0</b><span>need you</span>").has("kept out");
    let fans = kim.get(&format!("{overview}/fans")).await.is(200);
    fans.has("Withheld").lacks("Needs you</span>");
    kim.get("/creator/integrations").await.is(200).lacks("needs attention");
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.reports(&club, "ada", "vip", "active", 2).await;
    world
        .post(&format!("/v1/fans/ada/integrations/{}/activate", club.integration), json!({}))
        .await
        .is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.delete(&revocation).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn what_is_decided_by_hand_is_checked_like_everything_else() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let grant = format!("{}/grants/ada", club.path());
    world
        .put(&grant, json!({ "roles": [club.guild.to_string()] }))
        .await
        .problem(422, "roles_not_assignable");
    world
        .put(&grant, json!({ "roles": [], "until": "2020-01-01T00:00:00Z" }))
        .await
        .problem(422, "validation_failed");
    world
        .put(&format!("{}/revocations/ada", club.path()), json!({ "why": " " }))
        .await
        .problem(422, "validation_failed");
    let eve = world.key_of("creator:eve").await;
    let request =
        world.request_as(&eve, reqwest::Method::PUT, &grant).json(&json!({ "roles": [] }));
    world.send(request).await.problem(404, "not_found");
    let other = world.integration("kim").await;
    world
        .put(&format!("/v1/integrations/{other}/grants/ada"), json!({ "roles": [] }))
        .await
        .problem(409, "not_connected");
}
