use aimg_domain::{Event, EventKind, TenantId, Timestamp};
#[derive(Clone)]
pub struct EventRelay;
impl EventRelay {
    pub fn publish(&self, _: TenantId, _: Vec<Event>) {}
    pub fn service_down(&self, _: &str, _: TenantId, _: Timestamp, _: &str) {}
    pub fn service_recovered(&self, _: &str, _: TenantId, _: Timestamp) {}
    pub fn system(&self, _: EventKind, _: serde_json::Value) {}
}
