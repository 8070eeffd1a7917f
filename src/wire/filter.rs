//! What a subscriber wants of a topic: event names and fields of the data. Evaluated on the server.
//!
//! `{"events": ["call.*", "pbx.blind"], "fields": {"direction": "inbound", "caller.number": ["100", "101"]}}`: an event
//! passes when its name is one of `events` (or there are none) and every field has one of its values.

use aimg_domain::{Fault, FieldFault};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

const EVENTS_MAX: usize = 64;
const FIELDS_MAX: usize = 16;
const VALUES_MAX: usize = 64;
const TEXT_MAX: usize = 256;
/// Parts of a dotted path.
const DEPTH_MAX: usize = 8;

/// Equal filters are equal whatever the order they were written in, and share one evaluation. Cheap to clone.
#[derive(Clone)]
pub struct Filter(Option<Arc<Inside>>);

struct Inside {
    /// Exact names and prefixes (`call.`).
    names: Vec<String>,
    prefixes: Vec<String>,
    fields: Vec<(Vec<String>, Vec<Value>)>,
    /// Canonical text.
    key: String,
}

impl Filter {
    /// Lets everything pass.
    pub const ALL: Filter = Filter(None);

    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    pub fn parse(value: &Value) -> Result<Filter, Fault> {
        let Value::Object(members) = value else {
            return Err(Fault::invalid("filter", "an object with events and fields"));
        };
        if let Some(other) = members.keys().find(|key| !matches!(key.as_str(), "events" | "fields")) {
            return Err(Fault::invalid(format!("filter.{}", cut(other)), "only events and fields can be filtered"));
        }
        let mut events = members.get("events").map_or(Ok(Vec::new()), events)?;
        let fields = members.get("fields").map_or(Ok(BTreeMap::new()), fields)?;
        events.sort();
        events.dedup();
        if events.is_empty() && fields.is_empty() {
            return Ok(Filter::ALL);
        }
        let key = format!("{}{}", serde_json::json!(events), serde_json::json!(fields));
        let (prefixes, names) = events.into_iter().partition::<Vec<_>, _>(|name| name.ends_with('*'));
        let prefixes = prefixes.into_iter().map(|name| name.trim_end_matches('*').to_owned()).collect();
        let fields = fields
            .into_iter()
            .map(|(path, values)| (path.split('.').map(str::to_owned).collect(), values))
            .collect();
        Ok(Filter(Some(Arc::new(Inside { names, prefixes, fields, key }))))
    }

    pub fn passes(&self, event: &str, data: &Value) -> bool {
        self.passes_name(event)
            && self
                .0
                .as_ref()
                .is_none_or(|inside| inside.fields.iter().all(|(path, values)| has(data, path, values)))
    }

    /// Whether the name alone passes: signals have no fields to look at.
    pub fn passes_name(&self, event: &str) -> bool {
        let Some(inside) = &self.0 else { return true };
        (inside.names.is_empty() && inside.prefixes.is_empty())
            || inside.names.iter().any(|name| name == event)
            || inside.prefixes.iter().any(|prefix| event.starts_with(prefix.as_str()))
    }

    fn key(&self) -> &str {
        self.0.as_ref().map_or("", |inside| &inside.key)
    }
}

fn has(data: &Value, path: &[String], values: &[Value]) -> bool {
    let found = path.iter().try_fold(data, |value, part| value.get(part)).unwrap_or(&Value::Null);
    values.contains(found)
}

fn events(value: &Value) -> Result<Vec<String>, Fault> {
    let wrong = || {
        Fault::invalid(
            "filter.events",
            format!("a list of at most {EVENTS_MAX} event names, each exact or ending in .* (call.*)"),
        )
    };
    let Value::Array(names) = value else { return Err(wrong()) };
    if names.len() > EVENTS_MAX {
        return Err(wrong());
    }
    names
        .iter()
        .map(|name| name.as_str().filter(|name| is_name(name)).map(str::to_owned).ok_or_else(wrong))
        .collect()
}

fn is_name(name: &str) -> bool {
    let stem = if name == "*" { "any" } else { name.strip_suffix(".*").unwrap_or(name) };
    !stem.is_empty() && name.len() <= TEXT_MAX && !stem.contains('*')
}

fn fields(value: &Value) -> Result<BTreeMap<String, Vec<Value>>, Fault> {
    let Value::Object(members) = value else {
        return Err(Fault::invalid(
            "filter.fields",
            "an object of dotted paths, each with a value or a list of values",
        ));
    };
    if members.len() > FIELDS_MAX {
        return Err(Fault::invalid("filter.fields", format!("at most {FIELDS_MAX} fields")));
    }
    members.iter().map(|(path, value)| one_field(path, value)).collect()
}

fn one_field(path: &str, value: &Value) -> Result<(String, Vec<Value>), Fault> {
    let field = |expected: String| Fault::Invalid {
        fields: vec![FieldFault {
            field: format!("filter.fields.{}", cut(path)),
            expected,
        }],
    };
    if path.is_empty() || path.len() > TEXT_MAX || path.split('.').count() > DEPTH_MAX {
        return Err(field(format!("a path of at most {DEPTH_MAX} parts")));
    }
    let mut values = match value {
        Value::Array(values) => values.clone(),
        single => vec![single.clone()],
    };
    let short = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => false,
        Value::String(text) => text.len() <= TEXT_MAX,
        _ => true,
    };
    if values.is_empty() || values.len() > VALUES_MAX || !values.iter().all(short) {
        return Err(field(format!("a text, number, boolean or null, or a list of 1 to {VALUES_MAX} of them")));
    }
    values.sort_by_key(Value::to_string);
    values.dedup();
    Ok((path.to_owned(), values))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.key())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use serde_json::json;

    fn filter(value: Value) -> Filter {
        Filter::parse(&value).unwrap()
    }

    #[test]
    fn names_pass_exactly_or_by_prefix() {
        let filter = filter(json!({"events": ["call.*", "pbx.blind"]}));
        for (name, passes) in [
            ("call.ended", true),
            ("call.recording.saved", true),
            ("callx.ended", false),
            ("pbx.blind", true),
            ("pbx.blinded", false),
        ] {
            assert_eq!(filter.passes(name, &Value::Null), passes, "{name}");
        }
        assert!(self::filter(json!({"events": ["*"]})).passes("anything", &Value::Null));
    }

    #[test]
    fn fields_pass_by_equality_one_of_several_and_null_for_absent() {
        let filter = filter(json!({"fields": {"caller.number": ["100", "101"], "outcome": null}}));
        assert!(filter.passes("x", &json!({"caller": {"number": "101"}})));
        assert!(filter.passes("x", &json!({"caller": {"number": "100"}, "outcome": null})));
        assert!(!filter.passes("x", &json!({"caller": {"number": "100"}, "outcome": "busy"})));
        assert!(!filter.passes("x", &json!({"caller": {"number": 100}})));
        assert!(!filter.passes("x", &json!({"caller": "101"})));
    }

    #[test]
    fn the_same_wishes_in_another_order_are_the_same_filter() {
        let one = filter(json!({"events": ["b", "a", "a"], "fields": {"x": [2, 1], "y": "z"}}));
        let other = filter(json!({"fields": {"y": ["z"], "x": [1, 2, 2]}, "events": ["a", "b"]}));
        assert_eq!(one, other);
        assert_ne!(one, filter(json!({"events": ["a"]})));
        assert_eq!(filter(json!({})), Filter::ALL);
        assert_eq!(filter(json!({"events": [], "fields": {}})), Filter::ALL);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (value, field) in [
            (json!([]), "filter"),
            (json!({"event": []}), "filter.event"),
            (json!({"events": "call.*"}), "filter.events"),
            (json!({"events": ["a*b"]}), "filter.events"),
            (json!({"events": ["call*"]}), "filter.events"),
            (json!({"events": vec!["a"; 65]}), "filter.events"),
            (json!({"fields": {"a": {}}}), "filter.fields.a"),
            (json!({"fields": {"a": []}}), "filter.fields.a"),
            (json!({"fields": {"a": "x".repeat(300)}}), "filter.fields.a"),
            (json!({"fields": {"a.b.c.d.e.f.g.h.i": 1}}), "filter.fields.a.b.c.d.e.f.g.h.i"),
        ] {
            let Err(Fault::Invalid { fields }) = Filter::parse(&value) else {
                panic!("{value} was taken")
            };
            assert_eq!(fields[0].field, field);
        }
    }
}
