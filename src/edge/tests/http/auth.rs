//! Sign-in, refresh and its reuse, sign-out, what ends tokens.

use crate::support::{PASSWORD, Rig, answer, fields};
use aimg_domain::Role;
use aimg_edge::EdgeConfig;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const VIEWER: &str = "viewer@alpha.org";

async fn refresh(rig: &Rig, token: &Value) -> (u16, Value) {
    answer(rig.request(Method::POST, "/api/v1/auth/token/refresh").json(&json!({"refresh": token}))).await
}

async fn me(rig: &Rig, access: &Value) -> u16 {
    answer(rig.request(Method::GET, "/api/v1/users/me").bearer_auth(access.as_str().unwrap()))
        .await
        .0
}

#[tokio::test]
async fn who_signs_in_gets_tokens_user_and_tenant_and_no_hash() {
    let rig = Rig::start().await;
    let (status, body) = rig.sign_in("Viewer@Alpha.org", PASSWORD).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((body["user"]["email"].as_str(), body["user"]["role"].as_str()), (Some(VIEWER), Some("viewer")));
    assert_eq!((body["tenant"]["slug"].as_str(), body["expires_in"].as_u64()), (Some("alpha"), Some(3600)));
    assert!(!body.to_string().contains("argon2"));
    assert_eq!(me(&rig, &body["access"]).await, 200);
    assert_eq!(me(&rig, &body["refresh"]).await, 401);
    let verify = rig.request(Method::POST, "/api/v1/auth/token/verify").json(&json!({"token": body["access"]}));
    assert_eq!(answer(verify).await.1["valid"], true);
}

#[tokio::test]
async fn a_wrong_password_and_a_stranger_get_the_same_answer() {
    let rig = Rig::start().await;
    let (wrong, stranger) = (rig.sign_in(VIEWER, "wrong").await, rig.sign_in("nobody@alpha.org", "wrong").await);
    assert_eq!(wrong.0, 401);
    assert_eq!(wrong, stranger);
    assert_eq!(fields(&rig.sign_in("no email", "").await.1), ["email", "password"]);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_sign_in() {
    let rig = Rig::start().await;
    let first = rig.sign_in(VIEWER, PASSWORD).await.1;
    let other = rig.sign_in(VIEWER, PASSWORD).await.1;
    let (status, second) = refresh(&rig, &first["refresh"]).await;
    assert_eq!(status, 200);
    assert_ne!(first["refresh"], second["refresh"]);
    assert_eq!(me(&rig, &second["access"]).await, 200);
    assert_eq!(refresh(&rig, &first["refresh"]).await.0, 401);
    assert_eq!(refresh(&rig, &second["refresh"]).await.0, 401);
    assert_eq!(me(&rig, &second["access"]).await, 401);
    assert_eq!(me(&rig, &other["access"]).await, 200, "another sign-in goes on");
}

#[tokio::test]
async fn tokens_end_with_their_time() {
    let rig = Rig::start().await;
    let first = rig.sign_in(VIEWER, PASSWORD).await.1;
    rig.clock.advance(Duration::from_secs(3600));
    assert_eq!(me(&rig, &first["access"]).await, 401);
    let (status, second) = refresh(&rig, &first["refresh"]).await;
    assert_eq!(status, 200);
    rig.clock.advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(refresh(&rig, &second["refresh"]).await.0, 401);
}

#[tokio::test]
async fn logout_ends_access_and_refresh_at_once() {
    let rig = Rig::start().await;
    let body = rig.sign_in(VIEWER, PASSWORD).await.1;
    let logout = rig.request(Method::POST, "/api/v1/auth/logout").bearer_auth(body["access"].as_str().unwrap());
    assert_eq!(answer(logout).await.0, 204);
    assert_eq!(me(&rig, &body["access"]).await, 401);
    assert_eq!(refresh(&rig, &body["refresh"]).await.0, 401);
}

#[tokio::test]
async fn a_role_a_password_or_an_account_changed_ends_tokens_at_once() {
    let rig = Rig::start().await;
    let admin = "tenant_admin@alpha.org";
    let id = rig.stored_user(VIEWER).await.id;
    let path = |action: &str| format!("/api/v1/users/{id}/{action}");
    for (action, body) in [
        ("change-role", json!({"role": "operator"})),
        ("password", json!({"new_password": PASSWORD})),
        ("disable", json!({})),
    ] {
        let held = rig.sign_in(VIEWER, PASSWORD).await.1;
        let status = rig.post(admin, &path(action), body).await.0;
        assert!((200..300).contains(&status), "{action}: {status}");
        assert_eq!(rig.platform.cut_off.lock().pop(), Some(id), "{action}");
        assert_eq!(me(&rig, &held["access"]).await, 401, "{action}");
        assert_eq!(refresh(&rig, &held["refresh"]).await.0, 401, "{action}");
    }
    assert_eq!(rig.sign_in(VIEWER, PASSWORD).await.0, 401, "disabled");
    assert_eq!(rig.post(admin, &path("enable"), json!({})).await.0, 200);
    assert_eq!(rig.sign_in(VIEWER, PASSWORD).await.0, 200);
}

#[tokio::test]
async fn wrong_passwords_are_counted_by_email_and_address_and_forgotten_with_time() {
    let rig = Rig::with(EdgeConfig {
        login_failures: 3,
        ..EdgeConfig::default()
    })
    .await;
    for _ in 0..3 {
        assert_eq!(rig.sign_in(VIEWER, "wrong").await.0, 401);
    }
    let request = rig
        .request(Method::POST, "/api/v1/auth/token")
        .json(&json!({"email": VIEWER, "password": PASSWORD}));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(rig.sign_in("operator@alpha.org", PASSWORD).await.0, 200, "others are let in");
    rig.clock.advance(Duration::from_secs(301));
    assert_eq!(rig.sign_in(VIEWER, PASSWORD).await.0, 200);
}

#[tokio::test]
async fn other_schemes_are_refused_in_words() {
    let rig = Rig::start().await;
    for (name, value) in [
        ("authorization", "Token abc"),
        ("authorization", "Basic YTpi"),
        ("authorization", "Bearer"),
        ("x-api-key", "abc"),
    ] {
        let response = rig.request(Method::GET, "/api/v1/users/me").header(name, value).send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        assert!(response.text().await.unwrap().contains("Bearer"), "{name} {value}");
    }
}

#[tokio::test]
async fn a_suspended_tenants_people_are_kept_out() {
    let rig = Rig::start().await;
    let token = rig.token(VIEWER).await;
    let path = format!("/api/v1/tenants/{}", rig.a);
    assert_eq!(rig.patch("super_admin@beta.org", &path, json!({"status": "suspended"})).await.0, 200);
    assert_eq!(rig.platform.cut_off.lock().len(), 3, "all but the super_admin");
    let get = rig.request(Method::GET, "/api/v1/users/me").bearer_auth(token);
    assert_eq!(answer(get).await.0, 403);
    assert_eq!(rig.sign_in(VIEWER, PASSWORD).await.0, 403);
    assert_eq!(rig.get("super_admin@alpha.org", "/api/v1/users").await.0, 200);
}

#[tokio::test]
async fn the_first_admin_is_made_once() {
    let rig = Rig::start().await;
    let seed = || aimg_edge::auth::AdminSeed {
        email: "Root@Example.org",
        password: PASSWORD,
        name: "Root",
        tenant_slug: "home",
        tenant_name: "Home",
    };
    let ensure = || aimg_edge::auth::ensure_admin(&rig.repos, rig.clock.as_ref(), &crate::support::Ids, seed());
    let (user, made) = ensure().await.unwrap();
    assert!(made && user.role == Role::SuperAdmin);
    let (again, made) = ensure().await.unwrap();
    assert!(!made && again.id == user.id);
    assert_eq!(rig.sign_in("root@example.org", PASSWORD).await.1["tenant"]["slug"], "home");
    let weak = aimg_edge::auth::AdminSeed {
        email: "x@example.org",
        password: "short",
        ..seed()
    };
    assert!(
        aimg_edge::auth::ensure_admin(&rig.repos, rig.clock.as_ref(), &crate::support::Ids, weak)
            .await
            .is_err()
    );
}
