//! Calls to Discord whose effect, answer or turn is lost.

use chrono::TimeDelta;
use discord_sandbox::{Action, Config, Fault, Limit, Limits, Scope};
use reqwest::Method;
use serde_json::json;

use crate::support::{Browser, World};

const MEMBER: &str = "/guilds/*/members/*";
const ROLE: &str = "/guilds/*/members/*/roles/*";

#[tokio::test]
async fn case_05_a_role_that_discord_said_to_have_given_and_did_not_is_given_again() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    world.sandbox.fault(Fault::once("PUT", ROLE, Action::LostUpdate));
    let ada = world.member(&club, "ada", "vip").await;
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn case_05_a_role_that_was_not_given_is_found_by_comparing_where_nobody_listens() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.fault(Fault::once("PUT", ROLE, Action::LostUpdate));
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.roles(&club, ada), Some(vec![]), "the answer was 204");
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn case_05_a_removal_that_discord_said_to_have_made_and_did_not_is_made_again() {
    for (on_end, path, left) in
        [("roles_only", ROLE, Some(vec![])), ("remove_from_server", MEMBER, None)]
    {
        let world = World::start_listening().await;
        world.listens().await;
        let club = world.club("kim").await;
        world.patch(&club.path(), json!({ "on_end": on_end })).await.ok();
        let ada = world.member(&club, "ada", "vip").await;
        world.clock.advance(TimeDelta::seconds(20));
        world.sandbox.fault(Fault::once("DELETE", path, Action::LostUpdate));
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.until("the removal", async |world| world.roles(&club, ada) == left).await;
        world.comes_to(&club, "ada", "revoked", None).await;
        assert!(world.events().await.contains(&"RemovalFoundUndone".to_owned()));
        world.prove().await;
    }
}

/// A hub that does not hear what happens on Discord, with and without the right to see all members at once.
async fn that_do_not_listen() -> [World; 2] {
    let config = || Config { limits: Limits::off(), ..Config::default() };
    let unseen = Config { members_intent: false, ..config() };
    [World::start_with_discord(config()).await, World::start_with_discord(unseen).await]
}

#[tokio::test]
async fn case_05_a_removal_that_was_not_made_is_found_by_comparing_where_nobody_listens() {
    for (on_end, path, left) in
        [("roles_only", ROLE, Some(vec![])), ("remove_from_server", MEMBER, None)]
    {
        for world in that_do_not_listen().await {
            let club = world.club("kim").await;
            world.patch(&club.path(), json!({ "on_end": on_end })).await.ok();
            let ada = world.member(&club, "ada", "vip").await;
            world.sandbox.fault(Fault::once("DELETE", path, Action::LostUpdate));
            world.reports(&club, "ada", "vip", "expired", 2).await;
            world.settle().await;
            assert_eq!(world.roles(&club, ada), Some(vec![club.vip]), "the answer was 204");
            world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
            world.until("the removal", async |world| world.roles(&club, ada) == left).await;
            world.comes_to(&club, "ada", "revoked", None).await;
            assert!(world.events().await.contains(&"RemovalFoundUndone".to_owned()));
            // And what somebody else gives later is theirs.
            world.clock.advance(TimeDelta::minutes(10));
            world.sandbox.with(|discord| {
                discord.add_member(club.guild, ada);
                discord.set_role(club.guild, ada, club.vip, true);
            });
            let ben = world.member(&club, "ben", "vip").await;
            world.takes_away(&club, ben);
            world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
            world.is_given(&club, ben).await;
            assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
            world.prove().await;
        }
    }
}

#[tokio::test]
async fn case_05_a_removal_that_was_found_undone_and_is_then_refused_is_not_shown_as_done() {
    for world in that_do_not_listen().await {
        let club = world.club("kim").await;
        let ada = world.member(&club, "ada", "vip").await;
        world.sandbox.fault(Fault::once("DELETE", MEMBER, Action::LostUpdate));
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        let no = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
        world.sandbox.fault(Fault::always("DELETE", MEMBER, no.clone()));
        world.sandbox.fault(Fault::always("DELETE", ROLE, no));
        world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
        world.comes_to(&club, "ada", "revoke_blocked", Some("fan_above_bot")).await;
        world.sandbox.clear_faults();
        world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
        world.comes_to(&club, "ada", "revoked", None).await;
        assert_eq!(world.roles(&club, ada), None);
        world.prove().await;
    }
}

#[tokio::test]
async fn case_05_what_a_lost_removal_left_is_the_hub_s_to_take_after_a_renewal_too() {
    for (on_end, path, left) in
        [("roles_only", ROLE, Some(vec![])), ("remove_from_server", MEMBER, None)]
    {
        let world = World::start().await;
        let club = world.club("kim").await;
        world.patch(&club.path(), json!({ "on_end": on_end })).await.ok();
        let ada = world.member(&club, "ada", "vip").await;
        world.sandbox.fault(Fault::once("DELETE", path, Action::LostUpdate));
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        world.reports(&club, "ada", "vip", "active", 3).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
        world.reports(&club, "ada", "vip", "expired", 4).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), left, "{on_end}");
        world.prove().await;
    }
}

#[tokio::test]
async fn case_05_a_lost_removal_is_made_up_for_after_the_account_was_let_go_too() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.fault(Fault::once("DELETE", MEMBER, Action::LostUpdate));
    world.delete("/v1/fans/ada/link").await.is(202);
    world.until("the removal", async |world| world.roles(&club, ada).is_none()).await;
    let events = world.events().await;
    let at = |kind: &str| events.iter().position(|event| event == kind).unwrap();
    assert!(at("AccountReleased") < at("RemovalFoundUndone"), "{events:?}");
    world.links("ben", ada).await.is(200);
    world.prove().await;
}

#[tokio::test]
async fn case_05_without_the_right_to_hear_of_members_a_lost_removal_is_found_by_looking() {
    for (on_end, path, left) in
        [("roles_only", ROLE, Some(vec![])), ("remove_from_server", MEMBER, None)]
    {
        let world = World::start_listening_without_members().await;
        world.listens().await;
        let club = world.club("kim").await;
        world.patch(&club.path(), json!({ "on_end": on_end })).await.ok();
        let ada = world.member(&club, "ada", "vip").await;
        world.sandbox.fault(Fault::once("DELETE", path, Action::LostUpdate));
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.until("the removal", async |world| world.roles(&club, ada) == left).await;
        world.comes_to(&club, "ada", "revoked", None).await;
        world.prove().await;
    }
}

#[tokio::test]
async fn case_05_what_is_heard_is_not_read_again() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    // Whoever is looked at later than her would have been looked at before.
    world.sandbox.fault(Fault::once("PUT", ROLE, Action::LostUpdate));
    let ben = world.member(&club, "ben", "vip").await;
    world.is_given(&club, ben).await;
    let of_ada = format!("/guilds/{}/members/{ada}", club.guild);
    let read = world
        .sandbox
        .calls()
        .into_iter()
        .filter(|call| call.method == "GET" && call.path == of_ada);
    assert_eq!(read.count(), 0, "{:#?}", world.sandbox.calls());
    world.prove().await;
}

#[tokio::test]
async fn case_06_an_answer_that_was_lost_is_asked_for_again_without_doing_harm() {
    let (member, role) = ("/guilds/*/members/*", "/guilds/*/members/*/roles/*");
    for (method, path) in [("PUT", member), ("PUT", role), ("DELETE", member)] {
        let world = World::start().await;
        let club = world.club("kim").await;
        world.sandbox.fault(Fault::once(method, path, Action::ErrorAfterEffect { status: 502 }));
        let ada = world.member(&club, "ada", "vip").await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.vip]), "{method} {path}");
        world.reports(&club, "ada", "vip", "expired", 2).await;
        world.settle().await;
        assert_eq!(world.roles(&club, ada), None, "{method} {path}");
        assert_eq!(world.status(&club, "ada").await.0, "revoked");
        world.prove().await;
    }
}

#[tokio::test]
async fn case_06_a_removal_whose_answer_was_lost_is_not_repeated_on_somebody_who_came_back() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.fault(Fault::once("DELETE", MEMBER, Action::DropAfter));
    // The next try looks again, and has to wait for what it sees.
    let slow = Fault::once("GET", MEMBER, Action::Delay { ms: 300 });
    world.sandbox.fault(Fault { after: 1, ..slow });
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "expired", 2).await;
    let looks = |world: &World| {
        let look = format!("GET {MEMBER}");
        world.sandbox.asked().iter().filter(|asked| **asked == look).count()
    };
    world.until("the second look", async |world| looks(world) == 2).await;
    assert_eq!(world.roles(&club, ada), None);
    world.sandbox.with(|discord| discord.add_member(club.guild, ada));
    world.settle().await;
    assert_eq!(
        world.roles(&club, ada),
        Some(vec![]),
        "she came by herself and stays {:#?} {:#}",
        world.sandbox.calls(),
        world.get("/v1/audit/events?limit=200").await.ok()
    );
    assert_eq!(world.status(&club, "ada").await, ("revoked".into(), None));
    world.prove().await;
}

#[tokio::test]
async fn case_07_a_decision_that_overtakes_calls_in_flight_wins() {
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
async fn case_07_a_stale_command_is_dropped_after_waiting_for_its_permit() {
    let world = World::start().await;
    let club = world.club("kim").await;
    // Ben takes the window's only call; ada waits for the next.
    let slow = Limit { calls: 1, per_ms: 1_500 };
    world.sandbox.set_limits(Limits { member_roles: slow, ..Limits::default() });
    world.member(&club, "ben", "vip").await;
    world.sandbox.forget_calls();
    let ada = world.user("ada");
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.until_called(MEMBER).await;
    world.reports(&club, "ada", "vip", "refunded", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    let given = world.sandbox.calls().into_iter().filter(|call| call.route == ROLE);
    assert_eq!(given.count(), 0, "the role was never given");
    world.prove().await;
}

#[tokio::test]
async fn case_09_one_refusal_speaks_for_everybody_whom_it_concerns() {
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
    assert_eq!(refused, 1, "one speaks for all who wait for the same role");
    world.raise_bot(&club).await;
    world.settle().await;
    assert!(users.iter().all(|user| world.roles(&club, *user).unwrap().len() == 2));
    world.prove().await;
}

#[tokio::test]
async fn case_09_a_rate_limit_of_any_kind_is_waited_out() {
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
async fn case_09_a_dead_token_stops_everything_at_once_and_nothing_is_lost() {
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
    assert!(refused() <= 2, "{}", refused());
    // Whoever looks sees why, once the answer has been heard.
    while world.send(world.bare(Method::GET, "/readyz")).await.status == 200 {}
    let faults = world.send(world.bare(Method::GET, "/readyz")).await.problem(503, "not_ready");
    assert_eq!(faults["errors"][0]["field"], "bot");
    let of_health = async || world.get(&format!("{}/health", club.path())).await.ok();
    assert_eq!(of_health().await["data"][1]["reasons"][0]["code"], "bot_token_dead");
    let accepted = async |expected: &str| {
        let metrics = world.send(world.bare(Method::GET, "/metrics")).await.ok();
        let line = format!("hub_discord_token_accepted {expected}");
        assert!(metrics.as_str().unwrap().lines().any(|found| found == line), "{metrics}");
    };
    accepted("0").await;
    let mut operator = Browser::of(&world, "operator", None).await;
    operator.get("/operator").await.is(200).has("Discord does not accept its token");
    // And that it is over, as soon as one call is accepted.
    world.sandbox.set_bot_token_alive(true);
    assert_eq!(of_health().await["ok"], true);
    accepted("1").await;
    world.send(world.bare(Method::GET, "/readyz")).await.is(200);
    operator.get("/operator").await.is(200).has("The bot holds 1 shard");
    world.start_again().await;
    world.settle().await;
    assert_eq!(world.get(&club.path()).await.ok()["fans"]["connected"], 20);
    world.prove().await;
}
