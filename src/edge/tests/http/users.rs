//! Who may change whom.

use crate::support::{PASSWORD, Rig, answer, fields};
use aimg_domain::Role;
use reqwest::Method;
use serde_json::json;

const ADMIN: &str = "tenant_admin@alpha.org";
const SUPER: &str = "super_admin@alpha.org";

fn new_user(email: &str, role: &str) -> serde_json::Value {
    json!({"email": email, "password": PASSWORD, "role": role, "name": "New"})
}

#[tokio::test]
async fn a_user_is_made_read_changed_and_listed() {
    let rig = Rig::start().await;
    let (status, made) = rig.post(ADMIN, "/api/v1/users/", new_user("New@Alpha.org", "viewer")).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (made["email"].as_str(), made["tenant_id"].as_str()),
        (Some("new@alpha.org"), Some(rig.a.to_string().as_str()))
    );
    let path = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
    assert_eq!(rig.patch(ADMIN, &path, json!({"name": "Renamed"})).await.1["name"], "Renamed");
    assert_eq!(rig.get(ADMIN, &path).await.1["name"], "Renamed");
    let list = rig.get(ADMIN, "/api/v1/users?page_size=2&page=3").await.1;
    assert_eq!((list["count"].as_u64(), list["results"].as_array().unwrap().len()), (Some(5), 1));
    assert!(list["next"].is_null() && list["previous"].as_str().unwrap().ends_with("/api/v1/users?page_size=2&page=2"));
    assert_eq!(rig.sign_in("new@alpha.org", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_by_cursor() {
    let rig = Rig::start().await;
    let mut path = "/api/v1/users?page_size=3&cursor=".to_owned();
    let mut seen = Vec::new();
    loop {
        let list = rig.get(ADMIN, &path).await.1;
        seen.extend(
            list["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["email"].as_str().unwrap().to_owned()),
        );
        let Some(next) = list["next"].as_str() else { break };
        path = next.split_once(&rig.address.to_string()).unwrap().1.to_owned();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn an_email_is_unique_in_the_whole_system() {
    let rig = Rig::start().await;
    let (status, problem) = rig.post(ADMIN, "/api/v1/users", new_user("VIEWER@beta.org", "viewer")).await;
    assert_eq!((status, fields(&problem)), (400, vec!["email"]));
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let rig = Rig::start().await;
    let body = json!({"email": "x", "password": "short", "role": "god", "surprise": 1});
    let (status, problem) = rig.post(ADMIN, "/api/v1/users", body).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("invalid")));
    assert_eq!(fields(&problem), ["email", "password", "role", "surprise"]);
    assert_eq!(fields(&rig.post(ADMIN, "/api/v1/users", json!({})).await.1), ["email", "password", "role"]);
}

#[tokio::test]
async fn a_tenant_admin_makes_no_super_admin_and_touches_none() {
    let rig = Rig::start().await;
    assert_eq!(rig.post(ADMIN, "/api/v1/users", new_user("x@alpha.org", "super_admin")).await.0, 403);
    let own = rig.stored_user("viewer@alpha.org").await.id;
    assert_eq!(
        rig.post(ADMIN, &format!("/api/v1/users/{own}/change-role"), json!({"role": "super_admin"}))
            .await
            .0,
        403
    );
    let above = rig.stored_user(SUPER).await.id;
    for (action, body) in [
        ("change-role", json!({"role": "viewer"})),
        ("disable", json!({})),
        ("enable", json!({})),
        ("password", json!({"new_password": PASSWORD})),
    ] {
        assert_eq!(rig.post(ADMIN, &format!("/api/v1/users/{above}/{action}"), body).await.0, 403, "{action}");
    }
    assert_eq!(rig.patch(ADMIN, &format!("/api/v1/users/{above}"), json!({"name": "x"})).await.0, 403);
}

#[tokio::test]
async fn the_last_super_admin_stays() {
    let rig = Rig::start().await;
    let (first, second) = (rig.stored_user(SUPER).await.id, rig.stored_user("super_admin@beta.org").await.id);
    let of_beta = |action: &str| format!("/api/v1/users/{second}/{action}?tenant=beta");
    assert_eq!(rig.post(SUPER, &of_beta("disable"), json!({})).await.0, 200);
    for (action, body) in [("disable", json!({})), ("change-role", json!({"role": "viewer"}))] {
        let (status, problem) = rig.post(SUPER, &format!("/api/v1/users/{first}/{action}"), body).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("conflict")), "{action}");
    }
    assert_eq!(rig.post(SUPER, &of_beta("enable"), json!({})).await.0, 200);
    assert_eq!(
        rig.post(SUPER, &format!("/api/v1/users/{first}/change-role"), json!({"role": "viewer"}))
            .await
            .0,
        200
    );
    assert_eq!(rig.stored_user(SUPER).await.role, Role::Viewer);
}

#[tokio::test]
async fn people_read_and_change_themselves_and_see_nobody_else() {
    let rig = Rig::start().await;
    let other = rig.stored_user("operator@alpha.org").await.id;
    assert_eq!(rig.get("viewer@alpha.org", "/api/v1/users/me").await.1["email"], "viewer@alpha.org");
    assert_eq!(rig.get("viewer@alpha.org", &format!("/api/v1/users/{other}")).await.0, 404);
    let change = |current: &str| json!({"current_password": current, "new_password": "a new long password"});
    let (status, problem) = rig.post("viewer@alpha.org", "/api/v1/users/me/password", change("wrong")).await;
    assert_eq!((status, fields(&problem)), (400, vec!["current_password"]));
    assert_eq!(
        rig.post("viewer@alpha.org", "/api/v1/users/me/password", json!({"new_password": PASSWORD}))
            .await
            .0,
        400
    );
    assert_eq!(
        rig.post("viewer@alpha.org", &format!("/api/v1/users/{other}/password"), change(PASSWORD))
            .await
            .0,
        404
    );
    assert_eq!(rig.post("viewer@alpha.org", "/api/v1/users/me/password", change(PASSWORD)).await.0, 204);
    assert_eq!(rig.sign_in("viewer@alpha.org", "a new long password").await.0, 200);
}

#[tokio::test]
async fn if_match_refuses_what_was_changed_meanwhile() {
    let rig = Rig::start().await;
    let id = rig.stored_user("viewer@alpha.org").await.id;
    let path = format!("/api/v1/users/{id}");
    let read = rig.by(ADMIN, Method::GET, &path).await.send().await.unwrap();
    let tag = read.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, "\"1\"");
    let change = |tag: String| async {
        let request = rig.by(ADMIN, Method::PATCH, &path).await.header("if-match", tag).json(&json!({"name": "n"}));
        answer(request).await
    };
    assert_eq!(change(tag.clone()).await.0, 200);
    assert_eq!(change(tag).await.1["code"], "version_mismatch");
    assert_eq!(change("\"2\"".into()).await.0, 200);
    assert_eq!(change("*".into()).await.0, 200);
    assert_eq!(change("what".into()).await.0, 400);
}
