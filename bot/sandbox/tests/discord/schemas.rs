//! Discord's own schemas, generated from its OpenAPI description, judge what the sandbox answers.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::place::Place;

/// Where `tests/run.sh` puts the package with the schemas.
fn oracles() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/oracles"))
}

/// Holds values against the schemas of these names.
fn judge(values: &[(&str, Value)]) {
    let installed = oracles().join("node_modules/discord-api-spec");
    assert!(
        installed.exists(),
        "Discord's schemas are missing; run tests/run.sh, which fetches them"
    );
    let mut node = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/discord/judge.mjs"))
        .arg(oracles())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(&serde_json::to_vec(values).unwrap()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn every_answer_is_as_discord_describes_it() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let token = place.access(ada).await;
    let body = json!({ "access_token": token });
    let joined = place.bot(Method::PUT, &place.members(ada), body.clone()).await;
    assert_eq!(joined.status, 201);
    let mut values = vec![("BotAddGuildMemberRequest", body), ("GuildMemberResponse", joined.body)];
    let bearer = format!("Bearer {token}");
    let guild = format!("/guilds/{}", place.guild);
    for (schema, path) in [
        ("GuildMemberResponse", place.members(ada)),
        ("GuildWithCountsResponse", guild.clone()),
        ("GuildRoleResponse[]", format!("{guild}/roles")),
        ("GuildMemberResponse[]", format!("{guild}/members?limit=10")),
        ("UserPIIResponse", "/users/@me".to_owned()),
        ("GatewayBotResponse", "/gateway/bot".to_owned()),
        ("PrivateApplicationResponse", "/applications/@me".to_owned()),
        ("ErrorResponse", place.members(1)),
    ] {
        values.push((schema, place.bot(Method::GET, &path, Value::Null).await.body));
    }
    for (schema, path) in
        [("UserPIIResponse", "/users/@me"), ("OAuth2GetAuthorizationResponse", "/oauth2/@me")]
    {
        values.push((schema, place.call(Method::GET, path, &bearer, Value::Null).await.body));
    }
    judge(&values);
}

#[test]
#[should_panic(expected = "GuildRoleResponse")]
fn an_answer_that_is_not_as_described_is_found() {
    judge(&[("GuildRoleResponse", json!({ "id": 5 }))]);
}
