//! Joining, roles, order, and what Discord refuses with which code.

use reqwest::Method;
use serde_json::{Value, json};

use crate::place::Place;

#[tokio::test]
async fn a_join_is_201_once_and_204_after() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let first = place.join(ada).await;
    assert_eq!((first.status, first.body["user"]["username"].as_str()), (201, Some("ada")));
    let again = place.join(ada).await;
    assert_eq!((again.status, again.body), (204, Value::Null));
}

#[tokio::test]
async fn a_join_is_refused_for_the_reason_that_discord_names() {
    let place = Place::new().await;
    let (ada, ben) = (place.user("ada"), place.user("ben"));
    let token = place.access(ada).await;
    let other = place.bot(Method::PUT, &place.members(ben), json!({ "access_token": token })).await;
    assert_eq!(other.short(), (403, Some(50025)));
    let none = place.bot(Method::PUT, &place.members(ada), json!({ "access_token": "x" })).await;
    assert_eq!(none.short(), (403, Some(50025)));

    place.sandbox.with(|world| world.ban(place.guild, ada));
    assert_eq!(place.join(ada).await.short(), (403, Some(40007)));
    place.sandbox.with(|world| {
        world.unban(place.guild, ada);
        world.users.get_mut(&ada).unwrap().at_guild_limit = true;
    });
    assert_eq!(place.join(ada).await.short(), (400, Some(30001)));
    place.sandbox.with(|world| {
        world.users.get_mut(&ada).unwrap().at_guild_limit = false;
        world.guilds.get_mut(&place.guild).unwrap().member_limit = Some(1);
    });
    assert_eq!(place.join(ada).await.short(), (400, Some(30019)));
}

#[tokio::test]
async fn who_joins_a_server_with_rules_is_pending_until_they_accept() {
    let place = Place::new().await;
    place.sandbox.with(|world| world.guilds.get_mut(&place.guild).unwrap().screening = true);
    let ada = place.user("ada");
    assert_eq!(place.join(ada).await.body["pending"], true);
    place.sandbox.with(|world| world.accept_rules(place.guild, ada));
    let seen = place.bot(Method::GET, &place.members(ada), Value::Null).await;
    assert_eq!(seen.body["pending"], false);
}

#[tokio::test]
async fn roles_are_given_below_the_bot_only() {
    let place = Place::new().await;
    let ada = place.member("ada");
    let role = |role: u64| format!("{}/roles/{role}", place.members(ada));
    let bot = place.sandbox.with(|world| world.bot_role(place.guild).unwrap());
    let give = async |id: u64| place.bot(Method::PUT, &role(id), Value::Null).await.short();
    assert_eq!(give(place.low).await, (204, None));
    assert_eq!(give(place.low).await, (204, None), "what is held already is fine");
    assert_eq!(give(place.high).await, (403, Some(50013)));
    assert_eq!(give(bot).await, (403, Some(50013)), "a managed role");
    assert_eq!(give(place.guild).await, (404, Some(10011)), "@everyone");
    assert_eq!(give(1).await, (404, Some(10011)));
    let take = async |id: u64| place.bot(Method::DELETE, &role(id), Value::Null).await.short();
    assert_eq!(take(place.low).await, (204, None));
    assert_eq!(take(place.low).await, (204, None), "what is not held is fine");
    let stranger = place.user("stranger");
    let path = format!("{}/roles/{}", place.members(stranger), place.low);
    assert_eq!(place.bot(Method::PUT, &path, Value::Null).await.short(), (404, Some(10007)));
}

#[tokio::test]
async fn of_two_roles_at_one_position_the_lower_id_ranks_higher() {
    let place = Place::new().await;
    let ada = place.member("ada");
    let (bot, younger) = place.sandbox.with(|world| {
        let bot = world.bot_role(place.guild).unwrap();
        let new =
            discord_sandbox::NewRole { name: "tied".into(), position: 1, ..Default::default() };
        let younger = world.add_role(place.guild, new).unwrap();
        for role in [bot, younger] {
            world.edit_role(place.guild, role, |role| role.position = 7);
        }
        (bot, younger)
    });
    assert!(bot < younger);
    let give = |role: u64| format!("{}/roles/{role}", place.members(ada));
    assert_eq!(place.bot(Method::PUT, &give(younger), Value::Null).await.status, 204);
    place.sandbox.with(|world| world.edit_role(place.guild, place.low, |role| role.position = 7));
    let low_is_older = place.low < bot;
    let tied = place.bot(Method::PUT, &give(place.low), Value::Null).await.status;
    assert_eq!(tied, if low_is_older { 403 } else { 204 });
}

#[tokio::test]
async fn a_missing_permission_is_50013_and_a_missing_bot_is_50001_or_10004() {
    let place = Place::new().await;
    let ada = place.member("ada");
    let bot = place.sandbox.with(|world| world.bot_role(place.guild).unwrap());
    place.sandbox.with(|world| world.edit_role(place.guild, bot, |role| role.permissions = 1));
    let give = format!("{}/roles/{}", place.members(ada), place.low);
    assert_eq!(place.bot(Method::PUT, &give, Value::Null).await.short(), (403, Some(50013)));
    assert_eq!(
        place.bot(Method::DELETE, &place.members(ada), Value::Null).await.short(),
        (403, Some(50013))
    );
    let user = place.sandbox.application().bot_user;
    place.sandbox.with(|world| world.remove_member(place.guild, user));
    assert_eq!(place.bot(Method::PUT, &give, Value::Null).await.short(), (403, Some(50001)));
    let guild = format!("/guilds/{}", place.guild);
    assert_eq!(place.bot(Method::GET, &guild, Value::Null).await.short(), (404, Some(10004)));
}

#[tokio::test]
async fn the_owner_and_whoever_stands_above_cannot_be_removed() {
    let place = Place::new().await;
    let (ada, staff) = (place.member("ada"), place.member("staff"));
    place.sandbox.with(|world| world.set_role(place.guild, staff, place.high, true));
    let kick = async |user: u64| {
        place.bot(Method::DELETE, &place.members(user), Value::Null).await.short()
    };
    assert_eq!(kick(place.owner).await, (403, Some(50013)));
    assert_eq!(kick(staff).await, (403, Some(50013)));
    assert_eq!(kick(ada).await, (204, None));
    assert_eq!(kick(ada).await, (404, Some(10007)));
    // Giving a low role to somebody high is allowed: only the role's order counts.
    let give = format!("{}/roles/{}", place.members(staff), place.low);
    assert_eq!(place.bot(Method::PUT, &give, Value::Null).await.status, 204);
}

#[tokio::test]
async fn a_dead_token_and_a_nameless_client_are_refused() {
    let place = Place::new().await;
    assert_eq!(place.call(Method::GET, "/users/@me", "Bot x", Value::Null).await.status, 401);
    place.sandbox.set_bot_token_alive(false);
    assert_eq!(place.bot(Method::GET, "/users/@me", Value::Null).await.status, 401);
    place.sandbox.set_bot_token_alive(true);
    assert_eq!(place.bot(Method::GET, "/users/@me", Value::Null).await.status, 200);
    let url = format!("{}/api/v10/users/@me", place.sandbox.base_url());
    let token = format!("Bot {}", place.sandbox.application().bot_token);
    let request = place.http.get(url).header("authorization", token).header("user-agent", "curl/8");
    assert_eq!(request.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn the_reason_of_a_call_stands_in_the_audit_log() {
    let place = Place::new().await;
    let ada = place.member("ada");
    let url =
        format!("{}/api/v10{}/roles/{}", place.sandbox.base_url(), place.members(ada), place.low);
    let token = format!("Bot {}", place.sandbox.application().bot_token);
    let request = place
        .http
        .put(url)
        .header("authorization", token)
        .header("x-audit-log-reason", "f%C3%BCr%20Ada");
    assert_eq!(request.send().await.unwrap().status(), 204);
    let reason = place
        .sandbox
        .with(|world| world.guild(place.guild).unwrap().audit_log.last().unwrap().reason.clone());
    assert_eq!(reason.as_deref(), Some("für Ada"));
}
