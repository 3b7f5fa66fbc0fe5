//! Every request that Discord got is held against Discord's own description of its API.

use std::{collections::BTreeMap, sync::OnceLock};

use discord_sandbox::Call;
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::Value;

/// A call as Discord describes it.
#[derive(Deserialize)]
struct Described {
    /// The names of its query's fields, and whether it needs them.
    query: BTreeMap<String, bool>,
    /// The schema of its body, where it has one.
    body: Option<Value>,
}

/// By method and path.
fn description() -> &'static BTreeMap<String, Described> {
    static DESCRIPTION: OnceLock<BTreeMap<String, Described>> = OnceLock::new();
    DESCRIPTION.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/oracles/discord.json");
        let text = std::fs::read(path)
            .expect("Discord's description is missing; run tests/run.sh, which fetches it");
        serde_json::from_slice(&text).unwrap()
    })
}

/// Whether a path is one that a template describes.
fn fits(template: &str, path: &str) -> bool {
    let same = |(wanted, given): (&str, &str)| {
        wanted == given
            || (wanted.starts_with('{') && given.bytes().all(|byte| byte.is_ascii_digit()))
    };
    template.split('/').count() == path.split('/').count()
        && template.split('/').zip(path.split('/')).all(same)
}

/// What is wrong with a request, if anything.
pub(crate) fn fault(call: &Call) -> Option<String> {
    // Discord's description leaves out where codes are exchanged for tokens; RFC 6749 tells of that.
    if call.path.starts_with("/oauth2/token") {
        return None;
    }
    let named = format!("{} {}", call.method, call.path);
    let mut fitting = description().iter().filter(|(known, _)| fits(known, &named));
    let Some((_, described)) = fitting.next() else {
        return Some(format!("{named} is no call that Discord describes"));
    };
    let query: Vec<_> = url::form_urlencoded::parse(call.query.as_bytes()).collect();
    let unknown = query.iter().find(|(name, _)| !described.query.contains_key(&**name));
    if let Some((name, _)) = unknown {
        return Some(format!("{named} asks for {name}, which Discord does not know"));
    }
    let mut needed = described.query.iter().filter(|(_, needed)| **needed);
    if let Some((name, _)) = needed.find(|(name, _)| !query.iter().any(|(given, _)| given == *name))
    {
        return Some(format!("{named} lacks {name}"));
    }
    let (schema, body) = match (&described.body, &call.body) {
        (None, None) => return None,
        (Some(schema), Some(body)) => (schema, body),
        (None, Some(body)) => return Some(format!("{named} takes no body, and got {body}")),
        (Some(_), None) => return Some(format!("{named} got no body")),
    };
    let fields = body.as_object().into_iter().flatten();
    let unknown =
        fields.map(|(name, _)| name).find(|name| schema["properties"].get(name).is_none());
    if let Some(name) = unknown {
        return Some(format!("{named} got the field {name}, which Discord does not know"));
    }
    let wrong =
        Validator::new(schema).unwrap().iter_errors(body).next().map(|fault| fault.to_string());
    wrong.map(|wrong| format!("{named} got {body}: {wrong}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(method: &str, path: &str, query: &str, body: Option<Value>) -> Call {
        let mut call: Call = Call::default();
        (call.method, call.path) = (method.to_owned(), path.to_owned());
        (call.query, call.body) = (query.to_owned(), body);
        call
    }

    #[test]
    fn a_request_that_is_not_as_discord_describes_it_is_found() {
        let member = "/guilds/1/members/2";
        let good = json!({ "access_token": "…" });
        assert_eq!(fault(&call("PUT", member, "", Some(good.clone()))), None);
        assert_eq!(fault(&call("GET", "/guilds/1/members", "limit=5&after=7", None)), None);
        for (method, path, query, body) in [
            ("POST", member, "", Some(good.clone())),
            ("PUT", "/guilds/x/members/2", "", Some(good.clone())),
            ("PUT", member, "", None),
            ("PUT", member, "", Some(json!({ "access_token": 5 }))),
            ("PUT", member, "", Some(json!({ "access_token": "…", "role": [] }))),
            ("PUT", "/guilds/1/members/2/roles/3", "", Some(good)),
            ("GET", "/guilds/1/members", "max=5", None),
        ] {
            assert!(fault(&call(method, path, query, body)).is_some(), "{method} {path} {query}");
        }
    }
}
