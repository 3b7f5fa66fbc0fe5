//! What others do on Discord: moderators, members who come and go, a bot that is thrown out, outages.

use discord_sandbox::World as Discord;
use serde_json::json;

use crate::support::{Club, World};

fn take_away(world: &World, club: &Club, user: u64) {
    world.sandbox.with(|discord| discord.set_role(club.guild, user, club.vip, false));
}

async fn given_again(world: &World, club: &Club, user: u64) {
    world
        .until("that the role is given again", async |world| {
            world.roles(club, user) == Some(vec![club.vip])
        })
        .await;
}

/// The bot hears what happens from here on.
async fn listening(world: &World) {
    world.until("a gateway session", async |world| world.sandbox.gateway_sessions() > 0).await;
}

#[tokio::test]
async fn a_role_that_a_moderator_took_away_is_given_again() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    take_away(&world, &club, ada);
    given_again(&world, &club, ada).await;
    assert!(world.events().await.contains(&"DriftObserved".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn where_the_creator_says_so_it_is_only_reported() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "drift": "report" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    take_away(&world, &club, ada);
    world.comes_to(&club, "ada", "blocked", Some("role_taken_away")).await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.patch(&club.path(), json!({ "drift": "repair" })).await.ok();
    given_again(&world, &club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn where_the_creator_says_so_the_moderator_is_right() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "drift": "respect" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    take_away(&world, &club, ada);
    world
        .until("the drift", async |world| {
            world.events().await.contains(&"DriftObserved".to_owned())
        })
        .await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn a_role_that_another_bot_fights_for_is_reported_and_not_fought_for() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    for _ in 0..2 {
        take_away(&world, &club, ada);
        given_again(&world, &club, ada).await;
    }
    take_away(&world, &club, ada);
    world.comes_to(&club, "ada", "blocked", Some("role_contested")).await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    // The creator looked into it.
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.gold, |role| role.color = 1));
    given_again(&world, &club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn who_left_is_not_brought_in_again_but_is_given_roles_when_they_come_by_themselves() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
    world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
    assert_eq!(world.roles(&club, ada), None);
    world.sandbox.with(|discord| discord.add_member(club.guild, ada));
    given_again(&world, &club, ada).await;
    // They came by themselves, so at the end they stay, without the role.
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.until("the role is gone", async |world| world.roles(&club, ada) == Some(vec![])).await;
    world.prove().await;
}

#[tokio::test]
async fn restoring_access_brings_in_whoever_left() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
    world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
    world
        .post(&format!("/v1/fans/ada/integrations/{}/activate", club.integration), json!({}))
        .await
        .is(202);
    given_again(&world, &club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn a_bot_that_was_thrown_out_is_told_and_comes_back_to_finish_removals_first() {
    let world = World::start_listening().await;
    listening(&world).await;
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
async fn an_outage_changes_nothing() {
    let world = World::start_listening().await;
    listening(&world).await;
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
async fn a_role_order_that_was_put_right_heals_without_anybody_asking() {
    let world = World::start_listening().await;
    listening(&world).await;
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
    given_again(&world, &club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn what_happened_while_the_hub_was_down_is_found_when_it_comes_back() {
    let mut world = World::start_listening().await;
    let club = world.club("kim").await;
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.stop().await;
    take_away(&world, &club, ada);
    world.sandbox.with(|discord| discord.remove_member(club.guild, ben));
    world.start_again().await;
    given_again(&world, &club, ada).await;
    world.comes_to(&club, "ben", "action_required", Some("left_server")).await;
    world.prove().await;
}

#[tokio::test]
async fn what_happened_in_a_lost_session_is_found_after_it() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.cut_gateway(false);
    take_away(&world, &club, ada);
    given_again(&world, &club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn without_the_right_to_hear_of_members_a_comparison_finds_what_they_did() {
    let world = World::start_listening_without_members().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    take_away(&world, &club, ada);
    let asked = world.post(&format!("{}/sync", club.path()), json!({})).await.is(202).ok();
    assert_eq!(asked["fans"], 1);
    given_again(&world, &club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn the_hub_s_own_doing_is_not_taken_for_somebody_else_s() {
    let world = World::start_listening().await;
    listening(&world).await;
    let club = world.club("kim").await;
    world.attach(&club, "vip", &[club.vip, club.gold]).await;
    for round in 0..3u64 {
        for fan in ["ada", "ben", "cyd"] {
            if round == 0 {
                world.member(&club, fan, "vip").await;
            } else {
                world
                    .reports(
                        &club,
                        fan,
                        "vip",
                        if round == 1 { "paused" } else { "active" },
                        round + 1,
                    )
                    .await;
            }
        }
        world.settle().await;
    }
    // Heard after everything that was heard before it.
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.gold, |role| role.color = 1));
    world
        .until("the change", async |world| world.events().await.last().unwrap() == "RolesRefreshed")
        .await;
    let events = world.events().await;
    let others = ["DriftObserved", "MemberLeft", "MemberReturned"];
    assert!(!events.iter().any(|kind| others.contains(&kind.as_str())), "{events:?}");
    world.prove().await;
}

#[tokio::test]
async fn one_refusal_speaks_for_everybody_whom_it_concerns() {
    // Nobody listens here: the role was moved without the hub knowing.
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "vip", &[club.vip, club.gold]).await;
    world.sandbox.with(|discord| {
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| role.position = 3);
        discord.edit_role(club.guild, club.gold, |role| role.position = 2);
        discord.edit_role(club.guild, club.vip, |role| role.position = 50);
    });
    let mut users = vec![];
    for n in 0..30 {
        let fan = format!("fan{n}");
        let user = world.user(&fan);
        world.reports(&club, &fan, "vip", "active", 1).await;
        world.links(&fan, user).await.is(200);
        users.push(user);
    }
    world.settle().await;
    // Everybody is in with the role that can be given, and is told what stands in the way of the other.
    for (n, user) in users.iter().enumerate() {
        assert_eq!(world.roles(&club, *user), Some(vec![club.gold]));
        let fan = format!("fan{n}");
        assert_eq!(
            world.status(&club, &fan).await,
            ("blocked".into(), Some("role_above_bot".into()))
        );
    }
    let refused = world.sandbox.calls().iter().filter(|call| call.status == 403).count();
    assert!(refused <= 8, "as many as were in flight together: {refused}");
    world.raise_bot(&club).await;
    world.settle().await;
    assert!(users.iter().all(|user| world.roles(&club, *user).unwrap().len() == 2));
    world.prove().await;
}

#[tokio::test]
async fn the_doctor_names_the_cause_and_who_can_mend_it() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let path = format!("{}/health", club.path());
    let ask = || world.get(&path);
    assert_eq!(ask().await.ok()["ok"], true);
    world.sandbox.with(|discord| {
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| {
            role.permissions &= !2;
            role.position = 0;
        });
    });
    let sick = ask().await.ok();
    let of = |check: &str, sick: &serde_json::Value| {
        let found = sick["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["check"] == check)
            .unwrap()
            .clone();
        found["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason["code"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (sick["ok"].clone(), of("permissions", &sick)),
        (json!(false), vec![json!("missing_kick_members")])
    );
    assert_eq!(of("roles", &sick), [json!("role_above_bot")]);
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord| discord.remove_member(club.guild, bot));
    assert_eq!(of("bot_in_server", &ask().await.ok()), [json!("bot_missing")]);
    world.sandbox.set_bot_token_alive(false);
    assert_eq!(of("discord", &ask().await.ok()), [json!("bot_token_dead")]);
    let other = world.integration("kim").await;
    let none = world.get(&format!("/v1/integrations/{other}/health")).await.ok();
    assert_eq!(of("connected", &none), [json!("not_connected")]);
}
