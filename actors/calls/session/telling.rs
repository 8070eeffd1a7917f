//! Events of a call: numbered, and with all that a dashboard needs to show it without asking.

use super::CallSessionMachine;
use aimg_domain::{EventKind, NewEvent, Timestamp};
use serde_json::{Map, Value, json};

impl CallSessionMachine {
    /// The first event of the call, once.
    pub(super) fn begin(&mut self, at: Timestamp) {
        if self.saved.begun {
            return;
        }
        self.saved.begun = true;
        self.set_direction();
        let at = at.max(self.session.started_at);
        self.event(EventKind::CallStarted, at, json!({}));
    }

    /// `data` says what is particular; the state of the call is added.
    pub(super) fn event(&mut self, event: EventKind, at: Timestamp, data: Value) {
        self.session.seq += 1;
        let mut all = self.state_data(at);
        if let Value::Object(particular) = data {
            all.extend(particular.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.events.push(NewEvent {
            id: self.ids.uuid(),
            call_id: Some(self.session.id),
            event,
            at,
            seq: self.session.seq,
            data: Value::Object(all),
        });
    }

    fn state_data(&self, at: Timestamp) -> Map<String, Value> {
        let session = &self.session;
        let mut data = Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                data.insert(key.to_owned(), value);
            }
        };
        put("state", json!(session.state));
        put("outcome", json!(session.outcome));
        put("direction", json!(session.direction));
        put("pbx_id", json!(session.pbx_id));
        put("caller", json!(session.caller));
        put("callee", json!(session.callee));
        put("started_at", json!(session.started_at));
        put("answered_at", json!(session.answered_at));
        put("connected_at", json!(session.connected_at));
        put("ended_at", json!(session.ended_at));
        put("ring_ms", json!(session.ring_ms(at)));
        put("talk_ms", json!(session.talk_ms(at)));
        put("hangup", json!(session.hangup));
        put("recording", json!(session.recording));
        data
    }

    /// A leg as events show it.
    pub(super) fn leg_data(&self, uniqueid: &str) -> Value {
        let Some(leg) = self.session.legs.iter().find(|leg| leg.uniqueid == uniqueid) else {
            return Value::Null;
        };
        json!({
            "id": leg.id,
            "role": leg.role,
            "endpoint_id": leg.endpoint_id,
            "number": leg.number,
            "name": leg.name,
            "answered_at": leg.answered_at,
            "ended_at": leg.ended_at,
            "held": leg.held,
            "parked": leg.parked,
            "muted": leg.muted,
            "hangup": leg.hangup,
        })
    }
}
