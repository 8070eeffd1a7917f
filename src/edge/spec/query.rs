//! Query strings, checked by the same kinds: words become numbers and lists first.

use super::{Checked, Field, Kind, Mode, check_object, push, unknown_text};
use aimg_domain::{Fault, FieldFault};
use serde_json::{Map, Value};

/// More parameters than any row has.
const PARAMETERS_MAX: usize = 64;

/// Checks a raw query (`a=1&b=x,y`). Several values of a list are given by commas or by repetition.
pub fn check_query(fields: &'static [Field], raw: &str) -> Result<Checked, Fault> {
    let mut faults: Vec<FieldFault> = Vec::new();
    let mut given = Map::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()).take(PARAMETERS_MAX) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decode(name), decode(value)) else {
            push(&mut faults, "", "a query of percent-encoded UTF-8");
            continue;
        };
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            push(&mut faults, &name.chars().take(64).collect::<String>(), &unknown_text(&known));
            continue;
        };
        if !value.is_empty() {
            add(&mut given, field, value);
        }
    }
    let checked = check_object(fields, Value::Object(given), Mode::Whole, "", &mut faults);
    match checked {
        Some(map) if faults.is_empty() => Ok(Checked::from_map(map)),
        _ => Err(Fault::Invalid { fields: faults }),
    }
}

fn add(given: &mut Map<String, Value>, field: &Field, value: String) {
    if let Kind::List { of, .. } = field.kind {
        let items = value.split(',').filter(|item| !item.is_empty()).map(|item| typed(of, item.to_owned()));
        if let Value::Array(list) = given.entry(field.name).or_insert_with(|| Value::Array(Vec::new())) {
            list.extend(items);
        }
    } else {
        given.insert(field.name.to_owned(), typed(&field.kind, value));
    }
}

fn typed(kind: &Kind, value: String) -> Value {
    match kind {
        Kind::Int { .. } => value.parse::<i64>().map_or(Value::String(value), Value::from),
        Kind::Bool => value.parse::<bool>().map_or(Value::String(value), Value::from),
        _ => Value::String(value),
    }
}

/// Percent-decoding with `+` for a space. `None` for what is no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    percent_decode(&text.replace('+', " "))
}

pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = if bytes[at] == b'%' { bytes.get(at + 1..at + 3) } else { None };
        match hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const FIELDS: &[Field] = &[
        Field::may("page", Kind::Int { min: 1, max: 9 }, ""),
        Field::may(
            "state",
            Kind::List {
                of: &Kind::OneOf(&["up", "ended"]),
                max: 4,
            },
            "",
        ),
        Field::may("number", Kind::Text { min: 1, max: 20 }, ""),
    ];

    #[test]
    fn values_are_typed_decoded_and_gathered() {
        let query = check_query(FIELDS, "page=2&state=up,ended&state=up&number=%2B49+30").unwrap();
        assert_eq!(query.unsigned("page"), Some(2));
        assert_eq!(query.texts("state").unwrap(), ["up", "ended", "up"]);
        assert_eq!(query.text("number"), Some("+49 30"));
    }

    #[test]
    fn a_parameter_that_does_not_exist_is_refused_and_not_ignored() {
        assert!(check_query(FIELDS, "pgae=2").is_err());
        assert!(check_query(FIELDS, "page=x").is_err());
        assert!(check_query(FIELDS, "state=down").is_err());
        assert!(check_query(FIELDS, "page=").is_ok());
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(raw in "\\PC{0,80}") {
            let _ = check_query(FIELDS, &raw);
        }
    }
}
