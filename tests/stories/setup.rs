//! A creator sets up, changes and takes down an integration.

use chrono::TimeDelta;
use discord_sandbox::{Action, Choice, Fault};
use reqwest::Method;
use serde_json::json;

use crate::support::{Club, World};

#[tokio::test]
async fn an_integration_is_resumable_until_it_is_connected() {
    let world = World::start().await;
    let id = world.integration("kim").await;
    let path = format!("/v1/integrations/{id}");
    let shown = world.get(&path).await.ok();
    assert_eq!((&shown["status"], &shown["guild"]), (&json!("not_connected"), &json!(null)));
    world.get(&format!("{path}/roles")).await.problem(409, "not_connected");
    world
        .put(&format!("{path}/memberships"), json!({ "memberships": [] }))
        .await
        .problem(422, "validation_failed");

    let kim = world.user("kim");
    let (guild, ..) = world.server(kim);
    let asked = world.post(&format!("{path}/connect"), json!({})).await.ok();
    let denied = Choice { user: kim, guild: Some(guild), deny: true, ..Choice::default() };
    world.authorize(asked, &denied).await.problem(400, "oauth_denied");
    assert_eq!(world.get(&path).await.ok()["status"], "not_connected");
    world.connect(&id, kim, guild).await.is(200);
    let shown = world.get(&path).await.ok();
    assert_eq!(shown["guild"]["id"], guild.to_string());
    world.prove().await;
}

#[tokio::test]
async fn a_way_back_from_discord_works_once_and_for_ten_minutes() {
    let world = World::start().await;
    let id = world.integration("kim").await;
    let kim = world.user("kim");
    let (guild, ..) = world.server(kim);
    let asked = world.post(&format!("/v1/integrations/{id}/connect"), json!({})).await.ok();
    let url = asked["authorize_url"].as_str().unwrap().to_owned();
    let choice = Choice { user: kim, guild: Some(guild), ..Choice::default() };
    let back = world.sandbox.consent(&url, &choice).unwrap();
    let path = back.split_once("/oauth").map(|(_, rest)| format!("/oauth{rest}")).unwrap();
    world.send(world.bare(Method::GET, &path)).await.is(200);
    world.send(world.bare(Method::GET, &path)).await.problem(400, "oauth_state_invalid");
    world
        .send(world.bare(Method::GET, "/oauth/discord/callback?code=x"))
        .await
        .problem(400, "oauth_state_invalid");

    let asked = world.post("/v1/fans/ada/link", json!({})).await.ok();
    world.clock.advance(TimeDelta::minutes(10));
    let ada = world.user("ada");
    world
        .authorize(asked, &Choice { user: ada, ..Choice::default() })
        .await
        .problem(400, "oauth_state_invalid");
    assert_eq!(world.get("/v1/fans/ada/link").await.ok()["discord"], json!(null));
}

#[tokio::test]
async fn the_browser_comes_back_to_where_it_was_sent_from() {
    let world = World::start().await;
    let asked = world
        .post("/v1/fans/ada/link", json!({ "return_url": "http://127.0.0.1:1/x?a=1" }))
        .await
        .ok();
    let ada = world.user("ada");
    let back = world.authorize(asked, &Choice { user: ada, ..Choice::default() }).await.is(303);
    assert_eq!(back.header("location"), Some("http://127.0.0.1:1/x?a=1&status=connected"));

    let asked =
        world.post("/v1/fans/ben/link", json!({ "return_url": "http://127.0.0.1:1/x" })).await.ok();
    let back = world.authorize(asked, &Choice { user: ada, ..Choice::default() }).await.is(303);
    assert_eq!(
        back.header("location"),
        Some("http://127.0.0.1:1/x?status=failed&error=account_taken")
    );
    world
        .post("/v1/fans/ada/link", json!({ "return_url": "javascript:alert(1)" }))
        .await
        .problem(422, "validation_failed");
}

#[tokio::test]
async fn roles_that_cannot_be_given_are_refused_each_with_its_reason() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let bot_role = world.sandbox.with(|discord| discord.bot_role(club.guild).unwrap());
    let before = world.node().store().log().head();
    let roles = json!({ "roles": [club.guild.to_string(), bot_role.to_string(), "123", club.gold.to_string()] });
    let refused = world.put(&format!("{}/memberships/gold", club.path()), roles.clone()).await;
    let refused = refused.problem(422, "roles_not_assignable");
    let mut codes: Vec<_> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["code"].as_str().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["role_deleted", "role_everyone", "role_managed"]);
    let plan =
        world.put(&format!("{}/memberships/gold?dry_run=true", club.path()), roles).await.ok();
    assert_eq!(plan["unmanageable"].as_array().unwrap().len(), 3);
    world
        .put(&format!("{}/memberships/none", club.path()), json!({ "roles": [] }))
        .await
        .problem(422, "validation_failed");
    assert_eq!(world.node().store().log().head(), before);
}

#[tokio::test]
async fn roles_are_shown_in_discord_s_order_with_where_the_bot_stands() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.with(|discord| {
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| {
            role.position = 2;
            role.permissions &= !(1 << 1);
        });
        discord.edit_role(club.guild, club.gold, |role| role.position = 1);
        discord.edit_role(club.guild, club.vip, |role| role.position = 3);
    });
    let roles = world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
    let shown: Vec<_> = roles["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| (role["name"].as_str().unwrap(), role["why_not"]["code"].as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("vip", Some("role_above_bot")),
            ("hub-bot", Some("role_managed")),
            ("gold", None),
            ("@everyone", Some("role_everyone")),
        ]
    );
    assert_eq!(
        roles["bot"],
        json!({ "top_role_position": 2, "missing_permissions": ["KICK_MEMBERS"] })
    );
    // What is attached and cannot be given any more is told at once.
    let codes = world.get(&club.path()).await.ok()["reasons"].clone();
    let codes: Vec<_> =
        codes.as_array().unwrap().iter().map(|reason| reason["code"].clone()).collect();
    assert_eq!(codes, [json!("missing_kick_members"), json!("role_above_bot")]);
}

#[tokio::test]
async fn a_change_shows_its_plan_before_it_is_made() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (ada, _) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.reports(&club, "cyd", "vip", "active", 1).await;
    let roles = json!({ "roles": [club.gold.to_string()] });
    let path = format!("{}/memberships/vip", club.path());
    let plan = world.put(&format!("{path}?dry_run=true"), roles).await.ok();
    assert_eq!(plan["fans"], 2);
    assert_eq!(plan["gain"], json!([{ "role": club.gold.to_string(), "fans": 2 }]));
    assert_eq!(plan["lose"], json!([{ "role": club.vip.to_string(), "fans": 2 }]));
    assert_eq!(plan["leave_server"], 0);
    let plan = world.delete(&format!("{path}?dry_run=true")).await.is(200).ok();
    assert_eq!((&plan["fans"], &plan["leave_server"]), (&json!(2), &json!(2)));
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
}

#[tokio::test]
async fn several_tiers_are_attached_together_or_not_at_all() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let path = format!("{}/memberships", club.path());
    let (vip, gold) = (club.vip.to_string(), club.gold.to_string());
    let bad = json!({ "memberships": [{ "tier": "vip", "roles": [vip] }, { "tier": "gold", "roles": ["5"] }] });
    world.put(&path, bad).await.problem(422, "roles_not_assignable");
    assert_eq!(world.get(&path).await.ok()["data"].as_array().unwrap().len(), 1);
    let both = json!({ "memberships": [{ "tier": "vip", "roles": [vip, gold] }, { "tier": "gold", "roles": [gold] }] });
    let done = world.put(&path, both).await.ok();
    assert_eq!(done["memberships"].as_array().unwrap().len(), 2);
    let tiers = world.get("/v1/creators/kim/tiers").await.ok();
    assert_eq!(tiers["data"][0]["integrations"], json!([club.integration]));
    let twice = json!({ "memberships": [{ "tier": "vip", "roles": [] }, { "tier": "vip", "roles": [gold] }] });
    world.put(&path, twice).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn a_write_that_was_meant_for_another_version_is_refused() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let shown = world.get(&club.path()).await;
    let etag = shown.header("etag").unwrap().to_owned();
    let rename = |name: &str| {
        world
            .request(Method::PATCH, &club.path())
            .header("if-match", etag.clone())
            .json(&json!({ "name": name }))
    };
    let done = world.send(rename("First")).await.is(200);
    assert_ne!(done.header("etag"), Some(etag.as_str()));
    world.send(rename("Second")).await.problem(412, "precondition_failed");
    assert_eq!(world.get(&club.path()).await.ok()["name"], "First");
}

async fn removed(world: &World, club: &Club, user: u64) {
    world.settle().await;
    assert_eq!(world.roles(club, user), None);
}

#[tokio::test]
async fn disconnecting_takes_the_access_away_and_then_frees_the_server() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let left = world.post(&format!("{}/disconnect", club.path()), json!({})).await.is(202).ok();
    assert_eq!(left["status"], "removing");
    removed(&world, &club, ada).await;
    assert_eq!(world.get(&club.path()).await.ok()["status"], "disconnected");
    let other = world.integration("eve").await;
    world.connect(&other, club.owner, club.guild).await.is(200);
    world.prove().await;
}

#[tokio::test]
async fn a_server_stays_reserved_while_a_removal_is_refused_and_can_be_let_go_by_force() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
    world.sandbox.fault(Fault::always("DELETE", "/guilds/*/members/*", refuse.clone()));
    world.sandbox.fault(Fault::always("DELETE", "/guilds/*/members/*/roles/*", refuse));
    world.delete(&club.path()).await.is(202);
    world.settle().await;
    assert_eq!(world.get(&club.path()).await.ok()["status"], "removing");
    assert_eq!(world.status(&club, "ada").await.0, "revoke_blocked");
    let eve = world.integration("eve").await;
    world.connect(&eve, club.owner, club.guild).await.problem(409, "guild_taken");

    let gone = world.delete(&format!("{}?force=true", club.path())).await.is(200).ok();
    let kept = json!({ "fan": "ada", "roles": [club.vip.to_string()], "brought_in": true });
    assert_eq!(gone["left_behind"], json!({ "fans": 1, "data": [kept] }));
    world.get(&club.path()).await.problem(404, "not_found");
    world.connect(&eve, club.owner, club.guild).await.is(200);
    assert!(world.roles(&club, ada).is_some());
    let events = world.get("/v1/audit/events?type=ServerDisconnected").await.ok();
    assert_eq!(events["data"][0]["data"]["left_behind"], 1);
    assert_eq!(events["data"][0]["data"]["left"], json!([kept]));
    world.prove().await;
}

#[tokio::test]
async fn a_server_that_is_disconnected_by_force_is_free_at_once_and_who_keeps_what_is_named() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    let left = world.post(&format!("{}/disconnect?force=true", club.path()), json!({})).await;
    let left = left.is(200).ok();
    assert_eq!((&left["status"], &left["id"]), (&json!("disconnected"), &json!(club.integration)));
    assert_eq!(left["left_behind"]["fans"], 1, "who waits for an account has nothing");
    let eve = world.integration("eve").await;
    world.connect(&eve, club.owner, club.guild).await.is(200);
    // What was told is what there is: nothing is done any more in a server that is another's.
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    let owed = ("revoke_blocked".to_owned(), Some("left_behind".to_owned()));
    assert_eq!(world.status(&club, "ada").await, owed);
    world.prove().await;
}

#[tokio::test]
async fn what_was_left_behind_is_taken_away_once_the_server_is_connected_again() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.post(&format!("{}/disconnect?force=true", club.path()), json!({})).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.connect(&club.integration, club.owner, club.guild).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    assert_eq!(world.status(&club, "ada").await, ("revoked".to_owned(), None));
    world.prove().await;
}

#[tokio::test]
async fn nobody_is_removed_from_a_server_that_was_let_go_because_the_policy_changed_since() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.post(&format!("{}/disconnect", club.path()), json!({})).await.is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.patch(&club.path(), json!({ "on_end": "remove_from_server" })).await.ok();
    world.settle().await;
    let (second, ..) = world.server(club.owner);
    world.connect(&club.integration, club.owner, second).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn an_integration_that_was_never_connected_is_gone_at_once() {
    let world = World::start().await;
    let id = world.integration("kim").await;
    world.delete(&format!("/v1/integrations/{id}")).await.is(204);
    world.get(&format!("/v1/integrations/{id}")).await.problem(404, "not_found");
    assert_eq!(world.get("/v1/creators/kim/integrations").await.ok()["data"], json!([]));
    world.prove().await;
}

#[tokio::test]
async fn another_server_can_be_connected_after_the_first_was_let_go() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (second, ..) = world.server(club.owner);
    world.connect(&club.integration, club.owner, second).await.problem(409, "connected_elsewhere");
    world.post(&format!("{}/disconnect", club.path()), json!({})).await.is(202);
    world.settle().await;
    world.connect(&club.integration, club.owner, second).await.is(200);
    let shown = world.get(&club.path()).await.ok();
    assert_eq!(
        (&shown["guild"]["id"], &shown["memberships"]),
        (&json!(second.to_string()), &json!([]))
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
