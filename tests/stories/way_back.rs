//! The way back from Discord, and what becomes of the tokens that came with it.

use std::time::Duration;

use chrono::TimeDelta;
use discord_sandbox::{Action, Choice, Fault, Scope};
use eventstore::tokens::DiscordToken;
use serde_json::json;

use crate::{
    bot_process::Process,
    support::{Browser, Club, World},
};

const TOKEN: &str = "/oauth2/token";

fn hiccups() -> [Action; 4] {
    [
        Action::RateLimit { scope: Scope::User, retry_after: 0.1 },
        Action::Error { status: 500 },
        Action::Error { status: 503 },
        Action::DropBefore,
    ]
}

impl World {
    /// The statuses that the token endpoint answered.
    fn token_calls(&self) -> Vec<u16> {
        let calls = self.sandbox.calls().into_iter().filter(|call| call.route == TOKEN);
        calls.map(|call| call.status).collect()
    }

    /// Lets the token that a fan's link came with run out by the Hub's clock.
    async fn token_runs_out(&self, fan: &str) -> DiscordToken {
        let fan = fan.parse().unwrap();
        let tokens = self.node().store().tokens();
        let held = tokens.get(&fan).await.unwrap().unwrap();
        let old = DiscordToken { expires_at: self.now() - TimeDelta::minutes(1), ..held };
        tokens.put(&fan, &old).await.unwrap();
        old
    }
}

/// Where a page leads to Discord.
fn way_to_discord(page: &str) -> String {
    let link = page.split("href=\"").find(|rest| rest.contains("/oauth2/authorize"));
    let link = link.unwrap_or_else(|| panic!("nothing leads to Discord: {page}"));
    link[..link.find('"').unwrap()].replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn one_of_a_fan_s_commands_renews_the_token_and_the_others_use_what_it_got() {
    let world = World::start().await;
    let mut clubs: Vec<Club> = vec![];
    for creator in ["kim", "eve", "lee"] {
        clubs.push(world.club(creator).await);
    }
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    world.token_runs_out("ada").await;
    world.sandbox.forget_calls();
    // Long enough that all of them would ask before the first is answered.
    world.sandbox.fault(Fault::once("POST", TOKEN, Action::Delay { ms: 100 }));
    for club in &clubs {
        let body = json!({ "fan": "ada", "creator": club.creator, "tier": "vip", "status": "active", "version": 1 });
        world.put(&format!("/v1/memberships/ada-{}", club.creator), body).await.ok();
    }
    world.settle().await;
    for club in &clubs {
        assert_eq!(world.roles(club, ada), Some(vec![club.vip]), "{}", club.creator);
    }
    assert_eq!(world.token_calls(), [200]);
    assert!(!world.events().await.contains(&"LinkBroken".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn a_fan_who_connects_anew_while_the_old_token_is_renewed_keeps_the_new_one() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    world.token_runs_out("ada").await;
    world.sandbox.fault(Fault::once("POST", TOKEN, Action::Delay { ms: 300 }));
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.until_called(TOKEN).await;
    world.sandbox.deauthorize(ada);
    world.links("ada", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    world.prove().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_while_it_lives_and_asks_for_another_after() {
    for (left, status) in [(2, "connected"), (-2, "action_required")] {
        let world = World::start().await;
        let club = world.club("kim").await;
        let ada = world.user("ada");
        world.links("ada", ada).await.is(200);
        let held = world.token_runs_out("ada").await;
        let expires_at = world.now() + TimeDelta::minutes(left);
        let short = DiscordToken { refresh: None, expires_at, ..held };
        world.node().store().tokens().put(&"ada".parse().unwrap(), &short).await.unwrap();
        world.reports(&club, "ada", "vip", "active", 1).await;
        world.settle().await;
        assert_eq!(world.status(&club, "ada").await.0, status, "{left} minutes left");
        world.prove().await;
    }
}

/// A fan whose token Discord takes no more, although it has time left and can be renewed.
async fn with_a_dead_token(world: &World, fan: &str) -> u64 {
    let user = world.user(fan);
    world.links(fan, user).await.is(200);
    let (tokens, fan) = (world.node().store().tokens(), fan.parse().unwrap());
    let held = tokens.get(&fan).await.unwrap().unwrap();
    tokens.put(&fan, &DiscordToken { access: "dead".into(), ..held }).await.unwrap();
    user
}

#[tokio::test]
async fn a_token_that_dies_before_its_time_is_renewed_once_and_the_fan_gets_in() {
    for remote in [false, true] {
        let world = if remote { World::start_without_bot().await } else { World::start().await };
        let process = if remote { Some(Process::start(&world, "one", 1, 1).await) } else { None };
        let clubs = [world.club("kim").await, world.club("eve").await];
        let ada = with_a_dead_token(&world, "ada").await;
        world.sandbox.forget_calls();
        for club in &clubs {
            let body = json!({ "fan": "ada", "creator": club.creator, "tier": "vip", "status": "active", "version": 1 });
            world.put(&format!("/v1/memberships/ada-{}", club.creator), body).await.ok();
        }
        world.settle().await;
        for club in &clubs {
            assert_eq!(world.roles(club, ada), Some(vec![club.vip]), "{}", club.creator);
        }
        assert_eq!(world.token_calls(), [200]);
        assert!(!world.events().await.contains(&"LinkBroken".to_owned()));
        if let Some(process) = process {
            process.stop().await;
        }
        world.prove().await;
    }
}

#[tokio::test]
async fn a_token_that_dies_and_cannot_be_renewed_breaks_the_link_once() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = with_a_dead_token(&world, "ada").await;
    world.sandbox.deauthorize(ada);
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.settle().await;
    let broken = ("action_required".to_owned(), Some("link_broken".to_owned()));
    assert_eq!(world.status(&club, "ada").await, broken);
    // And one that Discord renews and then refuses.
    let ben = with_a_dead_token(&world, "ben").await;
    let no =
        Action::Refuse { status: 403, code: 50025, message: "Invalid OAuth2 access token".into() };
    let of_ben = format!("/guilds/{}/members/{ben}", club.guild);
    world.sandbox.fault(Fault::always("PUT", &of_ben, no));
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ben").await, broken);
    assert_eq!(world.calls_to("PUT", &of_ben), 2);
    let events = world.events().await;
    assert_eq!(events.iter().filter(|kind| *kind == "LinkBroken").count(), 2, "{events:?}");
    world.sandbox.clear_faults();
    for (fan, user) in [("ada", ada), ("ben", ben)] {
        world.links(fan, user).await.is(200);
        world.settle().await;
        assert_eq!(world.roles(&club, user), Some(vec![club.vip]), "{fan}");
    }
    world.prove().await;
}

#[tokio::test]
async fn who_joins_by_themselves_while_a_dead_token_is_renewed_is_not_the_hub_s_to_remove() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = with_a_dead_token(&world, "ada").await;
    world.sandbox.fault(Fault::once("POST", TOKEN, Action::Delay { ms: 200 }));
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.until_called(TOKEN).await;
    world.sandbox.with(|discord| discord.add_member(club.guild, ada));
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    world.prove().await;
}

#[tokio::test]
async fn while_a_dead_token_cannot_be_renewed_nothing_is_concluded() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = with_a_dead_token(&world, "ada").await;
    world
        .sandbox
        .fault(Fault { times: 2, ..Fault::once("POST", TOKEN, Action::Error { status: 503 }) });
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    assert!(!world.events().await.contains(&"LinkBroken".to_owned()));
    world.prove().await;
}

#[tokio::test]
async fn whose_renewal_was_answered_in_vain_is_asked_to_connect_again_and_told_why() {
    for (lost, code) in [
        (Action::DropAfter, "renewal_lost"),
        (Action::ErrorAfterEffect { status: 502 }, "renewal_lost"),
        // This one was answered: nothing was lost, and the fan has taken the permission back.
        (Action::RateLimit { scope: Scope::User, retry_after: 0.1 }, "link_broken"),
    ] {
        let world = World::start().await;
        let club = world.club("kim").await;
        let ada = world.user("ada");
        world.links("ada", ada).await.is(200);
        world.token_runs_out("ada").await;
        if code == "link_broken" {
            world.sandbox.deauthorize(ada);
        }
        world.sandbox.fault(Fault::once("POST", TOKEN, lost.clone()));
        world.reports(&club, "ada", "vip", "active", 1).await;
        world.settle().await;
        let told = ("action_required".to_owned(), Some(code.to_owned()));
        assert_eq!(world.status(&club, "ada").await, told, "{lost:?}");
        let link = world.get("/v1/fans/ada/link").await.ok();
        assert_eq!(link["discord"]["reason"]["code"], code);
        world.links("ada", ada).await.is(200);
        world.settle().await;
        assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
        // What was lost once is no excuse for what happens later.
        world.token_runs_out("ada").await;
        world.sandbox.deauthorize(ada);
        world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
        world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
        world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
        world.restores(&club, "ada").await;
        world.comes_to(&club, "ada", "action_required", Some("link_broken")).await;
        world.prove().await;
    }
}

#[tokio::test]
async fn who_comes_back_in_vain_is_led_to_where_a_new_attempt_starts() {
    let world = World::start().await;
    let (ada, kim) = (world.user("ada"), world.user("kim"));
    let (guild, ..) = world.server(kim);
    let id = world.integration("kim").await;
    let fan = Choice { user: ada, ..Choice::default() };
    let creator = Choice { user: kim, guild: Some(guild), ..Choice::default() };
    let deny = |choice: &Choice| Choice { deny: true, ..choice.clone() };
    let busy = || {
        let long = Action::RateLimit { scope: Scope::User, retry_after: 3600.0 };
        world.sandbox.fault(Fault::once("POST", TOKEN, long));
    };
    let mut browser = Browser::new(&world);
    for (path, choice) in
        [("/v1/fans/ada/link".to_owned(), fan), (format!("/v1/integrations/{id}/connect"), creator)]
    {
        let asked = world.post(&path, json!({})).await.ok();
        let back = |url: &str, choice| world.sandbox.consent(url, choice).unwrap();
        busy();
        let used = back(asked["authorize_url"].as_str().unwrap(), &choice);
        let page = browser.get(&used).await.is(503).has("Discord has too much to do");
        assert!(!page.html.contains("oauth/discord/callback?"), "{}", page.html);
        browser.get(&used).await.is(400).has("This way back from Discord cannot be used");
        let denied = back(&way_to_discord(&page.html), &deny(&choice));
        let page = browser.get(&denied).await.is(400).has("Discord was not allowed to connect");
        // A program is told the same.
        busy();
        let used = json!({ "authorize_url": way_to_discord(&page.html) });
        let problem = world.authorize(used, &choice).await.problem(503, "discord_unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("start again"), "{problem}");
        let again = json!({ "authorize_url": problem["again"] });
        world.authorize(again, &choice).await.is(200);
    }
    assert_eq!(world.get(&format!("/v1/integrations/{id}")).await.ok()["status"], "connected");
    world.settle().await;
    let link = world.get("/v1/fans/ada/link").await.ok();
    assert_eq!(link["discord"]["id"], ada.to_string());
}

#[tokio::test]
async fn a_hiccup_of_discord_on_the_way_back_is_waited_out() {
    for route in [TOKEN, "/users/@me"] {
        for hiccup in hiccups() {
            let world = World::start().await;
            world.sandbox.fault(Fault { times: 2, ..Fault::once("*", route, hiccup.clone()) });
            let ada = world.user("ada");
            world.links("ada", ada).await.is(200);
            let link = world.get("/v1/fans/ada/link").await.ok();
            assert_eq!(link["discord"]["id"], ada.to_string(), "{route} {hiccup:?}");
        }
    }
}

#[tokio::test]
async fn what_discord_says_on_the_way_back_is_told_as_what_it_is() {
    let long = Action::RateLimit { scope: Scope::User, retry_after: 3600.0 };
    let world = World::start().await;
    let ada = world.user("ada");
    world.sandbox.fault(Fault::once("POST", TOKEN, long));
    let began = std::time::Instant::now();
    let limited = world.links("ada", ada).await;
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits an hour");
    assert_eq!(limited.header("retry-after"), Some("3601"));
    let problem = limited.problem(503, "discord_unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("3600 s"), "{problem}");
    // The same link brings nobody in twice; a new one does.
    world.links("ada", ada).await.is(200);
}

#[tokio::test]
async fn who_does_not_allow_to_be_added_to_servers_is_offered_to_connect_again() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.reports(&club, "ada", "vip", "active", 1).await;
    let asked = world.post("/v1/fans/ada/link", json!({})).await.ok();
    let less = Choice { user: ada, scopes: Some(vec!["identify".into()]), ..Choice::default() };
    let back = world.sandbox.consent(asked["authorize_url"].as_str().unwrap(), &less).unwrap();
    let mut browser = Browser::new(&world);
    let page = browser.get(&back).await.is(400).has("One permission is missing");
    let again = way_to_discord(&page.html);
    world.settle().await;
    assert_eq!(
        world.status(&club, "ada").await,
        ("action_required".into(), Some("missing_scope".into()))
    );
    // Nobody tries in vain to bring her in; once she has come by herself, she is given her role all the same.
    let joins = |world: &World| {
        let calls = world.sandbox.calls();
        calls.iter().filter(|call| call.method == "PUT" && call.status == 403).count()
    };
    assert_eq!(joins(&world), 0);
    let cyd = world.user("cyd");
    world.sandbox.with(|discord| discord.add_member(club.guild, cyd));
    world.reports(&club, "cyd", "vip", "active", 1).await;
    let asked = world.post("/v1/fans/cyd/link", json!({})).await.ok();
    let back = world
        .sandbox
        .consent(asked["authorize_url"].as_str().unwrap(), &Choice { user: cyd, ..less.clone() })
        .unwrap();
    Browser::new(&world).get(&back).await;
    world.settle().await;
    assert_eq!(world.roles(&club, cyd), Some(vec![club.vip]));
    assert_eq!(world.status(&club, "cyd").await, ("connected".into(), None));

    let all = Choice { user: ada, ..Choice::default() };
    let back = world.sandbox.consent(&again, &all).unwrap();
    browser.get(&back).await.is(200).has("Discord is connected");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));

    // A platform that is told where to go on hears it in the address.
    let body = json!({ "return_url": "https://platform.example/me" });
    let asked = world.post("/v1/fans/ben/link", body).await.ok();
    let less = Choice { user: world.user("ben"), ..less };
    let went = world.authorize(asked, &less).await.is(303);
    let url = went.header("location").unwrap();
    assert_eq!(url, "https://platform.example/me?status=failed&error=missing_scope");
    world.prove().await;
}
