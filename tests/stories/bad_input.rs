//! What is wrong with a request is told field by field, in words that need no knowledge of the Hub's insides.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

/// The fields at fault, and what is said of them.
fn told(problem: &Value) -> Vec<(&str, &str)> {
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| Some((error["field"].as_str()?, error["detail"].as_str()?))).collect()
}

#[tokio::test]
async fn a_fault_says_where_it_is_and_what_must_be_there() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let body = json!({ "fan": 5, "creator": "kim", "tier": "vip", "status": {}, "version": -1, "ends_at": "2027-01-01" });
    let refused = world.put("/v1/memberships/m", body).await.problem(422, "validation_failed");
    assert_eq!(
        told(&refused),
        [
            ("fan", "must be a string"),
            (
                "status",
                "must be one of `active`, `canceled`, `paused`, `expired`, `refunded`, `charged_back`"
            ),
            ("ends_at", "must be a time with its zone, such as 2027-01-31T12:00:00Z"),
            ("version", "must be a whole number, 0 or more"),
        ]
    );
    let many = json!({ "memberships": [{ "tier": "vip", "roles": [] }, { "tier": "vip", "roles": ["1", "x"] }] });
    let refused = world.put(&format!("{}/memberships", club.path()), many).await;
    let refused = refused.problem(422, "validation_failed");
    assert_eq!(told(&refused)[0].0, "memberships[1].roles[1]");
    let refused = world.patch(&club.path(), json!({ "removal_limit": [500, 20] })).await;
    let refused = refused.problem(422, "validation_failed");
    assert_eq!(told(&refused), [("removal_limit", "must be an object")]);
    let refused = world.patch(&club.path(), json!({ "drift": { "repair": null } })).await;
    let refused = refused.problem(422, "validation_failed");
    assert_eq!(told(&refused), [("drift", "must be one of `repair`, `report`, `respect`")]);
    let refused = world.get("/v1/audit/events?from=2027-01-01T00:00:00+02:00&integration=x").await;
    let refused = refused.problem(422, "validation_failed");
    let fields: Vec<_> = told(&refused).iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, ["integration", "from"]);
}

#[tokio::test]
async fn what_a_call_does_not_know_is_refused_and_not_ignored() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let before = world.node().store().log().head();
    let grant = format!("{}/grants/ada?dry_run=true", club.path());
    let refused = world.put(&grant, json!({ "roles": [] })).await.problem(422, "validation_failed");
    assert_eq!(told(&refused)[0].0, "dry_run");
    let import = world.request(Method::POST, "/v1/memberships:import?dry_run=true").body("{}");
    world.send(import).await.problem(422, "validation_failed");
    // Who has no key learns nothing of it.
    let nobody = world.bare(Method::PUT, &grant).json(&json!({ "roles": [] }));
    world.send(nobody).await.problem(401, "unauthorized");
    let tier = world.request(Method::PUT, "/v1/creators/kim/tiers/x");
    let packed = tier.header("content-encoding", "gzip").json(&json!({ "name": "X" }));
    world.send(packed).await.problem(400, "malformed_request");
    let sync = world.request(Method::POST, &format!("{}/sync", club.path()));
    let older = sync.header("if-match", "\"1\"").json(&json!({}));
    world.send(older).await.problem(412, "precondition_failed");
    let named = json!({ "role": "bot", "name": "a\nb" });
    world.post("/v1/keys", named).await.problem(422, "validation_failed");
    assert_eq!(world.node().store().log().head(), before);
}

#[tokio::test]
async fn a_cursor_belongs_to_the_list_that_gave_it() {
    let world = World::start().await;
    for (creator, tier) in [("kim", "a"), ("kim", "b"), ("lou", "a"), ("lou", "b")] {
        world.tier(creator, tier).await;
    }
    let first = world.get("/v1/creators/kim/tiers?limit=1").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = world.get(&format!("/v1/creators/kim/tiers?limit=1&cursor={cursor}")).await.ok();
    assert_eq!(next["data"][0]["tier"], "b");
    let other = world.get(&format!("/v1/creators/lou/tiers?cursor={cursor}")).await;
    assert_eq!(told(&other.problem(422, "validation_failed"))[0].0, "cursor");
}

#[tokio::test]
async fn a_position_that_the_log_has_not_reached_is_told_at_once() {
    let world = World::start().await;
    world.tier("kim", "vip").await;
    let found = world.get(&format!("/v1/audit/events?after={}", u64::MAX)).await.ok();
    assert_eq!(found["data"], json!([]));
    for stream in ["/v1/streams/integrations", "/v1/streams/fan_access"] {
        world.get(&format!("{stream}?after=1000")).await.problem(409, "beyond_the_log");
    }
    let commands = world.request(Method::GET, "/v1/bot/commands");
    let commands = commands.header("last-event-id", "1000-1-a");
    world.send(commands).await.problem(409, "beyond_the_log");
}

#[tokio::test]
async fn a_bot_that_reports_what_cannot_be_is_not_believed() {
    let world = World::start_without_bot().await;
    let share = json!({ "bot": "b", "using": 0, "wanted": 0, "refused": u32::MAX });
    let refused = world.post("/v1/bot/share", share).await.problem(422, "validation_failed");
    assert_eq!(told(&refused)[0].0, "refused");
    let session = json!({ "kind": "session", "shard": 5, "of": 1, "guilds": [] });
    world.post("/v1/bot/observations", session).await.problem(422, "validation_failed");
    for (report, field) in [
        (json!({ "epoch": 1, "result": "refused" }), "code"),
        (json!({ "epoch": 1, "result": "done", "code": "50013" }), "code"),
        (json!({ "epoch": 1, "result": "done", "http_status": 7 }), "http_status"),
    ] {
        let refused = world.post("/v1/bot/commands/1-1-a/outcome", report).await;
        assert_eq!(told(&refused.problem(422, "validation_failed"))[0].0, field);
    }
}
