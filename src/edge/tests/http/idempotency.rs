//! `Idempotency-Key`.

use crate::support::{PASSWORD, Rig, answer};
use reqwest::Method;
use serde_json::{Value, json};

const ADMIN: &str = "tenant_admin@alpha.org";

async fn keyed(rig: &Rig, email: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
    answer(rig.by(email, Method::POST, path).await.header("idempotency-key", key).json(body)).await
}

#[tokio::test]
async fn asked_twice_it_happens_once() {
    let rig = Rig::start().await;
    let body = json!({"email": "new@alpha.org", "password": PASSWORD, "role": "viewer"});
    let first = keyed(&rig, ADMIN, "/api/v1/users", "k1", &body).await;
    let again = keyed(&rig, ADMIN, "/api/v1/users/", "k1", &body).await;
    assert_eq!((first.0, &first), (201, &again));
    assert_eq!(keyed(&rig, ADMIN, "/api/v1/users", "k2", &body).await.0, 400, "another key does it anew");
    let other = json!({"email": "other@alpha.org", "password": PASSWORD, "role": "viewer"});
    assert_eq!(keyed(&rig, ADMIN, "/api/v1/users", "k1", &other).await.0, 409);
    let theirs = keyed(&rig, "tenant_admin@beta.org", "/api/v1/users", "k1", &other).await;
    assert_eq!(theirs.0, 201, "keys are each caller's own");
    assert_eq!(keyed(&rig, ADMIN, "/api/v1/users", &"k".repeat(300), &other).await.0, 400);
}

#[tokio::test]
async fn what_did_nothing_may_be_asked_again() {
    let rig = Rig::start().await;
    let path = "/api/v1/call-sessions";
    let body = json!({"endpoint": "PJSIP/1", "to": {"stasis": true}});
    assert_eq!(keyed(&rig, ADMIN, path, "k", &body).await.0, 409);
    rig.post(ADMIN, "/api/v1/pbx-links", json!({"pbx": crate::pbxs::body()})).await;
    let mut made = crate::support::live(rig.a, 1);
    made.id = rig.platform.originated;
    rig.platform.live.lock().insert(made.id, made);
    assert_eq!(keyed(&rig, ADMIN, path, "k", &body).await.0, 201);
}

#[tokio::test]
async fn two_at_once_happen_once() {
    let rig = Rig::start().await;
    let body = json!({"name": "Gamma", "slug": "gamma"});
    let sup = "super_admin@alpha.org";
    let both = tokio::join!(keyed(&rig, sup, "/api/v1/tenants", "k", &body), keyed(&rig, sup, "/api/v1/tenants", "k", &body));
    let mut statuses = [both.0.0, both.1.0];
    statuses.sort();
    assert!(statuses == [201, 201] || statuses == [201, 409], "{statuses:?}");
    assert_eq!(rig.get(sup, "/api/v1/tenants").await.1["count"], 3);
}
