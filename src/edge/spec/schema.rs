//! The same description as JSON Schema (the dialect of OpenAPI 3.1).

use super::{Field, Kind};
use serde_json::{Map, Value, json};

pub fn object_schema(fields: &[Field], partial: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = schema_of_kind(&field.kind, partial);
        if !field.required {
            nullable(&mut schema);
        } else if !partial {
            required.push(field.name);
        }
        if let Some(map) = schema.as_object_mut()
            && !field.about.is_empty()
        {
            map.insert("description".into(), field.about.into());
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn nullable(schema: &mut Value) {
    if let Some(kind) = schema.get("type").and_then(Value::as_str) {
        schema["type"] = json!([kind, "null"]);
    }
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
}

pub fn schema_of_kind(kind: &Kind, partial: bool) -> Value {
    match kind {
        Kind::Text { min, max } => json!({"type": "string", "minLength": min, "maxLength": max}),
        Kind::Secret { min, max } => json!({"type": "string", "minLength": min, "maxLength": max, "format": "password", "writeOnly": true}),
        Kind::Email => json!({"type": "string", "format": "email", "maxLength": 254}),
        Kind::Slug => json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::OneOf(words) => json!({"type": "string", "enum": words}),
        Kind::Id => json!({"type": "string", "format": "uuid"}),
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::Host => json!({"type": "string", "maxLength": 253}),
        Kind::HttpUrl => json!({"type": "string", "format": "uri", "maxLength": 512}),
        Kind::Address => json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
        Kind::Country => json!({"type": "string", "pattern": "^[A-Za-z]{2}$"}),
        Kind::Dtmf { max } => json!({"type": "string", "pattern": "^[0-9*#A-Da-d]+$", "maxLength": max}),
        Kind::List { of, max } => json!({"type": "array", "items": schema_of_kind(of, partial), "maxItems": max}),
        Kind::Object(fields) => object_schema(fields, partial),
    }
}
