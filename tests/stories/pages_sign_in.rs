//! Signing in to the pages, staying signed in, and what a browser is refused.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use crate::support::{Browser, World};

const TABLE: &str = "/creator/integrations";
const NAME: &str = "/creator/integrations/new/discord";

#[tokio::test]
async fn a_sign_in_link_works_once() {
    let world = World::start().await;
    let mut browser = Browser::new(&world);
    let link = browser.link("creator", Some("kim")).await;

    // Whatever looks at links before people do uses nothing up.
    browser.get(&link).await.is(200).has("<bdi>kim</bdi>");
    let table = browser.sign_in(&link).await.is(200).has("Integrations");
    assert_eq!(table.path, TABLE);
    assert_eq!(browser.cookies(), ["hub_creator"]);

    browser.get(&link).await.is(410).has("has been used");
    Browser::new(&world).post(&link, &[]).await.is(410).has("has been used");
}

#[tokio::test]
async fn a_sign_in_link_is_good_for_five_minutes() {
    let world = World::start().await;
    let mut browser = Browser::new(&world);
    let link = browser.link("creator", Some("kim")).await;

    world.clock.advance(TimeDelta::minutes(5));

    browser.get(&link).await.is(410).has("five minutes");
    browser.post(&link, &[]).await.is(410);
    assert!(browser.cookies().is_empty());
}

#[tokio::test]
async fn the_platform_says_who_signs_in_and_where_they_land() {
    let world = World::start().await;
    let ask = |body| world.post("/v1/sessions", body);
    ask(json!({ "role": "creator" })).await.problem(422, "validation_failed");
    ask(json!({ "role": "creator", "id": "kim", "page": "audit" }))
        .await
        .problem(422, "validation_failed");
    ask(json!({ "role": "fan", "id": "ada", "page": "welcome" }))
        .await
        .problem(422, "validation_failed");
    ask(json!({ "role": "bot" })).await.problem(422, "validation_failed");
    ask(json!({ "role": "auditor", "return_url": "javascript:alert(1)" }))
        .await
        .problem(422, "validation_failed");
    ask(json!({ "role": "fan", "id": "ada", "page": "welcome", "membership": "m1" })).await.is(201);

    let creator = world.key_of("creator:kim").await;
    let body = json!({ "role": "creator", "id": "kim" });
    let asked = world.request_as(&creator, Method::POST, "/v1/sessions").json(&body);
    world.send(asked).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_secret_is_not_repeated_under_an_idempotency_key() {
    let world = World::start().await;
    let body = json!({ "role": "creator", "id": "kim" });
    let ask =
        || world.request(Method::POST, "/v1/sessions").header("idempotency-key", "k").json(&body);
    let (first, second) = (world.send(ask()).await.ok(), world.send(ask()).await.ok());
    assert_ne!(first["url"], second["url"]);
}

#[tokio::test]
async fn signing_in_makes_a_new_session_and_ends_the_one_before() {
    let world = World::start().await;
    let mut browser = Browser::of(&world, "creator", Some("kim")).await;
    let before = browser.cookie("hub_creator").unwrap();

    let link = browser.link("creator", Some("lee")).await;
    browser.get(&link).await.has("Somebody else is signed in here").has("<bdi>kim</bdi>");
    browser.post(&link, &[]).await.is(200);
    assert_ne!(browser.cookie("hub_creator").unwrap(), before);

    let mut thief = Browser::new(&world);
    thief.set_cookie("hub_creator", &before);
    thief.get(TABLE).await.is(401).has("not signed in");
}

#[tokio::test]
async fn a_creator_who_is_a_fan_elsewhere_is_both_in_one_browser() {
    let world = World::start().await;
    let mut browser = Browser::of(&world, "creator", Some("kim")).await;
    let link = browser.link("fan", Some("kim-at-home")).await;
    browser.post(&link, &[]).await;
    assert_eq!(browser.cookies(), ["hub_creator", "hub_fan"]);
    browser.get(TABLE).await.is(200);
}

#[tokio::test]
async fn a_session_ends_by_itself_by_signing_out_and_by_the_platform() {
    let world = World::start().await;
    let mut browser = Browser::of(&world, "creator", Some("kim")).await;
    let token = browser.cookie("hub_creator").unwrap();
    let out = browser.post("/creator/sign-out", &[]).await.is(200).has("You are signed out");
    out.has("https://platform.example/me");
    assert!(browser.cookies().is_empty());
    browser.set_cookie("hub_creator", &token);
    browser.get(TABLE).await.is(401);

    let mut browser = Browser::of(&world, "creator", Some("kim")).await;
    let mut other = Browser::of(&world, "creator", Some("lee")).await;
    world.delete("/v1/sessions?role=creator&id=kim").await.is(204);
    browser.get(TABLE).await.is(401).has("not signed in");
    other.get(TABLE).await.is(200);

    world.clock.advance(TimeDelta::hours(12));
    // It says how to come back: by the platform, which is remembered.
    other.get(TABLE).await.is(401).has("session has ended").has("https://platform.example/me");
}

#[tokio::test]
async fn what_was_typed_outlives_the_session() {
    let world = World::start().await;
    let mut browser = Browser::of(&world, "creator", Some("kim")).await;
    let form = browser.get(NAME).await.is(200);

    world.clock.advance(TimeDelta::hours(12));
    let ended = browser.submit(&form, NAME, &[("name", "My <b>club</b>")]).await.is(401);
    let ended = ended.has("session has ended").has("My &#60;b&#62;club&#60;/b&#62;");
    // Where nothing was written, nothing is said to have been.
    let pressed = browser.submit(&form, NAME, &[]).await.is(401).has("What you chose is kept");
    pressed.lacks("What you entered is kept");

    // Signed in again in another tab, the form goes through after one look at it.
    let link = browser.link("creator", Some("kim")).await;
    browser.sign_in(&link).await;
    let stale = browser.submit(&ended, NAME, &[]).await.is(409).has("earlier sign-in");
    assert_eq!(world.events().await, Vec::<String>::new());
    browser.submit(&stale, NAME, &[]).await.is(200);
    assert_eq!(world.events().await, ["IntegrationCreated"]);
}

#[tokio::test]
async fn a_form_from_another_site_or_another_session_changes_nothing() {
    let world = World::start().await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let mut lee = Browser::of(&world, "creator", Some("lee")).await;
    let of_lee = lee.get(NAME).await.hidden(NAME);
    let of_lee: Vec<_> =
        of_lee.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

    kim.post(NAME, &[("name", "x")]).await.is(409);
    kim.post(NAME, &[&of_lee[..], &[("name", "x")]].concat()).await.is(409);

    let own = kim.get(NAME).await.hidden(NAME);
    let own: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let fields = [&own[..], &[("name", "x")]].concat();
    kim.post_with(NAME, &[("sec-fetch-site", "cross-site")], &fields).await.is(403);
    kim.post_with(NAME, &[("origin", "https://evil.example")], &fields)
        .await
        .is(403)
        .has("Another site");
    kim.post_with("/creator/sign-out", &[("sec-fetch-site", "cross-site")], &[]).await.is(403);

    assert_eq!(world.events().await, Vec::<String>::new());
    let here = world.node().url();
    kim.post_with(NAME, &[("origin", &here)], &fields).await.is(200);
    assert_eq!(world.events().await, ["IntegrationCreated"]);
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    let world = World::start().await;
    let mut browser = Browser::of(&world, "creator", Some("kim")).await;
    for path in ["/", "/design", TABLE, NAME, "/creator/integrations/new"] {
        let page = browser.get(path).await.is(200);
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.html.contains("style=") && !page.html.contains("<script>"), "{path}");
        let loaded = page.html.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        for asset in loaded {
            assert!(asset.starts_with("/assets/"), "{asset}");
            let asset = browser.get(asset).await.is(200);
            assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"));
        }
    }
}

#[tokio::test]
async fn programs_get_problems_where_people_get_pages() {
    let world = World::start().await;
    let asked = bot::http::client("program").unwrap().get(format!("{}{TABLE}", world.node().url()));
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert!(answer.text().await.unwrap().contains("\"code\":\"not_signed_in\""));
    world.send(world.bare(Method::GET, "/nothing")).await.problem(404, "not_found");
    Browser::new(&world).get("/nothing").await.is(404).has("<h1>There is nothing here</h1>");
    // Nobody is signed in, and nothing sold, where the Hub is not a demo.
    Browser::new(&world).post("/demo/0", &[]).await.is(404);
    Browser::new(&world).post("/demo/offers/0", &[]).await.is(404);
    Browser::new(&world).get("/v1/nothing").await.is(404).has("\"code\":\"not_found\"");
}
