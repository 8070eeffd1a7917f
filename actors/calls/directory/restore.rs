//! The map again, after a restart, from what the sessions kept.

use super::CallDirectory;
use super::book::{Call, Entry, SessionRef};
use crate::calls::resume::{ResumeChannel, call_part};
use crate::calls::session::SavedCall;
use aimg_domain::Timestamp;
use aimg_pbx::fact::{Channel, ChannelState};
use aimg_store::sessions::SessionRow;

/// When restored channels were last seen: before any gap that `reconcile` could know of.
const BEFORE_US: Timestamp = Timestamp(i64::MIN);

impl CallDirectory {
    /// Sessions that have not ended, with their channels. Follow with `reconcile`: until then it is belief.
    pub fn restore(&mut self, rows: &[SessionRow]) {
        let mut rows: Vec<&SessionRow> = rows.iter().filter(|row| !row.session.is_ended() && row.session.pbx_id == self.pbx).collect();
        rows.sort_by_key(|row| (row.session.started_at, row.session.id));
        for row in rows {
            let saved = SavedCall::read(call_part(&row.resume), &row.session);
            if saved.boot.is_some() {
                self.boot = saved.boot;
            }
            self.restore_one(row, &saved.channels);
        }
    }

    fn restore_one(&mut self, row: &SessionRow, channels: &[ResumeChannel]) {
        let session = SessionRef {
            id: row.session.id,
            tenant: row.session.tenant_id,
            link: row.session.link_id,
            opened_at: row.session.started_at,
        };
        // A session of another tenant in the same call has the same linkedids.
        let known = channels.iter().find_map(|channel| {
            let by_id = self.channels.get(&channel.uniqueid).map(|entry| entry.call);
            by_id.or_else(|| self.linkedids.get(&channel.linkedid).copied())
        });
        let shared = known.filter(|key| self.calls.get(key).is_some_and(|call| call.session_of(session.tenant).is_none()));
        let key = shared.unwrap_or_else(|| {
            self.next_key += 1;
            self.calls.insert(self.next_key, Call::new(session.opened_at));
            self.next_key
        });
        if let Some(call) = self.calls.get_mut(&key) {
            call.sessions.push(session);
        }
        for saved in channels.iter().filter(|channel| !channel.ended) {
            self.note_linkedid(key, &saved.linkedid);
            if !self.channels.contains_key(&saved.uniqueid) {
                let channel = Channel {
                    uniqueid: saved.uniqueid.clone(),
                    linkedid: saved.linkedid.clone(),
                    name: saved.name.clone(),
                    state: if saved.up { ChannelState::Up } else { ChannelState::Down },
                    ..Channel::default()
                };
                let mut entry = Entry::new(key, channel, saved.kind, session.opened_at, BEFORE_US);
                entry.told = true;
                entry.in_stasis = saved.in_stasis;
                self.channels.insert(saved.uniqueid.clone(), entry);
                if let Some(call) = self.calls.get_mut(&key) {
                    call.channels.insert(saved.uniqueid.clone());
                }
            }
            if let Some(entry) = self.channels.get_mut(&saved.uniqueid) {
                entry.claimed.push(session.tenant);
            }
        }
    }
}
