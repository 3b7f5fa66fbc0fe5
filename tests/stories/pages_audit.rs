//! An auditor looks into the log, goes through time and asks why; an operator looks how the Hub is doing. Without a script.

use chrono::{SecondsFormat, TimeDelta};
use discord_sandbox::{Action, Fault};
use reqwest::Method;
use serde_json::json;

use crate::support::{Browser, Club, World};

fn exact(at: chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Ada was granted access and lost it again; answers a moment at which she had it.
async fn ada_came_and_went(world: &World, club: &Club) -> String {
    world.member(club, "ada", "vip").await;
    world.clock.advance(TimeDelta::seconds(1));
    let between = exact(world.now());
    world.clock.advance(TimeDelta::seconds(1));
    world.reports(club, "ada", "vip", "refunded", 2).await;
    world.settle().await;
    between
}

#[tokio::test]
async fn the_log_is_read_from_the_newest_event_and_filtered_by_its_address() {
    let world = World::start().await;
    let club = world.club("kim").await;
    for fan in ["ada", "ben", "cyd", "dee", "eli", "fay", "gus", "hal", "ina", "ivy"] {
        world.member(&club, fan, "vip").await;
    }
    let mut audrey = Browser::of(&world, "auditor", None).await;
    let newest = audrey.get("/audit").await.is(200).has("ivy is in Club with vip");
    let newest = newest.lacks("kim created").has("rel=\"next\"").lacks("rel=\"prev\"");
    let older = link(&newest.html, "rel=\"next\"");
    let older = audrey.get(&older).await.is(200).has("kim created the integration").lacks("ivy");
    let newer = link(&older.html, "rel=\"prev\"");
    audrey.get(&newer).await.is(200).has("ivy is in Club with vip").lacks("kim created");

    let of_ada = audrey.get("/audit?fan=ada&type=AccessGranted").await.is(200);
    let of_ada = of_ada.has("ada is in Club with vip").lacks("ada bought").lacks("ben");
    of_ada.has("value=\"ada\"").has("<option value=\"AccessGranted\" selected>Access granted");
    audrey.get("/audit?fan=nobody").await.is(200).has("Nothing happened");
    // What is not filled in right comes back as it was.
    let wrong = audrey.get("/audit?fan=a+b&from=yesterday&creator=kim").await.is(422);
    wrong
        .has("value=\"a b\"")
        .has("value=\"kim\"")
        .has("A fan&#39;s id has")
        .has("Write a time as");
}

/// Where the link with a mark leads.
fn link(html: &str, mark: &str) -> String {
    let end = html.find(mark).unwrap();
    let start = html[..end].rfind("href=\"").unwrap() + 6;
    html[start..start + html[start..].find('"').unwrap()].replace("&#38;", "&")
}

#[tokio::test]
async fn an_event_is_told_in_plain_words_and_as_it_was_recorded() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let hostile = "<img src=x onerror=alert(1)>\u{202e}";
    world.patch(&club.path(), json!({ "name": hostile })).await.ok();
    world.member(&club, "ada", "vip").await;
    let mut audrey = Browser::of(&world, "auditor", None).await;
    let position = async |kind: &str| {
        let events = world.get(&format!("/v1/audit/events?type={kind}")).await.ok();
        events["data"][0]["position"].as_u64().unwrap()
    };
    let linked =
        audrey.get(&format!("/audit/events/{}", position("FanLinked").await)).await.is(200);
    linked
        .has("ada connected the Discord account ada.")
        .has("&#34;username&#34;: &#34;ada&#34;")
        .has("FanLinked");
    let renamed = format!("/audit/events/{}", position("IntegrationRenamed").await);
    audrey.get(&renamed).await.is(200).lacks("<img src=x").has("&#60;img src=x");
    audrey.get("/audit").await.is(200).lacks("<img src=x");
    let granted = audrey.get(&format!("/audit/events/{}", position("AccessGranted").await)).await;
    let why = link(&granted.html, ">Explain it<");
    audrey.get(&why).await.is(200).has("ada was in Club with vip.");
    audrey.get("/audit/events/9999").await.is(404);
    audrey.get("/audit/events/first").await.is(400);
}

#[tokio::test]
async fn time_travel_works_without_a_script() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let between = ada_came_and_went(&world, &club).await;
    let mut audrey = Browser::of(&world, "auditor", None).await;
    audrey.get("/audit/access").await.is(200).has("the creator").has(&club.integration);

    let now = audrey.get("/audit/access?fan=ada").await.is(200);
    // The picture says in words what it draws.
    let now = now.has("aria-label=\"vip: Should have: ").has("Had, as Discord accepted it: ");
    let now = now.has("Ended").has("Change before");
    let before = link(&now.html, ">Change before<");
    audrey.get(&before).await.is(200).has("Change after");
    let then = audrey.get(&format!("/audit/access?fan=ada&at={between}")).await.is(200);
    let moment = then.html.split("<details class=\"card after changes").next().unwrap();
    assert!(moment.contains("Has access") && moment.contains("brought in by the Hub"), "{moment}");
    assert!(!moment.contains("Being removed"), "{moment}");
    let why = link(&then.html, ">Why?<");
    let why = audrey.get(&why).await.is(200).has("Has access").has("ada bought vip from kim.");
    why.has("So ada should be in Club with vip.").lacks("refunded");

    let people = format!("/audit/access?integration={}&at={between}", club.integration);
    audrey.get(&people).await.is(200).has("1 person").has("Accepted by Discord");
    let moment = format!("/audit/access/moment?integration={}", club.integration);
    audrey.get(&moment).await.is(200).has("Nobody").lacks("<html");
    audrey.get("/audit/access?fan=nobody").await.is(200).has("The log names no fan nobody");
    audrey.get("/audit/access?fan=ada&at=soon").await.is(422).has("value=\"soon\"");
    let unknown = "/audit/access?integration=00000000-0000-4000-8000-000000000000";
    audrey.get(unknown).await.is(404);
}

#[tokio::test]
async fn a_refusal_is_explained_to_the_end() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing <b>".into() };
    world.sandbox.fault(Fault::always("PUT", "/guilds/*/members/*/roles/*", refuse));
    world.member(&club, "ada", "vip").await;
    let mut audrey = Browser::of(&world, "auditor", None).await;
    audrey.get("/audit/explain").await.is(200).has("Explain");
    let path = format!("/audit/explain?fan=ada&integration={}", club.integration);
    let told = audrey.get(&path).await.is(200).has("Blocked").has("Discord answered");
    told.has("Missing &#60;b&#62;")
        .has("Discord refused to give vip to ada in Club.")
        .has("What helps:");
    audrey.get("/audit/explain?fan=ada").await.is(422).has("This is needed");
    audrey
        .get("/audit/explain?fan=ada&integration=00000000-0000-4000-8000-000000000000")
        .await
        .is(404);
}

#[tokio::test]
async fn the_operator_sees_what_the_hub_does_and_nobody_else_does() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
    world.sandbox.fault(Fault::always("PUT", "/guilds/*/members/*/roles/*", refuse));
    world.member(&club, "ada", "vip").await;
    let mut oscar = Browser::of(&world, "operator", None).await;
    let shown = oscar.get("/operator").await.is(200).has("The log takes events").has("fan_access");
    let shown = shown.has("<bdi>story</bdi>").has("missing_permissions").has("the creator");
    assert_eq!(shown.path, "/operator");
    oscar.get("/operator/now").await.is(200).has("Ready").lacks("<html");
    oscar.get("/audit").await.is(401);

    let mut audrey = Browser::of(&world, "auditor", None).await;
    audrey.get("/operator").await.is(401).lacks("fan_access");
    let auditor = world.key_of("auditor").await;
    let asked = world.request_as(&auditor, Method::POST, "/v1/sessions");
    world.send(asked.json(&json!({ "role": "operator" }))).await.problem(403, "forbidden");
    for page in ["/audit", "/audit/access?fan=ada", "/audit/explain", "/operator"] {
        Browser::new(&world).get(page).await.is(401).lacks("ada");
    }
}
