//! PBXs and links: what is saved, what the tree is told, what is undone.

use crate::pretended::attached;
use crate::support::{Rig, answer, fields};
use aimg_domain::pbx::Pbx;
use aimg_domain::{Fault, PbxId};
use aimg_store::records::Scope;
use aimg_wire::request::TenantRequest;
use reqwest::Method;
use serde_json::{Value, json};

const ADMIN: &str = "tenant_admin@alpha.org";
const SUPER: &str = "super_admin@alpha.org";

pub fn body() -> Value {
    json!({
        "name": "Office",
        "ami": {"host": "127.0.0.1", "username": "aimg", "secret": "s3cret-ami"},
        "ari": {"url": "http://127.0.0.1:8088", "username": "aimg", "password": "s3cret-ari"},
        "trunks": ["PJSIP/trunk-*"],
        "country": "de"
    })
}

pub async fn make(rig: &Rig, email: &str) -> String {
    let (status, made) = rig.post(email, "/api/v1/pbxs", body()).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

async fn stored(rig: &Rig, id: &str) -> Option<Pbx> {
    rig.repos.pbxs.find(id.parse().unwrap()).await.unwrap().map(|(pbx, _)| pbx)
}

fn told(rig: &Rig) -> Vec<TenantRequest> {
    let asked = rig.platform.asked.lock();
    asked
        .iter()
        .map(|asked| asked.body.clone())
        .filter(|body| !matches!(body, TenantRequest::PbxStatuses))
        .collect()
}

#[tokio::test]
async fn a_pbx_is_attached_and_its_secrets_never_come_out() {
    let rig = Rig::start().await;
    let (status, made) = rig.post(ADMIN, "/api/v1/pbxs", body()).await;
    assert_eq!(status, 201);
    let id: PbxId = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        (made["ami"]["port"].as_u64(), made["country"].as_str(), made["owner"].as_str()),
        (Some(5038), Some("DE"), Some("tenant"))
    );
    assert_eq!(made["stasis_app"], id.stasis_app());
    assert_eq!(made["state"], "connecting");
    assert_eq!(told(&rig), [TenantRequest::ApplyPbx { pbx: id }]);
    rig.platform.statuses.lock().insert(id, attached());
    let path = format!("/api/v1/pbxs/{id}");
    let (_, one) = rig.get("viewer@alpha.org", &path).await;
    assert_eq!((one["state"].as_str(), one["version"].as_str()), (Some("attached"), Some("22.1.0")));
    let (_, list) = rig.get(ADMIN, "/api/v1/pbxs").await;
    for shown in [made, one, list] {
        assert!(!shown.to_string().contains("s3cret"));
    }
    let pbx = stored(&rig, &id.to_string()).await.unwrap();
    assert_eq!((pbx.ami.secret.expose(), pbx.ari.unwrap().password.expose()), ("s3cret-ami", "s3cret-ari"));
}

#[tokio::test]
async fn a_pbx_that_the_tree_does_not_take_was_never_there() {
    let rig = Rig::start().await;
    *rig.platform.refuse.lock() = Some((
        |request| matches!(request, TenantRequest::ApplyPbx { .. }),
        Fault::unavailable("the tenant's shard"),
    ));
    assert_eq!(rig.post(ADMIN, "/api/v1/pbxs", body()).await.0, 503);
    assert!(rig.repos.pbxs.list(Scope::Tenant(rig.a), page()).await.unwrap().is_empty());
}

fn page() -> aimg_store::records::PageRequest {
    aimg_store::records::PageRequest {
        after: None,
        limit: 10,
        descending: false,
    }
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let rig = Rig::start().await;
    let id = make(&rig, ADMIN).await;
    let path = format!("/api/v1/pbxs/{id}");
    let change = json!({"name": "Attic", "ami": {"host": "pbx.lan"}, "country": null, "media": {"format": "slin16"}});
    let (status, changed) = rig.patch(ADMIN, &path, change).await;
    assert_eq!(
        (status, changed["name"].as_str(), changed["ami"]["host"].as_str()),
        (200, Some("Attic"), Some("pbx.lan"))
    );
    assert!(changed["country"].is_null());
    assert_eq!(
        (changed["media"]["format"].as_str(), changed["media"]["ports"].as_str()),
        (Some("slin16"), Some("shared"))
    );
    let pbx = stored(&rig, &id).await.unwrap();
    assert_eq!((pbx.ami.secret.expose(), pbx.ami.username.as_str()), ("s3cret-ami", "aimg"));
    assert_eq!(rig.patch(ADMIN, &path, json!({"ari": null})).await.1["ari"], Value::Null);
    assert_eq!(fields(&rig.patch(ADMIN, &path, json!({"ari": {"url": "http://h:1"}})).await.1), ["ari"]);
    assert_eq!(told(&rig).len(), 3);
    let whole = rig.by(ADMIN, Method::PUT, &path).await.json(&json!({"name": "x"}));
    assert_eq!(fields(&answer(whole).await.1), ["ami"]);
}

#[tokio::test]
async fn wrong_fields_are_named_with_what_was_expected() {
    let rig = Rig::start().await;
    let wrong = json!({
        "name": "",
        "ami": {"host": "no host", "port": 70000, "username": "u", "secret": "s", "colour": 1},
        "ari": {"url": "ftp://x", "username": "u", "password": "p"},
        "media": {"address": "somewhere", "ports": "many"},
        "trunks": ["ok", 7]
    });
    let (status, problem) = rig.post(ADMIN, "/api/v1/pbxs", wrong).await;
    let expected = [
        "name",
        "ami.host",
        "ami.port",
        "ami.colour",
        "ari.url",
        "media.address",
        "media.ports",
        "trunks.1",
    ];
    assert_eq!((status, fields(&problem)), (400, expected.to_vec()));
    assert!(problem["errors"][2]["expected"].as_str().unwrap().contains("65535"));
}

#[tokio::test]
async fn a_test_names_what_is_wrong() {
    let rig = Rig::start().await;
    let access = json!({"ami": {"host": "127.0.0.1", "port": 1, "username": "u", "secret": "s"}});
    let (status, test) = rig.post(ADMIN, "/api/v1/pbxs/test", access).await;
    assert_eq!(
        (status, test["ok"].as_bool(), test["steps"][0]["step"].as_str()),
        (200, Some(false), Some("ami.connect"))
    );
    let id = make(&rig, ADMIN).await;
    assert_eq!(rig.post(ADMIN, &format!("/api/v1/pbxs/{id}/test"), json!({})).await.0, 200);
    let asked = told(&rig);
    assert!(matches!(asked.last(), Some(TenantRequest::TestPbx { access }) if access.ami.secret.expose() == "s3cret-ami"));
}

#[tokio::test]
async fn detaching_takes_the_links_along() {
    let rig = Rig::start().await;
    let id = make(&rig, ADMIN).await;
    let (_, link) = rig.post(ADMIN, "/api/v1/pbx-links", json!({"pbx_id": id})).await;
    assert_eq!(
        (link["state"].as_str(), link["claims"]["match"].as_str(), link["tap_budget"].as_u64()),
        (Some("connecting"), Some("all"), Some(50))
    );
    assert_eq!(rig.delete(ADMIN, &format!("/api/v1/pbxs/{id}")).await.0, 204);
    assert_eq!(rig.get(ADMIN, &format!("/api/v1/pbxs/{id}")).await.0, 404);
    assert_eq!(rig.get(ADMIN, "/api/v1/pbx-links").await.1["count"], 0);
    let (pbx, link) = (id.parse().unwrap(), link["id"].as_str().unwrap().parse().unwrap());
    assert_eq!(told(&rig)[2..], [TenantRequest::DetachPbx { pbx }, TenantRequest::RemoveLink { link }]);
}

#[tokio::test]
async fn a_link_and_its_pbx_are_made_in_one_call_or_not_at_all() {
    let rig = Rig::start().await;
    let both = json!({"pbx": body(), "claims": {"match": "context", "values": ["from-*"]}, "recording": "always"});
    let (status, link) = rig.post(ADMIN, "/api/v1/pbx-links", both.clone()).await;
    assert_eq!(
        (status, link["recording"].as_str(), link["audio"].as_str()),
        (201, Some("always"), Some("on_demand"))
    );
    assert!(stored(&rig, link["pbx_id"].as_str().unwrap()).await.is_some());
    *rig.platform.refuse.lock() = Some((
        |request| matches!(request, TenantRequest::ApplyLink { .. }),
        Fault::unavailable("the tenant's shard"),
    ));
    assert_eq!(rig.post(ADMIN, "/api/v1/pbx-links", both).await.0, 503);
    assert_eq!(rig.get(ADMIN, "/api/v1/pbxs").await.1["count"], 1);
    assert_eq!(rig.get(ADMIN, "/api/v1/pbx-links").await.1["count"], 1);
    assert!(matches!(told(&rig).last(), Some(TenantRequest::DetachPbx { .. })));
}

#[tokio::test]
async fn claims_say_what_they_compare() {
    let rig = Rig::start().await;
    let id = make(&rig, ADMIN).await;
    for (claims, field) in [
        (json!({"match": "all", "values": ["x"]}), "claims.values"),
        (json!({"match": "context"}), "claims.values"),
        (json!({"match": "colour"}), "claims.match"),
        (json!({"values": ["x"]}), "claims.match"),
    ] {
        let (status, problem) = rig.post(ADMIN, "/api/v1/pbx-links", json!({"pbx_id": id, "claims": claims})).await;
        assert_eq!((status, fields(&problem)), (400, vec![field]));
    }
    for neither in [json!({}), json!({"pbx_id": id, "pbx": body()})] {
        assert_eq!(fields(&rig.post(ADMIN, "/api/v1/pbx-links", neither).await.1), ["pbx_id"]);
    }
    let (_, link) = rig.post(ADMIN, "/api/v1/pbx-links", json!({"pbx_id": id})).await;
    let path = format!("/api/v1/pbx-links/{}", link["id"].as_str().unwrap());
    let (status, changed) = rig.patch(ADMIN, &path, json!({"audio": "legs", "tap_budget": 3})).await;
    assert_eq!(
        (status, changed["audio"].as_str(), changed["tap_budget"].as_u64()),
        (200, Some("legs"), Some(3))
    );
    assert_eq!(rig.delete(ADMIN, &path).await.0, 204);
    assert_eq!(rig.get(ADMIN, &path).await.0, 404);
}

#[tokio::test]
async fn a_pbx_of_the_platform_is_the_platforms() {
    let rig = Rig::start().await;
    let mut platform = body();
    platform["owner"] = json!("platform");
    assert_eq!(rig.post(ADMIN, "/api/v1/pbxs", platform.clone()).await.0, 403);
    let (status, made) = rig.post(SUPER, "/api/v1/pbxs", platform).await;
    assert_eq!((status, made["owner"].as_str(), made["tenant_id"].is_null()), (201, Some("platform"), true));
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/pbxs/{id}");
    assert_eq!(rig.get(ADMIN, &path).await.0, 404);
    assert_eq!(rig.post(ADMIN, "/api/v1/pbx-links", json!({"pbx_id": id})).await.0, 400);
    assert_eq!(rig.post(SUPER, "/api/v1/pbx-links", json!({"pbx_id": id})).await.0, 201);
    let (status, seen) = rig.get(ADMIN, &path).await;
    assert_eq!((status, seen["ami"].is_null(), seen["reason"].is_null()), (200, true, true));
    assert_eq!(rig.patch(ADMIN, &path, json!({"name": "mine"})).await.0, 403);
    assert_eq!(rig.delete(ADMIN, &path).await.0, 403);
    let other = rig.by(SUPER, Method::DELETE, &format!("{path}?tenant=beta")).await;
    assert_eq!(answer(other).await.0, 409, "alpha still has a link");
}
