//! OpenAPI 3.1 from the route table: what is served is what is documented.

use crate::page;
use crate::route::{Access, Answers, Route};
use crate::spec::{Field, Mode, object_schema, schema_of_kind};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

/// The document of every row, as JSON: for `aimg openapi`, which needs no node.
pub fn document() -> Value {
    build(&crate::routes::all())
}

pub(crate) fn render(routes: &[Route]) -> Bytes {
    Bytes::from(build(routes).to_string())
}

fn build(routes: &[Route]) -> Value {
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    let mut paths = Map::new();
    for route in routes {
        let operation = operation(route, &mut schemas);
        let item = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut components = Map::new();
    for (name, schema) in schemas {
        components.insert(name, serde_json::to_value(schema).unwrap_or_default());
    }
    components.insert("Problem".into(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "aiMediaGateway",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Times are RFC 3339 UTC with milliseconds, ids UUIDv7. Errors are RFC 9457 problems with a stable `code`. \
                            A trailing slash is accepted. A super_admin names another tenant by `X-Tenant-ID` or `?tenant=`."
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        }
    })
}

fn operation(route: &Route, schemas: &mut Vec<(String, RefOr<Schema>)>) -> Value {
    let mut parameters: Vec<Value> = path_parameters(route.path);
    parameters.extend(route.query.iter().map(query_parameter));
    if route.idempotent {
        parameters.push(header_parameter(
            "Idempotency-Key",
            "Asked again within 24 h with the same key, the first answer is given.",
        ));
    }
    if route.errors.contains(&412) {
        parameters.push(header_parameter("If-Match", "The ETag of what was read: refused when it has changed since."));
    }
    if route.access != Access::Public {
        parameters.push(header_parameter(
            "X-Tenant-ID",
            "Id or slug of the tenant; others than the own for super_admin only.",
        ));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, schemas),
        "security": if route.access == Access::Public { json!([]) } else { json!([{"bearer": []}]) },
        "x-permission": permission(route.access),
    });
    if let Some((fields, mode)) = route.body {
        let required = mode == Mode::Whole && fields.iter().any(|field| field.required);
        operation["requestBody"] = json!({
            "required": required,
            "content": {"application/json": {"schema": object_schema(fields, mode == Mode::Partial)}}
        });
    }
    operation
}

fn permission(access: Access) -> Value {
    match access {
        Access::Public => json!("public"),
        Access::SignedIn => json!("signed_in"),
        Access::Needs(permission) => json!(permission.as_str()),
        Access::NeedsOneOf(any) => json!(any.iter().map(|permission| permission.as_str()).collect::<Vec<_>>()),
    }
}

/// `get_users_id_password`
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1");
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut id = route.method.as_str().to_ascii_lowercase();
    for word in words {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect()
}

fn query_parameter(field: &Field) -> Value {
    let mut parameter = json!({
        "name": field.name,
        "in": "query",
        "required": field.required,
        "description": field.about,
        "schema": schema_of_kind(&field.kind, false),
    });
    if matches!(field.kind, crate::spec::Kind::List { .. }) {
        parameter["style"] = json!("form");
        parameter["explode"] = json!(false);
    }
    parameter
}

fn header_parameter(name: &str, about: &str) -> Value {
    json!({"name": name, "in": "header", "required": false, "description": about, "schema": {"type": "string"}})
}

fn responses(route: &Route, schemas: &mut Vec<(String, RefOr<Schema>)>) -> Value {
    let mut all = Map::new();
    let mut good = json!({"description": route.summary});
    match route.answers {
        Answers::Json(schema_of) => good["content"] = json!({"application/json": {"schema": schema_of(schemas)}}),
        Answers::List(schema_of) => good["content"] = json!({"application/json": {"schema": list_schema(json!(schema_of(schemas)))}}),
        Answers::Other("application/json") => good["content"] = json!({"application/json": {"schema": {"type": "object"}}}),
        Answers::Other(content_type) => good["content"] = json!({content_type: {"schema": {"type": "string"}}}),
        Answers::Empty | Answers::Socket => {}
    }
    for status in route.also {
        all.insert(status.to_string(), good.clone());
    }
    all.insert(route.status.to_string(), good);
    let mut errors: Vec<u16> = route.errors.to_vec();
    if route.access != Access::Public {
        // 400 and 404: also of a tenant that is named.
        errors.extend([400, 401, 403, 404]);
    }
    if route.body.is_some() {
        errors.extend([400, 413, 415]);
    } else if !route.query.is_empty() {
        errors.push(400);
    }
    if route.path.contains('{') {
        errors.push(404);
    }
    if route.idempotent {
        errors.push(409);
    }
    for status in errors {
        if status < 400 {
            all.entry(status.to_string()).or_insert_with(|| json!({"description": reason(status)}));
            continue;
        }
        let problem = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        all.entry(status.to_string())
            .or_insert_with(|| json!({"description": reason(status), "content": problem}));
    }
    Value::Object(all)
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error")
}

fn list_schema(item: Value) -> Value {
    json!({
        "type": "object",
        "required": ["count", "next", "previous", "results"],
        "properties": {
            "count": {"type": ["integer", "null"], "description": "null where it is not known or above 10,000"},
            "next": {"type": ["string", "null"], "format": "uri-reference"},
            "previous": {"type": ["string", "null"], "format": "uri-reference"},
            "results": {"type": "array", "items": item, "maxItems": page::PAGE_SIZE_MAX.max(crate::routes::TREE_PAGE_MAX)}
        }
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "errors"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "Stable: what programs look at."},
            "errors": {"type": "array", "items": {
                "type": "object",
                "required": ["field", "expected"],
                "properties": {"field": {"type": "string"}, "expected": {"type": "string"}}
            }}
        }
    })
}
