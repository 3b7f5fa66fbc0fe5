//! Rate limits: headers on every answer, 429 with the time to wait, windows per server.

use std::time::Duration;

use discord_sandbox::{Action, Fault, Limit, Limits, Scope};
use reqwest::Method;
use serde_json::Value;

use crate::place::Place;

fn tight() -> Limits {
    Limits { member_roles: Limit { calls: 2, per_ms: 300 }, ..Limits::default() }
}

#[tokio::test]
async fn a_window_takes_so_many_calls_and_says_when_it_ends() {
    let place = Place::with(tight()).await;
    let ada = place.member("ada");
    let give = format!("{}/roles/{}", place.members(ada), place.low);
    let header = |said: &crate::place::Said, name: &str| {
        said.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let first = place.bot(Method::PUT, &give, Value::Null).await;
    assert_eq!(header(&first, "x-ratelimit-limit").as_deref(), Some("2"));
    assert_eq!(header(&first, "x-ratelimit-remaining").as_deref(), Some("1"));
    assert!(header(&first, "x-ratelimit-bucket").is_some());
    place.bot(Method::DELETE, &give, Value::Null).await;
    let refused = place.bot(Method::PUT, &give, Value::Null).await;
    assert_eq!(
        (refused.status, header(&refused, "x-ratelimit-scope").as_deref()),
        (429, Some("user"))
    );
    let wait = refused.body["retry_after"].as_f64().unwrap();
    assert!(wait > 0.0 && wait <= 0.3, "{wait}");
    tokio::time::sleep(Duration::from_secs_f64(wait)).await;
    assert_eq!(place.bot(Method::PUT, &give, Value::Null).await.status, 204);
    assert_eq!(place.sandbox.invalid_calls(), 1);
}

#[tokio::test]
async fn faults_befall_the_calls_that_they_name() {
    let place = Place::new().await;
    let ada = place.member("ada");
    let give = format!("{}/roles/{}", place.members(ada), place.low);
    let path = "/guilds/*/members/*/roles/*";
    let has = || place.sandbox.with(|world| world.has_role(place.guild, ada, place.low));

    place.sandbox.fault(Fault::once("PUT", path, Action::ErrorAfterEffect { status: 502 }));
    assert_eq!(place.bot(Method::PUT, &give, Value::Null).await.status, 502);
    assert!(has());
    place.sandbox.fault(Fault::once("DELETE", path, Action::LostUpdate));
    assert_eq!(place.bot(Method::DELETE, &give, Value::Null).await.status, 204);
    assert!(has());
    place.sandbox.fault(Fault::once(
        "*",
        path,
        Action::RateLimit { scope: Scope::Shared, retry_after: 0.5 },
    ));
    assert_eq!(place.bot(Method::DELETE, &give, Value::Null).await.status, 429);
    assert_eq!(place.sandbox.invalid_calls(), 0, "shared limits do not count");
    place.sandbox.fault(Fault::once("*", path, Action::Cloudflare { retry_after: 1 }));
    let html = place.bot(Method::DELETE, &give, Value::Null).await;
    assert_eq!((html.status, html.body), (429, Value::Null));
    assert_eq!(place.bot(Method::DELETE, &give, Value::Null).await.status, 204);
    assert!(!has());
}
