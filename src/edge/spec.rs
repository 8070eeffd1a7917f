//! One description of a field: it checks what clients send and is the schema in the OpenAPI document, so that the
//! two cannot differ. Every field that is wrong is named, with what was expected.

use aimg_domain::{Fault, FieldFault, Timestamp};
use serde_json::{Map, Value};
use std::net::IpAddr;
use uuid::Uuid;

mod kind;
mod query;
mod schema;

pub use kind::Kind;
pub use query::check_query;
pub(crate) use query::percent_decode;
pub use schema::{object_schema, schema_of_kind};

/// A field of a body or of a query.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// For the document.
    pub about: &'static str,
}

impl Field {
    pub const fn must(name: &'static str, kind: Kind, about: &'static str) -> Field {
        Field {
            name,
            kind,
            required: true,
            about,
        }
    }

    /// May be absent or null.
    pub const fn may(name: &'static str, kind: Kind, about: &'static str) -> Field {
        Field {
            name,
            kind,
            required: false,
            about,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Required fields must be there.
    Whole,
    /// PATCH: only what is there is checked.
    Partial,
}

/// An object whose every field was checked.
#[derive(Clone, Debug, Default)]
pub struct Checked(Map<String, Value>);

impl Checked {
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// There and not null.
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    pub fn string(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    pub fn unsigned(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    pub fn uuid(&self, name: &str) -> Option<Uuid> {
        self.text(name)?.parse().ok()
    }

    pub fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name)?.parse().ok()
    }

    pub fn address(&self, name: &str) -> Option<IpAddr> {
        self.text(name)?.parse().ok()
    }

    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        Some(
            self.value(name)?
                .as_array()?
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
        )
    }

    /// One of an enum's words; the kind has made sure that it is one.
    pub fn word<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.value(name)?.clone()).ok()
    }

    pub fn words<T: serde::de::DeserializeOwned>(&self, name: &str) -> Vec<T> {
        let items = self.value(name).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(|item| serde_json::from_value(item.clone()).ok())
            .collect()
    }

    pub fn object(&self, name: &str) -> Option<Checked> {
        self.value(name)?.as_object().map(|map| Checked(map.clone()))
    }

    pub(crate) fn from_map(map: Map<String, Value>) -> Checked {
        Checked(map)
    }
}

/// Checks a JSON body against its fields.
pub fn check_body(fields: &'static [Field], body: &[u8], mode: Mode) -> Result<Checked, Fault> {
    let value = if body.iter().all(u8::is_ascii_whitespace) {
        Value::Object(Map::new())
    } else {
        serde_json::from_slice(body).map_err(|error| {
            let at = format!("line {}, column {}", error.line(), error.column());
            Fault::invalid("", format!("a JSON object; the body is not JSON ({at})"))
        })?
    };
    let mut faults = Vec::new();
    let checked = check_object(fields, value, mode, "", &mut faults);
    match checked {
        Some(map) if faults.is_empty() => Ok(Checked(map)),
        _ => Err(Fault::Invalid { fields: faults }),
    }
}

pub(crate) fn check_object(fields: &'static [Field], value: Value, mode: Mode, path: &str, faults: &mut Vec<FieldFault>) -> Option<Map<String, Value>> {
    let Value::Object(mut given) = value else {
        push(faults, path, "a JSON object");
        return None;
    };
    let mut out = Map::new();
    for field in fields {
        let at = join(path, field.name);
        match given.remove(field.name) {
            None if field.required && mode == Mode::Whole => push(faults, &at, &format!("required: {}", field.kind.expected())),
            None => {}
            Some(Value::Null) if field.required => push(faults, &at, &format!("not null: {}", field.kind.expected())),
            Some(Value::Null) => {
                out.insert(field.name.to_owned(), Value::Null);
            }
            Some(value) => {
                if let Some(value) = field.kind.check(value, mode, &at, faults) {
                    out.insert(field.name.to_owned(), value);
                }
            }
        }
    }
    for (unknown, _) in given.into_iter().take(16) {
        let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let shown: String = unknown.chars().take(64).collect();
        push(faults, &join(path, &shown), &unknown_text(&known));
    }
    Some(out)
}

pub(crate) fn unknown_text(known: &[&str]) -> String {
    if known.is_empty() {
        return "no such field; none is taken here".to_owned();
    }
    format!("no such field; known are {}", known.join(", "))
}

pub(crate) fn push(faults: &mut Vec<FieldFault>, field: &str, expected: &str) {
    faults.push(FieldFault {
        field: field.to_owned(),
        expected: expected.to_owned(),
    });
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    const INNER: &[Field] = &[Field::must("port", Kind::Int { min: 1, max: 65535 }, "")];
    const FIELDS: &[Field] = &[
        Field::must("name", Kind::Text { min: 1, max: 10 }, ""),
        Field::may("ami", Kind::Object(INNER), ""),
        Field::may("mode", Kind::OneOf(&["a", "b"]), ""),
        Field::may(
            "tags",
            Kind::List {
                of: &Kind::Text { min: 1, max: 3 },
                max: 2,
            },
            "",
        ),
    ];

    fn faults(body: &str, mode: Mode) -> Vec<String> {
        match check_body(FIELDS, body.as_bytes(), mode) {
            Ok(_) => Vec::new(),
            Err(Fault::Invalid { fields }) => fields.into_iter().map(|f| f.field).collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_field_is_named_by_its_path() {
        assert_eq!(
            faults(r#"{"ami":{"port":0,"x":1},"mode":"c","tags":["a","long"],"zzz":1}"#, Mode::Whole),
            ["name", "ami.port", "ami.x", "mode", "tags.1", "zzz"]
        );
        assert_eq!(faults(r#"{"name":"n","tags":["a","b","c"]}"#, Mode::Whole), ["tags"]);
        assert_eq!(faults("[]", Mode::Whole), [""]);
        assert_eq!(faults("{", Mode::Whole), [""]);
    }

    #[test]
    fn a_partial_body_needs_nothing_but_takes_no_null_for_what_is_required() {
        assert!(faults("", Mode::Partial).is_empty());
        assert!(faults(r#"{"mode":null}"#, Mode::Partial).is_empty());
        assert_eq!(faults(r#"{"name":null}"#, Mode::Partial), ["name"]);
        assert_eq!(faults("", Mode::Whole), ["name"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = check_body(FIELDS, &bytes, Mode::Whole);
        }
    }
}
