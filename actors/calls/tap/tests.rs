//! The tap by example, and against a model of a PBX that answers in any order, refuses, loses and restarts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{STEP_DEADLINE, Spy, TapConfig, TapEffect, TapFailure, TapInput, TapLeg, TapMachine, TapPhase, TapReply, TapRequest};
use crate::calls::session::TapMode;
use aimg_domain::call::LegRole;
use aimg_domain::pbx::TapFormat;
use aimg_domain::{CallId, PbxId, Timestamp, TrackId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use uuid::Uuid;

fn config(mode: TapMode) -> TapConfig {
    TapConfig {
        cluster: "test".into(),
        pbx: PbxId(Uuid::from_u128(7)),
        epoch: 3,
        call: CallId(Uuid::from_u128(9)),
        format: TapFormat::Ulaw,
        mode,
    }
}

fn leg(uniqueid: &str, role: LegRole, since: i64) -> TapLeg {
    TapLeg {
        uniqueid: uniqueid.into(),
        channel: format!("PJSIP/{uniqueid}"),
        role,
        up: true,
        since: Timestamp(since),
    }
}

fn both() -> Vec<TapLeg> {
    vec![leg("callee", LegRole::Callee, 1), leg("caller", LegRole::Caller, 2)]
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A PBX with the objects that requests made, our end of the streams, and what is on its way.
struct Model {
    machine: TapMachine,
    now: Timestamp,
    legs: BTreeSet<String>,
    objects: BTreeSet<String>,
    /// Kept out of the PBX's CDRs.
    quiet: BTreeSet<String>,
    /// An answer was lost or late, or refused: a snoop may not have been quieted, and nobody can know.
    faulty: bool,
    /// Requests that reached nobody yet, and replies and events that were not delivered yet.
    requests: Vec<(u64, TapRequest)>,
    inputs: Vec<TapInput>,
    ports: BTreeMap<TrackId, u16>,
    wake: Option<Timestamp>,
    log: Vec<String>,
    made: u32,
    ended: u32,
}

impl Model {
    fn new(mode: TapMode) -> Model {
        Model {
            machine: TapMachine::new(config(mode)),
            now: Timestamp(0),
            legs: ["caller", "callee"].map(str::to_owned).into(),
            objects: BTreeSet::new(),
            quiet: BTreeSet::new(),
            faulty: false,
            requests: Vec::new(),
            inputs: Vec::new(),
            ports: BTreeMap::new(),
            wake: None,
            log: Vec::new(),
            made: 0,
            ended: 0,
        }
    }

    fn apply(&mut self, input: TapInput) {
        let effects = self.machine.apply(input, self.now);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<TapEffect>) {
        for effect in effects {
            match effect {
                TapEffect::OpenStream { track, local, .. } => {
                    let port = local.map_or(10_000 + track as u16, |local| local.port());
                    self.ports.insert(track, port);
                    self.inputs.push(TapInput::StreamOpened { track, local: addr(port) });
                }
                TapEffect::Request { id, request } => self.requests.push((id, request)),
                TapEffect::WakeAt(at) => self.wake = Some(at),
                TapEffect::ExpectFrom { track, from } => self.log.push(format!("expect {} {}", track.as_str(), from.port())),
                TapEffect::Flowing { n, adopted } => self.log.push(format!("flowing {n}{}", if adopted { " adopted" } else { "" })),
                TapEffect::Interrupted { n, .. } => self.log.push(format!("interrupted {n}")),
                TapEffect::Refused { why } => self.log.push(format!("refused: {why}")),
                TapEffect::Ended => self.ended += 1,
                TapEffect::Save | TapEffect::CloseStreams => {}
            }
        }
    }

    /// The PBX does what is asked.
    fn serve(&mut self, request: u64, asked: &TapRequest) -> Result<TapReply, TapFailure> {
        let make = |model: &mut Model, id: &String| {
            assert!(id.len() < 149);
            assert!(model.objects.insert(id.clone()), "{id} is made once ({request})");
            model.made += 1;
            Ok(TapReply::Done)
        };
        let remove = |model: &mut Model, id: &String| {
            if model.objects.remove(id) {
                Ok(TapReply::Done)
            } else {
                Err(TapFailure::NotFound)
            }
        };
        match asked {
            TapRequest::CreateSnoop { channel, id, .. } => {
                if !self.legs.contains(channel) {
                    return Err(TapFailure::NotFound);
                }
                self.inputs.push(TapInput::Entered { channel: id.clone() });
                make(self, id)
            }
            TapRequest::ExternalMedia { id, variables, .. } => {
                assert_eq!(*variables, [("CDR_PROP(disable)", "1")]);
                self.inputs.push(TapInput::Entered { channel: id.clone() });
                make(self, id)?;
                Ok(TapReply::External {
                    from: addr(20_000 + u16::try_from(self.made).unwrap()),
                })
            }
            TapRequest::CreateBridge { id } => make(self, id),
            TapRequest::SetVariable { channel, .. } => {
                self.need(&[channel])?;
                self.quiet.insert(channel.clone());
                Ok(TapReply::Done)
            }
            TapRequest::AddToBridge { bridge, channels } => {
                let mut all = vec![bridge];
                all.extend(channels);
                self.need(&all)
            }
            TapRequest::DeleteChannel { id } | TapRequest::DeleteBridge { id } => {
                let loud = id.ends_with("-snoop") && self.objects.contains(id) && !self.quiet.contains(id);
                assert!(self.faulty || !loud, "{id} leaves a row in the PBX's CDRs");
                remove(self, id)
            }
        }
    }

    fn need(&self, ids: &[&String]) -> Result<TapReply, TapFailure> {
        if ids.iter().all(|id| self.objects.contains(*id)) {
            Ok(TapReply::Done)
        } else {
            Err(TapFailure::NotFound)
        }
    }

    /// A snoop ends with the channel it listens to; external media and bridges do not.
    fn hang_up(&mut self, leg: &str) {
        self.legs.remove(leg);
        let tapped = self.machine.state().tapped.as_ref().is_some_and(|tapped| tapped.uniqueid == leg);
        if tapped {
            let snoops: Vec<String> = self.objects.iter().filter(|id| id.ends_with("snoop")).cloned().collect();
            for id in snoops {
                self.objects.remove(&id);
                self.inputs.push(TapInput::Gone { object: id });
            }
        }
        let left = both().into_iter().filter(|leg| self.legs.contains(&leg.uniqueid)).collect();
        self.inputs.push(TapInput::Legs(left));
    }

    fn step(&mut self) -> bool {
        if !self.inputs.is_empty() {
            let input = self.inputs.remove(0);
            self.apply(input);
        } else if !self.requests.is_empty() {
            let (id, request) = self.requests.remove(0);
            let result = self.serve(id, &request);
            self.inputs.push(TapInput::Reply { request: id, result });
        } else {
            return false;
        }
        true
    }

    /// Everything on its way arrives.
    fn drain(&mut self) {
        while self.step() {}
    }

    fn sleep(&mut self) {
        self.now = self.wake.take().map_or(self.now.plus(Duration::from_millis(100)), |wake| wake.max(self.now));
        self.apply(TapInput::Tick);
    }

    /// The end of the call, and all the time it takes.
    fn finish(&mut self) {
        self.apply(TapInput::Stop);
        for _ in 0..200 {
            self.drain();
            if self.ended > 0 {
                break;
            }
            self.sleep();
        }
        assert!(self.objects.is_empty(), "left undeleted: {:?}\n{:#?}", self.objects, self.log);
        assert_eq!(self.ended, 1, "ended once: {:#?}", self.machine.state());
    }
}

fn flowing(mode: TapMode) -> Model {
    let mut model = Model::new(mode);
    model.apply(TapInput::Start { legs: both() });
    model.drain();
    assert_eq!(model.machine.state().phase, TapPhase::Flowing, "{:?}", model.log);
    model
}

#[test]
fn a_tap_is_two_snoops_two_external_media_and_two_bridges_on_the_caller_s_leg() {
    let mut model = flowing(TapMode::Legs);
    assert_eq!(model.objects.len(), 6);
    assert_eq!(model.machine.state().tapped.as_ref().unwrap().uniqueid, "caller");
    let spies: Vec<(TrackId, Spy)> = model.machine.state().tracks.iter().map(|track| (track.track, track.spy)).collect();
    assert_eq!(spies, [(TrackId::Caller, Spy::In), (TrackId::Callee, Spy::Out)]);
    assert_eq!(model.log.last().unwrap(), "flowing 1");
    model.finish();
}

#[test]
fn on_the_callee_s_leg_in_is_the_callee() {
    let mut model = Model::new(TapMode::Legs);
    model.apply(TapInput::Start {
        legs: vec![leg("callee", LegRole::Callee, 1)],
    });
    model.drain();
    let spies: Vec<(TrackId, Spy)> = model.machine.state().tracks.iter().map(|track| (track.track, track.spy)).collect();
    assert_eq!(spies, [(TrackId::Callee, Spy::In), (TrackId::Caller, Spy::Out)]);
    model.finish();
}

#[test]
fn mixed_is_one_snoop_of_both() {
    let mut model = flowing(TapMode::Mixed);
    assert_eq!(model.objects.len(), 3);
    assert_eq!(model.machine.state().tracks[0].spy, Spy::Both);
    model.finish();
}

#[test]
fn channels_are_joined_only_after_the_external_media_has_entered() {
    let mut model = Model::new(TapMode::Mixed);
    model.apply(TapInput::Start { legs: both() });
    loop {
        // All but the StasisStart of external media is delivered.
        let next = model
            .inputs
            .iter()
            .position(|input| !matches!(input, TapInput::Entered { channel } if channel.ends_with("media")));
        match next {
            Some(index) => {
                let input = model.inputs.remove(index);
                model.apply(input);
            }
            None if !model.requests.is_empty() => {
                let (id, request) = model.requests.remove(0);
                assert!(!matches!(request, TapRequest::CreateBridge { .. } | TapRequest::AddToBridge { .. }));
                let result = model.serve(id, &request);
                model.inputs.insert(0, TapInput::Reply { request: id, result });
            }
            None => break,
        }
    }
    assert_eq!(model.inputs.len(), 1);
    model.drain();
    assert_eq!(model.machine.state().phase, TapPhase::Flowing);
    model.finish();
}

#[test]
fn a_refusal_at_any_step_is_said_and_leaves_nothing() {
    for refused in 0..6 {
        let mut model = Model::new(TapMode::Mixed);
        model.apply(TapInput::Start { legs: both() });
        let mut seen = 0;
        loop {
            if !model.inputs.is_empty() {
                let input = model.inputs.remove(0);
                model.apply(input);
            } else if !model.requests.is_empty() {
                let (id, request) = model.requests.remove(0);
                let result = if seen == refused {
                    Err(TapFailure::Refused("409".into()))
                } else {
                    model.serve(id, &request)
                };
                seen += 1;
                model.inputs.push(TapInput::Reply { request: id, result });
            } else {
                break;
            }
        }
        if refused < 5 {
            assert!(
                model.log.iter().any(|line| line.starts_with("refused") && line.ends_with("409")),
                "{refused}: {:?}",
                model.log
            );
            assert!(model.objects.is_empty(), "{refused}");
        }
        model.finish();
    }
}

#[test]
fn a_wait_has_a_deadline() {
    let mut model = Model::new(TapMode::Mixed);
    model.apply(TapInput::Start { legs: both() });
    let opened = model.inputs.remove(0);
    model.apply(opened);
    assert_eq!(model.wake, Some(Timestamp(0).plus(STEP_DEADLINE)));
    // The snoop's request is never answered in time, and done in the end.
    model.sleep();
    assert!(model.log[0].starts_with("refused: no answer in time"), "{:?}", model.log);
    model.finish();
}

#[test]
fn when_the_tapped_leg_leaves_the_tap_is_made_again_on_another() {
    let mut model = flowing(TapMode::Legs);
    model.hang_up("caller");
    model.drain();
    for _ in 0..5 {
        model.sleep();
        model.drain();
    }
    assert_eq!(model.machine.state().tapped.as_ref().unwrap().uniqueid, "callee");
    assert_eq!(model.objects.len(), 6);
    assert!(model.log.contains(&"interrupted 1".to_owned()));
    assert!(model.log.last().unwrap().starts_with("flowing"));
    model.finish();
}

#[test]
fn the_other_leg_may_leave_and_the_tap_stays() {
    let mut model = flowing(TapMode::Legs);
    model.hang_up("callee");
    model.drain();
    assert_eq!(model.machine.n(), 1);
    assert_eq!(model.machine.state().phase, TapPhase::Flowing);
    model.finish();
}

fn exists(model: &Model) -> TapInput {
    TapInput::Exists {
        objects: model.objects.iter().cloned().collect(),
    }
}

#[test]
fn after_a_restart_the_tap_is_adopted_when_all_of_it_is_there_and_the_ports_are_the_same() {
    let mut model = flowing(TapMode::Legs);
    let (machine, effects) = TapMachine::resume(
        TapConfig {
            epoch: 4,
            ..config(TapMode::Legs)
        },
        &model.machine.snapshot(),
        both(),
    );
    model.machine = machine;
    model.perform(effects);
    model.drain();
    let there = exists(&model);
    model.apply(there);
    model.drain();
    assert_eq!(model.log.last().unwrap(), "flowing 1 adopted");
    assert_eq!(model.made, 6, "nothing was made");
    model.finish();
}

#[test]
fn after_a_restart_a_tap_that_lost_a_part_or_its_port_is_made_again() {
    for lose_part in [true, false] {
        let mut model = flowing(TapMode::Legs);
        let (machine, effects) = TapMachine::resume(config(TapMode::Legs), &model.machine.snapshot(), both());
        model.machine = machine;
        model.perform(effects);
        if lose_part {
            let part = model.objects.iter().next().unwrap().clone();
            model.objects.remove(&part);
        } else {
            for input in &mut model.inputs {
                if let TapInput::StreamOpened { local, .. } = input {
                    local.set_port(local.port() + 100);
                }
            }
        }
        model.drain();
        let there = exists(&model);
        model.apply(there);
        model.drain();
        assert_eq!(model.log.last().unwrap(), "flowing 2", "{lose_part}");
        assert_eq!(model.objects.len(), 6);
        model.finish();
    }
}

#[test]
fn a_lost_link_leaves_a_working_tap_alone() {
    let mut model = flowing(TapMode::Legs);
    model.apply(TapInput::LinkDown);
    assert!(model.requests.is_empty());
    let there = exists(&model);
    model.apply(there);
    model.drain();
    assert_eq!((model.machine.n(), model.machine.state().phase), (1, TapPhase::Flowing));
    model.finish();
}

#[test]
fn after_a_refusal_it_may_be_asked_for_again() {
    let mut model = Model::new(TapMode::Mixed);
    model.apply(TapInput::Start { legs: both() });
    model.inputs.clear();
    model.apply(TapInput::StreamRefused {
        track: TrackId::Mixed,
        why: "no port".into(),
    });
    assert_eq!(model.log, ["refused: no stream for the mixed track: no port"]);
    model.apply(TapInput::Start { legs: both() });
    model.drain();
    assert_eq!(model.machine.state().phase, TapPhase::Flowing);
    model.finish();
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Deliver(usize),
    Serve(usize),
    Fail(usize),
    Lose(usize, bool),
    Sleep,
    HangUp(bool),
    LinkDown,
    Restart,
    Stop,
    Start,
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        12 => any::<usize>().prop_map(Move::Deliver),
        12 => any::<usize>().prop_map(Move::Serve),
        1 => any::<usize>().prop_map(Move::Fail),
        1 => any::<(usize, bool)>().prop_map(|(n, done)| Move::Lose(n, done)),
        2 => Just(Move::Sleep),
        1 => any::<bool>().prop_map(Move::HangUp),
        1 => Just(Move::LinkDown),
        1 => Just(Move::Restart),
        1 => Just(Move::Stop),
        1 => Just(Move::Start),
    ]
}

impl Model {
    fn make_move(&mut self, step: Move) {
        self.faulty |= matches!(step, Move::Fail(_) | Move::Lose(..) | Move::Sleep | Move::LinkDown | Move::Restart);
        match step {
            Move::Deliver(n) if !self.inputs.is_empty() => {
                let input = self.inputs.remove(n % self.inputs.len());
                self.apply(input);
            }
            Move::Serve(n) if !self.requests.is_empty() => {
                let (id, request) = self.requests.remove(n % self.requests.len());
                let result = self.serve(id, &request);
                self.inputs.push(TapInput::Reply { request: id, result });
            }
            Move::Fail(n) if !self.requests.is_empty() => {
                let (id, _) = self.requests.remove(n % self.requests.len());
                let result = Err(TapFailure::Refused("500".into()));
                self.inputs.push(TapInput::Reply { request: id, result });
            }
            // It was done or not, and nobody will know.
            Move::Lose(n, done) if !self.requests.is_empty() => {
                let (id, request) = self.requests.remove(n % self.requests.len());
                if done {
                    let _ = self.serve(id, &request);
                }
                let result = Err(TapFailure::Lost);
                self.inputs.push(TapInput::Reply { request: id, result });
            }
            Move::Sleep => self.sleep(),
            Move::HangUp(caller) => self.hang_up(if caller { "caller" } else { "callee" }),
            Move::LinkDown => {
                self.lose_link();
                self.apply(TapInput::LinkDown);
                let there = exists(self);
                self.apply(there);
            }
            Move::Restart => {
                self.lose_link();
                // Our ends died with the process: what they had to say is gone too.
                self.inputs.clear();
                let legs = both().into_iter().filter(|leg| self.legs.contains(&leg.uniqueid)).collect();
                let (machine, effects) = TapMachine::resume(config(TapMode::Legs), &self.machine.snapshot(), legs);
                self.machine = machine;
                self.wake = None;
                self.perform(effects);
                let there = exists(self);
                self.apply(there);
            }
            Move::Stop => self.apply(TapInput::Stop),
            Move::Start => {
                let legs = both().into_iter().filter(|leg| self.legs.contains(&leg.uniqueid)).collect();
                self.apply(TapInput::Start { legs });
            }
            _ => {}
        }
    }

    /// Requests that were sent are done before the link is up again; their replies and events are lost.
    fn lose_link(&mut self) {
        for (id, request) in std::mem::take(&mut self.requests) {
            let _ = self.serve(id, &request);
        }
        self.inputs.retain(|input| matches!(input, TapInput::Legs(_) | TapInput::StreamOpened { .. }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_nothing_that_was_made_is_left(moves in prop::collection::vec(any_move(), 0..120)) {
        let mut model = Model::new(TapMode::Legs);
        model.apply(TapInput::Start { legs: both() });
        for step in moves {
            model.make_move(step);
        }
        model.apply(TapInput::Stop);
        for _ in 0..300 {
            model.drain();
            model.sleep();
        }
        prop_assert!(model.ended > 0, "ended: {:#?}", model.machine.state());
        prop_assert!(model.objects.is_empty(), "left undeleted: {:?}\n{:#?}", model.objects, model.machine.state());
        prop_assert!(model.machine.state().debris.is_empty());
    }
}
