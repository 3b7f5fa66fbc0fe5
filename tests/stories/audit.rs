//! What auditors learn: who had which roles when, why, and how it came about.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use discord_sandbox::{Action, Fault};
use serde_json::{Value, json};

use crate::support::{Club, World};

/// A time in a query.
fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn access(world: &World, query: &str, at: DateTime<Utc>) -> Vec<Value> {
    let page = world.get(&format!("/v1/audit/access?at={}&{query}", text(at))).await.ok();
    page["data"].as_array().unwrap().clone()
}

async fn explain(world: &World, club: &Club, fan: &str, at: Option<DateTime<Utc>>) -> Value {
    let at = at.map(|at| format!("&at={}", text(at))).unwrap_or_default();
    let query = format!("fan={fan}&integration={}{at}", club.integration);
    world.get(&format!("/v1/audit/explain?{query}")).await.ok()
}

fn strings<'a>(steps: &'a Value, field: &str) -> Vec<&'a str> {
    steps.as_array().unwrap().iter().filter_map(|step| step[field].as_str()).collect()
}

/// Lets a little time go by, in which no lease runs out; answers a moment in the middle of it.
fn later(world: &World) -> DateTime<Utc> {
    let middle = world.now() + TimeDelta::seconds(1);
    world.clock.advance(TimeDelta::seconds(2));
    middle
}

#[tokio::test]
async fn time_travel_shows_what_was_had_before_and_after_every_step() {
    let world = World::start_listening().await;
    world.until("a gateway session", async |world| world.sandbox.gateway_sessions() > 0).await;
    let club = world.club("kim").await;
    let before = later(&world);
    let ada = world.member(&club, "ada", "vip").await;
    let granted = later(&world);
    world.sandbox.with(|discord| discord.set_role(club.guild, ada, club.vip, false));
    world
        .until("that the role is given again", async |world| {
            world.roles(&club, ada) == Some(vec![club.vip])
        })
        .await;
    let repaired = later(&world);
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    let ended = later(&world);

    for query in [format!("integration={}", club.integration), "fan=ada".into(), String::new()] {
        assert_eq!(access(&world, &query, before).await, Vec::<Value>::new(), "{query}");
        for at in [granted, repaired] {
            let rows = access(&world, &query, at).await;
            assert_eq!(rows.len(), 1, "{query}: {rows:#?}");
            let row = &rows[0];
            assert_eq!(row["integration"], club.integration.as_str());
            assert_eq!((&row["fan"], &row["state"]), (&json!("ada"), &json!("accepted")));
            assert_eq!((&row["present"], &row["brought_in"]), (&json!(true), &json!(true)));
            assert_eq!(row["roles"], json!([{ "id": club.vip.to_string(), "name": "vip" }]));
            assert_eq!(row["desired"]["roles"], row["roles"]);
            assert_eq!(row["discord"]["username"], "ada");
            assert_eq!(row["personal_data"], "known");
            assert_eq!((&row["server"], &row["reason"]), (&json!("Club"), &Value::Null));
        }
        assert_eq!(access(&world, &query, ended).await, Vec::<Value>::new(), "{query}");
    }
    // The moment itself counts, and the one just before it does not.
    let row = access(&world, "fan=ada", granted).await.remove(0);
    let since: DateTime<Utc> = row["since"].as_str().unwrap().parse().unwrap();
    let until: DateTime<Utc> = row["until"].as_str().unwrap().parse().unwrap();
    let tick = TimeDelta::microseconds(1);
    assert_eq!(access(&world, "fan=ada", since).await.len(), 1);
    assert_eq!(access(&world, "fan=ada", since - tick).await.len(), 0);
    assert_eq!(access(&world, "fan=ada", until - tick).await[0]["position"], row["position"]);
    assert_ne!(access(&world, "fan=ada", until).await[0]["position"], row["position"]);
    world.prove().await;
}

#[tokio::test]
async fn the_chain_leads_from_the_purchase_to_discord_s_answer_and_to_the_end() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.reports(&club, "ada", "vip", "active", 1).await;
    let bought = later(&world);
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    world.settle().await;
    let granted = later(&world);
    world.reports(&club, "ada", "vip", "refunded", 2).await;
    world.settle().await;

    let then = explain(&world, &club, "ada", Some(bought)).await;
    assert_eq!((&then["status"], &then["access"]), (&json!("available"), &json!([])));
    assert_eq!(then["reason"]["code"], "not_linked");
    assert_eq!(
        strings(&then["steps"], "kind"),
        ["integration", "integration", "membership"],
        "{then:#}"
    );

    let then = explain(&world, &club, "ada", Some(granted)).await;
    assert_eq!(then["status"], "connected");
    assert_eq!(then["sentence"], "ada was in Club with vip.");
    let kinds = strings(&then["steps"], "kind");
    assert_eq!(kinds[2..], ["membership", "link", "decision", "command", "answer"], "{then:#}");
    let steps = then["steps"].as_array().unwrap();
    let (link, decision, command, answer) = (&steps[3], &steps[4], &steps[5], &steps[6]);
    assert_eq!(link["sentence"], "ada connected the Discord account ada.");
    assert_eq!(link["actor"], "platform", "who asked for the link on the fan's behalf");
    assert_eq!(decision["position"], link["position"]);
    assert_eq!(decision["desired"]["roles"][0]["name"], "vip");
    assert_eq!(
        (&command["because_of"], &answer["because_of"]),
        (&decision["position"], &decision["position"])
    );
    assert_eq!(answer["type"], "AccessGranted");
    assert_eq!(answer["actor"], "bot:story");
    assert_eq!(then["access"][0]["position"], answer["position"]);

    let now = explain(&world, &club, "ada", None).await;
    assert_eq!((&now["status"], &now["access"]), (&json!("revoked"), &json!([])));
    let kinds = strings(&now["steps"], "kind");
    assert_eq!(kinds[7..], ["membership", "decision", "command", "answer"], "{now:#}");
    let last = now["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "AccessRevoked");
    assert_eq!(last["desired"], json!({ "present": false, "roles": [] }));
    world.prove().await;
}

#[tokio::test]
async fn a_refusal_is_explained_with_its_cause_and_discord_s_words() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
    world.sandbox.fault(Fault::always("PUT", "/guilds/*/members/*/roles/*", refuse));
    world.member(&club, "ada", "vip").await;
    let blocked = later(&world);
    let then = explain(&world, &club, "ada", Some(blocked)).await;
    assert_eq!(then["status"], "blocked", "{then:#}");
    assert!(then["sentence"].as_str().unwrap().contains("did not work"), "{then:#}");
    let mut answers =
        then["steps"].as_array().unwrap().iter().filter(|step| step["kind"] == "answer");
    let refused = answers.next_back().unwrap();
    assert_eq!(refused["type"], "AccessBlocked");
    assert_eq!(
        (&refused["http_status"], &refused["detail"]),
        (&json!(403), &json!("Missing Permissions"))
    );
    let rows = access(&world, &format!("integration={}", club.integration), blocked).await;
    assert_eq!((rows.len(), &rows[0]["state"]), (1, &json!("refused")));
    assert_eq!(rows[0]["reason"]["code"], refused["reason"]["code"]);
    assert_eq!(rows[0]["roles"], json!([]));
    world.prove().await;
}

#[tokio::test]
async fn who_has_nothing_is_told_why_too() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ben", "vip").await;
    let nobody = explain(&world, &club, "nobody", None).await;
    assert_eq!((&nobody["status"], &nobody["access"]), (&Value::Null, &json!([])));
    assert!(nobody["sentence"].as_str().unwrap().contains("had nothing to do with nobody"));

    // Withheld by hand: the answer names who did it and why.
    let why = json!({ "why": "spam" });
    world.put(&format!("{}/revocations/ben", club.path()), why).await.ok();
    world.settle().await;
    let withheld = explain(&world, &club, "ben", None).await;
    assert_eq!(withheld["reason"]["code"], "withheld");
    let steps = withheld["steps"].as_array().unwrap();
    let choice = steps.iter().find(|step| step["kind"] == "choice").unwrap();
    assert!(choice["sentence"].as_str().unwrap().ends_with("withheld: spam"), "{choice:#}");

    let unknown = "00000000-0000-4000-8000-000000000000";
    let path = format!("/v1/audit/explain?fan=ben&integration={unknown}");
    world.get(&path).await.problem(404, "not_found");
    world.get("/v1/audit/explain?fan=ben").await.problem(422, "validation_failed");
    world.get("/v1/audit/access?at=yesterday").await.problem(422, "validation_failed");
    world.get("/v1/audit/history").await.problem(422, "validation_failed");
}

#[tokio::test]
async fn a_history_tells_every_change_of_what_somebody_should_have_and_had() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.member(&club, "ben", "vip").await;
    later(&world);
    world.reports(&club, "ada", "vip", "charged_back", 2).await;
    world.settle().await;

    let path = format!("/v1/audit/history?fan=ada&integration={}", club.integration);
    let page = world.get(&path).await.ok();
    let told = &page["data"];
    assert_eq!(
        strings(told, "status"),
        ["available", "pending", "pending", "connected", "revoking", "revoking", "revoked"],
        "{told:#}"
    );
    assert_eq!(told[1]["type"], "FanLinked");
    assert_eq!((&told[1]["desired"]["present"], &told[1]["had"]), (&json!(true), &Value::Null));
    assert_eq!(told[3]["had"]["roles"][0]["name"], "vip");
    assert_eq!(told[5]["had"]["state"], "attempted");
    assert_eq!(
        told[5]["had"]["roles"][0]["name"], "vip",
        "nothing is taken before Discord says so"
    );
    assert_eq!(told[6]["had"]["roles"], json!([]));

    // Page by page it is the same.
    let (mut joined, mut cursor) = (vec![], String::new());
    loop {
        let page = world.get(&format!("{path}&limit=2{cursor}")).await.ok();
        joined.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Value::Array(joined), *told);

    let path = format!("/v1/audit/history?integration={}", club.integration);
    let all = world.get(&path).await.ok();
    assert_eq!(
        strings(&all["data"], "type"),
        [
            "JoinAttempted",
            "AccessGranted",
            "JoinAttempted",
            "AccessGranted",
            "RemovalAttempted",
            "AccessRevoked"
        ]
    );
    assert_eq!(all["data"][3]["fan"], "ben");
    world.prove().await;
}

#[tokio::test]
async fn lists_of_access_go_on_from_page_to_page() {
    let world = World::start().await;
    let club = world.club("kim").await;
    // A second integration on the same server: everybody is told for both.
    let second = world.integration("kim").await;
    world.connect(&second, club.owner, club.guild).await.is(200);
    for fan in ["ada", "ben", "cyd"] {
        world.member(&club, fan, "vip").await;
    }
    let at = later(&world);
    for (query, expected) in
        [(String::new(), 6), (format!("integration={second}"), 3), ("fan=ben".into(), 2)]
    {
        let (mut seen, mut cursor) = (vec![], String::new());
        loop {
            let path = format!("/v1/audit/access?at={}&{query}&limit=1{cursor}", text(at));
            let page = world.get(&path).await.ok();
            seen.extend(page["data"].as_array().unwrap().iter().map(|row| {
                (
                    row["fan"].as_str().unwrap().to_owned(),
                    row["integration"].as_str().unwrap().to_owned(),
                )
            }));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((seen.len(), distinct.len()), (expected, expected), "{query}: {seen:?}");
    }
}

#[tokio::test]
async fn who_is_left_behind_by_force_is_still_told() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
    world.sandbox.fault(Fault::always("DELETE", "/guilds/*/members/*", refuse.clone()));
    world.sandbox.fault(Fault::always("DELETE", "/guilds/*/members/*/roles/*", refuse));
    world.delete(&club.path()).await.is(202);
    world.settle().await;
    world.delete(&format!("{}?force=true", club.path())).await.is(200);
    world.settle().await;
    let after = later(&world);
    let rows = access(&world, &format!("integration={}", club.integration), after).await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (&rows[0]["state"], &rows[0]["roles"][0]["name"]),
        (&json!("refused"), &json!("vip"))
    );
    // Whoever connects the server next has nothing to do with it.
    let eve = world.integration("eve").await;
    world.connect(&eve, club.owner, club.guild).await.is(200);
    let taken = later(&world);
    assert_eq!(access(&world, &format!("integration={}", club.integration), taken).await.len(), 0);
    assert_eq!(access(&world, &format!("integration={}", club.integration), after).await.len(), 1);
    world.prove().await;
}

#[tokio::test]
async fn only_auditors_and_the_platform_may_ask() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let paths = [
        "/v1/audit/access?fan=ada".to_owned(),
        format!("/v1/audit/explain?fan=ada&integration={}", club.integration),
        "/v1/audit/history?fan=ada".to_owned(),
    ];
    let auditor = world.key_of("auditor").await;
    for path in &paths {
        let ask = |key: &str| world.request_as(key, reqwest::Method::GET, path);
        world.send(ask(&auditor)).await.ok();
        for role in ["creator:kim", "fan:ada", "bot"] {
            let key = world.key_of(role).await;
            world.send(ask(&key)).await.problem(403, "forbidden");
        }
    }
}
