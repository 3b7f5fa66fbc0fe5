//! The pages: whole without scripts, safe with any name, moved by forms, and told of every change.

mod by_hand;

use std::collections::HashMap;

use discord_sandbox::{Action, Config, Fault, NewGuild, NewRole, Sandbox};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use crate::place::{INSTALL, Place};

impl Place {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.http.get(self.at(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        answer.text().await.unwrap()
    }

    /// The server's page.
    async fn club(&self) -> String {
        self.page(&format!("/servers/{}", self.guild)).await
    }

    async fn sent(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.http.post(self.at(path)).form(form).send().await.unwrap()
    }

    /// Sends a form; answers where it leads.
    async fn send(&self, path: &str, form: &[(&str, &str)]) -> String {
        let answer = self.sent(path, form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path} {form:?}");
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    async fn send_in_club(&self, path: &str, form: &[(&str, &str)]) -> String {
        self.send(&format!("/servers/{}{path}", self.guild), form).await
    }

    async fn refused(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let answer = self.sent(path, form).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The names of the roles, highest first, as the page lists them.
    async fn order(&self) -> Vec<String> {
        let page = self.club().await;
        let list = between(&page, "<ol class=\"roles\"", "</ol>");
        list.split("aria-hidden=\"true\"></span><bdi>")
            .skip(1)
            .map(|rest| rest.split("</bdi>").next().unwrap().to_owned())
            .collect()
    }

    fn position(&self, role: u64) -> i64 {
        self.sandbox.with(|world| world.guild(self.guild).unwrap().roles[&role].position)
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("{from} is missing")).1;
    rest.split_once(to).unwrap().0
}

const PAGES: [&str; 3] = ["/people", "/calls", "/faults"];

#[tokio::test]
async fn every_page_shows_an_empty_world_and_offers_to_fill_it() {
    let sandbox = Sandbox::start(Config::default()).await.unwrap();
    let place = Place::of(sandbox);
    let root = place.http.get(place.at("/")).send().await.unwrap();
    assert_eq!(root.headers()["location"], "/people");
    for path in PAGES {
        assert_eq!(place.page(path).await.matches("<h1").count(), 1, "{path}");
    }
    assert!(place.page("/people").await.contains("Fill it with an example"));
    let club = place.send("/people/example", &[]).await;
    let page = place.page(&club).await;
    assert!(page.contains("@everyone") && page.contains("Gold") && page.contains("kim"), "{page}");
    assert_eq!(place.http.get(place.at("/")).send().await.unwrap().headers()["location"], *club);
}

#[tokio::test]
async fn every_page_shows_a_full_world_with_hostile_names() {
    let place = Place::new().await;
    let long = "W".repeat(128);
    let names = [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "\u{202e}live",
        "🎉",
        &long,
    ];
    place.sandbox.with(|world| {
        for name in names {
            let user = world.add_user(None, name);
            world.add_member(place.guild, user);
            let new = NewRole {
                name: name.into(),
                position: 3,
                color: 0x00d4_a017,
                ..NewRole::default()
            };
            let role = world.add_role(place.guild, new).unwrap();
            world.set_role(place.guild, user, role, true);
            let banned = world.add_user(None, name);
            world.ban(place.guild, banned);
            world.add_user(None, name);
            world.add_guild(NewGuild { name: name.into(), owner: user, ..NewGuild::default() });
        }
        for number in 0..2_000 {
            let user = world.add_user(None, &format!("fan {number}"));
            world.add_member(place.guild, user);
        }
    });
    let hostile = place
        .sandbox
        .with(|world| *world.users.iter().find(|(_, user)| user.username == names[0]).unwrap().0);
    let member = place.members(hostile);
    place.bot(Method::GET, &member, Value::Null).await;
    place.sandbox.fault(Fault::always("GET", names[0], Action::DropBefore));
    let club = format!("/servers/{}", place.guild);
    let looked = format!("{club}?member={hostile}");
    let found = format!("{club}?find=%3Cscript%3E");
    let consent =
        place.authorize_url(&format!("&scope=bot&permissions={INSTALL}&state=%22%3E%3Cscript%3E"));
    let consent = consent.strip_prefix(&place.sandbox.base_url()).unwrap().to_owned();
    for path in PAGES.into_iter().chain([club.as_str(), &looked, &found, &consent]) {
        let page = place.page(path).await;
        for tag in ["<script>", "<img"] {
            assert!(!page.contains(tag), "{tag} in {path}");
        }
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        assert!(page.len() < 110_000, "{path} weighs {}", page.len());
    }
    let page = place.club().await;
    assert!(page.contains("<bdi class=\"name tinted c-d4a017\">&#60;script&#62;"), "{page}");
    assert!(page.contains("more: find them by name"));
    let tints = place.page("/assets/tints.css?d4a017.zzzzzz").await;
    assert!(tints.starts_with(".c-d4a017{--dot:#d4a017;"), "{tints}");
}

#[tokio::test]
async fn every_call_is_listed_with_whose_token_it_carried() {
    let place = Place::new().await;
    let ada = place.member("ada");
    place.bot(Method::GET, &place.members(ada), Value::Null).await;
    place.bot(Method::GET, &place.members(7), Value::Null).await;
    let bearer = format!("Bearer {}", place.access(ada).await);
    place.call(Method::GET, "/users/@me", &bearer, Value::Null).await;
    let page = place.page("/calls").await;
    for shown in
        ["bot token", "bearer token", "OAuth", "/oauth2/token", "@ada</bdi>", "10013 Unknown User"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    let refused = place.page("/calls?only=refused").await;
    assert!(refused.contains("10013 Unknown User") && !refused.contains("OAuth"), "{refused}");
    assert_eq!(place.send("/calls/forget", &[]).await, "/calls");
    assert!(place.page("/calls").await.contains("Nobody has called yet."));
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let place = Place::new().await;
    let post = |name: &'static str, value: String| {
        let form = [("name", "eve")];
        place.http.post(place.at("/people")).header(name, value).form(&form).send()
    };
    for (name, value) in [
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
        ("origin", "http://evil.example".to_owned()),
        ("origin", "null".to_owned()),
    ] {
        let answer = post(name, value).await.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(answer.headers().contains_key("content-security-policy"));
        assert!(answer.text().await.unwrap().contains("another site"));
    }
    let consent = place.authorize_url("&scope=identify&state=s");
    let form = [("user", place.owner.to_string()), ("answer", "allow".to_owned())];
    let crossed =
        place.http.post(consent).header("sec-fetch-site", "cross-site").form(&form).send().await;
    assert_eq!(crossed.unwrap().status(), 403);
    assert!(!place.page("/people").await.contains("eve"));
    assert_eq!(post("sec-fetch-site", "same-origin".to_owned()).await.unwrap().status(), 303);
    assert_eq!(post("origin", place.sandbox.base_url()).await.unwrap().status(), 303);
}

/// The next event of a stream.
async fn next(live: &mut Response) -> String {
    String::from_utf8(live.chunk().await.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn open_pages_are_told_of_every_change() {
    let place = Place::new().await;
    let ada = place.member("ada");
    let mut live = place.http.get(place.at("/live")).send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    let mut last = next(&mut live).await;
    let role = format!("{}/roles/{}", place.members(ada), place.low);
    for change in 0..4 {
        match change {
            0 => drop(place.bot(Method::PUT, &role, Value::Null).await),
            1 => drop(place.send_in_club(&format!("/members/{ada}/kick"), &[]).await),
            2 => place.sandbox.fault(Fault::once("GET", "**", Action::DropBefore)),
            _ => place.sandbox.set_bot_token_alive(false),
        }
        let told = next(&mut live).await;
        assert!(told.starts_with("event: changed\ndata: ") && told != last, "{told}");
        last = told;
    }
    drop(place.sandbox);
    assert!(live.chunk().await.unwrap().is_none(), "the stream ends with the sandbox");
}

#[tokio::test]
async fn consent_is_given_and_denied_by_the_page() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let guild = place.sandbox.with(|world| {
        world.add_guild(NewGuild { name: "New".into(), owner: place.owner, ..NewGuild::default() })
    });
    let path = |more: &str| {
        let url = place.authorize_url(more);
        url.strip_prefix(&place.sandbox.base_url()).unwrap().to_owned()
    };
    let back = |location: String| -> HashMap<String, String> {
        Url::parse(&location).unwrap().query_pairs().into_owned().collect()
    };
    let install = path(&format!("&scope=bot&permissions={INSTALL}&state=s"));
    let page = place.page(&install).await;
    assert!(page.contains("Add a bot to a server") && page.contains("Manage Roles"), "{page}");
    assert!(page.contains("Servers that \u{2068}owner\u{2069} manages"), "{page}");
    let (owner, ada, guild) = (place.owner.to_string(), ada.to_string(), guild.to_string());
    let allow = |user| [("user", user), ("guild", guild.as_str()), ("answer", "allow")];
    let given = back(place.send(&install, &allow(&owner)).await);
    assert_eq!((&*given["guild_id"], &*given["state"]), (guild.as_str(), "s"));
    assert!(given.contains_key("code"));

    let (status, page) = place.refused(&install, &allow(&ada)).await;
    assert!(status == 400 && page.contains("Only somebody with Manage Server"), "{page}");
    assert!(page.contains(&format!("<option value=\"{ada}\" selected>")), "keeps who was chosen");

    let join = path("&scope=identify%20guilds.join&state=s");
    assert!(place.page(&join).await.contains("Join servers for you"));
    let denied = back(place.send(&join, &[("user", &ada), ("answer", "deny")]).await);
    assert_eq!((&*denied["error"], &*denied["state"]), ("access_denied", "s"));

    let wrong = place.http.get(place.at("/oauth2/authorize?client_id=1")).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("Unknown application"));
}

#[tokio::test]
async fn what_is_not_there_is_said_in_a_page() {
    let place = Place::new().await;
    let answer = place.http.get(place.at("/servers/1")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.unwrap().contains("There is no such server here."));
    let gone = place.page(&format!("/servers/{}?member=1", place.guild)).await;
    assert!(!gone.contains("id=\"card\""), "the card of somebody who is gone closes");
}
