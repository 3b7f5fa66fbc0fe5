//! What is seen on Discord beside the answers to calls: what a creator wants done about it, and comparisons.

use discord_sandbox::{Action, Fault};
use reqwest::Method;
use serde_json::json;

use crate::{bot_process::Process, support::World};

#[tokio::test]
async fn where_the_creator_says_so_it_is_only_reported() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "drift": "report" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.takes_away(&club, ada);
    world.comes_to(&club, "ada", "blocked", Some("role_taken_away")).await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.patch(&club.path(), json!({ "drift": "repair" })).await.ok();
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn a_role_that_is_given_again_by_hand_is_the_hub_s_to_take_at_the_end() {
    for listening in [true, false] {
        let world = if listening { World::start_listening().await } else { World::start().await };
        if listening {
            world.listens().await;
        }
        let club = world.club("kim").await;
        let policies = json!({ "drift": "report", "on_end": "roles_only" });
        world.patch(&club.path(), policies).await.ok();
        let ada = world.member(&club, "ada", "vip").await;
        let sync = async || {
            if !listening {
                world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
            }
        };
        world.takes_away(&club, ada);
        sync().await;
        world.comes_to(&club, "ada", "blocked", Some("role_taken_away")).await;
        // As the reason says that it is mended.
        world.sandbox.with(|discord| discord.set_role(club.guild, ada, club.vip, true));
        sync().await;
        world.comes_to(&club, "ada", "connected", None).await;
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), Some(vec![]), "listening: {listening}");
        world.prove().await;
    }
}

#[tokio::test]
async fn a_role_that_is_given_again_where_the_moderator_is_right_is_found_by_comparing() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let policies = json!({ "drift": "respect", "on_end": "roles_only" });
    world.patch(&club.path(), policies).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    for (held, kind) in [(false, "DriftObserved"), (true, "DriftMended")] {
        world.sandbox.with(|discord| discord.set_role(club.guild, ada, club.vip, held));
        world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
        world.until(kind, async |world| world.events().await.contains(&kind.to_owned())).await;
    }
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn a_role_that_somebody_gives_after_the_end_is_a_gift_and_stays() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let policies = json!({ "drift": "report", "on_end": "roles_only" });
    world.patch(&club.path(), policies).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    let bot = world.key_of("bot").await;
    let shows = async |held: bool| {
        world.sandbox.with(|discord| discord.set_role(club.guild, ada, club.vip, held));
        let roles: Vec<_> = held.then(|| club.vip.to_string()).into_iter().collect();
        let seen = json!({
            "kind": "member", "guild": club.guild.to_string(), "user": ada.to_string(), "roles": roles,
            "confirmed": true,
        });
        let told = world.request_as(&bot, Method::POST, "/v1/bot/observations").json(&seen);
        world.send(told).await.ok();
        world.settle().await;
    };
    shows(false).await;
    let taken = ("blocked".to_owned(), Some("role_taken_away".to_owned()));
    assert_eq!(world.status(&club, "ada").await, taken);
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    shows(true).await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert!(!world.events().await.contains(&"DriftMended".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn where_the_creator_says_so_the_moderator_is_right() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "drift": "respect" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    world.takes_away(&club, ada);
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
async fn restoring_access_brings_in_whoever_left() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
    world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
    world
        .post(&format!("/v1/fans/ada/integrations/{}/activate", club.integration), json!({}))
        .await
        .is(202);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn what_happened_while_the_hub_was_down_is_found_when_it_comes_back() {
    let mut world = World::start_listening().await;
    let club = world.club("kim").await;
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.stop().await;
    world.takes_away(&club, ada);
    world.sandbox.with(|discord| discord.remove_member(club.guild, ben));
    world.start_again().await;
    world.is_given(&club, ada).await;
    world.comes_to(&club, "ben", "action_required", Some("left_server")).await;
    world.prove().await;
}

#[tokio::test]
async fn what_happened_in_a_lost_session_is_found_after_it() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.cut_gateway(false);
    world.takes_away(&club, ada);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn without_the_right_to_hear_of_members_a_comparison_finds_what_they_did() {
    let world = World::start_listening_without_members().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.takes_away(&club, ada);
    let asked = world.post(&format!("{}/sync", club.path()), json!({})).await.is(202).ok();
    assert_eq!(asked["fans"], 1);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn the_hub_s_own_doing_is_not_taken_for_somebody_else_s() {
    let world = World::start_listening().await;
    world.listens().await;
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
async fn what_a_process_read_of_a_server_does_not_overtake_what_was_recorded_since() {
    let world = World::start_without_bot().await;
    let process = Process::start_listening(&world, "one").await;
    world.listens().await;
    let club = world.club("kim").await;
    let (of_server, roles) = (format!("/guilds/{}", club.guild), format!("{}/roles", club.path()));
    let bot_is_at = async |world: &World, position: i64| {
        world.get(&roles).await.ok()["bot"]["top_role_position"] == position
    };
    world.moves_bot(&club, 90);
    world.until("what was heard", async |world| bot_is_at(world, 90).await).await;
    let lists = async |world: &World| {
        world.events().await.iter().filter(|kind| *kind == "RolesRefreshed").count()
    };
    let before = lists(&world).await;
    world.sandbox.forget_calls();
    // It hears of a change and reads; what it is shown is old when it arrives.
    let late = Action::DelayAfter { ms: 400 };
    world.sandbox.fault(Fault::once("GET", &of_server, late));
    world.moves_bot(&club, 0);
    world.until_called_with("GET", "/guilds/*").await;
    world.moves_bot(&club, 50);
    world.post(&format!("{roles}/refresh"), json!({})).await.ok();
    world.until("it is read again", async |world| world.calls_to("GET", &of_server) >= 3).await;
    assert!(bot_is_at(&world, 50).await);
    assert_eq!(lists(&world).await, before + 1);
    process.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn a_comparison_reads_a_thousand_members_at_once_and_then_only_those_who_differ() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut users = vec![];
    for n in 0..12 {
        users.push(world.member(&club, &format!("fan{n}"), "vip").await);
    }
    world.sandbox.with(|discord| {
        discord.set_role(club.guild, users[3], club.vip, false);
        discord.remove_member(club.guild, users[7]);
    });
    world.sandbox.forget_calls();
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.is_given(&club, users[3]).await;
    world.comes_to(&club, "fan7", "action_required", Some("left_server")).await;
    let calls = world.sandbox.calls();
    let reads = |route: &str| {
        calls.iter().filter(|call| call.method == "GET" && call.route == route).count()
    };
    assert_eq!(reads("/guilds/*/members"), 1);
    // The two who differ, the bot, and the one to whom the role is given again.
    assert!(reads("/guilds/*/members/*") <= 4, "{}", reads("/guilds/*/members/*"));
    world.prove().await;
}

#[tokio::test]
async fn where_members_are_not_shown_they_are_read_one_by_one() {
    let world = World::start_listening_without_members().await;
    world.listens().await;
    let club = world.club("kim").await;
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.sandbox.with(|discord| discord.set_role(club.guild, ben, club.vip, false));
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.is_given(&club, ben).await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}
