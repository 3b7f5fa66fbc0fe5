//! What people do by the forms of the pages.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::Value;

use super::between;
use crate::place::Place;

#[tokio::test]
async fn a_role_moves_by_steps_and_by_being_put_above_another() {
    let place = Place::new().await;
    let bot = place.sandbox.with(|world| world.bot_role(place.guild)).unwrap();
    assert_eq!(place.order().await, ["high", "hub-bot", "low", "@everyone"]);
    place.send_in_club(&format!("/roles/{bot}/move"), &[("direction", "up")]).await;
    assert_eq!(place.order().await, ["hub-bot", "high", "low", "@everyone"]);
    assert_eq!([place.low, place.high, bot].map(|role| place.position(role)), [1, 2, 3]);
    // There is nothing above, and nothing below but @everyone.
    place.send_in_club(&format!("/roles/{bot}/move"), &[("direction", "up")]).await;
    place.send_in_club(&format!("/roles/{}/move", place.low), &[("direction", "down")]).await;
    assert_eq!(place.order().await, ["hub-bot", "high", "low", "@everyone"]);
    let low = place.low.to_string();
    place.send_in_club(&format!("/roles/{bot}/move"), &[("above", &low)]).await;
    assert_eq!(place.order().await, ["high", "hub-bot", "low", "@everyone"]);
    let everyone = place.guild.to_string();
    place.send_in_club(&format!("/roles/{}/move", place.high), &[("above", &everyone)]).await;
    assert_eq!(place.order().await, ["hub-bot", "low", "high", "@everyone"]);
    let page = place.club().await;
    assert!(page.contains("can give the roles below"), "{page}");
    // @everyone stays where it is.
    place.send_in_club(&format!("/roles/{everyone}/move"), &[("direction", "up")]).await;
    assert_eq!(place.order().await.last().unwrap(), "@everyone");
}

#[tokio::test]
async fn roles_are_made_changed_and_deleted() {
    let place = Place::new().await;
    place.send_in_club("/roles", &[("name", " Gold "), ("colour", "#d4a017")]).await;
    assert_eq!(place.order().await, ["high", "hub-bot", "low", "Gold", "@everyone"]);
    let gold = place.sandbox.with(|world| {
        let roles = &world.guild(place.guild).unwrap().roles;
        roles.values().find(|role| role.name == "Gold").unwrap().clone()
    });
    assert_eq!(gold.color, 0x00d4_a017);
    let edit = [("name", "Silver"), ("colour", "#a0a0b0"), ("permission-268435456", "on")];
    let shown = place.send_in_club(&format!("/roles/{}/edit", gold.id), &edit).await;
    let page = place.page(&shown).await;
    assert!(page.contains("name=\"permission-268435456\" checked"), "{page}");
    assert!(!page.contains("name=\"permission-2\" checked"), "{page}");
    place.send_in_club(&format!("/roles/{}/delete", gold.id), &[]).await;
    assert_eq!(place.order().await, ["high", "hub-bot", "low", "@everyone"]);

    let roles = format!("/servers/{}/roles", place.guild);
    let (status, page) = place.refused(&roles, &[("name", "  ")]).await;
    assert!(status == 422 && page.contains("A name is needed"), "{page}");
    let (status, _) = place.refused(&roles, &[("name", &"x".repeat(101))]).await;
    assert_eq!(status, 422);
    let bot = place.sandbox.with(|world| world.bot_role(place.guild)).unwrap();
    let (status, page) = place.refused(&format!("{roles}/{bot}/delete"), &[]).await;
    assert!(status == 422 && page.contains("belongs to an app"), "{page}");
}

#[tokio::test]
async fn members_are_let_in_given_roles_removed_and_banned() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let id = ada.to_string();
    place.send_in_club("/join", &[("user", &id)]).await;
    let low = place.low.to_string();
    let shown = place.send_in_club(&format!("/members/{ada}/give"), &[("role", &low)]).await;
    assert!(place.sandbox.with(|world| world.has_role(place.guild, ada, place.low)));
    assert!(place.page(&shown).await.contains("Take \u{2068}low"));
    place.send_in_club(&format!("/members/{ada}/take"), &[("role", &low)]).await;
    assert!(!place.sandbox.with(|world| world.has_role(place.guild, ada, place.low)));

    place.send_in_club(&format!("/members/{ada}/kick"), &[]).await;
    assert!(place.sandbox.with(|world| world.member(place.guild, ada).is_none()));
    place.send_in_club(&format!("/members/{ada}/ban"), &[]).await;
    let joining = format!("/servers/{}/join", place.guild);
    let (status, page) = place.refused(&joining, &[("user", &id)]).await;
    assert!(status == 422 && page.contains("Lift the ban first"), "{page}");
    place.send_in_club(&format!("/bans/{ada}/lift"), &[]).await;
    place.send_in_club("/join", &[("user", &id)]).await;

    let page = place.club().await;
    for said in
        ["joined the server", "was given", "lost", "was removed", "was banned", "no longer banned"]
    {
        assert!(page.contains(said), "{said}");
    }
    let owner = format!("/servers/{}/members/{}/kick", place.guild, place.owner);
    assert_eq!(place.refused(&owner, &[]).await.0, 422);
    let bot = place.sandbox.with(|world| world.bot_role(place.guild)).unwrap().to_string();
    let managed = format!("/servers/{}/members/{ada}/give", place.guild);
    assert_eq!(place.refused(&managed, &[("role", &bot)]).await.0, 404);
}

#[tokio::test]
async fn servers_are_made_and_set_with_the_bot_and_without() {
    let place = Place::new().await;
    let owner = place.owner.to_string();
    let made = place.send("/servers", &[("name", "New"), ("owner", &owner)]).await;
    assert!(place.page(&made).await.contains("Add the bot"));
    place.send(&format!("{made}/bot/add"), &[]).await;
    assert!(place.page(&made).await.contains("Remove the bot"));
    place.send(&format!("{made}/bot/remove"), &[]).await;
    let page = place.page(&made).await;
    assert!(
        page.contains("Add the bot") && page.contains("Roles — 1"),
        "its role goes with it: {page}"
    );

    place.send_in_club("/outage", &[("begins", "true")]).await;
    assert!(place.sandbox.with(|world| world.guild(place.guild).unwrap().unavailable));
    place.send_in_club("/outage", &[("begins", "false")]).await;
    assert!(place.club().await.contains("The outage is over."));
    let edit = [("name", "Club 2"), ("screening", "on"), ("member_limit", "7")];
    place.send_in_club("/edit", &edit).await;
    let set = place.sandbox.with(|world| {
        let guild = world.guild(place.guild).unwrap();
        (guild.name.clone(), guild.screening, guild.mfa_level, guild.member_limit)
    });
    assert_eq!(set, ("Club 2".to_owned(), true, 0, Some(7)));
    let ada = place.member("ada");
    assert!(place.club().await.contains("has not accepted the rules"));
    place.send_in_club(&format!("/members/{ada}/accept"), &[]).await;
    assert!(!place.club().await.contains("has not accepted the rules"));
    assert_eq!(place.refused("/servers/1/bot/add", &[]).await.0, 404);
}

#[tokio::test]
async fn people_are_made_limited_and_deleted() {
    let place = Place::new().await;
    place.send("/people", &[("name", "ada")]).await;
    let ada = place
        .sandbox
        .with(|world| world.users.values().find(|user| user.username == "ada").unwrap().id);
    place.send(&format!("/people/{ada}/limit"), &[("reached", "true")]).await;
    assert_eq!(place.join(ada).await.short(), (400, Some(30_001)));
    place.send(&format!("/people/{ada}/limit"), &[("reached", "false")]).await;
    let token = place.access(ada).await;
    place.send(&format!("/people/{ada}/deauthorize"), &[]).await;
    let me = place.call(Method::GET, "/users/@me", &format!("Bearer {token}"), Value::Null).await;
    assert_eq!(me.status, 401);
    place.send(&format!("/people/{ada}/delete"), &[]).await;
    assert!(!place.page("/people").await.contains("ada"));
    assert_eq!(place.refused(&format!("/people/{}/delete", place.owner), &[]).await.0, 422);
}

#[tokio::test]
async fn a_fault_is_armed_strikes_and_is_disarmed() {
    let place = Place::new().await;
    let ada = place.member("ada");
    let role = format!("{}/roles/{}", place.members(ada), place.low);
    let guild = place.guild.to_string();
    let back = place.send("/faults/preset", &[("preset", "0"), ("server", &guild)]).await;
    assert_eq!(back, format!("/servers/{guild}"));
    assert!(
        place.club().await.contains("is refused with 403: 50013 Missing Permissions, 2 times.")
    );
    for _ in 0..2 {
        let refused = place.bot(Method::PUT, &role, Value::Null).await;
        assert_eq!(refused.short(), (403, Some(50_013)));
    }
    assert!(!place.club().await.contains("Disarm"), "it is used up");

    for (action, status) in [
        ("refuse", 403),
        ("error", 503),
        ("error_after_effect", 502),
        ("lost_update", 204),
        ("limit_user", 429),
        ("limit_global", 429),
        ("limit_shared", 429),
        ("cloudflare", 429),
    ] {
        let form =
            [("calls", "0"), ("action", action), ("code", "40007"), ("times", "1"), ("after", "")];
        place.send("/faults", &form).await;
        assert_eq!(place.bot(Method::PUT, &role, Value::Null).await.status, status, "{action}");
    }
    let form = [
        ("calls", "other"),
        ("method", "get"),
        ("path", "/users/@me"),
        ("action", "error"),
        ("status", "500"),
        ("times", ""),
    ];
    place.send("/faults", &form).await;
    let page = place.page("/faults").await;
    assert!(page.contains("get /users/@me</b> fails with 500, every time."), "{page}");
    assert_eq!(place.bot(Method::GET, "/users/@me", Value::Null).await.status, 500);
    let number = between(&page, "action=\"/faults/", "/disarm").to_owned();
    place.send(&format!("/faults/{number}/disarm"), &[]).await;
    assert_eq!(place.bot(Method::GET, "/users/@me", Value::Null).await.status, 200);

    for odd in [("status", "200"), ("times", "-1"), ("action", "explode"), ("calls", "99")] {
        let form = HashMap::from([("calls", "0"), ("action", "error"), ("times", "1"), odd]);
        let form: Vec<_> = form.into_iter().collect();
        assert!((400..500).contains(&place.refused("/faults", &form).await.0), "{odd:?}");
    }
    place.send("/faults/token", &[("alive", "false")]).await;
    assert_eq!(place.bot(Method::GET, "/users/@me", Value::Null).await.status, 401);
    assert!(place.club().await.contains("token is dead"));
}
