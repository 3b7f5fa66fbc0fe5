//! What is told while Discord has not accepted something yet: what it last told, and never what is hoped for.

use discord_sandbox::{Action, Fault};
use serde_json::{Value, json};

use crate::support::{Club, Receiver, World};

impl World {
    async fn row(&self, club: &Club, fan: &str) -> Value {
        let fans = self.get(&format!("{}/fans", club.path())).await.ok();
        let rows = fans["data"].as_array().unwrap();
        rows.iter().find(|row| row["fan"] == fan).cloned().unwrap_or_default()
    }

    /// What becomes of the first integration of a membership.
    async fn of_membership(&self, membership: &str) -> Value {
        self.get(&format!("/v1/memberships/{membership}")).await.ok()["integrations"][0]["status"]
            .clone()
    }
}

fn both(club: &Club) -> Value {
    let mut roles = [club.vip, club.gold];
    roles.sort_unstable();
    json!(roles.map(|role| role.to_string()))
}

#[tokio::test]
async fn a_role_that_is_being_taken_is_there_until_discord_has_accepted_it() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url, "types": ["access.granted", "access.revoked"] });
    world.post("/v1/webhook_endpoints", body).await.is(201);
    world.sandbox.forget_calls();
    let role = "/guilds/*/members/*/roles/*";
    world.sandbox.fault(Fault::always("DELETE", role, Action::Error { status: 502 }));
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.until_called(role).await;
    let row = world.row(&club, "ada").await;
    assert_eq!((&row["status"], &row["observed"]["roles"]), (&json!("pending"), &both(&club)));
    assert_eq!(world.of_membership("ada-gold").await, "revoking");
    world.sandbox.clear_faults();
    world.settle().await;
    let row = world.row(&club, "ada").await;
    let vip = json!([club.vip.to_string()]);
    assert_eq!((&row["status"], &row["observed"]["roles"]), (&json!("connected"), &vip));
    assert_eq!(world.of_membership("ada-gold").await, "revoked");
    assert_eq!(world.of_membership("ada-vip").await, "connected");
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    // Nobody was told of it before Discord had accepted it.
    let granted = receiver.take();
    assert!(!granted.is_empty());
    assert!(granted.iter().all(|got| got.json["data"]["observed"]["roles"] == vip));
    world.prove().await;
}

#[tokio::test]
async fn what_is_being_taken_for_one_integration_is_nothing_to_the_other_on_its_server() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let second = world.beside(&club, "gold", club.gold).await;
    world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    world.sandbox.forget_calls();
    let role = "/guilds/*/members/*/roles/*";
    world.sandbox.fault(Fault::always("DELETE", role, Action::Error { status: 502 }));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.until_called(role).await;
    let other = world.get(&format!("{second}/fans")).await.ok()["data"][0].clone();
    assert_eq!((&other["fan"], &other["status"]), (&json!("ada"), &json!("connected")));
    assert_eq!(world.of_membership("ada-vip").await, "revoking");
    world.sandbox.clear_faults();
    world.settle().await;
    assert_eq!(world.of_membership("ada-vip").await, "revoked");
    world.prove().await;
}

#[tokio::test]
async fn what_was_never_tried_or_only_refused_is_not_told_as_taken() {
    for known in [true, false] {
        let world = World::start().await;
        let club = world.club("kim").await;
        let ada = world.user("ada");
        world.links("ada", ada).await.is(200);
        world.sandbox.deauthorize(ada);
        let bot = world.sandbox.application().bot_user;
        world.sandbox.with(|discord| discord.remove_member(club.guild, bot));
        if known {
            world.post(&format!("{}/sync", club.path()), json!({})).await;
            world.settle().await;
        }
        world.reports(&club, "ada", "vip", "active", 1).await;
        world.settle().await;
        assert_ne!(world.row(&club, "ada").await["status"], "connected");
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        assert_eq!(world.row(&club, "ada").await, Value::Null, "known: {known}");
        world.prove().await;
    }
}

#[tokio::test]
async fn who_is_being_removed_is_there_until_discord_has_accepted_it() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.sandbox.forget_calls();
    let member = "/guilds/*/members/*";
    world.sandbox.fault(Fault::always("DELETE", member, Action::Error { status: 502 }));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.until_called(member).await;
    let row = world.row(&club, "ada").await;
    let observed = json!({ "present": true, "roles": [club.vip.to_string()] });
    assert_eq!((&row["status"], &row["observed"]), (&json!("revoking"), &observed));
    world.sandbox.clear_faults();
    world.settle().await;
    let row = world.row(&club, "ada").await;
    let nothing = json!({ "present": false, "roles": [] });
    assert_eq!((&row["status"], &row["observed"]), (&json!("revoked"), &nothing));
    world.prove().await;
}

#[tokio::test]
async fn whose_membership_ended_before_is_no_fan_of_a_new_integration() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    let second = world.integration("kim").await;
    let owner = world.user("owner");
    let (guild, ..) = world.server(owner);
    world.connect(&second, owner, guild).await.is(200);
    let path = format!("/v1/integrations/{second}");
    world.put(&format!("{path}/memberships/vip"), json!({ "roles": [] })).await.ok();
    world.settle().await;
    assert_eq!(world.get(&format!("{path}/fans")).await.ok()["data"], json!([]));
    // And of the first one she was.
    assert_eq!(world.row(&club, "ada").await["status"], "revoked");
    world.prove().await;
}
