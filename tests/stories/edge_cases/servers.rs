//! What is the matter with a server: its order, its roles, its bot.

use std::time::Duration;

use discord_sandbox::{Action, Choice, Fault, NewRole, World as Discord};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{bot_process::Process, support::World};

const MEMBER: &str = "/guilds/*/members/*";

#[tokio::test]
async fn case_01_a_removal_that_discord_refuses_is_never_shown_as_done_and_heals_by_a_refresh() {
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
async fn case_01_a_refused_removal_is_tried_again_from_time_to_time() {
    // Nobody tells the hub that anything was mended.
    let world = World::start_retrying(Duration::from_millis(200)).await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.moves_bot(&club, 0);
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.comes_to(&club, "ada", "revoke_blocked", Some("role_above_bot")).await;
    world.moves_bot(&club, 100);
    world.comes_to(&club, "ada", "revoked", None).await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn case_01_a_refused_removal_does_not_keep_a_disconnected_server_for_ever() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.moves_bot(&club, 0);
    world.post(&format!("{}/disconnect", club.path()), json!({})).await.is(202);
    world.settle().await;
    assert_eq!(
        world.status(&club, "ada").await,
        ("revoke_blocked".into(), Some("role_above_bot".into()))
    );
    world.has_trouble(&club, "role_above_bot").await;

    world.moves_bot(&club, 100);
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    assert_eq!(world.get(&club.path()).await.ok()["status"], "disconnected");
    world.prove().await;
}

#[tokio::test]
async fn case_01_a_disconnect_goes_on_by_itself_once_the_roles_are_in_order() {
    // Nobody tells the hub that anything was mended.
    let world = World::start_retrying(Duration::from_millis(200)).await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.moves_bot(&club, 0);
    world.delete(&club.path()).await.is(202);
    world.comes_to(&club, "ada", "revoke_blocked", Some("role_above_bot")).await;
    world.moves_bot(&club, 100);
    world
        .until("gone", async |world| world.get(&club.path()).await.status == StatusCode::NOT_FOUND)
        .await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn case_01_what_is_refused_while_a_server_is_let_go_heals_too() {
    for listens in [true, false] {
        let world = if listens { World::start_listening().await } else { World::start().await };
        let club = world.club("kim").await;
        world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
        let ada = world.member(&club, "ada", "vip").await;
        world.moves_bot(&club, 0);
        world.post(&format!("{}/disconnect", club.path()), json!({})).await.is(202);
        world.comes_to(&club, "ada", "revoke_blocked", Some("role_above_bot")).await;
        assert_eq!(world.get(&club.path()).await.ok()["status"], "removing");
        world.moves_bot(&club, 100);
        if !listens {
            world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
        }
        world
            .until("let go", async |world| {
                world.get(&club.path()).await.ok()["status"] == "disconnected"
            })
            .await;
        assert_eq!(world.roles(&club, ada), Some(vec![]));
        world.prove().await;
    }
}

#[tokio::test]
async fn case_03_a_server_that_another_creator_holds_leaves_the_integration_as_it_was() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let thief = world.integration("eve").await;
    let before = world.node().store().log().head();
    world.connect(&thief, club.owner, club.guild).await.problem(409, "guild_taken");
    assert_eq!(world.node().store().log().head(), before);
    assert_eq!(
        world.get(&format!("/v1/integrations/{thief}")).await.ok()["status"],
        "not_connected"
    );
    // The server's own creator may connect it a second time.
    let second = world.integration("kim").await;
    world.connect(&second, club.owner, club.guild).await.is(200);
    world.prove().await;
}

#[tokio::test]
async fn case_03_the_server_comes_from_the_token_and_never_from_the_callback() {
    let world = World::start().await;
    let id = world.integration("kim").await;
    let kim = world.user("kim");
    let ((mine, ..), (other, ..)) = (world.server(kim), world.server(kim));
    let asked = world.post(&format!("/v1/integrations/{id}/connect"), json!({})).await.ok();
    let choice = Choice { user: kim, guild: Some(mine), ..Choice::default() };
    let back = world.sandbox.consent(asked["authorize_url"].as_str().unwrap(), &choice).unwrap();
    let forged = back.replace(&format!("guild_id={mine}"), &format!("guild_id={other}"));
    assert_ne!(forged, back);
    let path = forged.split_once("/oauth").map(|(_, rest)| format!("/oauth{rest}")).unwrap();
    let looked = world.bare(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(looked.status(), 200, "looking does not use the way back up");
    world.send(world.bare(Method::GET, &path)).await.is(200);
    assert_eq!(
        world.get(&format!("/v1/integrations/{id}")).await.ok()["guild"]["id"],
        mine.to_string()
    );
}

#[tokio::test]
async fn case_08_a_bot_that_was_thrown_out_is_told_and_comes_back_to_finish_removals_first() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let (ada, ben) = (world.member(&club, "ada", "vip").await, world.user("ben"));
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord: &mut Discord| discord.remove_member(club.guild, bot));
    world
        .until("needs attention", async |world| {
            let shown = world.get(&club.path()).await.ok();
            shown["reasons"][0]["code"] == "bot_missing"
        })
        .await;
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.links("ben", ben).await.is(200);
    world.settle().await;
    assert_eq!(
        world.status(&club, "ada").await,
        ("revoke_blocked".into(), Some("bot_missing".into()))
    );
    assert_eq!(world.status(&club, "ben").await, ("blocked".into(), Some("bot_missing".into())));
    assert_eq!(world.member_calls(), [""; 0], "nobody is tried in vain");

    world.connect(&club.integration, club.owner, club.guild).await.is(200);
    world.raise_bot(&club).await;
    world.comes_to(&club, "ada", "revoked", None).await;
    world.comes_to(&club, "ben", "connected", None).await;
    assert_eq!((world.roles(&club, ada), world.roles(&club, ben)), (None, Some(vec![club.vip])));
    world.prove().await;
}

#[tokio::test]
async fn case_08_a_bot_that_was_thrown_out_during_a_disconnect_finishes_it_when_it_is_back() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord: &mut Discord| discord.remove_member(club.guild, bot));
    world.has_trouble(&club, "bot_missing").await;
    world.post(&format!("{}/disconnect", club.path()), json!({})).await.is(202);
    world.comes_to(&club, "ada", "revoke_blocked", Some("bot_missing")).await;
    world.has_trouble(&club, "bot_missing").await;

    // Connecting brings the bot back; the disconnect stands.
    world.connect(&club.integration, club.owner, club.guild).await.is(200);
    world.moves_bot(&club, 100);
    world
        .until("disconnected", async |world| {
            world.get(&club.path()).await.ok()["status"] == "disconnected"
        })
        .await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn case_08_what_becomes_possible_while_somebody_is_brought_in_is_done_after_it() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord| discord.remove_member(club.guild, bot));
    world.has_trouble(&club, "bot_missing").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.comes_to(&club, "ada", "blocked", Some("bot_missing")).await;
    // The bot comes back below the role, and is put above it while the join is on its way.
    world.sandbox.forget_calls();
    world.sandbox.fault(Fault::once("PUT", MEMBER, Action::DelayAfter { ms: 500 }));
    world.connect(&club.integration, club.owner, club.guild).await.is(200);
    world.until_called_with("PUT", MEMBER).await;
    world.raise_bot(&club).await;
    world.is_given(&club, ada).await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None, "the hub brought her in");
    world.prove().await;
}

#[tokio::test]
async fn case_08_one_glitch_is_no_proof_that_the_bot_is_gone() {
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
async fn case_08_an_outage_is_waited_out_whatever_discord_answers_meanwhile() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, true));
    let unknown = Action::Refuse { status: 404, code: 10004, message: "Unknown Guild".into() };
    let missing = Action::Refuse { status: 403, code: 50001, message: "Missing Access".into() };
    for path in ["/guilds/*", "/guilds/*/members/*", "/guilds/*/members/*/roles/*"] {
        let answer = if path == "/guilds/*" { unknown.clone() } else { missing.clone() };
        world.sandbox.fault(Fault::always("*", path, answer));
    }
    let ben = world.user("ben");
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.links("ben", ben).await.is(200);
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.until_called("/guilds/*/members/*").await;
    assert_eq!(world.status(&club, "ada").await, ("revoking".into(), None));
    assert_eq!(world.status(&club, "ben").await, ("pending".into(), None));
    world.sandbox.clear_faults();
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, false));
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.roles(&club, ben)), (None, Some(vec![club.vip])));
    assert!(!world.events().await.contains(&"BotRemoved".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn case_08_a_hub_that_starts_in_an_outage_waits_too() {
    let mut world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, true));
    let missing = Action::Refuse { status: 403, code: 50001, message: "Missing Access".into() };
    world.sandbox.fault(Fault::always("*", "/guilds/**", missing));
    world.stop().await;
    world.start_again().await;
    world.listens().await;
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.until_called("/guilds/*/members/*").await;
    assert_eq!(world.status(&club, "ada").await, ("revoking".into(), None));
    assert_eq!(world.get(&club.path()).await.ok()["status"], "active");
    // A creator who looks is told the truth of it, too.
    let refresh = format!("{}/roles/refresh", club.path());
    world.post(&refresh, json!({})).await.problem(503, "discord_unavailable");
    world.sandbox.clear_faults();
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, false));
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    assert!(!world.events().await.contains(&"BotRemoved".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn case_08_an_outage_that_only_a_process_of_its_own_hears_of_is_no_proof_either() {
    let world = World::start_without_bot().await;
    let process = Process::start_listening(&world, "one").await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let refresh = format!("{}/roles/refresh", club.path());
    let until_refused = async |code: &str| {
        world
            .until(code, async |world| world.post(&refresh, json!({})).await.json["code"] == code)
            .await;
    };
    let missing = Action::Refuse { status: 403, code: 50001, message: "Missing Access".into() };
    world.sandbox.fault(Fault::always("*", "/guilds/**", missing));
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, true));
    until_refused("discord_unavailable").await;
    world.sandbox.forget_calls();
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    // The bot itself is looked at, which would be the proof outside of an outage.
    world.until_called("/guilds/*/members/*").await;
    world.sandbox.clear_faults();
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, false));
    world
        .until("it is over", async |world| world.post(&refresh, json!({})).await.status == 200)
        .await;
    assert!(!world.events().await.contains(&"BotRemoved".to_owned()));
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    process.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn case_08_an_outage_changes_nothing() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let before = world.events().await;
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, true));
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, false));
    // A change after it is heard, so what came before it was heard too.
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.gold, |role| role.color = 1));
    world.until("the change", async |world| world.events().await.len() > before.len()).await;
    let after = world.events().await;
    assert_eq!(after[before.len()..], ["RolesRefreshed"]);
    assert_eq!(world.status(&club, "ada").await.0, "connected");
    world.prove().await;
}

#[tokio::test]
async fn case_08_an_outage_whose_end_nobody_told_is_not_waited_for_for_ever() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.set_unavailable(club.guild, true));
    let missing = Action::Refuse { status: 403, code: 50001, message: "Missing Access".into() };
    world.sandbox.fault(Fault::always("*", "/guilds/**", missing));
    let refresh = format!("{}/roles/refresh", club.path());
    world
        .until("the outage is known", async |world| {
            world.post(&refresh, json!({})).await.json["code"] == "discord_unavailable"
        })
        .await;
    // While nobody listens, it ends and the bot is thrown out.
    world.sandbox.set_gateway_closing(true);
    world.sandbox.cut_gateway(false);
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord| {
        discord.set_unavailable(club.guild, false);
        discord.remove_member(club.guild, bot);
    });
    world.sandbox.clear_faults();
    world.sandbox.set_gateway_closing(false);
    world.has_trouble(&club, "bot_missing").await;
    world.post(&refresh, json!({})).await.problem(502, "discord_refused");
    world.prove().await;
}

#[tokio::test]
async fn case_08_a_bot_that_was_thrown_out_while_the_hub_was_down_is_missed() {
    let mut world = World::start_listening().await;
    let club = world.club("kim").await;
    world.stop().await;
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord| discord.remove_member(club.guild, bot));
    world.start_again().await;
    world.has_trouble(&club, "bot_missing").await;
    world.sandbox.with(|discord| discord.add_bot(club.guild, 268_435_459));
    // Its role went with it, and comes back below the ones it gave.
    world.raise_bot(&club).await;
    world
        .until("well again", async |world| {
            world.get(&club.path()).await.ok()["status"] != "needs_attention"
        })
        .await;
    world.prove().await;
}

#[tokio::test]
async fn case_19_a_role_that_was_deleted_is_one_trouble_of_the_server_and_heals_with_another() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.delete_role(club.guild, club.vip));
    // Whoever had it has it no more.
    world.comes_to(&club, "ada", "blocked", Some("role_deleted")).await;
    let fans = world.get(&format!("{}/fans", club.path())).await.ok();
    assert_eq!(fans["data"][0]["observed"], json!({ "present": true, "roles": [] }));
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
async fn case_19_a_deleted_role_is_found_by_the_first_refusal_where_nobody_listens() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.with(|discord| discord.delete_role(club.guild, club.vip));
    for fan in ["ada", "ben", "cyd", "dan"] {
        world.member(&club, fan, "vip").await;
        assert_eq!(world.status(&club, fan).await, ("blocked".into(), Some("role_deleted".into())));
    }
    let unknown = world.sandbox.calls().into_iter().filter(|call| call.code == Some(10011));
    assert_eq!(unknown.count(), 1, "one refusal tells for everybody");
    world.has_trouble(&club, "role_deleted").await;
    // Another role of the same name is another role.
    let new = NewRole { name: "vip".into(), position: 1, ..NewRole::default() };
    world.sandbox.with(|discord| discord.add_role(club.guild, new));
    world.raise_bot(&club).await;
    world.has_trouble(&club, "role_deleted").await;
    world.prove().await;
}

#[tokio::test]
async fn case_19_a_ghost_of_a_deleted_role_is_nobody_s() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.delete_role_leaving_ghosts(club.guild, club.vip));
    world.has_trouble(&club, "role_deleted").await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.comes_to(&club, "ada", "revoked", None).await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]), "its id is left, the role is not");
    world.prove().await;
}

#[tokio::test]
async fn case_19_a_role_that_discord_fails_to_know_for_a_moment_is_not_taken_for_deleted() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let unknown = Action::Refuse { status: 404, code: 10011, message: "Unknown Role".into() };
    world.sandbox.fault(Fault::once("PUT", "/guilds/*/members/*/roles/*", unknown.clone()));
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    world.sandbox.fault(Fault::once("DELETE", "/guilds/*/members/*/roles/*", unknown));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn case_19_a_role_that_an_app_took_over_is_told_once() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world
        .sandbox
        .with(|discord| discord.edit_role(club.guild, club.vip, |role| role.managed = true));
    world.has_trouble(&club, "role_managed").await;
    world.sandbox.forget_calls();
    world.member(&club, "ada", "vip").await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("role_managed".into())));
    assert!(world.sandbox.calls().iter().all(|call| call.status < 400), "nobody is tried in vain");
    world.prove().await;
}

#[tokio::test]
async fn case_20_a_role_order_that_was_put_right_heals_without_anybody_asking() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let order = |bot_position: i64| {
        world.sandbox.with(|discord| {
            let bot = discord.bot_role(club.guild).unwrap();
            discord.edit_role(club.guild, bot, |role| role.position = bot_position);
        });
    };
    order(0);
    let ada = world.user("ada");
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.comes_to(&club, "ada", "blocked", Some("role_above_bot")).await;
    order(100);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn case_20_a_role_that_is_made_above_the_bot_is_shown_with_what_to_do() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let new = NewRole { name: "legend".into(), position: 150, ..NewRole::default() };
    let legend = world.sandbox.with(|discord| discord.add_role(club.guild, new)).unwrap();
    let id = legend.to_string();
    let why_not = async |world: &World| {
        let shown = world.get(&format!("{}/roles", club.path())).await.ok();
        let roles = shown["data"].as_array().unwrap().clone();
        let of = roles.into_iter().find(|role| role["id"].as_str() == Some(&id));
        of.map(|role| role["why_not"]["code"].as_str().map(str::to_owned))
    };
    let above = Some(Some("role_above_bot".to_owned()));
    world.until("the new role", async |world| why_not(world).await == above).await;
    let body = json!({ "roles": [legend.to_string()] });
    let gold = format!("{}/memberships/gold", club.path());
    world.put(&gold, body.clone()).await.problem(422, "roles_not_assignable");
    world.moves_bot(&club, 200);
    world.until("the new order", async |world| why_not(world).await == Some(None)).await;
    world.put(&gold, body).await.is(200);
    world.prove().await;
}

#[tokio::test]
async fn case_25_roles_that_cannot_be_given_are_refused_and_powerful_ones_warned_of() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let made = world.sandbox.with(|discord| {
        let mut role = |name: &str, mark: Option<&str>, permissions| {
            let mark = mark.map(str::to_owned);
            let managed = name == "app" || name == "booster";
            let new = NewRole {
                name: name.into(),
                position: 1,
                permissions,
                managed,
                mark,
                ..NewRole::default()
            };
            discord.add_role(club.guild, new).unwrap()
        };
        [
            role("app", None, 0),
            role("booster", Some("premium_subscriber"), 0),
            role("linked", Some("guild_connections"), 0),
            role("admin", None, 1 << 3),
        ]
    });
    let [app, booster, linked, admin] = made;
    world.raise_bot(&club).await;
    let bot = world.sandbox.with(|discord| discord.bot_role(club.guild).unwrap());
    let gold = format!("{}/memberships/gold", club.path());
    for (role, code) in [
        (club.guild, "role_everyone"),
        (app, "role_managed"),
        (booster, "role_managed"),
        (linked, "role_managed"),
        (bot, "role_managed"),
        (12_345, "role_deleted"),
    ] {
        let refused = world.put(&gold, json!({ "roles": [role.to_string()] })).await;
        let refused = refused.problem(422, "roles_not_assignable");
        assert_eq!(refused["errors"][0]["code"], code, "{role}");
    }
    // An administrator's role can be sold; nobody does it unawares.
    let body = json!({ "roles": [admin.to_string(), club.gold.to_string()] });
    let plan = world.put(&format!("{gold}?dry_run=true"), body.clone()).await.ok();
    let attached = world.put(&gold, body).await.ok();
    for said in [plan, attached] {
        let warnings = said["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{said:#}");
        assert_eq!(
            (&warnings[0]["code"], &warnings[0]["role"]),
            (&json!("role_has_powers"), &json!(admin.to_string()))
        );
        assert!(warnings[0]["detail"].as_str().unwrap().contains("Administrator"));
    }
    let shown = world.get(&format!("{}/roles", club.path())).await.ok();
    let warned: Vec<_> = shown["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|role| !role["warning"].is_null())
        .map(|role| role["name"].clone())
        .collect();
    assert_eq!(warned, [json!("admin")]);
    world.prove().await;
}
