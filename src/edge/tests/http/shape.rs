//! Answers against the document: a small reader of JSON Schema, enough for what the document uses.

use serde_json::Value;
use std::sync::OnceLock;

pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(aimg_edge::openapi_document)
}

/// The document's path that stands for a concrete one: one without parameters is meant first.
fn template(path: &str) -> Option<&'static str> {
    let path = path.trim_end_matches('/');
    let fits = |template: &str| {
        let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
    };
    let paths = document()["paths"].as_object().unwrap();
    let mut found: Vec<&'static str> = paths.keys().map(String::as_str).filter(|template| fits(template)).collect();
    found.sort_by_key(|template| template.matches('{').count());
    found.first().copied()
}

pub fn check(method: &str, path: &str, status: u16, body: &Value) {
    let Some(template) = template(path) else { return };
    let operation = &document()["paths"][template][method.to_ascii_lowercase()];
    if operation.is_null() {
        return;
    }
    let response = &operation["responses"][status.to_string()];
    // A timeout of the body, an unavailable store: said of every route, written at none.
    if status < 500 && status != 429 && status != 408 {
        assert!(!response.is_null(), "{method} {template} answers {status}, which is not documented: {body}");
    }
    for kind in ["application/json", "application/problem+json"] {
        let schema = &response["content"][kind]["schema"];
        if !schema.is_null() && !body.is_string() {
            validate(schema, body, &format!("{method} {template} {status}"));
        }
    }
}

fn validate(schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let named = &document()["components"]["schemas"][name];
        assert!(!named.is_null(), "{at}: {reference} is nowhere");
        return validate(named, value, at);
    }
    for any in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[any].as_array() {
            if value.is_null() && choices.iter().any(|choice| choice["type"] == "null") {
                return;
            }
            let one = choices.iter().find(|choice| choice["type"] != "null").unwrap();
            return validate(one, value, at);
        }
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let fits = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    assert!(kinds.iter().any(fits), "{at}: {value:.200} is no {kinds:?}");
    if let Some(items) = value.as_array() {
        items
            .iter()
            .enumerate()
            .for_each(|(n, item)| validate(&schema["items"], item, &format!("{at}.{n}")));
    }
    let Some(map) = value.as_object() else { return };
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(map.contains_key(required.as_str().unwrap()), "{at}: {required} is missing in {value}");
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, value) in map {
        let property = properties.get(name);
        assert!(property.is_some(), "{at}: {name} is not documented");
        validate(property.unwrap(), value, &format!("{at}.{name}"));
    }
}
