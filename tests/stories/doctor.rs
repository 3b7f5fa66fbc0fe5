//! The doctor: the exact cause, whom it concerns, who can mend it, and that it is over when the fact is.

use discord_sandbox::{Action, Config, Fault, Limits};
use serde_json::{Value, json};

use crate::support::{Club, World};

/// What the bot asks for when it is installed.
const ALL: u64 = 268_435_459;

/// The codes of a check, each with how many fans wait and which tiers it concerns.
async fn found(world: &World, club: &Club, check: &str) -> Vec<(String, u64, Value)> {
    let health = world.get(&format!("{}/health", club.path())).await.ok();
    let all = health["data"].as_array().unwrap();
    let one = all.iter().find(|one| one["check"] == check);
    let reasons = one.map(|one| one["reasons"].as_array().unwrap().clone()).unwrap_or_default();
    let of = |reason: &Value| {
        let code = reason["code"].as_str().unwrap().to_owned();
        assert!(reason["detail"].as_str().unwrap().ends_with('.'));
        assert!(reason["fix"].as_str().unwrap().ends_with('.'));
        (code, reason["fans"].as_u64().unwrap(), reason["tiers"].clone())
    };
    reasons.iter().map(of).collect()
}

async fn is_well(world: &World, club: &Club) -> bool {
    world.get(&format!("{}/health", club.path())).await.ok()["ok"] == true
}

fn of(code: &str, fans: u64, tiers: &[&str]) -> (String, u64, Value) {
    (code.to_owned(), fans, json!(tiers))
}

#[tokio::test]
async fn a_role_above_the_bot_is_named_with_its_tiers_and_the_fans_who_wait() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.gold, club.vip]).await;
    assert!(is_well(&world, &club).await);
    world.sandbox.with(|discord| {
        discord.edit_role(club.guild, club.vip, |role| role.position = 500);
    });
    for fan in ["ada", "ben"] {
        world.member(&club, fan, "vip").await;
    }
    assert_eq!(found(&world, &club, "roles").await, [of("role_above_bot", 2, &["gold", "vip"])]);
    assert!(!is_well(&world, &club).await);
    world.moves_bot(&club, 600);
    // It is over at once; the fans who wait are given the role as soon as the hub hears of it.
    assert_eq!(found(&world, &club, "roles").await, []);
    world.raise_bot(&club).await;
    world.moves_bot(&club, 600);
    world.raise_bot(&club).await;
}

#[tokio::test]
async fn every_fact_of_a_server_has_a_check_of_its_own_and_heals() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let edit = |position: i64, permissions: u64| {
        world.sandbox.with(|discord| {
            // Whoever comes back has another role of its own.
            let bot = discord.bot_role(club.guild).unwrap();
            discord.edit_role(club.guild, bot, |role| {
                (role.position, role.permissions) = (position, permissions);
            });
        });
    };
    for (permissions, code) in [
        (ALL & !2, "missing_kick_members"),
        (ALL & !1, "missing_create_invite"),
        (ALL & !(1 << 28), "missing_manage_roles"),
    ] {
        edit(100, permissions);
        assert_eq!(found(&world, &club, "permissions").await, [of(code, 0, &["vip"])]);
    }
    edit(100, ALL);
    assert!(is_well(&world, &club).await);
    // The bot's role is the younger one, so at the same position it ranks lower.
    let vip =
        world.sandbox.with(|discord| discord.guild(club.guild).unwrap().roles[&club.vip].position);
    edit(vip, ALL);
    assert_eq!(found(&world, &club, "roles").await, [of("role_tied_with_bot", 0, &["vip"])]);
    edit(100, ALL);
    world
        .sandbox
        .with(|discord| discord.edit_role(club.guild, club.vip, |role| role.managed = true));
    assert_eq!(found(&world, &club, "roles").await, [of("role_managed", 0, &["vip"])]);
    world.sandbox.with(|discord| discord.delete_role(club.guild, club.vip));
    assert_eq!(found(&world, &club, "roles").await, [of("role_deleted", 0, &["vip"])]);
    world.attach(&club, "vip", &[club.gold]).await;
    assert!(is_well(&world, &club).await);
    world.sandbox.with(|discord| discord.guilds.get_mut(&club.guild).unwrap().mfa_level = 1);
    assert_eq!(found(&world, &club, "two_factor").await, [of("two_factor_needed", 0, &["vip"])]);
    world.sandbox.with(|discord| discord.guilds.get_mut(&club.guild).unwrap().mfa_level = 0);
    let user = world.sandbox.application().bot_user;
    world.sandbox.with(|discord| discord.remove_member(club.guild, user));
    assert_eq!(found(&world, &club, "bot_in_server").await, [of("bot_missing", 0, &["vip"])]);
    world.sandbox.with(|discord| discord.add_bot(club.guild, ALL));
    edit(100, ALL);
    assert!(is_well(&world, &club).await);
    world.sandbox.fault(Fault::once("GET", "/guilds/*", Action::Error { status: 503 }));
    assert_eq!(found(&world, &club, "discord").await, [of("discord_unavailable", 0, &[])]);
    world.sandbox.set_bot_token_alive(false);
    assert_eq!(found(&world, &club, "discord").await, [of("bot_token_dead", 0, &["vip"])]);
    world.sandbox.set_bot_token_alive(true);
    assert!(is_well(&world, &club).await);
}

#[tokio::test]
async fn what_fans_wait_for_is_counted_by_its_cause() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let full = |limit| {
        world.sandbox.with(|discord| {
            discord.guilds.get_mut(&club.guild).unwrap().member_limit = limit;
        });
    };
    full(Some(2));
    for fan in ["ada", "ben", "cyd"] {
        world.member(&club, fan, "vip").await;
    }
    assert_eq!(found(&world, &club, "fans").await, [of("server_full", 3, &["vip"])]);
    full(None);
    for fan in ["ada", "ben", "cyd"] {
        world.restores(&club, fan).await;
    }
    world.settle().await;
    // What a fan has to do is told, and is no illness of the integration.
    let dan = world.user("dan");
    world.sandbox.with(|discord| discord.users.get_mut(&dan).unwrap().at_guild_limit = true);
    world.reports(&club, "dan", "vip", "active", 1).await;
    world.links("dan", dan).await.is(200);
    world.settle().await;
    assert_eq!(found(&world, &club, "fans").await, [of("server_limit_reached", 1, &["vip"])]);
    assert!(is_well(&world, &club).await);
}

#[tokio::test]
async fn an_application_that_may_not_hear_of_members_is_told_and_works() {
    let config = Config { limits: Limits::off(), members_intent: false, ..Config::default() };
    let world = World::start_with_discord(config).await;
    let club = world.club("kim").await;
    assert_eq!(found(&world, &club, "gateway").await, [of("members_intent_missing", 0, &[])]);
    assert!(is_well(&world, &club).await);
}

#[tokio::test]
async fn an_integration_without_a_server_says_what_to_do() {
    let world = World::start().await;
    let id = world.integration("kim").await;
    let health = world.get(&format!("/v1/integrations/{id}/health")).await.ok();
    assert_eq!(health["data"][0]["reasons"][0]["code"], "not_connected");
    assert_eq!(health["ok"], false);
}
