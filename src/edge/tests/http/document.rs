//! The OpenAPI document.

use crate::shape::document;
use crate::support::{Rig, answer};
use reqwest::Method;
use std::collections::HashSet;

fn references(value: &serde_json::Value, found: &mut HashSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                if let (true, Some(text)) = (name == "$ref", value.as_str()) {
                    found.insert(text.to_owned());
                }
                references(value, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn what_is_served_is_the_document_of_the_table() {
    let rig = Rig::start().await;
    let (status, served) = answer(rig.request(Method::GET, "/api/openapi.json")).await;
    assert_eq!((status, &served), (200, document()));
    assert_eq!(served["openapi"], "3.1.0");
}

#[test]
fn every_reference_leads_somewhere() {
    let mut found = HashSet::new();
    references(document(), &mut found);
    assert!(found.len() > 15);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document().pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn operations_have_unique_ids_words_and_parameters() {
    let mut ids = HashSet::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
            assert!(
                !operation["summary"].as_str().unwrap().is_empty() && !operation["tags"][0].as_str().unwrap().is_empty(),
                "{path}"
            );
            let declared = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .count();
            assert_eq!(declared, path.matches('{').count(), "{path}");
        }
    }
}
