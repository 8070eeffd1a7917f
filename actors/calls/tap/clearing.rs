//! Deleting what was made, and what may have been.

use super::making::QUIET;
use super::state::{About, Debris, Object, Step};
use super::{RequestId, STEP_DEADLINE, TapFailure, TapMachine, TapReply, TapRequest};
use aimg_domain::Timestamp;
use std::time::Duration;

const RETRY: Duration = Duration::from_secs(1);
/// Deletions of one object; what survives them is the reaper's (lower epoch, not adopted).
const TRIES: u32 = 10;

fn hush(object: &Object) -> TapRequest {
    TapRequest::SetVariable {
        channel: object.id().to_owned(),
        name: QUIET.0,
        value: QUIET.1,
    }
}

impl TapMachine {
    /// Everything of the present making becomes debris, the last made first.
    pub(super) fn dismantle(&mut self, now: Timestamp) {
        let tracks = std::mem::take(&mut self.state.tracks);
        self.state.tapped = None;
        for track in tracks {
            for object in track.asked_for() {
                let making = self
                    .pending
                    .iter()
                    .find(|(_, pending)| matches!(&pending.about, About::Step { makes: Some(made), .. } if *made == object));
                // Deleted before it is made it would stay: its reply, or the deadline of the wait, comes first.
                let asked = making.filter(|(_, pending)| pending.deadline.is_some()).map(|(id, _)| *id);
                let sure = making.is_none() && track.step != Step::Stream;
                self.state.debris.push(Debris {
                    tries: 0,
                    sure,
                    loud: track.is_loud() && object.id() == track.snoop,
                    object,
                    asked,
                    due: Some(now).filter(|_| asked.is_none()),
                });
            }
        }
    }

    /// A making that nobody waits for any more was answered.
    pub(super) fn made_late(&mut self, object: Object, request: RequestId, result: &Result<TapReply, TapFailure>, now: Timestamp) {
        let known = self.state.debris.iter().position(|debris| debris.object == object);
        match result {
            Ok(_) | Err(TapFailure::Lost) => {
                let sure = result.is_ok();
                match known {
                    Some(index) => {
                        let debris = &mut self.state.debris[index];
                        debris.sure |= sure;
                        if debris.asked == Some(request) || debris.asked.is_none() {
                            debris.asked = None;
                            debris.due = Some(now);
                        } else {
                            // Its deletion is on the way and may have come before it: ask again afterwards.
                            debris.sure = false;
                        }
                    }
                    None => self.state.debris.push(Debris {
                        loud: object.id().ends_with("-snoop"),
                        object,
                        tries: 0,
                        sure,
                        asked: None,
                        due: Some(now),
                    }),
                }
            }
            // It was never made.
            Err(_) => self.state.debris.retain(|debris| debris.object != object || debris.asked != Some(request)),
        }
    }

    pub(super) fn retry_deletes(&mut self, now: Timestamp) {
        if self.down {
            return;
        }
        for index in 0..self.state.debris.len() {
            let debris = &mut self.state.debris[index];
            if debris.asked.is_some() || debris.due.is_none_or(|due| due > now) {
                continue;
            }
            let object = debris.object.clone();
            if debris.loud {
                debris.due = None;
                let asked = self.ask(hush(&object), About::Hush(object), now.plus(STEP_DEADLINE));
                self.state.debris[index].asked = Some(asked);
                continue;
            }
            debris.tries += 1;
            debris.due = None;
            let request = match &object {
                Object::Channel(id) => TapRequest::DeleteChannel { id: id.clone() },
                Object::Bridge(id) => TapRequest::DeleteBridge { id: id.clone() },
            };
            let asked = self.ask(request, About::Delete(object), now.plus(STEP_DEADLINE));
            self.state.debris[index].asked = Some(asked);
        }
    }

    /// Said, or it cannot be said: now it may go.
    pub(super) fn hushed(&mut self, object: &Object, request: RequestId, now: Timestamp) {
        let known = self
            .state
            .debris
            .iter_mut()
            .find(|debris| debris.object == *object && debris.asked == Some(request));
        if let Some(debris) = known {
            debris.loud = false;
            debris.asked = None;
            debris.due = Some(now);
        }
    }

    pub(super) fn deleted(&mut self, object: &Object, request: RequestId, result: &Result<TapReply, TapFailure>, now: Timestamp) {
        let Some(index) = self.state.debris.iter().position(|debris| debris.object == *object) else {
            return;
        };
        let debris = &mut self.state.debris[index];
        let done = match result {
            Ok(_) => true,
            Err(TapFailure::NotFound) if debris.sure => true,
            Err(TapFailure::NotFound) => {
                debris.sure = true;
                false
            }
            Err(_) => debris.tries >= TRIES,
        };
        if done {
            self.state.debris.remove(index);
            if self.state.debris.is_empty() {
                self.save();
            }
        } else if debris.asked == Some(request) || debris.asked.is_none() {
            debris.asked = None;
            debris.due = Some(now.plus(RETRY));
        }
    }

    /// A request took too long. A making's late reply still counts; a deletion is asked again.
    pub(super) fn overdue(&mut self, request: RequestId, now: Timestamp) {
        let Some(pending) = self.pending.get_mut(&request) else { return };
        pending.deadline = None;
        match pending.about.clone() {
            About::Delete(object) => {
                self.pending.remove(&request);
                self.deleted(&object, request, &Err(TapFailure::Lost), now);
            }
            About::Hush(object) => {
                self.pending.remove(&request);
                self.hushed(&object, request, now);
            }
            // The wait of the track ends the making; here only what is debris already.
            About::Step { makes, .. } => {
                let waiting = self.state.debris.iter_mut().find(|debris| debris.asked == Some(request));
                if let Some(debris) = waiting {
                    debris.asked = None;
                    debris.due = Some(now);
                } else if makes.is_none() {
                    self.pending.remove(&request);
                }
            }
        }
    }
}
