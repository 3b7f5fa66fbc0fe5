//! What clients rely on, and what bad input gets: a clear problem with a stable code, and nothing appended.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World};

fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|error| error["field"].as_str())
        .collect()
}

#[test]
fn the_description_of_the_api_stays_as_it_was_released() {
    insta::assert_json_snapshot!("openapi", api::openapi());
}

#[tokio::test]
async fn bad_input_is_named_and_changes_nothing() {
    let world = World::start().await;
    world.tier("kim", "vip").await;
    let before = world.node().store().log().head();
    let put = |body: &str| {
        let request = world
            .request(Method::PUT, "/v1/memberships/m1")
            .header("content-type", "application/json");
        world.send(request.body(body.to_owned()))
    };
    put("{").await.problem(400, "malformed_json");
    put("[]").await.problem(400, "malformed_json");
    let empty = put("{}").await.problem(422, "validation_failed");
    assert_eq!(fields(&empty), ["fan", "creator", "tier", "status", "version"]);
    let wrong = json!({ "fan": "a b", "creator": "ü", "tier": "x".repeat(129), "status": "gone", "version": -1,
                        "ends_at": "tomorrow", "vresion": 1 });
    let wrong = put(&wrong.to_string()).await.problem(422, "validation_failed");
    assert_eq!(
        fields(&wrong),
        ["fan", "creator", "tier", "status", "ends_at", "version", "vresion"]
    );
    let huge = json!({ "fan": "a", "creator": "kim", "tier": "vip", "status": "active", "version": u64::MAX });
    assert_eq!(
        fields(&put(&huge.to_string()).await.problem(422, "validation_failed")),
        ["version"]
    );
    let unknown =
        json!({ "fan": "a", "creator": "kim", "tier": "nope", "status": "active", "version": 1 });
    let unknown = put(&unknown.to_string()).await.problem(422, "validation_failed");
    assert_eq!(unknown["errors"][0]["code"], "unknown_tier");
    put(&format!("{{\"fan\": \"{}\"}}", "x".repeat(300 << 10))).await.problem(413, "too_large");
    let text = world
        .request(Method::PUT, "/v1/memberships/m1")
        .header("content-type", "text/plain")
        .body("{}");
    world.send(text).await.problem(400, "malformed_request");

    let long = format!("/v1/memberships/{}", "x".repeat(129));
    assert_eq!(fields(&world.get(&long).await.problem(422, "validation_failed")), ["membership"]);
    world.get("/v1/memberships/%FF").await.problem(400, "malformed_request");
    for name in ["", "   ", "a\u{0}b", "a\nb", &"x".repeat(129), "\u{200b}"] {
        let body = json!({ "provider": "discord", "name": name });
        let refused = world
            .post("/v1/creators/kim/integrations", body)
            .await
            .problem(422, "validation_failed");
        assert_eq!(fields(&refused), ["name"], "{name:?}");
    }
    for limit in ["0", "201", "x", "-1"] {
        let refused = world.get(&format!("/v1/creators/kim/tiers?limit={limit}")).await;
        assert_eq!(fields(&refused.problem(422, "validation_failed")), ["limit"], "{limit}");
    }
    world.get("/v1/creators/kim/tiers?cursor=nonsense").await.problem(422, "validation_failed");
    world.get("/v1/creators/kim/tiers?limt=1").await.problem(422, "validation_failed");
    assert_eq!(world.node().store().log().head(), before);
}

#[tokio::test]
async fn names_of_any_script_are_kept_as_they_are() {
    let world = World::start().await;
    for name in ["<script>alert(1)</script>", "مرحبا", "🎸🎸", "a\u{202e}b", &"ü".repeat(128)]
    {
        let made = world
            .post("/v1/creators/kim/integrations", json!({ "provider": "discord", "name": name }))
            .await
            .ok();
        assert_eq!(made["name"], name);
    }
}

#[tokio::test]
async fn memberships_may_repeat_and_arrive_in_any_order() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let outcome = |answer: Answer| answer.json["outcome"].as_str().unwrap().to_owned();
    assert_eq!(outcome(world.reports(&club, "ada", "vip", "active", 5).await), "applied");
    assert_eq!(outcome(world.reports(&club, "ada", "vip", "active", 5).await), "unchanged");
    let stale = world.reports(&club, "ada", "vip", "expired", 4).await;
    assert_eq!(stale.json["state"]["version"], 5);
    assert_eq!(outcome(stale), "stale");
    let body = |fan: &str, version: u64, status: &str| json!({ "fan": fan, "creator": "kim", "tier": "vip", "status": status, "version": version });
    world
        .put("/v1/memberships/ada-vip", body("ada", 5, "paused"))
        .await
        .problem(409, "version_conflict");
    world
        .put("/v1/memberships/ada-vip", body("ben", 6, "active"))
        .await
        .problem(409, "owner_fixed");
    let reports = world.events().await.iter().filter(|kind| kind.starts_with("Membership")).count();
    assert_eq!(reports, 2, "the attachment and one purchase");
    world.prove().await;
}

#[tokio::test]
async fn many_memberships_are_imported_with_a_count_of_each_outcome() {
    let world = World::start().await;
    world.tier("kim", "vip").await;
    let line = |n: usize| {
        json!({ "membership": format!("m{n}"), "fan": format!("f{n}"), "creator": "kim", "tier": "vip",
                "status": "active", "version": 2 })
        .to_string()
    };
    let mut lines: Vec<_> = (0..300).map(line).collect();
    lines.extend([
        line(7),
        line(8).replace("\"version\":2", "\"version\":1"),
        String::new(),
        "{".to_owned(),
    ]);
    lines.push(line(9).replace("vip", "nope"));
    let request = world
        .request(Method::POST, "/v1/memberships:import")
        .header("content-type", "application/x-ndjson");
    let imported = world.send(request.body(lines.join("\n"))).await.ok();
    let counts =
        ["applied", "unchanged", "stale", "refused"].map(|name| imported[name].as_u64().unwrap());
    assert_eq!(counts, [300, 1, 1, 2]);
    assert_eq!(
        (&imported["errors"][0]["line"], &imported["errors"][0]["code"]),
        (&json!(304), &json!("malformed_json"))
    );
    assert_eq!(imported["errors"][1]["errors"][0]["field"], "tier");
    world.prove().await;
}

#[tokio::test]
async fn an_import_may_tell_the_whole_story_of_one_membership() {
    let world = World::start().await;
    world.club("kim").await;
    let line = |version: u64| {
        json!({ "membership": "m", "fan": "ada", "creator": "kim", "tier": "vip", "status": "active",
                "ends_at": world.now() + TimeDelta::days(i64::try_from(version).unwrap()), "version": version })
        .to_string()
    };
    let lines: Vec<_> = (1..=200).map(line).collect();
    let request = world.request(Method::POST, "/v1/memberships:import").body(lines.join("\n"));
    let imported = world.send(request).await.ok();
    assert_eq!(
        (&imported["applied"], &imported["refused"]),
        (&json!(200), &json!(0)),
        "{imported}"
    );
    assert_eq!(world.get("/v1/memberships/m").await.ok()["state"]["version"], 200);
    world.prove().await;
}

#[tokio::test]
async fn a_request_that_is_sent_twice_is_carried_out_once() {
    let world = World::start().await;
    let body = json!({ "provider": "discord", "name": "Club" });
    let send = |key: &str, body: &Value| {
        let request = world
            .request(Method::POST, "/v1/creators/kim/integrations")
            .header("idempotency-key", key);
        world.send(request.json(body))
    };
    let (first, second) = (send("k1", &body).await.is(201), send("k1", &body).await.is(201));
    assert_eq!((&first.json, first.position()), (&second.json, second.position()));
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(second.header("etag"), first.header("etag"));
    send("k1", &json!({ "provider": "discord", "name": "Other" }))
        .await
        .problem(422, "idempotency_key_reused");
    assert_ne!(send("k2", &body).await.ok()["id"], first.json["id"]);
    // A refusal is not kept: the same request may succeed later.
    send("k3", &json!({ "provider": "discord" })).await.problem(422, "validation_failed");
    assert_eq!(
        world.get("/v1/creators/kim/integrations").await.ok()["data"].as_array().unwrap().len(),
        2
    );
    send("", &body).await.problem(400, "malformed_request");
}

#[tokio::test]
async fn requests_with_one_key_at_the_same_time_have_one_effect() {
    let world = World::start().await;
    let body = json!({ "provider": "discord", "name": "Club" });
    let send = || {
        let request = world
            .request(Method::POST, "/v1/creators/kim/integrations")
            .header("idempotency-key", "same");
        world.send(request.json(&body))
    };
    let answers = tokio::join!(send(), send(), send(), send());
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        if answer.status != 201 {
            answer.problem(409, "idempotency_key_in_use");
        }
    }
    assert_eq!(
        world.get("/v1/creators/kim/integrations").await.ok()["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn lists_come_in_pages_that_join_without_gap() {
    let world = World::start().await;
    for n in 0..7 {
        world.tier("kim", &format!("t{n}")).await;
    }
    let (mut seen, mut cursor) = (vec![], String::new());
    loop {
        let page = world.get(&format!("/v1/creators/kim/tiers?limit=3{cursor}")).await.ok();
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tier| tier["tier"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|n| format!("t{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_read_waits_for_what_the_caller_has_written() {
    let world = World::start().await;
    let written = world.put("/v1/creators/kim/tiers/vip", json!({ "name": "VIP" })).await.is(201);
    let after = |position: u64| {
        let request = world.request(Method::GET, "/v1/creators/kim/tiers");
        world.send(request.header("hub-after", position))
    };
    assert_eq!(after(written.position()).await.ok()["data"][0]["name"], "VIP");
    let behind = after(written.position() + 1).await;
    assert_eq!(behind.header("retry-after"), Some("1"));
    behind.problem(503, "view_behind");
    let request = world.request(Method::GET, "/v1/creators/kim/tiers").header("hub-after", "x");
    world.send(request).await.problem(400, "malformed_request");
}

#[tokio::test]
async fn a_key_is_needed_and_works_until_it_ends() {
    let world = World::start().await;
    let none = world.send(world.bare(Method::GET, "/v1/providers")).await;
    assert_eq!(none.header("www-authenticate"), Some("Bearer"));
    none.problem(401, "unauthorized");
    let wrong = world.request_as("hub_wrong", Method::GET, "/v1/providers");
    world.send(wrong).await.problem(401, "unauthorized");
    let basic = world.bare(Method::GET, "/v1/providers").basic_auth("a", Some("b"));
    world.send(basic).await.problem(401, "unauthorized");

    let expires_at = world.now() + chrono::TimeDelta::days(1);
    let made = world
        .post("/v1/keys", json!({ "role": "creator:kim", "expires_at": expires_at }))
        .await
        .is(201)
        .ok();
    let key = made["key"].as_str().unwrap().to_owned();
    let ask = || world.send(world.request_as(&key, Method::GET, "/v1/providers"));
    ask().await.ok();
    let listed = world.get("/v1/keys").await.ok();
    assert!(!listed.to_string().contains(&key), "a key is shown once");
    world.delete(&format!("/v1/keys/{}", made["id"].as_str().unwrap())).await.is(204);
    ask().await.problem(401, "unauthorized");
    let role =
        world.post("/v1/keys", json!({ "role": "root" })).await.problem(422, "validation_failed");
    assert_eq!(fields(&role), ["role"]);
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_say_so() {
    let world = World::start().await;
    world.get("/v1/nothing").await.problem(404, "not_found");
    let method = world.delete("/v1/providers").await;
    assert_eq!(method.header("allow"), Some("GET,HEAD"));
    let problem = method.problem(404, "not_found");
    assert_eq!(problem["detail"], "this path takes other methods; /docs shows which");
}

#[tokio::test]
async fn operators_see_that_it_lives_is_ready_and_what_it_does() {
    let world = World::start().await;
    world.settle().await;
    let bare = |path: &str| world.send(world.bare(Method::GET, path));
    assert_eq!(bare("/healthz").await.ok()["status"], "ok");
    let ready = async {
        while bare("/readyz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), ready).await.unwrap();
    let metrics = bare("/metrics").await.ok();
    assert!(metrics.as_str().unwrap().contains("hub_log_position"), "{metrics}");
    let docs = world.bare(Method::GET, "/docs").send().await.unwrap().text().await.unwrap();
    assert!(docs.contains("Report a membership") && !docs.contains("<script"));
    let without = World::start_without_bot().await;
    let not_ready =
        without.send(without.bare(Method::GET, "/readyz")).await.problem(503, "not_ready");
    assert_eq!(fields(&not_ready), ["bot"]);
}

#[tokio::test]
async fn the_log_is_found_by_fan_creator_integration_type_and_time() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.member(&club, "ben", "vip").await;
    let count = |query: String| {
        let world = &world;
        async move {
            world.get(&format!("/v1/audit/events?limit=200&{query}")).await.ok()["data"]
                .as_array()
                .unwrap()
                .len()
        }
    };
    let all = count(String::new()).await;
    let (ada, ben) = (count("fan=ada".into()).await, count("fan=ben".into()).await);
    assert_eq!((ada, ben), (5, 5));
    // What happened in its server is the integration's too: an attempt and an answer for each fan.
    assert_eq!(count(format!("integration={}", club.integration)).await, 10);
    assert_eq!(count(format!("integration={}&fan=ada", club.integration)).await, 2);
    assert_eq!(count("creator=kim&type=AccessGranted".into()).await, 2);
    assert_eq!(count("creator=kim&fan=ben&type=AccessGranted".into()).await, 1);
    assert_eq!(count("creator=eve".into()).await, 0);
    assert_eq!(count("type=FanLinked".into()).await, 2);
    assert_eq!(count("after=3".into()).await, all - 3);
    let later = (world.now() + chrono::TimeDelta::days(1))
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert_eq!(
        (count(format!("from={later}")).await, count(format!("to={later}")).await),
        (0, all)
    );
    // Discord's ids are sealed in the log and open for who may read them.
    let linked = world.get("/v1/audit/events?type=FanLinked").await.ok();
    assert_eq!(linked["data"][0]["data"]["account"]["username"], "ada");
    let raw = world.node().store().log().read_after(eventstore::Position(0), 500).await.unwrap();
    let raw: Vec<_> = raw
        .iter()
        .filter(|event| &*event.kind == "FanLinked")
        .map(|event| event.data.clone())
        .collect();
    assert!(
        raw.iter().all(|data| data.contains("\"sealed\"") && !data.contains("username")),
        "{raw:?}"
    );
}

#[tokio::test]
async fn a_refused_request_does_not_cost_the_next_one_on_its_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Reads up to the end of an answer with a body of a known length.
    async fn answer(stream: &mut tokio::net::TcpStream) -> String {
        let mut text = vec![];
        loop {
            let known = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = known.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return known;
                }
            }
            let mut part = [0; 4096];
            let read = stream.read(&mut part).await.unwrap();
            assert!(read > 0, "the connection ended after {known:?}");
            text.extend(&part[..read]);
        }
    }

    let world = World::start().await;
    let key = world.key_of("platform").await;
    let address = world.node().url().strip_prefix("http://").unwrap().to_owned();
    let refused = |length: usize, more: &str| {
        format!(
            "PATCH /v1/integrations/nope HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
        )
    };
    let next = b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n";
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    stream.write_all(refused(12, "").as_bytes()).await.unwrap();
    // While others are answered this one could be, too; its body comes after that.
    world.send(world.bare(Method::GET, "/healthz")).await.is(200);
    stream.write_all(br#"{"name":"x"}"#).await.unwrap();
    let first = answer(&mut stream).await;
    assert!(first.starts_with("HTTP/1.1 404") && !first.contains("connection: close"), "{first}");
    stream.write_all(next).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));

    // A body that is too long to be read for nothing, and one that is not sent before it is asked for.
    for (length, more) in [(10_000_000, ""), (12, "expect: 100-continue\r\n")] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(refused(length, more).as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused() {
    let world = World::start().await;
    world.tier("kim", "vip").await;
    let body =
        r#"{"fan":"ada","creator":"kim","tier":"vip","status":"active","version":1,"fan":"ben"}"#;
    let twice = world.request(Method::PUT, "/v1/memberships/m1").body(body);
    let problem = world.send(twice.header("content-type", "application/json")).await;
    let problem = problem.problem(400, "duplicate_field");
    assert!(problem["detail"].as_str().unwrap().contains("\"fan\""), "{problem}");
}

#[tokio::test]
async fn times_and_addresses_that_nobody_can_mean_are_refused_by_field() {
    let world = World::start().await;
    world.tier("kim", "vip").await;
    for ends_at in ["+262142-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31", "soon"] {
        let body = json!({ "fan": "ada", "creator": "kim", "tier": "vip", "status": "active", "version": 1, "ends_at": ends_at });
        let problem = world.put("/v1/memberships/m1", body).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "ends_at", "{ends_at}");
    }
    let long = format!("https://platform.example/{}", "x".repeat(2_048));
    for url in ["javascript:alert(1)", "/me", long.as_str()] {
        let body = json!({ "return_url": url });
        let problem = world.post("/v1/fans/ada/link", body).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "return_url", "{url}");
    }
}

#[tokio::test]
async fn every_list_comes_in_pages_and_every_write_tells_its_position() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[]).await;
    for role in ["auditor", "bot"] {
        let made = world.post("/v1/keys", json!({ "role": role })).await.is(201);
        assert_eq!(made.position(), world.node().store().log().head().0);
    }
    for path in ["/v1/keys".to_owned(), format!("{}/memberships", club.path())] {
        let all = world.get(&path).await.ok()["data"].as_array().unwrap().clone();
        let (mut seen, mut cursor) = (vec![], String::new());
        loop {
            let page = world.get(&format!("{path}?limit=1{cursor}")).await.ok();
            seen.extend(page["data"].as_array().unwrap().clone());
            assert!(seen.len() <= all.len(), "{path}");
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert!(all.len() > 1 && seen == all, "{path}");
    }
    let sync = world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    assert_eq!(sync.position(), world.node().store().log().head().0);
}

#[tokio::test]
async fn a_command_that_never_was_is_not_found() {
    let world = World::start_without_bot().await;
    let club = world.club("kim").await;
    let beyond = format!("999999-{}-abc", club.guild);
    for id in ["nope", "1-2-3", beyond.as_str()] {
        let start = format!("/v1/bot/commands/{id}/start");
        world.post(&start, json!({ "epoch": 1 })).await.problem(404, "not_found");
        let outcome = json!({ "epoch": 1, "result": "done" });
        world
            .post(&format!("/v1/bot/commands/{id}/outcome"), outcome)
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn an_event_that_there_is_none_of_is_told_and_not_answered_with_nothing() {
    let world = World::start().await;
    let problem = world.get("/v1/audit/events?type=Nope").await.problem(422, "validation_failed");
    assert_eq!(fields(&problem), ["type"]);
    world.get("/v1/audit/events?type=FanLinked").await.is(200);
}

#[test]
fn the_description_is_as_strict_as_the_api() {
    let described = serde_json::to_value(api::openapi()).unwrap();
    let schemas = &described["components"]["schemas"];
    let body = &schemas["MembershipBody"];
    assert_eq!(body["additionalProperties"], false);
    assert_eq!(body["properties"]["fan"]["$ref"], "#/components/schemas/FanId");
    assert_eq!(schemas["FanId"]["pattern"], "^[A-Za-z0-9._:@-]{1,128}$");
    let statuses = schemas["MembershipStatus"]["enum"].as_array().unwrap();
    assert!(statuses.contains(&json!("charged_back")) && statuses.len() == 6, "{statuses:?}");
    assert!(schemas["RoleList"]["properties"]["roles"].is_object());
    // Every reference leads somewhere.
    let text = described.to_string();
    for name in text.split("#/components/schemas/").skip(1) {
        let name = &name[..name.find('"').unwrap()];
        assert!(schemas.get(name).is_some(), "{name} is not described");
    }
}
