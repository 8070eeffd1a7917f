//! Nothing of one tenant shows in another.

use crate::support::{Rig, answer, call, live};
use aimg_domain::event::EventKind;
use aimg_domain::{NewEvent, Timestamp};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn ids_of_another_tenant_are_not_there() {
    let rig = Rig::start().await;
    let admin = "tenant_admin@beta.org";
    let pbx = crate::pbxs::make(&rig, "tenant_admin@alpha.org").await;
    let (_, link) = rig.post("tenant_admin@alpha.org", "/api/v1/pbx-links", json!({"pbx_id": pbx})).await;
    let (ended, living) = (call(rig.a, 1_799_999_000_000), live(rig.a, 1_799_999_500_000));
    rig.keep(rig.a, &[ended.clone(), living.clone()], vec![started(ended.id)]).await;
    rig.platform.live.lock().insert(living.id, living.clone());
    let recording = crate::recordings::saved(&rig, rig.a).await;
    let user = rig.stored_user("viewer@alpha.org").await.id;
    let gone = [
        format!("pbxs/{pbx}"),
        format!("pbx-links/{}", link["id"].as_str().unwrap()),
        format!("call-sessions/{}", ended.id),
        format!("call-sessions/{}", living.id),
        format!("audio-recordings/{}", recording.id),
        format!("audio-recordings/{}/download", recording.id),
        format!("users/{user}"),
        format!("tenants/{}", rig.a),
    ];
    for path in &gone {
        let path = format!("/api/v1/{path}");
        assert_eq!(rig.get("super_admin@alpha.org", &path).await.0, 200, "{path} exists");
        assert_eq!(rig.get(admin, &path).await.0, 404, "{path}");
    }
    for (method, path) in [
        (Method::DELETE, format!("pbxs/{pbx}")),
        (Method::POST, format!("pbxs/{pbx}/test")),
        (Method::DELETE, format!("pbx-links/{}", link["id"].as_str().unwrap())),
        (Method::POST, format!("call-sessions/{}/hangup", living.id)),
        (Method::POST, format!("call-sessions/{}/hangup", ended.id)),
        (Method::POST, format!("users/{user}/disable")),
    ] {
        assert_eq!(answer(rig.by(admin, method, &format!("/api/v1/{path}")).await).await.0, 404, "{path}");
    }
    assert_eq!(rig.post(admin, "/api/v1/pbx-links", json!({"pbx_id": pbx})).await.0, 400);
    for list in ["pbxs", "pbx-links", "call-sessions", "audio-recordings", "events"] {
        let (status, body) = rig.get(admin, &format!("/api/v1/{list}")).await;
        assert_eq!((status, body["results"].as_array().unwrap().len()), (200, 0), "{list}");
    }
    assert_eq!(rig.get(admin, "/api/v1/tenants").await.1["results"][0]["slug"], "beta");
    assert!(rig.platform.acted.lock().is_empty());
}

fn started(call: aimg_domain::CallId) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        call_id: Some(call),
        event: EventKind::CallStarted,
        at: Timestamp(1_799_999_000_000),
        seq: 1,
        data: json!({}),
    }
}

#[tokio::test]
async fn only_a_super_admin_chooses_the_tenant() {
    let rig = Rig::start().await;
    let ask = |email: &'static str, header: Option<String>, query: &'static str| {
        let rig = &rig;
        async move {
            let mut request = rig.by(email, Method::GET, &format!("/api/v1/users{query}")).await;
            if let Some(header) = header {
                request = request.header("x-tenant-id", header);
            }
            let (status, body) = answer(request).await;
            (
                status,
                body["results"][0]["email"].as_str().map(|email| email.split('@').nth(1).unwrap().to_owned()),
            )
        }
    };
    let alpha = Some("alpha.org".to_owned());
    let beta = Some("beta.org".to_owned());
    let (sup, admin) = ("super_admin@alpha.org", "tenant_admin@alpha.org");
    assert_eq!(ask(sup, None, "").await, (200, alpha.clone()));
    assert_eq!(ask(sup, Some(rig.b.to_string()), "").await, (200, beta.clone()));
    assert_eq!(ask(sup, Some("beta".into()), "").await, (200, beta.clone()));
    assert_eq!(ask(sup, None, "?tenant=beta").await, (200, beta));
    assert_eq!(ask(sup, Some("gamma".into()), "").await.0, 404);
    assert_eq!(ask(sup, Some("alpha".into()), "?tenant=beta").await.0, 400);
    assert_eq!(ask(admin, Some(rig.a.to_string()), "").await, (200, alpha.clone()));
    assert_eq!(ask(admin, None, "?tenant=alpha").await, (200, alpha));
    for foreign in [rig.b.to_string(), "beta".into(), "gamma".into(), Uuid::now_v7().to_string()] {
        assert_eq!(ask(admin, Some(foreign), "").await.0, 403);
    }
}

#[tokio::test]
async fn tenants_are_made_renamed_and_slugs_are_unique() {
    let rig = Rig::start().await;
    let sup = "super_admin@alpha.org";
    let (status, made) = rig.post(sup, "/api/v1/tenants", json!({"name": "Gamma", "slug": "gamma"})).await;
    assert_eq!((status, made["status"].as_str()), (201, Some("active")));
    let (status, problem) = rig.post(sup, "/api/v1/tenants", json!({"name": "Gamma", "slug": "gamma"})).await;
    assert_eq!((status, crate::support::fields(&problem)), (400, vec!["slug"]));
    assert_eq!(rig.post(sup, "/api/v1/tenants", json!({"name": "G", "slug": "Not a slug"})).await.0, 400);
    let own = format!("/api/v1/tenants/{}", rig.a);
    assert_eq!(
        rig.patch("tenant_admin@alpha.org", &own, json!({"name": "Alpha & Co"})).await.1["name"],
        "Alpha & Co"
    );
    assert_eq!(rig.patch("tenant_admin@alpha.org", &own, json!({"status": "suspended"})).await.0, 403);
    assert_eq!(rig.patch("tenant_admin@beta.org", &own, json!({"name": "Mine"})).await.0, 404);
    assert_eq!(rig.get(sup, "/api/v1/tenants").await.1["count"], 3);
}
