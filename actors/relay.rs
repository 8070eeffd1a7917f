//! placeholder
use aimg_domain::{Clock, Event, EventKind, IdSource, TenantId, Timestamp};
#[derive(Clone)]
pub struct EventRelay;
impl EventRelay {
    pub fn new(_: std::sync::Arc<aimg_fanout::Lanes>, _: std::sync::Arc<dyn Clock>, _: std::sync::Arc<dyn IdSource>, _: String, _: u64) -> Self {
        Self
    }
    pub fn publish(&self, _: TenantId, events: Vec<Event>) {
        for e in events {
            tracing::info!("{} {:?}", e.event, e.data);
        }
    }
    pub fn service_down(&self, _: &str, _: TenantId, _: Timestamp, _: &str) {}
    pub fn service_recovered(&self, _: &str, _: TenantId, _: Timestamp) {}
    pub fn system(&self, kind: EventKind, data: serde_json::Value) {
        tracing::info!("{kind} {data}");
    }
}
