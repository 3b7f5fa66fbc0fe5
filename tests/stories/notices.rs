//! Who is told what: once for each cause, however many fans it concerns, until it is mended.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Club, World};

/// What somebody was told, newest first, as the code and whether it is mended.
async fn told(world: &World, path: &str) -> Vec<(String, bool)> {
    let page = world.get(path).await.ok();
    let told = page["data"].as_array().unwrap().iter();
    told.map(|told| {
        let code = told["reason"]["code"].as_str().unwrap_or("none").to_owned();
        (code, !told["resolved_at"].is_null())
    })
    .collect()
}

fn news(codes: &[(&str, bool)]) -> Vec<(String, bool)> {
    codes.iter().map(|(code, mended)| ((*code).to_owned(), *mended)).collect()
}

const KIM: &str = "/v1/creators/kim/notifications";
const ADA: &str = "/v1/fans/ada/notifications";

/// Somebody moves the role above the bot, and the hub looks.
async fn lift_role(world: &World, club: &Club) {
    world
        .sandbox
        .with(|discord| discord.edit_role(club.guild, club.vip, |role| role.position = 200));
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
}

async fn lower_role(world: &World, club: &Club) {
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.vip, |role| role.position = 2));
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();
}

#[tokio::test]
async fn thirty_fans_blocked_by_one_role_are_one_notice_and_the_next_time_is_news_again() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    lift_role(&world, &club).await;
    for n in 0..30 {
        let fan = format!("fan{n}");
        let user = world.user(&fan);
        world.reports(&club, &fan, "vip", "active", 1).await;
        world.links(&fan, user).await.is(200);
    }
    world.settle().await;
    assert_eq!(world.get(&club.path()).await.ok()["fans"]["blocked"], 30);
    assert_eq!(told(&world, KIM).await, news(&[("role_above_bot", false)]));
    let notice = world.get(KIM).await.ok()["data"][0].clone();
    assert_eq!(
        (&notice["kind"], &notice["integration"]),
        (&json!("needs_attention"), &json!(club.integration))
    );
    assert_eq!(
        (&notice["reason"]["role"], &notice["read"]),
        (&json!(club.vip.to_string()), &json!(false))
    );

    let id = notice["id"].as_str().unwrap();
    let kim = world.key_of("creator:kim").await;
    let read = |key: &str, creator: &str| {
        let path = format!("/v1/creators/{creator}/notifications/{id}/read");
        world.request_as(key, Method::POST, &path).json(&json!({}))
    };
    world.send(read(&kim, "kim")).await.is(204);
    world.send(read(&kim, "kim")).await.is(204);
    let eve = world.key_of("creator:eve").await;
    world.send(read(&eve, "kim")).await.problem(404, "not_found");
    world.send(read(&eve, "eve")).await.problem(404, "not_found");
    world.start_again().await;
    assert_eq!(world.get(KIM).await.ok()["data"][0]["read"], true);

    lower_role(&world, &club).await;
    world.settle().await;
    assert_eq!(told(&world, KIM).await, news(&[("role_above_bot", true)]));
    world.clock.advance(TimeDelta::hours(1));
    lift_role(&world, &club).await;
    world.settle().await;
    assert_eq!(
        told(&world, KIM).await,
        news(&[("role_above_bot", false), ("role_above_bot", true)])
    );
    assert_eq!(world.get(KIM).await.ok()["data"][0]["read"], false);
    let first = world.get(&format!("{KIM}?limit=1")).await.ok();
    let next = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("{KIM}?limit=1&cursor={next}")).await.ok();
    assert_eq!((&second["data"][0]["id"], &second["next_cursor"]), (&json!(id), &Value::Null));
    world.prove().await;
}

#[tokio::test]
async fn every_cause_is_told_by_itself_and_resolved_by_itself() {
    let world = World::start().await;
    let club = world.club("kim").await;
    lift_role(&world, &club).await;
    let ada = world.user("ada");
    world.sandbox.with(|discord| discord.ban(club.guild, ada));
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.links("ada", ada).await.is(200);
    world.settle().await;
    let both = news(&[("banned", false), ("role_above_bot", false)]);
    assert_eq!(told(&world, KIM).await, both);
    lower_role(&world, &club).await;
    world.settle().await;
    assert_eq!(told(&world, KIM).await, news(&[("banned", false), ("role_above_bot", true)]));
    // What the creator decided by hand is no news to them.
    world.put(&format!("{}/revocations/ada", club.path()), json!({ "why": "spam" })).await.ok();
    world.settle().await;
    assert_eq!(told(&world, KIM).await, news(&[("banned", true), ("role_above_bot", true)]));
    assert_eq!(told(&world, ADA).await, []);
    world.prove().await;
}

#[tokio::test]
async fn a_fan_whose_link_broke_is_told_once_for_all_servers() {
    let world = World::start().await;
    let (kim, eve) = (world.club("kim").await, world.club("eve").await);
    let ada = world.user("ada");
    let buy = |club: &Club, tier: &str, version: u64| {
        let membership = format!("/v1/memberships/ada-{}-{tier}", club.creator);
        let body = json!({
            "fan": "ada", "creator": club.creator, "tier": tier, "status": "active", "version": version,
        });
        async move { (membership, body) }
    };
    world.links("ada", ada).await.is(200);
    world.sandbox.deauthorize(ada);
    for club in [&kim, &eve] {
        let (path, body) = buy(club, "vip", 1).await;
        world.put(&path, body).await.ok();
    }
    world.settle().await;
    for club in [&kim, &eve] {
        let stands = world.status(club, "ada").await;
        assert_eq!(stands, ("action_required".into(), Some("link_broken".into())));
    }
    assert_eq!(told(&world, ADA).await, news(&[("link_broken", false)]));
    let notice = world.get(ADA).await.ok()["data"][0].clone();
    assert_eq!(
        (&notice["kind"], &notice["integration"], &notice["tier"]),
        (&json!("action_required"), &Value::Null, &Value::Null)
    );
    let read = format!("{ADA}/{}/read", notice["id"].as_str().unwrap());
    world.post(&read, json!({})).await.is(204);
    assert_eq!(world.get(ADA).await.ok()["data"][0]["read"], true);
    assert_eq!(told(&world, KIM).await, [], "it is the fan's to mend");

    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(told(&world, ADA).await, news(&[("link_broken", true)]));
    assert_eq!(world.roles(&kim, ada), Some(vec![kim.vip]));
    world.prove().await;
}

#[tokio::test]
async fn offers_and_troubles_stand_in_one_list() {
    let world = World::start_listening().await;
    world.until("a gateway session", async |world| world.sandbox.gateway_sessions() > 0).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let other = world.integration("kim").await;
    let (guild, gold, _) = world.server(club.owner);
    world.connect(&other, club.owner, guild).await.is(200);
    let second = Club { integration: other, guild, gold, ..club.clone() };
    world.raise_bot(&second).await;
    world.attach(&second, "vip", &[gold]).await;
    world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
    world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
    assert_eq!(told(&world, ADA).await, news(&[("left_server", false), ("none", false)]));
    let first = world.get(&format!("{ADA}?limit=1")).await.ok();
    assert_eq!(first["data"][0]["integration"], json!(club.integration));
    let next = first["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("{ADA}?limit=1&cursor={next}")).await.ok();
    assert_eq!(
        (&rest["data"][0]["kind"], &rest["next_cursor"]),
        (&json!("integration_available"), &Value::Null)
    );
    world.prove().await;
}
