//! Somebody's browser: it keeps cookies, follows redirects, and fills in the forms that it finds. It runs no scripts.

use std::{collections::BTreeMap, time::Duration};

use discord_sandbox::Choice;
use reqwest::{StatusCode, header};
use serde_json::json;
use url::Url;

use super::World;

pub(crate) struct Browser<'a> {
    world: &'a World,
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

/// A page as it was answered.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    /// Where the browser ended up.
    pub(crate) path: String,
    pub(crate) html: String,
}

impl Shown {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}", self.path, self.html);
        self
    }

    #[track_caller]
    pub(crate) fn has(self, text: &str) -> Self {
        assert!(self.html.contains(text), "{text:?} is not in {} {}", self.path, self.html);
        self
    }

    #[track_caller]
    pub(crate) fn lacks(self, text: &str) -> Self {
        assert!(!self.html.contains(text), "{text:?} is in {} {}", self.path, self.html);
        self
    }

    /// The hidden fields of the form that goes to `action`.
    #[track_caller]
    pub(crate) fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let start = self.html.find(&format!("action=\"{action}\""));
        let form =
            &self.html[start.unwrap_or_else(|| panic!("no form to {action} in {}", self.html))..];
        let form = &form[..form.find("</form>").unwrap()];
        let attribute = |tag: &str, name: &str| {
            let value = tag.split_once(&format!("{name}=\""))?.1;
            Some(value[..value.find('"')?].to_owned())
        };
        form.split("<input type=\"hidden\"")
            .skip(1)
            .map(|tag| {
                let tag = &tag[..tag.find('>').unwrap()];
                (attribute(tag, " name").unwrap(), attribute(tag, " value").unwrap())
            })
            .collect()
    }
}

/// A live region as it is being sent.
pub(crate) struct Live {
    answer: reqwest::Response,
    text: String,
}

impl Live {
    /// Waits until something was sent since the last time.
    pub(crate) async fn until_sent(&mut self, wanted: &str) {
        let reading = async {
            while !self.text.contains(wanted) {
                let part = self.answer.chunk().await.unwrap();
                let part = part
                    .unwrap_or_else(|| panic!("the stream ended before {wanted:?}: {}", self.text));
                self.text.push_str(&String::from_utf8_lossy(&part));
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
        assert!(read.is_ok(), "{wanted:?} was not sent");
        self.text.clear();
    }

    /// Waits until the stream has ended; answers what was still sent.
    pub(crate) async fn until_over(&mut self) -> String {
        let reading = async {
            while let Some(part) = self.answer.chunk().await.unwrap() {
                self.text.push_str(&String::from_utf8_lossy(&part));
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), reading).await.is_ok());
        std::mem::take(&mut self.text)
    }
}

impl<'a> Browser<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let http = bot::http::client("browser").unwrap();
        Self { world, http, cookies: BTreeMap::new() }
    }

    /// A browser that is signed in.
    pub(crate) async fn of(world: &'a World, role: &str, id: Option<&str>) -> Self {
        let mut browser = Self::new(world);
        let link = browser.link(role, id).await;
        browser.sign_in(&link).await;
        browser
    }

    /// A sign-in link's path, as the platform asks for it.
    pub(crate) async fn link(&self, role: &str, id: Option<&str>) -> String {
        let mut body = json!({ "role": role, "return_url": "https://platform.example/me" });
        if let Some(id) = id {
            body["id"] = json!(id);
        }
        let made = self.world.post("/v1/sessions", body).await.is(201).ok();
        let url: Url = made["url"].as_str().unwrap().parse().unwrap();
        url.path().to_owned()
    }

    pub(crate) async fn sign_in(&mut self, link: &str) -> Shown {
        self.get(link).await.is(200);
        self.post(link, &[]).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Shown {
        let url = self.url(path);
        self.follow(self.http.get(url)).await
    }

    /// Sends a form as another page of the Hub would.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let url = self.url(path);
        self.follow(self.http.post(url).header("sec-fetch-site", "same-origin").form(fields)).await
    }

    /// Fills in the form of a page that goes to `action`.
    pub(crate) async fn submit(
        &mut self,
        page: &Shown,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Shown {
        let hidden = page.hidden(action);
        let mut all: Vec<(&str, &str)> =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend(fields);
        self.post(action, &all).await
    }

    /// Sends the form that goes to `action` elsewhere, as a second button on it does.
    pub(crate) async fn post_like(&mut self, page: &Shown, action: &str, to: &str) -> Shown {
        let hidden = page.hidden(action);
        let all: Vec<_> =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(to, &all).await
    }

    /// Sends a form with headers of its own.
    pub(crate) async fn post_with(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
        fields: &[(&str, &str)],
    ) -> Shown {
        let url = self.url(path);
        let mut request = self.http.post(url).form(fields);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.follow(request).await
    }

    /// Opens a live region of a page, as its script does.
    pub(crate) async fn watches(&mut self, page: &Shown) -> Live {
        let place = page.html.split("sse-connect=\"").nth(1).expect("the page has a live region");
        let place = place[..place.find('"').unwrap()].replace("&amp;", "&").replace("&#38;", "&");
        let request = self.http.get(self.url(&place)).header(header::ACCEPT, "text/event-stream");
        let answer = self.send_plainly(request).await;
        assert_eq!(answer.status(), StatusCode::OK, "{place}");
        Live { answer, text: String::new() }
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.cookies.keys().map(String::as_str).collect()
    }

    /// What the browser holds of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.get(name).cloned()
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Goes to Discord by a link of the Hub and chooses there; answers the way back.
    pub(crate) async fn goes_to_discord(&mut self, path: &str, choice: &Choice) -> String {
        let url = self.url(path);
        let answer = self.send(self.http.get(url)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        let asked = answer.headers()[header::LOCATION].to_str().unwrap();
        self.world.sandbox.consent(asked, choice).unwrap()
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.world.node().url())
        }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> reqwest::Response {
        self.send_plainly(request.header(header::ACCEPT, "text/html,*/*")).await
    }

    async fn send_plainly(&mut self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header(header::COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    async fn follow(&mut self, request: reqwest::RequestBuilder) -> Shown {
        let mut answer = self.send(request).await;
        while answer.status().is_redirection() {
            let place = answer.headers()[header::LOCATION].to_str().unwrap();
            let next = answer.url().join(place).unwrap();
            answer = self.send(self.http.get(next)).await;
        }
        let (status, headers, url) =
            (answer.status(), answer.headers().clone(), answer.url().clone());
        let path = url
            .query()
            .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Shown { status, headers, path, html: answer.text().await.unwrap() }
    }
}
