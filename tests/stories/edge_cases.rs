//! What this field gets wrong: the cases that other stories do not tell, each with the right end.

use discord_sandbox::{Action, Fault, Scope};
use serde_json::json;

use crate::support::World;

const MEMBER: &str = "/guilds/*/members/*";
const ROLE: &str = "/guilds/*/members/*/roles/*";

#[tokio::test]
async fn a_role_that_discord_said_to_have_given_and_did_not_is_found_and_given() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.fault(Fault::once("PUT", ROLE, Action::LostUpdate));
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.roles(&club, ada), Some(vec![]), "the answer was 204");
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.until("the role", async |world| world.roles(&club, ada) == Some(vec![club.vip])).await;
    world.prove().await;
}

#[tokio::test]
async fn a_decision_that_overtakes_calls_in_flight_wins() {
    for (first, last) in [("active", "expired"), ("expired", "active")] {
        let world = World::start().await;
        let club = world.club("kim").await;
        let ada = world.member(&club, "ada", "vip").await;
        if first == "active" {
            world.reports(&club, "ada", "vip", "paused", 2).await;
            world.settle().await;
        }
        world.sandbox.forget_calls();
        world.sandbox.fault(Fault::once("*", MEMBER, Action::Delay { ms: 150 }));
        world.reports(&club, "ada", "vip", first, 3).await;
        world.until_called(MEMBER).await;
        world.reports(&club, "ada", "vip", last, 4).await;
        world.settle().await;
        let wanted = (last == "active").then(|| vec![club.vip]);
        assert_eq!(world.roles(&club, ada), wanted, "{first} then {last}");
        let status = if last == "active" { "connected" } else { "revoked" };
        assert_eq!(world.status(&club, "ada").await.0, status);
        world.prove().await;
    }
}

#[tokio::test]
async fn a_rate_limit_of_any_kind_is_waited_out() {
    for action in [
        Action::RateLimit { scope: Scope::User, retry_after: 0.2 },
        Action::RateLimit { scope: Scope::Shared, retry_after: 0.2 },
        Action::RateLimit { scope: Scope::Global, retry_after: 0.2 },
        Action::Cloudflare { retry_after: 1 },
        Action::Error { status: 500 },
        Action::Error { status: 503 },
        Action::DropBefore,
        Action::DropAfter,
    ] {
        let world = World::start().await;
        let club = world.club("kim").await;
        world.sandbox.fault(Fault { times: 2, ..Fault::once("PUT", ROLE, action.clone()) });
        world.sandbox.forget_calls();
        let ada = world.member(&club, "ada", "vip").await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.vip]), "{action:?}");
        let calls = world.sandbox.calls().iter().filter(|call| call.route == ROLE).count();
        assert!(calls <= 3, "{action:?}: {calls} calls for two refusals");
        world.prove().await;
    }
}

#[tokio::test]
async fn a_role_that_was_deleted_is_one_trouble_of_the_server_and_heals_with_another() {
    let world = World::start_listening().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.delete_role(club.guild, club.vip));
    world
        .until("needs attention", async |world| {
            world.get(&club.path()).await.ok()["reasons"][0]["code"] == "role_deleted"
        })
        .await;
    world.sandbox.forget_calls();
    let users: Vec<u64> = ["ben", "cyd", "dan"].map(|fan| world.user(fan)).into();
    for (fan, user) in ["ben", "cyd", "dan"].into_iter().zip(&users) {
        world.reports(&club, fan, "vip", "active", 1).await;
        world.links(fan, *user).await.is(200);
    }
    world.settle().await;
    assert_eq!(world.status(&club, "ben").await, ("blocked".into(), Some("role_deleted".into())));
    let refused = world.sandbox.calls().iter().filter(|call| call.status >= 400).count();
    assert_eq!(refused, 0, "nobody is tried in vain");
    world.attach(&club, "vip", &[club.gold]).await;
    world.settle().await;
    assert!(users.iter().all(|user| world.roles(&club, *user) == Some(vec![club.gold])));
    world.prove().await;
}

#[tokio::test]
async fn a_banned_fan_is_not_tried_again_and_never_unbanned() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.sandbox.with(|discord| discord.ban(club.guild, ada));
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("banned".into())));
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
async fn the_owner_of_a_server_may_be_a_fan_and_is_never_removed() {
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
async fn a_fan_who_became_staff_loses_the_role_and_the_creator_is_told_that_they_stay() {
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

#[tokio::test]
async fn who_must_accept_the_rules_first_is_connected_all_the_same() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.with(|discord| discord.guilds.get_mut(&club.guild).unwrap().screening = true);
    world.member(&club, "ada", "vip").await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    world.prove().await;
}

#[tokio::test]
async fn one_glitch_is_no_proof_that_the_bot_is_gone() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let glitch = Action::Refuse { status: 404, code: 10004, message: "Unknown Guild".into() };
    world.sandbox.fault(Fault::once("PUT", MEMBER, glitch));
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert!(!world.events().await.contains(&"BotRemoved".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn a_dead_token_stops_everything_at_once_and_nothing_is_lost() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.set_bot_token_alive(false);
    world.sandbox.forget_calls();
    for n in 0..20 {
        let fan = format!("fan{n}");
        let user = world.user(&fan);
        world.reports(&club, &fan, "vip", "active", 1).await;
        world.links(&fan, user).await.is(200);
    }
    world.until_called(MEMBER).await;
    let refused = || world.sandbox.calls().iter().filter(|call| call.status == 401).count();
    assert!(refused() <= 8, "{}", refused());
    world.sandbox.set_bot_token_alive(true);
    world.start_again().await;
    world.settle().await;
    assert_eq!(world.get(&club.path()).await.ok()["fans"]["connected"], 20);
    world.prove().await;
}
