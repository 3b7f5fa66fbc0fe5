//! What cannot be seen for a moment, what happens between two looks, and what is owed from before.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use discord_sandbox::{Action, Fault};
use reqwest::Method;
use serde_json::json;

use crate::support::{Browser, Club, World};

const MEMBER: &str = "/guilds/*/members/*";
const ROLE: &str = "/guilds/*/members/*/roles/*";

fn refuse(status: u16, code: u64) -> Action {
    Action::Refuse { status, code, message: "no".to_owned() }
}

/// Somebody who was in the server long before the hub knew of them.
fn regular(world: &World, club: &Club, name: &str) -> u64 {
    let user = world.user(name);
    world.sandbox.with(|discord| discord.add_member(club.guild, user));
    world.clock.advance(TimeDelta::minutes(10));
    user
}

#[tokio::test]
async fn a_role_that_cannot_be_taken_beside_one_that_stays_is_shown_as_owed() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.attach(&club, "gold", &[club.gold]).await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    world.sandbox.with(|discord| {
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| role.position = 2);
        discord.edit_role(club.guild, club.vip, |role| role.position = 1);
        discord.edit_role(club.guild, club.gold, |role| role.position = 50);
    });
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    let owed = ("revoke_blocked".into(), Some("role_above_bot".into()));
    assert_eq!(world.status(&club, "ada").await, owed);
    // She has what she pays for; what is left over is the creator's to mend.
    let mut fan = Browser::of(&world, "fan", Some("ada")).await;
    fan.get("/fan/memberships").await.is(200).has("Connected");
    world.raise_bot(&club).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    world.prove().await;
}

#[tokio::test]
async fn who_left_and_came_back_unheard_is_not_removed_from_the_server() {
    let mut world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.stop().await;
    world.leaves_and_returns(&club, ada);
    // The comparison is held up, so that the end of the membership comes first.
    let down = Action::Error { status: 503 };
    world.sandbox.fault(Fault::always("GET", "/guilds/*/members", down));
    world.start_again().await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]), "she came by herself");
    world.prove().await;
}

#[tokio::test]
async fn a_comparison_goes_on_for_as_long_as_discord_shows_nothing() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let down = Action::Error { status: 503 };
    world.sandbox.fault(Fault::always("GET", "/guilds/*/members", down));
    world.takes_away(&club, ada);
    world.sandbox.forget_calls();
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    // More often than anything else is tried before it is put off.
    let asked = async |world: &World| {
        let calls = world.sandbox.calls();
        calls.iter().filter(|call| call.route == "/guilds/*/members").count() > 6
    };
    world.until("many tries", asked).await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.sandbox.clear_faults();
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn whom_a_join_without_an_answer_brought_in_stays_the_hub_s_to_remove_whatever_is_refused_then()
 {
    for code in [50_013, 10_004] {
        let world = World::start().await;
        let club = world.club("kim").await;
        let ada = world.user("ada");
        world.sandbox.fault(Fault::once("PUT", MEMBER, Action::ErrorAfterEffect { status: 502 }));
        let status = if code == 10_004 { 404 } else { 403 };
        world.sandbox.fault(Fault { after: 1, ..Fault::once("PUT", MEMBER, refuse(status, code)) });
        if code == 10_004 {
            // Nor does Discord show the server: the bot seems to be out.
            world.sandbox.fault(Fault::once("GET", "/guilds/*", refuse(404, code)));
        }
        world.reports(&club, "ada", "vip", "active", 1).await;
        world.links("ada", ada).await.is(200);
        world.until("the join", async |world| world.roles(&club, ada).is_some()).await;
        world.is_given(&club, ada).await;
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), None, "{code}");
        world.prove().await;
    }
}

#[tokio::test]
async fn what_one_removal_lost_is_found_although_another_followed_it_at_once() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = regular(&world, &club, "ada");
    world.attach(&club, "gold", &[club.gold]).await;
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world
        .until("both", async |world| world.roles(&club, ada).is_some_and(|has| has.len() == 2))
        .await;
    world.sandbox.fault(Fault::once("DELETE", ROLE, Action::LostUpdate));
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.settle().await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.until("nothing", async |world| world.roles(&club, ada) == Some(vec![])).await;
    world.comes_to(&club, "ada", "revoked", None).await;
    world.prove().await;
}

#[tokio::test]
async fn one_refused_look_does_not_lose_what_was_heard() {
    for (status, code) in [(404, 10_004), (403, 50_001)] {
        let world = World::start_listening().await;
        world.listens().await;
        let club = world.club("kim").await;
        let ada = world.member(&club, "ada", "vip").await;
        world.sandbox.fault(Fault::once("GET", MEMBER, refuse(status, code)));
        world.takes_away(&club, ada);
        world.is_given(&club, ada).await;
        world.prove().await;
    }
}

#[tokio::test]
async fn a_removal_that_is_refused_beside_a_deleted_role_has_its_cause() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    world.attach(&club, "vip", &[club.vip, club.gold]).await;
    world.member(&club, "ada", "vip").await;
    let (first, second) = (club.vip.min(club.gold), club.vip.max(club.gold));
    world.sandbox.with(|discord| {
        discord.delete_role_leaving_ghosts(club.guild, first);
        discord.edit_role(club.guild, second, |role| role.position = 90);
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| role.position = 1);
    });
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    let owed = ("revoke_blocked".into(), Some("role_above_bot".into()));
    assert_eq!(world.status(&club, "ada").await, owed);
    world.raise_bot(&club).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await.0, "revoked");
    world.prove().await;
}

#[tokio::test]
async fn who_waits_for_a_role_that_cannot_be_given_is_still_looked_after() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| {
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| role.position = 2);
        discord.edit_role(club.guild, club.vip, |role| role.position = 1);
        discord.edit_role(club.guild, club.gold, |role| role.position = 50);
    });
    // The hub does not know of the new order when it gives gold, too.
    world.attach(&club, "gold", &[club.gold]).await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("role_above_bot".into())));
    world.takes_away(&club, ada);
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn a_bot_that_is_said_to_be_out_and_is_back_already_is_found_in() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let key = world.key_of("bot").await;
    let late = json!({ "kind": "bot_removed", "guild": club.guild.to_string() });
    let told = world.request_as(&key, Method::POST, "/v1/bot/observations").json(&late);
    world.send(told).await.ok();
    world
        .until("the bot", async |world| world.events().await.contains(&"BotReturned".to_owned()))
        .await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn what_was_in_the_way_for_one_call_only_parks_nobody() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.fault(Fault::once("PUT", ROLE, refuse(403, 50_013)));
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert!(!world.events().await.contains(&"AccessBlocked".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn what_a_lost_removal_left_on_an_account_that_was_let_go_is_found_by_comparing() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = regular(&world, &club, "ada");
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    world.sandbox.fault(Fault::once("DELETE", ROLE, Action::LostUpdate));
    world.delete("/v1/fans/ada/link").await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]), "Discord lost it");
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.until("nothing", async |world| world.roles(&club, ada) == Some(vec![])).await;
    world.prove().await;
}

#[tokio::test]
async fn a_guest_whose_connection_broke_is_brought_in_by_connecting_again() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ben = world.user("ben");
    world.links("ben", ben).await.is(200);
    world.sandbox.deauthorize(ben);
    let given = json!({ "roles": [club.gold.to_string()] });
    world.put(&format!("{}/grants/ben", club.path()), given).await.ok();
    world
        .post(&format!("/v1/fans/ben/integrations/{}/activate", club.integration), json!({}))
        .await
        .is(202);
    world.comes_to(&club, "ben", "action_required", Some("link_broken")).await;
    world.links("ben", ben).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ben), Some(vec![club.gold]));
    world.prove().await;
}

#[tokio::test]
async fn who_left_and_came_back_by_themselves_between_two_looks_is_not_removed_at_the_end() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.attach(&club, "vip", &[]).await;
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    // Discord's clock, which nobody sets, tells the two times apart.
    let began = Instant::now();
    world.until("a moment later", async |_| began.elapsed() > Duration::from_millis(60)).await;
    world.sandbox.with(|discord| {
        discord.remove_member(club.guild, ada);
        discord.add_member(club.guild, ada);
    });
    world
        .until("the news", async |world| {
            world.events().await.contains(&"MemberReturned".to_owned())
        })
        .await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]), "she came by herself and stays");
    world.prove().await;
}
