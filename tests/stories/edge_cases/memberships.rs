//! Memberships that overlap, change, end, and come in the wrong order.

use chrono::TimeDelta;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn case_02_a_role_stays_as_long_as_one_reason_for_it_does() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.vip, club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.reports(&club, "ada", "gold", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn case_02_two_integrations_on_one_server_give_the_union_and_both_must_want_the_removal() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let second = world.beside(&club, "vip", club.gold).await;
    world.patch(&second, json!({ "on_end": "roles_only" })).await.ok();
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.reports(&club, "ada", "vip", "refunded", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn case_02_roles_that_are_read_anew_count_for_every_integration_on_the_server() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let second = world.beside(&club, "vip", club.gold).await;
    let refreshes = async |path: &str| {
        world.post(&format!("{path}/roles/refresh"), json!({})).await.ok();
    };
    world.moves_bot(&club, 0);
    refreshes(&second).await;
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("role_above_bot".into())));
    assert_eq!(world.get(&club.path()).await.ok()["status"], "needs_attention");
    let refused = world.sandbox.calls().iter().filter(|call| call.status >= 400).count();
    assert_eq!(refused, 0, "nobody is tried in vain");

    world.moves_bot(&club, 100);
    refreshes(&club.path()).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    assert_eq!(world.get(&second).await.ok()["status"], "active");
    world.prove().await;
}

#[tokio::test]
async fn case_02_who_waits_for_a_role_in_one_integration_alone_gets_it_once_the_bot_is_raised() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.beside(&club, "gold", club.gold).await;
    let ada = world.member(&club, "ada", "gold").await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));
    world.sandbox.with(|discord| {
        let bot = discord.bot_role(club.guild).unwrap();
        discord.edit_role(club.guild, bot, |role| role.position = 2);
        discord.edit_role(club.guild, club.vip, |role| role.position = 9);
    });
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("role_above_bot".into())));
    world.raise_bot(&club).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.prove().await;
}

#[tokio::test]
async fn case_02_a_deleted_role_of_one_integration_is_told_to_fans_of_both_on_its_server() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let second = world.beside(&club, "gold", club.gold).await;
    world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    world.sandbox.with(|discord| discord.delete_role(club.guild, club.vip));
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("role_deleted".into())));
    let others = world.get(&format!("{second}/fans")).await.ok();
    assert_eq!(others["data"][0]["status"], "connected");
    world.prove().await;
}

#[tokio::test]
async fn case_02_an_upgrade_keeps_the_server_while_the_old_period_runs_out() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.vip, club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    let end = world.now() + TimeDelta::days(10);
    world.reports_until(&club, "ada", "vip", "canceled", 2, Some(end)).await;
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    world.sandbox.forget_calls();
    world.clock.advance(TimeDelta::days(11));
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    assert_eq!(world.member_calls(), [""; 0], "every role has another reason");
    world.prove().await;
}

#[tokio::test]
async fn case_04_late_doubled_and_contradictory_reports_change_nothing() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let outcome = |answer: crate::support::Answer| answer.ok()["outcome"].clone();
    assert_eq!(outcome(world.reports(&club, "ada", "vip", "expired", 7).await), "applied");
    world.settle().await;
    let head = world.node().store().log().head();
    assert_eq!(outcome(world.reports(&club, "ada", "vip", "active", 6).await), "stale");
    assert_eq!(outcome(world.reports(&club, "ada", "vip", "expired", 7).await), "unchanged");
    let body = |fan: &str, status: &str| json!({ "fan": fan, "creator": "kim", "tier": "vip", "status": status, "version": 7 });
    let path = "/v1/memberships/ada-vip";
    world.put(path, body("ada", "active")).await.problem(409, "version_conflict");
    world.put(path, body("ben", "expired")).await.problem(409, "owner_fixed");
    assert_eq!(world.node().store().log().head(), head);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn case_15_another_tier_means_other_roles_and_no_moment_without() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.forget_calls();
    let body =
        json!({ "fan": "ada", "creator": "kim", "tier": "gold", "status": "active", "version": 2 });
    world.put("/v1/memberships/ada-vip", body).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));
    assert_eq!(
        world.member_calls(),
        [
            // What she has from elsewhere would not be the hub's to take later.
            "GET /guilds/*/members/* 200",
            "PUT /guilds/*/members/*/roles/* 204",
            "DELETE /guilds/*/members/*/roles/* 204",
        ]
    );
    world.prove().await;
}

#[tokio::test]
async fn case_15_a_scheduled_change_leaves_what_both_tiers_give_untouched() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "vip", &[club.vip, club.gold]).await;
    world.attach(&club, "gold", &[club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    let end = world.now() + TimeDelta::days(30);
    // The downgrade is announced; it happens when the paid month is over.
    world.reports_until(&club, "ada", "vip", "canceled", 2, Some(end)).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    world.clock.advance(TimeDelta::days(29));
    world.settle().await;
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    world.clock.advance(TimeDelta::days(1));
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));
    assert_eq!(world.member_calls(), ["DELETE /guilds/*/members/*/roles/* 204"]);
    world.prove().await;
}

#[tokio::test]
async fn case_16_a_canceled_membership_ends_at_its_time_and_an_unpaid_one_after_the_grace() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let end = world.now() + TimeDelta::days(10);
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.reports_until(&club, "ada", "vip", "canceled", 2, Some(end)).await;
    world.reports_until(&club, "ben", "vip", "active", 2, Some(end)).await;
    world.clock.advance(TimeDelta::days(10) - TimeDelta::seconds(1));
    world.settle().await;
    assert!(world.roles(&club, ada).is_some());
    world.clock.advance(TimeDelta::seconds(1));
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.roles(&club, ben)), (None, Some(vec![club.vip])));
    world.clock.advance(TimeDelta::days(3));
    world.settle().await;
    assert_eq!(world.roles(&club, ben), None);
    let expired = world.events().await.iter().filter(|kind| *kind == "MembershipExpired").count();
    assert_eq!(expired, 2);
    world.prove().await;
}

#[tokio::test]
async fn case_16_an_end_that_passed_while_the_hub_was_down_is_made_up_for() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world
        .reports_until(&club, "ada", "vip", "canceled", 2, Some(world.now() + TimeDelta::days(1)))
        .await;
    world.settle().await;
    world.stop().await;
    world.clock.advance(TimeDelta::days(400));
    world.start_again().await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn case_16_taking_a_cancellation_back_before_the_end_makes_no_call() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.forget_calls();
    let end = world.now() + TimeDelta::days(1);
    world.reports_until(&club, "ada", "vip", "canceled", 2, Some(end)).await;
    world.settle().await;
    world.reports(&club, "ada", "vip", "active", 3).await;
    world.clock.advance(TimeDelta::days(2));
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.member_calls().len()), (Some(vec![club.vip]), 0));
    world.prove().await;
}

#[tokio::test]
async fn case_16_a_clock_that_leaps_ends_everything_once() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    let mut users = vec![];
    for (n, fan) in ["ada", "ben", "cyd"].into_iter().enumerate() {
        users.push(world.member(&club, fan, "vip").await);
        let end = world.now() + TimeDelta::days(20 * (i64::try_from(n).unwrap() + 1));
        world.reports_until(&club, fan, "vip", "active", 2, Some(end)).await;
    }
    // A clock that goes back by a bit ends nothing, and one that leaps by months ends each once.
    world.clock.advance(-TimeDelta::minutes(5));
    world.settle().await;
    assert!(users.iter().all(|user| world.roles(&club, *user).is_some()));
    world.clock.advance(TimeDelta::days(7 * 30));
    world.settle().await;
    world.start_again().await;
    world.settle().await;
    assert!(users.iter().all(|user| world.roles(&club, *user).is_none()));
    let count =
        |events: &[String]| events.iter().filter(|kind| *kind == "MembershipExpired").count();
    assert_eq!(count(&world.events().await), 3);
    // Whoever pays again is back.
    world.reports(&club, "ben", "vip", "active", 3).await;
    world.settle().await;
    assert_eq!(world.roles(&club, users[1]), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn case_17_a_dispute_takes_the_access_at_once_and_winning_it_gives_it_back() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "vip", "charged_back", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.reports(&club, "ada", "vip", "active", 3).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    // What a creator withholds stays withheld, whatever the platform reports.
    let revocation = format!("{}/revocations/ada", club.path());
    world.put(&revocation, json!({ "why": "abuse" })).await.ok();
    world.reports(&club, "ada", "vip", "refunded", 4).await;
    world.reports(&club, "ada", "vip", "active", 5).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.delete(&revocation).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn a_membership_that_time_ended_is_shown_as_expired_and_repeating_it_changes_nothing() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let soon = Some(world.now() + TimeDelta::days(1));
    world.reports_until(&club, "ada", "vip", "active", 1, soon).await;
    world.clock.advance(TimeDelta::days(5));
    world.settle().await;
    let shown = world.get("/v1/memberships/ada-vip").await.ok()["state"].clone();
    assert_eq!((&shown["status"], &shown["live"]), (&json!("expired"), &json!(false)));
    let of_fan = world.get("/v1/fans/ada/integrations").await.ok()["data"][0].clone();
    assert_eq!((&of_fan["status"], &of_fan["live"]), (&json!("expired"), &json!(false)));
    let again = world.reports_until(&club, "ada", "vip", "active", 1, soon).await.ok();
    assert_eq!(
        (&again["outcome"], &again["state"]["status"]),
        (&json!("unchanged"), &json!("expired"))
    );
    world.prove().await;
}

#[tokio::test]
async fn a_paused_membership_gives_nothing_until_it_is_taken_up_again() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "vip", "paused", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.reports(&club, "ada", "vip", "active", 3).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}
