//! Every answer is held against the description that the Hub gives of itself.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

fn description() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| serde_json::to_value(api::openapi()).unwrap())
}

/// Whether a path is one that a template describes.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted.starts_with('{') || wanted == given => {}
            _ => return false,
        }
    }
}

/// Panics where an answer is not as described.
pub(crate) fn check(method: &str, path: &str, status: u16, kind: &str, body: &Value) {
    let path = path.split('?').next().unwrap_or_default();
    let paths = description()["paths"].as_object().unwrap();
    // A template without parameters is the closer one.
    let mut fitting: Vec<_> = paths.iter().filter(|(template, _)| fits(template, path)).collect();
    fitting.sort_by_key(|(template, _)| template.matches('{').count());
    let call = fitting
        .first()
        .map(|(_, item)| &item[method.to_lowercase()])
        .filter(|call| call.is_object());
    let Some(call) = call else {
        assert_eq!(status, 404, "{method} {path} is not described");
        return;
    };
    let answers = &call["responses"];
    let described = answers.get(status.to_string()).unwrap_or_else(|| {
        assert!(status >= 400, "{method} {path} answered {status}, which is not described");
        &answers["default"]
    });
    let content = &described["content"];
    if content.is_null() {
        assert!(body.is_null(), "{method} {path} answered a body that is not described: {body:#}");
        return;
    }
    let schema = &content[kind.split(';').next().unwrap_or_default()]["schema"];
    assert!(
        !schema.is_null(),
        "{method} {path} answered {kind}, which is not described: {content:#}"
    );
    let schema = json!({ "allOf": [schema], "components": description()["components"] });
    let validator = Validator::new(&schema).unwrap();
    let faults: Vec<_> = validator
        .iter_errors(body)
        .map(|fault| format!("{} at {}", fault, fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{method} {path} answered {body:#}\n{}", faults.join("\n"));
}
