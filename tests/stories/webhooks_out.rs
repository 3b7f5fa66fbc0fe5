//! The platform is told what changed, at its own endpoints: signed, in order, again until it is taken.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Got, Receiver, World};

/// An endpoint of the platform, by its id, and the secret that it was given.
async fn endpoint(world: &World, receiver: &Receiver, types: &[&str]) -> (String, String) {
    let body = json!({ "url": receiver.url, "types": types });
    let made = world.post("/v1/webhook_endpoints", body).await.is(201).ok();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (format!("/v1/webhook_endpoints/{}", text("id")), text("secret"))
}

fn told(got: &[Got]) -> Vec<(&str, &str)> {
    got.iter().map(|got| (got.kind(), got.json["data"]["fan"].as_str().unwrap())).collect()
}

async fn deliveries(world: &World, path: &str, state: &str) -> Vec<Value> {
    let page = world.get(&format!("{path}/deliveries?state={state}")).await.ok();
    page["data"].as_array().unwrap().clone()
}

const ACCESS: [&str; 5] = [
    "access.pending",
    "access.granted",
    "access.blocked",
    "access.revoked",
    "access.revoke_blocked",
];

#[tokio::test]
async fn the_way_of_a_fan_is_told_in_order_and_signed() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    let (path, secret) = endpoint(&world, &receiver, &ACCESS).await;
    world.member(&club, "ada", "vip").await;
    let came = receiver.take();
    assert_eq!(told(&came).last(), Some(&("access.granted", "ada")));
    let positions: Vec<_> =
        came.iter().map(|got| got.json["data"]["position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted(), "{positions:?}");
    assert!(came.iter().all(|got| got.is_signed_with(&secret)));
    let granted = &came.last().unwrap().json;
    assert_eq!(granted["timestamp"], json!(world.now()));
    let vip = json!([club.vip.to_string()]);
    assert_eq!(granted["data"]["desired"], json!({ "present": true, "roles": vip }));
    assert_eq!(granted["data"]["observed"], json!({ "present": true, "roles": vip }));
    assert_eq!(
        (&granted["data"]["creator"], &granted["data"]["integration"], &granted["data"]["reason"]),
        (&json!("kim"), &json!(club.integration), &Value::Null)
    );
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(told(&receiver.take()), [("access.revoked", "ada")]);
    let listed = deliveries(&world, &path, "delivered").await;
    assert_eq!(listed[0]["type"], "access.revoked", "the newest is first");
    assert_eq!((&listed[0]["attempts"], &listed[0]["http_status"]), (&json!(1), &json!(204)));
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_reason() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["access.blocked", "fan.state_changed"]).await;
    let ada = world.user("ada");
    world.sandbox.with(|discord| discord.ban(club.guild, ada));
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    let came = receiver.take();
    let blocked: Vec<_> = came.iter().filter(|got| got.kind() == "access.blocked").collect();
    let data = &blocked.last().unwrap().json["data"];
    assert_eq!((&data["status"], &data["reason"]["code"]), (&json!("blocked"), &json!("banned")));
    assert!(data["reason"]["fix"].as_str().is_some_and(|fix| !fix.is_empty()));
    assert!(came.iter().any(|got| got.kind() == "fan.state_changed"));
    // The account is nobody's business but Discord's.
    assert!(came.iter().all(|got| !got.text.contains(&ada.to_string())));
}

#[tokio::test]
async fn a_new_integration_is_told_for_everybody_who_holds_its_tier() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.reports(&club, "ben", "gold", "active", 1).await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["integration.available"]).await;
    world.attach(&club, "gold", &[club.gold]).await;
    world.settle().await;
    let came = receiver.take();
    assert_eq!(told(&came), [("integration.available", "ben")]);
    assert_eq!(came[0].json["data"]["tier"], "gold");
    assert_eq!(came[0].json["data"]["reason"]["code"], "not_linked");
}

#[tokio::test]
async fn an_integration_that_is_not_on_offer_any_more_is_told_too() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["integration.unavailable", "fan.state_changed"]).await;
    world.delete(&format!("{}/memberships/vip", club.path())).await.is(204);
    world.settle().await;
    let mut came = receiver.take();
    came.sort_by(|one, other| one.kind().cmp(other.kind()));
    assert_eq!(told(&came), [("fan.state_changed", "ben"), ("integration.unavailable", "ben")]);
    for data in came.iter().map(|got| &got.json["data"]) {
        let whose = (&data["integration"], &data["creator"]);
        assert_eq!(whose, (&json!(club.integration), &json!("kim")));
        assert_eq!(data["status"], Value::Null);
    }
    // Once it is on offer again, that is how it stands.
    world.attach(&club, "vip", &[club.vip]).await;
    world.settle().await;
    assert_eq!(receiver.take()[0].json["data"]["status"], "available");
    world.prove().await;
}

#[tokio::test]
async fn a_mass_removal_that_waits_is_told_and_so_is_what_becomes_of_it() {
    let world = World::start().await;
    let club = world.club("kim").await;
    for n in 0..12 {
        world.member(&club, &format!("fan{n}"), "vip").await;
    }
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["removals.held", "removals.approved", "removals.rejected"]).await;
    for (decision, version) in [("reject", 2), ("approve", 4)] {
        let line = |n: u32| {
            let (fan, membership) = (format!("fan{n}"), format!("fan{n}-vip"));
            json!({ "membership": membership, "fan": fan, "creator": "kim", "tier": "vip", "status": "expired", "version": version }).to_string()
        };
        let lines: Vec<_> = (0..12).map(line).collect();
        let request = world.request(Method::POST, "/v1/memberships:import");
        let request = request.header("content-type", "application/x-ndjson").body(lines.join("\n"));
        let imported = world.send(request).await.ok();
        let hold = imported["holds"][0]["id"].as_str().unwrap().to_owned();
        world.settle().await;
        let came = receiver.take();
        assert_eq!(came.iter().map(Got::kind).collect::<Vec<_>>(), ["removals.held"]);
        let data = &came[0].json["data"];
        assert_eq!((&data["id"], &data["creator"]), (&json!(hold), &json!("kim")));
        assert_eq!((&data["status"], &data["losing"]), (&json!("waiting"), &json!(12)));
        assert!(data["position"].is_u64());
        world.post(&format!("/v1/holds/{hold}/{decision}"), json!({})).await.ok();
        world.settle().await;
        let came = receiver.take();
        let kind = if decision == "reject" { "removals.rejected" } else { "removals.approved" };
        assert_eq!(came.iter().map(Got::kind).collect::<Vec<_>>(), [kind]);
        let data = &came[0].json["data"];
        assert_eq!((&data["id"], &data["decided_by"]), (&json!(hold), &json!("platform")));
        // Whoever renews and ends again is weighed anew.
        for n in 0..12 {
            world.reports(&club, &format!("fan{n}"), "vip", "active", version + 1).await;
        }
    }
}

#[tokio::test]
async fn a_role_that_somebody_takes_away_is_told_as_drift() {
    let world = World::start_listening().await;
    world.until("a gateway session", async |world| world.sandbox.gateway_sessions() > 0).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["access.drifted"]).await;
    world.sandbox.with(|discord| discord.set_role(club.guild, ada, club.vip, false));
    receiver.until(1).await;
    world.settle().await;
    let came = receiver.take();
    assert_eq!(told(&came), [("access.drifted", "ada")]);
    assert_eq!(came[0].json["data"]["missing"], json!([club.vip.to_string()]));
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_by_the_schedule_under_the_same_id() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    let (path, _) = endpoint(&world, &receiver, &["access.granted"]).await;
    receiver.answers(&[
        (500, None),
        (302, Some(("location", "/elsewhere"))),
        (429, Some(("retry-after", "3600"))),
    ]);
    world.member(&club, "ada", "vip").await;
    let waiting = &deliveries(&world, &path, "waiting").await[0];
    assert_eq!(waiting["next_attempt_at"], json!(world.now() + TimeDelta::seconds(5)));
    assert_eq!((&waiting["attempts"], &waiting["http_status"]), (&json!(1), &json!(500)));
    for (wait, attempts) in [(4, 1), (1, 2), (299, 2), (1, 3)] {
        world.clock.advance(TimeDelta::seconds(wait));
        world.settle().await;
        assert_eq!(receiver.got().len(), attempts);
    }
    // It asked for an hour, which is longer than the half of one that would have come next.
    world.clock.advance(TimeDelta::minutes(59));
    world.settle().await;
    let waiting = &deliveries(&world, &path, "waiting").await[0];
    assert_eq!(waiting["http_status"], 429);
    assert_eq!(waiting["problem"], "the endpoint must answer 2xx");
    world.clock.advance(TimeDelta::minutes(1));
    world.settle().await;
    let came = receiver.take();
    assert_eq!(came.len(), 4);
    assert!(came.iter().all(|got| got.id == waiting["id"] && got.text == came[0].text));
    assert!(came.is_sorted_by(|one, next| one.at < next.at), "the time is that of the attempt");
    assert_eq!(deliveries(&world, &path, "delivered").await.len(), 1);
}

/// Ten messages that are due together, at an endpoint that took none of them so far.
async fn ten_waiting(world: &World, receiver: &Receiver) -> String {
    world.club("kim").await;
    let (path, _) = endpoint(world, receiver, &["fan.state_changed"]).await;
    receiver.answers(&[(503, None); 10]);
    let lines = (0..10).map(|n| {
        json!({ "membership": format!("m{n}"), "fan": format!("fan{n}"), "creator": "kim", "tier": "vip",
                "status": "active", "version": 1 })
        .to_string()
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    world.send(world.request(Method::POST, "/v1/memberships:import").body(lines)).await.is(200);
    world.settle().await;
    assert_eq!(receiver.take().len(), 10);
    path
}

#[tokio::test]
async fn a_message_that_waits_for_others_is_sent_as_of_the_moment_when_its_turn_comes() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let path = ten_waiting(&world, &receiver).await;
    receiver.hold();
    world.clock.advance(TimeDelta::seconds(5));
    receiver.until(8).await;
    world.clock.advance(TimeDelta::minutes(6));
    let rotated = world.post(&format!("{path}/rotate_secret"), json!({})).await.ok();
    receiver.release();
    world.settle().await;
    let came = receiver.take();
    let now = world.now().timestamp();
    let late: Vec<_> = came.iter().filter(|got| got.at == now).collect();
    assert_eq!((came.len(), late.len()), (10, 2), "eight are sent at once");
    assert!(late.iter().all(|got| got.is_signed_with(rotated["secret"].as_str().unwrap())));
}

#[tokio::test]
async fn an_endpoint_that_says_that_it_is_gone_is_sent_nothing_more() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let path = ten_waiting(&world, &receiver).await;
    receiver.answers(&[(410, None); 10]);
    receiver.hold();
    world.clock.advance(TimeDelta::seconds(5));
    receiver.until(8).await;
    receiver.release();
    world.settle().await;
    assert_eq!(receiver.take().len(), 8);
    assert_eq!(world.get(&path).await.ok()["disabled"]["by"], "gone");
}

#[tokio::test]
async fn an_endpoint_that_never_takes_anything_is_disabled_and_the_others_are_told() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (dead, watching) = (Receiver::start().await, Receiver::start().await);
    let (path, _) = endpoint(&world, &dead, &["fan.state_changed"]).await;
    endpoint(&world, &watching, &["webhook_endpoint.disabled"]).await;
    dead.answers(&[(503, None); 10]);
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.settle().await;
    for _ in 0..9 {
        world.clock.advance(TimeDelta::hours(24));
        world.settle().await;
    }
    assert_eq!(dead.take().len(), 10);
    let failed = &deliveries(&world, &path, "failed").await[0];
    let shown = world.get(&path).await.ok();
    assert_eq!((&shown["enabled"], &shown["disabled"]["by"]), (&json!(false), &json!("failures")));
    let notice = watching.take();
    assert_eq!(notice[0].json["data"]["url"], dead.url);
    assert_eq!(notice[0].json["data"]["reason"], "failures");
    // What happens while it is disabled is not told later; what failed can be sent again.
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.patch(&path, json!({ "enabled": true })).await.ok();
    let replay = format!("{path}/deliveries/{}/replay", failed["id"].as_str().unwrap());
    assert_eq!(world.post(&replay, json!({})).await.is(202).ok()["state"], "waiting");
    world.settle().await;
    let came = dead.take();
    assert_eq!(told(&came), [("fan.state_changed", "ada")]);
    assert_eq!(came[0].id, failed["id"]);
    world.reports(&club, "cleo", "vip", "active", 1).await;
    world.settle().await;
    assert_eq!(told(&dead.take()), [("fan.state_changed", "cleo")]);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_at_once() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    let (path, _) = endpoint(&world, &receiver, &["access.granted"]).await;
    receiver.answers(&[(410, None)]);
    world.member(&club, "ada", "vip").await;
    world.member(&club, "ben", "vip").await;
    assert_eq!(receiver.take().len(), 1);
    assert_eq!(world.get(&path).await.ok()["disabled"]["by"], "gone");
}

#[tokio::test]
async fn a_secret_that_was_rotated_signs_for_one_more_day() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    let (path, old) = endpoint(&world, &receiver, &["access.granted"]).await;
    let rotated = world.post(&format!("{path}/rotate_secret"), json!({})).await.ok();
    let new = rotated["secret"].as_str().unwrap();
    assert_eq!(rotated["previous_until"], json!(world.now() + TimeDelta::hours(24)));
    world.member(&club, "ada", "vip").await;
    let came = receiver.take().remove(0);
    assert!(came.is_signed_with(&old) && came.is_signed_with(new));
    world.clock.advance(TimeDelta::hours(24));
    world.post(&format!("{path}/deliveries/{}/replay", came.id), json!({})).await.is(202);
    world.settle().await;
    let came = receiver.take().remove(0);
    assert!(!came.is_signed_with(&old) && came.is_signed_with(new));
}

#[tokio::test]
async fn what_waits_is_sent_after_a_restart_and_nothing_twice() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["access.granted"]).await;
    receiver.answers(&[(500, None)]);
    world.member(&club, "ada", "vip").await;
    world.member(&club, "ben", "vip").await;
    let before = receiver.take();
    world.start_again().await;
    world.settle().await;
    assert_eq!(receiver.take().len(), 0, "what was taken is not sent again");
    world.clock.advance(TimeDelta::seconds(5));
    world.settle().await;
    let after = receiver.take();
    assert_eq!(told(&after), [("access.granted", "ada")]);
    assert_eq!(after[0].id, before[0].id);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_holds_nobody_up() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    endpoint(&world, &slow, &["access.granted"]).await;
    endpoint(&world, &quick, &["access.granted"]).await;
    slow.hold();
    for fan in ["ada", "ben"] {
        let user = world.user(fan);
        world.reports(&club, fan, "vip", "active", 1).await;
        world.links(fan, user).await.is(200);
    }
    quick.until(2).await;
    slow.until(1).await;
    slow.release();
    world.settle().await;
    assert_eq!(slow.take().len(), 2);
}

#[tokio::test]
async fn webhooks_go_to_public_addresses_only_unless_a_setting_says_otherwise() {
    let world = World::start_public_only().await;
    let club = world.club("kim").await;
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1/",
        "nowhere",
    ] {
        let refused = world.post("/v1/webhook_endpoints", json!({ "url": url })).await;
        let refused = refused.problem(422, "validation_failed");
        assert_eq!(refused["errors"][0]["field"], "url", "{url}");
    }
    // A name is looked up when something is sent.
    let body = json!({ "url": "https://localhost:1/", "types": ["access.granted"] });
    let made = world.post("/v1/webhook_endpoints", body).await.is(201).ok();
    world.member(&club, "ada", "vip").await;
    let path = format!("/v1/webhook_endpoints/{}", made["id"].as_str().unwrap());
    let waiting = &deliveries(&world, &path, "waiting").await[0];
    assert!(waiting["problem"].as_str().unwrap().contains("private network"), "{waiting:#}");
}

#[tokio::test]
async fn endpoints_are_the_platform_s_alone_and_their_fields_are_checked() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let (path, secret) = endpoint(&world, &receiver, &[]).await;
    let creator = world.key_of("creator:kim").await;
    for (method, path) in [
        (Method::GET, "/v1/webhook_endpoints"),
        (Method::GET, &format!("{path}/deliveries")),
        (Method::DELETE, path.as_str()),
    ] {
        world.send(world.request_as(&creator, method, path)).await.problem(403, "forbidden");
    }
    let wrong = json!({ "url": receiver.url, "types": ["access.vanished"], "colour": "red" });
    let faults = world.post("/v1/webhook_endpoints", wrong).await.problem(422, "validation_failed");
    let fields: Vec<_> = faults["errors"].as_array().unwrap().iter().map(|e| &e["field"]).collect();
    assert_eq!(fields, ["types", "colour"]);
    let unknown = "/v1/webhook_endpoints/0190b0a0-0000-7000-8000-000000000000";
    world.get(unknown).await.problem(404, "not_found");
    world
        .post(&format!("{path}/deliveries/nothing/replay"), json!({}))
        .await
        .problem(404, "not_found");
    let listed = world.get("/v1/webhook_endpoints").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains(&secret), "the secret is shown once");
    world.patch(&path, json!({ "enabled": false, "description": "later" })).await.ok();
    let shown = world.get(&path).await.ok();
    assert_eq!(
        (&shown["disabled"]["by"], &shown["description"]),
        (&json!("hand"), &json!("later"))
    );
    world.delete(&path).await.is(204);
    world.get(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn that_access_is_gone_is_told_whatever_took_it() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["access.revoked"]).await;
    let activate = format!("/v1/fans/ada/integrations/{}/activate", club.integration);
    let withheld = format!("{}/revocations/ada", club.path());
    world.member(&club, "ada", "vip").await;
    world.delete(&activate).await.is(202);
    world.settle().await;
    assert_eq!(told(&receiver.take()), [("access.revoked", "ada")], "she left");
    world.post(&activate, json!({})).await.is(202);
    world.settle().await;
    world.put(&withheld, json!({ "why": "spam" })).await.ok();
    world.settle().await;
    assert_eq!(told(&receiver.take()), [("access.revoked", "ada")], "it is withheld");
    world.delete(&withheld).await.ok();
    world.settle().await;
    world.delete("/v1/fans/ada/link").await.is(202);
    world.settle().await;
    assert_eq!(told(&receiver.take()), [("access.revoked", "ada")], "she disconnected");
    // Whoever exchanges the account has the access with the other one.
    let (first, second) = (world.user("one"), world.user("two"));
    for user in [first, second] {
        world.links("ada", user).await.is(200);
        world.settle().await;
    }
    assert_eq!(world.roles(&club, first), None);
    assert_eq!(told(&receiver.take()), [] as [(&str, &str); 0]);
}

#[tokio::test]
async fn of_an_integration_that_is_deleted_every_fan_s_end_is_told() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["fan.state_changed"]).await;
    world.member(&club, "ada", "vip").await;
    receiver.take();
    world.delete(&format!("{}?force=true", club.path())).await.is(200);
    world.settle().await;
    let came = receiver.take();
    let data = &came.last().unwrap().json["data"];
    assert_eq!((&data["fan"], &data["creator"]), (&json!("ada"), &json!("kim")));
    let ended = [json!("revoked"), json!("revoke_blocked"), Value::Null];
    assert!(ended.contains(&data["status"]), "{data}");
}
