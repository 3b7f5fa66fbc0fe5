//! Mass removals wait for a person: what is held, who is asked, and what becomes of it.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    bot_process::{Process, first_command},
    support::{Club, World},
};

/// More fans than a few, so that their share counts.
const FANS: usize = 12;

fn names(fans: usize) -> Vec<String> {
    (0..fans).map(|n| format!("fan{n:02}")).collect()
}

/// Fans who bought `vip` and have been brought in, with their Discord accounts.
async fn members(world: &World, club: &Club, fans: usize) -> Vec<(String, u64)> {
    let mut members = vec![];
    for fan in names(fans) {
        let user = world.user(&fan);
        world.reports(club, &fan, "vip", "active", 1).await;
        world.links(&fan, user).await.is(200);
        members.push((fan, user));
    }
    world.settle().await;
    members
}

/// The platform imports the memberships of these fans, all with one status.
async fn import(
    world: &World,
    club: &Club,
    fans: &[(String, u64)],
    status: &str,
    version: u64,
) -> Value {
    let line = |fan: &str| {
        json!({
            "membership": format!("{fan}-vip"), "fan": fan, "creator": club.creator, "tier": "vip",
            "status": status, "version": version,
        })
    };
    let lines: Vec<_> = fans.iter().map(|(fan, _)| line(fan).to_string()).collect();
    let request = world
        .request(Method::POST, "/v1/memberships:import")
        .header("content-type", "application/x-ndjson")
        .body(lines.join("\n"));
    let imported = world.send(request).await.ok();
    assert_eq!(imported["applied"], fans.len(), "{imported:#}");
    imported
}

fn inside(world: &World, club: &Club, fans: &[(String, u64)]) -> usize {
    fans.iter().filter(|(_, user)| world.roles(club, *user) == Some(vec![club.vip])).count()
}

/// What becomes of the first integration of a membership.
async fn of_membership(world: &World, membership: &str) -> Value {
    let shown = world.get(&format!("/v1/memberships/{membership}")).await.ok();
    shown["integrations"][0]["status"].clone()
}

async fn codes(world: &World, club: &Club) -> Vec<String> {
    let shown = world.get(&club.path()).await.ok();
    let reasons = shown["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn case_18_an_empty_snapshot_takes_nothing_until_somebody_approves() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, 60).await;
    world.sandbox.forget_calls();

    let imported = import(&world, &club, &fans, "expired", 2).await;
    let hold = imported["holds"][0].clone();
    assert_eq!((&hold["integration"], &hold["fans"]), (&json!(club.integration), &json!(60)));
    world.settle().await;
    assert_eq!((inside(&world, &club, &fans), world.member_calls().len()), (60, 0));
    assert_eq!(
        world.status(&club, "fan00").await,
        ("revoking".into(), Some("removal_held".into()))
    );
    assert_eq!(of_membership(&world, "fan00-vip").await, "revoking");
    let shown = world.get(&club.path()).await.ok();
    assert_eq!(shown["status"], "needs_attention");
    assert_eq!(
        (&shown["reasons"][0]["code"], &shown["reasons"][0]["who"]),
        (&json!("removal_held"), &json!("creator"))
    );

    // Nothing is forgotten over a restart.
    world.start_again().await;
    world.settle().await;
    assert_eq!((inside(&world, &club, &fans), world.member_calls().len()), (60, 0));

    let path = format!("/v1/holds/{}", hold["id"].as_str().unwrap());
    let seen = world.get(&format!("{path}?limit=50")).await.ok();
    assert_eq!(
        (&seen["status"], &seen["cause"], &seen["fans"]),
        (&json!("waiting"), &json!("import"), &json!(60))
    );
    assert_eq!(seen["lose"], json!([{ "role": club.vip.to_string(), "fans": 60 }]));
    assert_eq!((&seen["leave_server"], seen["data"].as_array().unwrap().len()), (&json!(60), 50));
    let next = seen["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("{path}?limit=50&cursor={next}")).await.ok();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (10, &Value::Null));

    let approved = world.post(&format!("{path}/approve"), json!({})).await.ok();
    assert_eq!(
        (&approved["status"], &approved["decided_by"]),
        (&json!("approved"), &json!("platform"))
    );
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), 0);
    assert!(fans.iter().all(|(_, user)| world.roles(&club, *user).is_none()));
    assert_eq!(world.status(&club, "fan00").await, ("revoked".into(), None));
    assert_eq!(codes(&world, &club).await, [""; 0]);
    world.post(&format!("{path}/approve"), json!({})).await.ok();
    world.post(&format!("{path}/reject"), json!({})).await.problem(409, "hold_decided");
    world.prove().await;
}

#[tokio::test]
async fn a_rejected_removal_leaves_everybody_in_and_a_real_end_still_ends() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    let imported = import(&world, &club, &fans, "expired", 2).await;
    let path = format!("/v1/holds/{}", imported["holds"][0]["id"].as_str().unwrap());
    let kim = world.key_of("creator:kim").await;
    let reject =
        |key: &str| world.request_as(key, Method::POST, &format!("{path}/reject")).json(&json!({}));
    let eve = world.key_of("creator:eve").await;
    world.send(reject(&eve)).await.problem(404, "not_found");
    let fan = world.key_of("fan:fan00").await;
    world.send(reject(&fan)).await.problem(403, "forbidden");
    let rejected = world.send(reject(&kim)).await.ok();
    assert_eq!(
        (&rejected["status"], &rejected["decided_by"]),
        (&json!("rejected"), &json!("creator:kim"))
    );
    world.send(reject(&kim)).await.ok();
    world.post(&format!("{path}/approve"), json!({})).await.problem(409, "hold_decided");
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), FANS);
    assert_eq!(
        world.status(&club, "fan00").await,
        ("connected".into(), Some("removal_rejected".into()))
    );
    assert_eq!(codes(&world, &club).await, [""; 0], "nobody is asked any more");
    // Of the membership it is not said that its access is gone.
    assert_eq!(of_membership(&world, "fan00-vip").await, "connected");

    // Auditors are told why somebody without a membership is still inside.
    let explain = world
        .get(&format!("/v1/audit/explain?fan=fan00&integration={}", club.integration))
        .await
        .ok();
    assert_eq!(
        (&explain["status"], &explain["reason"]["code"]),
        (&json!("connected"), &json!("removal_rejected"))
    );
    let steps = explain["steps"].as_array().unwrap();
    let told = |kind: &str| steps.iter().position(|step| step["type"] == kind).unwrap();
    assert!(told("RemovalsHeld") < told("MembershipExpired"));
    assert!(told("MembershipExpired") < told("RemovalsRejected"));

    world.reports(&club, "fan03", "vip", "expired", 3).await;
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), FANS - 1);
    assert_eq!(world.status(&club, "fan03").await, ("revoked".into(), None));
    world.prove().await;
}

#[tokio::test]
async fn who_renews_or_leaves_meanwhile_is_not_in_the_hold_any_more() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    let imported = import(&world, &club, &fans, "expired", 2).await;
    let path = format!("/v1/holds/{}", imported["holds"][0]["id"].as_str().unwrap());
    world.reports(&club, "fan00", "vip", "active", 3).await;
    world.settle().await;
    assert_eq!(world.status(&club, "fan00").await, ("connected".into(), None));
    // Leaving is the fan's own wish, and withholding the creator's about this one.
    let integration = &club.integration;
    world.delete(&format!("/v1/fans/fan01/integrations/{integration}/activate")).await.ok();
    world.delete("/v1/fans/fan02/link").await.ok();
    world.put(&format!("{}/revocations/fan03", club.path()), json!({ "why": "spam" })).await.ok();
    world.settle().await;
    for gone in &fans[1..4] {
        assert_eq!(world.roles(&club, gone.1), None, "{}", gone.0);
    }
    assert_eq!(world.get(&path).await.ok()["fans"], FANS - 4);
    world.post(&format!("{path}/approve"), json!({})).await.ok();
    world.settle().await;
    assert_eq!((inside(&world, &club, &fans), inside(&world, &club, &fans[..1])), (1, 1));
    world.prove().await;
}

#[tokio::test]
async fn a_hold_that_everybody_left_is_resolved_by_itself() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    import(&world, &club, &fans, "expired", 2).await;
    assert_eq!(codes(&world, &club).await, ["removal_held"]);
    let again = import(&world, &club, &fans, "active", 3).await;
    assert_eq!(again["holds"], json!([]));
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), FANS);
    assert_eq!(codes(&world, &club).await, [""; 0]);
    let query = format!("/v1/holds?integration={}", club.integration);
    let holds = world.get(&query).await.ok();
    assert_eq!(
        (&holds["data"][0]["status"], &holds["data"][0]["fans"]),
        (&json!("resolved"), &json!(0))
    );
    assert_eq!(world.get(&format!("{query}&status=waiting")).await.ok()["data"], json!([]));
    let eve = world.key_of("creator:eve").await;
    let own = world.send(world.request_as(&eve, Method::GET, "/v1/holds")).await.ok();
    assert_eq!(own["data"], json!([]), "others' holds are not shown");
    world.prove().await;
}

#[tokio::test]
async fn an_import_within_the_limit_and_single_reports_are_not_held() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    let few = import(&world, &club, &fans[..3], "expired", 2).await;
    assert_eq!(few["holds"], json!([]));
    for (fan, _) in &fans[3..] {
        world.reports(&club, fan, "vip", "refunded", 2).await;
    }
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), 0);
    world.prove().await;
}

#[tokio::test]
async fn the_limit_is_the_creator_s_to_set() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let limit = |body: Value| {
        let (world, path) = (&world, club.path());
        async move { world.patch(&path, json!({ "removal_limit": body })).await }
    };
    let shown = world.get(&club.path()).await.ok();
    assert_eq!(shown["removal_limit"], json!({ "fans": 500, "percent": 20 }));
    limit(json!({ "percent": 101 })).await.problem(422, "validation_failed");
    limit(json!({ "fan": 1 })).await.problem(422, "validation_failed");
    let set = limit(json!({ "fans": 1 })).await.ok();
    assert_eq!(set["removal_limit"], json!({ "fans": 1, "percent": 20 }));
    limit(json!({ "fans": 1 })).await.ok();
    let changed = world.events().await.iter().filter(|kind| *kind == "RemovalLimitChanged").count();
    assert_eq!(changed, 1);

    let fans = members(&world, &club, 2).await;
    let held = import(&world, &club, &fans, "expired", 2).await;
    assert_eq!(held["holds"][0]["fans"], 2);
    import(&world, &club, &fans, "active", 3).await;
    limit(json!({ "fans": 1_000_000, "percent": 100 })).await.ok();
    assert_eq!(import(&world, &club, &fans, "expired", 4).await["holds"], json!([]));
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), 0);
    world.prove().await;
}

#[tokio::test]
async fn a_click_that_would_take_a_role_from_everybody_is_held_and_its_plan_says_so() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    let path = format!("{}/memberships/vip", club.path());
    let plan = world.delete(&format!("{path}?dry_run=true")).await.ok();
    assert_eq!((&plan["held"], &plan["leave_server"]), (&json!(true), &json!(FANS)));
    let detached = world.delete(&path).await.is(202).ok();
    let hold = format!("/v1/holds/{}", detached["hold"].as_str().unwrap());
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), FANS);

    // Attaching it again brings the reasons back; other roles instead are held once more.
    let same = json!({ "roles": [club.vip.to_string()] });
    assert_eq!(world.put(&path, same).await.ok()["hold"], Value::Null);
    assert_eq!(world.get(&hold).await.ok()["status"], "resolved");
    let gold = json!({ "roles": [club.gold.to_string()] });
    let plan = world.put(&format!("{path}?dry_run=true"), gold.clone()).await.ok();
    assert_eq!(plan["held"], true);
    let changed = world.put(&path, gold).await.ok();
    let hold = format!("/v1/holds/{}", changed["hold"].as_str().unwrap());
    world.settle().await;
    let both = |user: u64| world.roles(&club, user).is_some_and(|roles| roles.len() == 2);
    assert!(
        fans.iter().all(|(_, user)| both(*user)),
        "what is given is given, what is taken waits"
    );
    assert_eq!(world.get(&hold).await.ok()["cause"], "attachments");
    assert_eq!(
        world.status(&club, "fan00").await,
        ("connected".into(), Some("removal_held".into()))
    );
    world.post(&format!("{hold}/approve"), json!({})).await.ok();
    world.settle().await;
    assert!(fans.iter().all(|(_, user)| world.roles(&club, *user) == Some(vec![club.gold])));
    world.prove().await;
}

#[tokio::test]
async fn a_bot_process_never_sees_what_is_held() {
    let world = World::start_without_bot().await;
    let process = Process::start(&world, "one", 1, 1).await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    process.stop().await;
    let imported = import(&world, &club, &fans, "expired", 2).await;
    let path = format!("/v1/holds/{}", imported["holds"][0]["id"].as_str().unwrap());
    // Somebody who comes after them is the first on the stream.
    let late = world.user("late");
    world.reports(&club, "late", "vip", "active", 1).await;
    world.links("late", late).await.is(200);
    let key = world.key_of("bot").await;
    assert_eq!(first_command(&world, &key).await["user"], late.to_string());
    world.sandbox.forget_calls();
    let process = Process::start(&world, "two", 1, 1).await;
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), FANS);
    assert!(!world.member_calls().iter().any(|call| call.starts_with("DELETE")));
    world.post(&format!("{path}/approve"), json!({})).await.ok();
    world.settle().await;
    assert_eq!(inside(&world, &club, &fans), 0);
    process.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn a_creator_is_told_of_a_hold_once_until_it_is_decided() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    let imported = import(&world, &club, &fans, "expired", 2).await;
    let told = || async { world.get("/v1/creators/kim/notifications").await.ok()["data"].clone() };
    let notice = told().await;
    assert_eq!(
        (notice.as_array().unwrap().len(), &notice[0]["reason"]["code"]),
        (1, &json!("removal_held"))
    );
    assert_eq!(notice[0]["resolved_at"], Value::Null);
    let path = format!("/v1/holds/{}", imported["holds"][0]["id"].as_str().unwrap());
    world.post(&format!("{path}/reject"), json!({})).await.ok();
    let notice = told().await;
    assert_eq!(notice.as_array().unwrap().len(), 1);
    assert!(notice[0]["resolved_at"].is_string());
    world.prove().await;
}

#[tokio::test]
async fn disconnecting_is_an_approval_of_its_own() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let fans = members(&world, &club, FANS).await;
    import(&world, &club, &fans[..FANS - 1], "expired", 2).await;
    world.post(&format!("{}/disconnect", club.path()), json!({})).await.is(202);
    world.settle().await;
    assert!(fans.iter().all(|(_, user)| world.roles(&club, *user).is_none()));
    assert_eq!(world.get(&club.path()).await.ok()["status"], "disconnected");
    world.prove().await;
}

#[tokio::test]
async fn removing_former_fans_after_all_is_held() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let fans = members(&world, &club, FANS).await;
    for (fan, _) in &fans {
        world.reports(&club, fan, "vip", "expired", 2).await;
    }
    world.settle().await;
    let there = || fans.iter().filter(|(_, user)| world.roles(&club, *user).is_some()).count();
    assert_eq!((inside(&world, &club, &fans), there()), (0, FANS));
    let changed = world.patch(&club.path(), json!({ "on_end": "remove_from_server" })).await.ok();
    assert_eq!(changed["status"], "needs_attention");
    world.settle().await;
    assert_eq!(there(), FANS);
    let holds = world.get("/v1/holds?status=waiting").await.ok();
    assert_eq!(holds["data"][0]["cause"], "removal_policy");
    let path = format!("/v1/holds/{}", holds["data"][0]["id"].as_str().unwrap());
    world.post(&format!("{path}/approve"), json!({})).await.ok();
    world.settle().await;
    assert_eq!(there(), 0);
    world.prove().await;
}

#[tokio::test]
async fn renewals_that_nobody_reported_are_held_and_ends_that_were_told_are_not() {
    for status in ["active", "canceled"] {
        let mut world = World::start().await;
        let club = world.club("kim").await;
        let fans = members(&world, &club, FANS).await;
        let ends = Some(world.now() + TimeDelta::days(1));
        for (fan, _) in &fans {
            world.reports_until(&club, fan, "vip", status, 2, ends).await;
        }
        // The platform is silent, or the hub was down, beyond the grace of three days.
        world.clock.advance(TimeDelta::days(5));
        world.start_again().await;
        world.settle().await;
        if status == "canceled" {
            assert_eq!(inside(&world, &club, &fans), 0);
            world.prove().await;
            continue;
        }
        assert_eq!(inside(&world, &club, &fans), FANS);
        let holds = world.get("/v1/holds").await.ok();
        assert_eq!(holds["data"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&holds["data"][0]["cause"], &holds["data"][0]["opened_by"]),
            (&json!("lapses"), &json!("hub"))
        );
        // The renewals come late for all but one, whose end is then approved.
        let late = Some(world.now() + TimeDelta::days(30));
        for (fan, _) in &fans[1..] {
            world.reports_until(&club, fan, "vip", "active", 3, late).await;
        }
        let path = format!("/v1/holds/{}", holds["data"][0]["id"].as_str().unwrap());
        assert_eq!(world.get(&path).await.ok()["fans"], 1);
        world.post(&format!("{path}/approve"), json!({})).await.ok();
        world.settle().await;
        assert_eq!(
            (inside(&world, &club, &fans), inside(&world, &club, &fans[1..])),
            (FANS - 1, FANS - 1)
        );
        world.prove().await;
    }
}
