//! Every row of the table against every role.

use crate::shape::document;
use crate::support::Rig;
use aimg_domain::Role;
use reqwest::Method;
use std::collections::BTreeMap;

/// Who passes: `*` everybody, `+` who is signed in, else by first letter super_admin, tenant_admin, operator, viewer.
const EXPECTED: &str = "
GET / *
GET /page.css *
GET /healthz *
GET /readyz *
GET /metrics *
GET /api/openapi.json *
GET /api/v1/health stov
POST /api/v1/auth/token *
POST /api/v1/auth/token/refresh *
POST /api/v1/auth/token/verify *
POST /api/v1/auth/logout +
POST /api/v1/auth/ws-ticket +
GET /api/v1/tenants stov
POST /api/v1/tenants s
GET /api/v1/tenants/{id} stov
PATCH /api/v1/tenants/{id} st
PUT /api/v1/tenants/{id} st
GET /api/v1/users st
POST /api/v1/users st
GET /api/v1/users/{id} stov
PATCH /api/v1/users/{id} st
PUT /api/v1/users/{id} st
POST /api/v1/users/{id}/change-role st
POST /api/v1/users/{id}/disable st
POST /api/v1/users/{id}/enable st
POST /api/v1/users/{id}/password stov
GET /api/v1/pbxs stov
POST /api/v1/pbxs st
POST /api/v1/pbxs/test st
POST /api/v1/pbxs/{id}/test st
GET /api/v1/pbxs/{id} stov
PATCH /api/v1/pbxs/{id} st
PUT /api/v1/pbxs/{id} st
DELETE /api/v1/pbxs/{id} st
GET /api/v1/pbx-links stov
POST /api/v1/pbx-links st
GET /api/v1/pbx-links/{id} stov
PATCH /api/v1/pbx-links/{id} st
PUT /api/v1/pbx-links/{id} st
DELETE /api/v1/pbx-links/{id} st
GET /api/v1/call-sessions stov
POST /api/v1/call-sessions sto
GET /api/v1/call-sessions/{id} stov
POST /api/v1/call-sessions/{id}/answer sto
POST /api/v1/call-sessions/{id}/hangup sto
POST /api/v1/call-sessions/{id}/hold sto
POST /api/v1/call-sessions/{id}/unhold sto
POST /api/v1/call-sessions/{id}/mute sto
POST /api/v1/call-sessions/{id}/unmute sto
POST /api/v1/call-sessions/{id}/dtmf sto
POST /api/v1/call-sessions/{id}/play sto
POST /api/v1/call-sessions/{id}/transfer sto
POST /api/v1/call-sessions/{id}/park sto
POST /api/v1/call-sessions/{id}/start-recording sto
POST /api/v1/call-sessions/{id}/stop-recording sto
POST /api/v1/call-sessions/{id}/pause-recording sto
POST /api/v1/call-sessions/{id}/resume-recording sto
GET /api/v1/audio-recordings stov
GET /api/v1/audio-recordings/{id} stov
GET /api/v1/audio-recordings/{id}/download stov
GET /api/v1/events stov
GET /api/v1/cluster/tree s
GET /api/v1/cluster/actors/{id} s
POST /api/v1/cluster/actors/{id}/restart s
GET /api/v1/cluster/tree/{id} s
POST /api/v1/cluster/tree/{id}/restart s
GET /ws stov
GET /ws/audio/stream/{id} stov
";

fn expected() -> BTreeMap<(String, String), &'static str> {
    let rows = EXPECTED.lines().filter(|line| !line.is_empty()).map(|line| {
        let mut words = line.split(' ');
        let key = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        (key, words.next().unwrap())
    });
    rows.collect()
}

fn documented() -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            rows.push((method.to_uppercase(), path.clone()));
        }
    }
    rows.sort();
    rows
}

#[test]
fn every_documented_route_has_its_expectation_and_no_other() {
    assert_eq!(documented(), expected().into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn each_role_passes_where_it_may_and_nowhere_else() {
    let rig = Rig::start().await;
    let nothing = "01890000-0000-7000-8000-000000000000";
    for ((method, path), who) in expected() {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let path = path.replace("{id}", nothing);
        let without = rig.request(method.clone(), &path).send().await.unwrap().status();
        assert_eq!(without == 401, !["*"].contains(&who), "{method} {path} without a credential: {without}");
        for role in Role::ALL {
            let email = format!("{role}@alpha.org");
            let status = rig.by(&email, method.clone(), &path).await.send().await.unwrap().status();
            let passes = ["*", "+"].contains(&who) || who.contains(&role.as_str()[..1]);
            assert_ne!(status, 401, "{method} {path} by {role}");
            assert_eq!(status != 403, passes, "{method} {path} by {role}: {status}");
            assert_ne!(status, 500, "{method} {path} by {role}");
        }
    }
}
