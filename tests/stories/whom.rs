//! Whom a call is for: a key that is not meant for it learns nothing, not even what is wrong with its request.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;

/// The keys that a group of calls is not for.
fn strangers(tag: &str) -> &'static [&'static str] {
    match tag {
        "Platform" => &["creator:kim", "fan:ada", "auditor", "bot"],
        "Creator" => &["fan:ada", "auditor", "bot"],
        "Fan" => &["creator:kim", "auditor", "bot"],
        "Auditor" => &["creator:kim", "fan:ada", "bot"],
        "Bots" => &["creator:kim", "fan:ada", "auditor"],
        // These take no key.
        _ => &[],
    }
}

#[tokio::test]
async fn a_call_refuses_whom_it_is_not_for_before_it_looks_at_what_they_say() {
    let world = World::start().await;
    let description = serde_json::to_value(api::openapi()).unwrap();
    let (mut asked, mut wrong) = (0, vec![]);
    for role in ["creator:kim", "fan:ada", "auditor", "bot"] {
        let key = world.key_of(role).await;
        for (path, calls) in description["paths"].as_object().unwrap() {
            for (method, call) in calls.as_object().unwrap() {
                let tag = call["tags"][0].as_str().unwrap();
                // Those that have a word of their own about it prove by a signature whom they are from.
                if call.get("security").is_some() || !strangers(tag).contains(&role) {
                    continue;
                }
                let method: Method = method.to_uppercase().parse().unwrap();
                let named = path.replace("{projection}", "commands").replace(['{', '}'], "");
                let body = json!({ "nobody": "takes this" });
                let answer = world.send(world.request_as(&key, method.clone(), &named).json(&body));
                let code = answer.await.json["code"].clone();
                asked += 1;
                if code != "forbidden" {
                    wrong.push(format!("{role}: {method} {path} {code}"));
                }
            }
        }
    }
    assert!(asked > 150, "{asked}");
    assert_eq!(wrong, [] as [String; 0]);
    assert_eq!(world.get("/v1/audit/events").await.ok()["data"], Value::Array(vec![]));
}

#[tokio::test]
async fn nobody_learns_whether_another_s_thing_exists() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let (eve, ben) = (world.key_of("creator:eve").await, world.key_of("fan:ben").await);
    let get = |key: &str, path: String| world.send(world.request_as(key, Method::GET, &path));
    let mut answers = vec![];
    for id in [club.integration.as_str(), "0197b2c4-0000-7000-8000-000000000000", "nonsense"] {
        answers.push(get(&eve, format!("/v1/integrations/{id}")).await.problem(404, "not_found"));
        answers
            .push(get(&eve, format!("/v1/integrations/{id}/fans")).await.problem(404, "not_found"));
        answers.push(
            get(&eve, format!("/v1/integrations/{id}/roles")).await.problem(404, "not_found"),
        );
    }
    answers.push(get(&eve, "/v1/creators/kim/integrations".into()).await.problem(404, "not_found"));
    answers.push(get(&ben, "/v1/fans/ada/link".into()).await.problem(404, "not_found"));
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let patch =
        world.request_as(&eve, Method::PATCH, &club.path()).json(&json!({ "name": "Mine" }));
    world.send(patch).await.problem(404, "not_found");

    // Each key may do what its role is for.
    let kim = world.key_of("creator:kim").await;
    get(&kim, club.path()).await.ok();
    get(&kim, "/v1/creators/kim/tiers".into()).await.ok();
    get(&kim, "/v1/memberships/ada-vip".into()).await.problem(403, "forbidden");
    get(&kim, "/v1/audit/events".into()).await.problem(403, "forbidden");
    get(&kim, "/v1/bot/commands".into()).await.problem(403, "forbidden");
    get(&ben, "/v1/fans/ben/link".into()).await.ok();
    get(&ben, club.path()).await.problem(403, "forbidden");
    let auditor = world.key_of("auditor").await;
    get(&auditor, "/v1/audit/events".into()).await.ok();
    get(&auditor, club.path()).await.problem(403, "forbidden");
}
