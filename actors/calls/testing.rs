//! What the tests of calls share: ids that count, a PBX and its links, captures as facts, and a world in which
//! the directory's outputs reach the sessions' machines as the actors would bring them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::calls::directory::{CallDirectory, DirectoryLimits, DirectoryOutput};
use crate::calls::resume;
use crate::calls::session::{CallSessionMachine, Effect, Input, SessionConfig};
use aimg_domain::call::{CallSession, CallState};
use aimg_domain::link::{AudioPolicy, ClaimBy, Claims, ControlPolicy, PbxLink, RecordingPolicy};
use aimg_domain::pbx::{AmiAccess, AriAccess, MediaAccess, MediaPorts, Pbx, TapFormat};
use aimg_domain::secret::Secret;
use aimg_domain::{CallId, EventKind, IdSource, NewEvent, PbxId, PbxLinkId, TenantId, Timestamp};
use aimg_pbx::ami::fact::told;
use aimg_pbx::ami::frame::{Decoder, Frame};
use aimg_pbx::fact::{Channel, ChannelState, Fact, Told};
use aimg_store::sessions::SessionRow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

#[derive(Default)]
pub struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

pub fn pbx_id() -> PbxId {
    PbxId(Uuid::from_u128(0xb0))
}

pub fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(0x1000 + n))
}

pub fn pbx() -> Pbx {
    Pbx {
        id: pbx_id(),
        tenant_id: None,
        name: "lab".into(),
        ami: AmiAccess {
            host: "127.0.0.1".into(),
            port: 5038,
            tls: false,
            username: "aimg".into(),
            secret: Secret::new(String::new()),
        },
        ari: Some(AriAccess {
            url: "http://127.0.0.1:8088".into(),
            username: "aimg".into(),
            password: Secret::new(String::new()),
        }),
        media: MediaAccess {
            address: None,
            ports: MediaPorts::Shared,
            format: TapFormat::Ulaw,
        },
        trunks: vec!["PJSIP/trunk*".into()],
        extensions: vec!["PJSIP/anonymous*".into(), "PJSIP/1*".into()],
        country: Some("DE".into()),
        national_prefix: Some("0".into()),
        timezone: None,
        placement_key: "lab".into(),
        detached: false,
        created_at: Timestamp(0),
    }
}

pub fn link(n: u128, by: ClaimBy, values: &[&str]) -> PbxLink {
    PbxLink {
        id: PbxLinkId(Uuid::from_u128(0x2000 + n)),
        tenant_id: tenant(n),
        pbx_id: pbx_id(),
        claims: Claims {
            by,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        },
        audio: AudioPolicy::OnDemand,
        recording: RecordingPolicy::OnDemand,
        control: ControlPolicy::Observe,
        tap_budget: 10,
        created_at: Timestamp(0),
    }
}

/// A party's channel; its linkedid is `linkedid`.
pub fn channel(uniqueid: &str, linkedid: &str, name: &str, state: ChannelState) -> Channel {
    Channel {
        uniqueid: uniqueid.into(),
        linkedid: linkedid.into(),
        name: name.into(),
        state,
        context: Some("from-sip".into()),
        ..Channel::default()
    }
}

pub fn at(seconds: i64, fact: Fact) -> Told {
    Told {
        at: Timestamp(seconds * 1000),
        fact,
    }
}

/// The facts that a capture tells, in order.
pub fn capture(version: &str, name: &str) -> Vec<Told> {
    let path = format!("{}/testdata/{version}/{name}.ami", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut decoder = Decoder::new();
    decoder.receive(&bytes);
    let mut facts = Vec::new();
    while let Some(frame) = decoder.next_frame() {
        if let Frame::Message(message) = frame {
            facts.extend(told(&message, facts.last().map_or(Timestamp(0), |told: &Told| told.at)));
        }
    }
    facts
}

/// Names of all captures of a version.
pub fn captures(version: &str) -> Vec<String> {
    let path = format!("{}/testdata/{version}", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".ami").to_owned())
        .collect();
    names.sort();
    names
}

/// One session as the outside came to know it.
#[derive(Default)]
pub struct Heard {
    pub events: Vec<NewEvent>,
    pub stored: Vec<CallSession>,
    pub effects: Vec<&'static str>,
    pub closed: bool,
}

pub struct World {
    pub ids: Arc<CountedIds>,
    pub directory: CallDirectory,
    pub links: BTreeMap<PbxLinkId, PbxLink>,
    pub machines: BTreeMap<CallId, CallSessionMachine>,
    pub log: BTreeMap<CallId, Heard>,
    pub now: Timestamp,
    pub show_dtmf: bool,
}

impl World {
    /// Of one tenant that claims everything.
    pub fn new() -> World {
        World::of(vec![link(1, ClaimBy::All, &[])])
    }

    pub fn of(links: Vec<PbxLink>) -> World {
        let ids = Arc::new(CountedIds::default());
        let mut world = World {
            directory: CallDirectory::new(pbx_id(), ids.clone(), DirectoryLimits::default()),
            ids,
            links: BTreeMap::new(),
            machines: BTreeMap::new(),
            log: BTreeMap::new(),
            now: Timestamp(0),
            show_dtmf: true,
        };
        for link in links {
            world.install(link);
        }
        world
    }

    pub fn install(&mut self, link: PbxLink) {
        self.links.insert(link.id, link.clone());
        let outputs = self.directory.install(link, self.now);
        self.bring(outputs);
    }

    pub fn config(&self, link: PbxLinkId) -> SessionConfig {
        SessionConfig {
            pbx: Arc::new(pbx()),
            link: Arc::new(self.links[&link].clone()),
            show_dtmf: self.show_dtmf,
        }
    }

    pub fn tell(&mut self, told: &Told) {
        self.now = self.now.max(told.at);
        let outputs = self.directory.apply(told, self.now);
        self.bring(outputs);
    }

    pub fn tell_all(&mut self, facts: &[Told]) {
        for told in facts {
            self.tell(told);
        }
    }

    /// Until everything that ended is forgotten.
    pub fn rest(&mut self) {
        while let Some(due) = self.directory.next_deadline() {
            self.now = self.now.max(due);
            let outputs = self.directory.tick(self.now);
            self.bring(outputs);
        }
    }

    pub fn bring(&mut self, outputs: Vec<DirectoryOutput>) {
        for output in outputs {
            let session = output.session();
            let input = match output {
                DirectoryOutput::Opened(opened) => {
                    let machine = CallSessionMachine::open(&opened, self.config(opened.link), self.ids.clone());
                    assert!(self.machines.insert(session, machine).is_none(), "opened twice");
                    self.log.insert(session, Heard::default());
                    continue;
                }
                DirectoryOutput::Told { told, .. } => Input::Told(told),
                DirectoryOutput::Withdrawn { uniqueid, .. } => Input::Withdrawn { uniqueid },
                DirectoryOutput::Merged { into, .. } => {
                    self.input(into, Input::MergedFrom { from: session });
                    Input::MergedInto { into }
                }
                DirectoryOutput::Blind { since, .. } => Input::Blind { since },
                DirectoryOutput::Reconciled { part, .. } => Input::Reconciled(part),
                DirectoryOutput::Closed { why, .. } => {
                    self.log.get_mut(&session).unwrap().closed = true;
                    Input::Closed(why)
                }
            };
            self.input(session, input);
        }
    }

    pub fn input(&mut self, session: CallId, input: Input) -> Vec<Effect> {
        let machine = self.machines.get_mut(&session).expect("told of a session that was opened");
        let effects = machine.apply(input, self.now);
        let log = self.log.get_mut(&session).unwrap();
        for effect in &effects {
            log.effects.push(match effect {
                Effect::Store { events, session } => {
                    log.events.extend(events.iter().cloned());
                    log.stored.push((**session).clone());
                    "store"
                }
                Effect::StartMedia { .. } => "start_media",
                Effect::MediaLegs(_) => "media_legs",
                Effect::StopMedia => "stop_media",
                Effect::Ended => "ended",
            });
        }
        effects
    }

    /// Rows as the store would give them back.
    pub fn rows(&self) -> Vec<SessionRow> {
        let rows = self.machines.values().map(|machine| SessionRow {
            session: machine.session().clone(),
            resume: resume::pack(machine.snapshot(), None),
        });
        rows.collect()
    }

    /// As a node that comes back: the directory and the machines anew, from rows.
    pub fn restart(&mut self) {
        let rows = self.rows();
        self.directory = CallDirectory::new(pbx_id(), self.ids.clone(), DirectoryLimits::default());
        self.directory.restore(&rows);
        for row in &rows {
            // The record of an ended one is all that is left of it.
            self.log.get_mut(&row.session.id).unwrap().closed |= row.session.is_ended();
            let machine = CallSessionMachine::restore(row, self.config(row.session.link_id), self.ids.clone());
            self.machines.insert(row.session.id, machine);
        }
        for link in self.links.clone().into_values() {
            let outputs = self.directory.install(link, self.now);
            self.bring(outputs);
        }
    }

    pub fn sessions(&self) -> Vec<&CallSession> {
        self.machines.values().map(CallSessionMachine::session).collect()
    }

    pub fn only(&self) -> &CallSession {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "one session: {sessions:#?}");
        sessions[0]
    }

    /// What must hold whatever was told.
    pub fn check(&self) {
        for (id, log) in &self.log {
            let seqs: Vec<u64> = log.events.iter().map(|event| event.seq).collect();
            assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "{id}: seq is contiguous");
            assert_eq!(
                log.events.first().map(|event| event.event),
                (!log.events.is_empty()).then_some(EventKind::CallStarted)
            );
            let ends = log
                .events
                .iter()
                .filter(|event| matches!(event.event, EventKind::CallEnded | EventKind::CallFailed))
                .count();
            assert!(ends <= 1, "{id}: ended once");
            assert_eq!(log.effects.iter().filter(|effect| **effect == "ended").count(), ends);
            assert_eq!(log.effects.first().copied(), (!log.effects.is_empty()).then_some("store"), "{id}: stored first");
            for pair in log.stored.windows(2) {
                assert!(order(pair[0].state) <= order(pair[1].state), "{id}: never back");
                assert!(
                    pair[0].answered_at.is_none() || pair[0].answered_at == pair[1].answered_at,
                    "{id}: answered once"
                );
            }
            let session = self.machines[id].session();
            assert_eq!(session.is_ended(), session.outcome.is_some());
            assert_eq!(session.is_ended(), ends == 1);
            assert!(
                session
                    .legs
                    .iter()
                    .all(|leg| !leg.channel.starts_with("Local/") && !leg.channel.starts_with("Snoop/") && !leg.channel.starts_with("UnicastRTP/"))
            );
        }
    }

    /// Every session has ended and nothing is kept.
    pub fn check_over(&mut self) {
        self.rest();
        self.check();
        for (id, log) in &self.log {
            assert!(self.machines[id].session().is_ended(), "{id} ended");
            assert!(log.closed, "{id} closed");
        }
        assert_eq!(self.directory.counters().channels, 0);
        assert_eq!(self.directory.counters().calls, 0);
    }
}

fn order(state: CallState) -> u8 {
    match state {
        CallState::Detected => 0,
        CallState::Ringing => 1,
        CallState::Up => 2,
        CallState::Ended => 3,
    }
}
