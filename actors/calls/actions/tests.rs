//! Action by kind of call, and the faults.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{MuteAudioDirection, PbxStep, RecorderStep};
use crate::calls::session::{Input, MediaReport};
use crate::calls::testing::{World, at, channel, link};
use aimg_domain::call::{ActionName, Availability};
use aimg_domain::link::{AudioPolicy, ClaimBy, PbxLink, RecordingPolicy};
use aimg_domain::pbx::{PbxState, PbxStatus};
use aimg_domain::{CallId, Fault, RecordingId, Timestamp};
use aimg_pbx::fact::{Changed, ChannelState, Fact};
use aimg_wire::request::{CallAction, MuteDirection};
use uuid::Uuid;

fn status(state: PbxState) -> PbxStatus {
    PbxStatus {
        state,
        since: Timestamp(0),
        reason: Some("connection refused".into()),
        version: None,
        booted_at: None,
        last_gap: None,
    }
}

fn dialled(link: PbxLink) -> World {
    let mut world = World::of(vec![link]);
    for (id, name) in [("a.1", "PJSIP/1001-1"), ("a.2", "PJSIP/trunk-2")] {
        world.tell(&at(1, Fact::NewChannel(channel(id, "a.1", name, ChannelState::Ring))));
    }
    world
}

fn up(world: &mut World) {
    for (id, name) in [("a.2", "PJSIP/trunk-2"), ("a.1", "PJSIP/1001-1")] {
        let channel = channel(id, "a.1", name, ChannelState::Up);
        let what = Changed::State;
        world.tell(&at(2, Fact::ChannelChanged { channel, what }));
    }
}

fn stasis(world: &mut World) {
    let fact = Fact::Stasis {
        uniqueid: "a.1".into(),
        entered: true,
        args: vec![],
    };
    world.tell(&at(2, fact));
}

fn plan(world: &World, action: CallAction) -> Result<Vec<PbxStep>, Fault> {
    let status = status(PbxState::Attached);
    world.machines.values().next().unwrap().standing(&status).plan(&action)
}

fn possible(world: &World) -> Vec<&'static str> {
    let status = status(PbxState::Attached);
    let actions = world.machines.values().next().unwrap().standing(&status).actions();
    assert_eq!(actions.len(), ActionName::ALL.len());
    let possible = ActionName::ALL.iter().map(|name| name.as_str());
    possible.filter(|name| actions[name] == Availability::Possible).collect()
}

fn id(world: &World) -> CallId {
    world.only().id
}

fn hangup(channel: &str, uniqueid: &str) -> PbxStep {
    PbxStep::HangupChannel {
        channel: channel.into(),
        uniqueid: uniqueid.into(),
    }
}

#[test]
fn what_is_possible_follows_the_call() {
    let mut world = dialled(link(1, ClaimBy::All, &[]));
    assert_eq!(possible(&world), ["hangup"]);
    stasis(&mut world);
    assert_eq!(possible(&world), ["answer", "hangup"]);
    up(&mut world);
    assert_eq!(possible(&world), ["hangup", "mute", "dtmf", "start-recording"]);
    let recording = RecordingId(Uuid::nil());
    let call = id(&world);
    world.input(call, Input::Media(MediaReport::RecordingStarted { recording }));
    world.input(call, Input::Muted { leg: "a.1".into(), on: true });
    assert_eq!(possible(&world), ["hangup", "mute", "unmute", "dtmf", "stop-recording", "pause-recording"]);
    world.input(call, Input::Media(MediaReport::RecordingPaused { recording }));
    assert_eq!(possible(&world), ["hangup", "mute", "unmute", "dtmf", "stop-recording", "resume-recording"]);
    world.input(call, Input::Failed { reason: "gone".into() });
    assert!(possible(&world).is_empty());
}

#[test]
fn a_plain_call_is_driven_over_ami_and_one_in_stasis_over_ari() {
    let mut world = dialled(link(1, ClaimBy::All, &[]));
    up(&mut world);
    let dtmf = |leg: &str| CallAction::Dtmf {
        leg: Some(leg.into()),
        digits: "1a".into(),
    };
    let mute = || CallAction::Mute {
        leg: None,
        direction: MuteDirection::In,
    };
    let play = |digit| PbxStep::PlayDtmf {
        channel: "PJSIP/1001-1".into(),
        digit,
    };
    assert_eq!(plan(&world, dtmf("a.1")), Ok(vec![play('1'), play('A')]));
    let over_ami = PbxStep::MuteAudio {
        channel: "PJSIP/1001-1".into(),
        uniqueid: "a.1".into(),
        direction: MuteAudioDirection::In,
        on: true,
    };
    assert_eq!(plan(&world, mute()), Ok(vec![over_ami]));
    stasis(&mut world);
    let over_ari = PbxStep::AriDtmf {
        uniqueid: "a.1".into(),
        digits: "1a".into(),
    };
    assert_eq!(plan(&world, dtmf("a.1")), Ok(vec![over_ari]));
    let over_ari = PbxStep::AriMute {
        uniqueid: "a.1".into(),
        direction: MuteAudioDirection::In,
        on: true,
    };
    assert_eq!(plan(&world, mute()), Ok(vec![over_ari]));
    assert_eq!(
        plan(&world, CallAction::Hangup),
        Ok(vec![hangup("PJSIP/1001-1", "a.1"), hangup("PJSIP/trunk-2", "a.2")])
    );
    assert_eq!(plan(&world, CallAction::StartRecording), Ok(vec![PbxStep::Recorder(RecorderStep::Start)]));
}

#[test]
fn an_unanswered_call_in_stasis_is_answered_over_ari() {
    let mut world = dialled(link(1, ClaimBy::All, &[]));
    stasis(&mut world);
    assert_eq!(plan(&world, CallAction::Answer), Ok(vec![PbxStep::AriAnswer { uniqueid: "a.1".into() }]));
}

#[test]
fn a_call_of_local_channels_is_hung_up_by_them() {
    let mut world = World::new();
    for name in ["Local/600@lab-1;1", "Local/600@lab-1;2"] {
        let id = format!("l{}", name.len() + usize::from(name.ends_with('2')));
        world.tell(&at(1, Fact::NewChannel(channel(&id, "l", name, ChannelState::Up))));
    }
    assert_eq!(plan(&world, CallAction::Hangup).unwrap().len(), 2);
    assert!(matches!(plan(&world, CallAction::StartRecording), Err(Fault::NotPossibleHere { why }) if why.contains("Local")));
}

#[test]
fn every_refusal_has_its_fault() {
    let mut world = dialled(link(1, ClaimBy::All, &[]));
    let digits = |digits: &str| CallAction::Dtmf {
        leg: None,
        digits: digits.into(),
    };
    assert!(matches!(plan(&world, CallAction::Answer), Err(Fault::NotPossibleHere { .. })));
    assert!(matches!(plan(&world, digits("12x")), Err(Fault::Invalid { .. })));
    assert!(matches!(plan(&world, digits("")), Err(Fault::Invalid { .. })));
    up(&mut world);
    let named = CallAction::Dtmf {
        leg: Some("nobody".into()),
        digits: "1".into(),
    };
    assert!(matches!(plan(&world, named), Err(Fault::NotFound { .. })));
    for action in ["hold", "unhold", "play", "transfer", "park"] {
        let other = CallAction::Other { action: action.into() };
        let refused = plan(&world, other).unwrap_err();
        assert_eq!(refused.to_string(), "not possible here: not offered by this version of the gateway", "{action}");
    }
    assert!(matches!(plan(&world, CallAction::Other { action: "fly".into() }), Err(Fault::NotFound { .. })));
    let down = status(PbxState::Blind);
    let machine = world.machines.values().next().unwrap();
    let refused = machine.standing(&down).plan(&CallAction::Hangup).unwrap_err();
    assert!(matches!(&refused, Fault::PbxDown { reason, .. } if reason == "connection refused"));
    let call = id(&world);
    world.input(call, Input::Failed { reason: "gone".into() });
    assert!(matches!(plan(&world, CallAction::Hangup), Err(Fault::CallEnded { at: Some(_) })));
}

#[test]
fn policy_forbids_recording() {
    for (recording, audio, word) in [
        (RecordingPolicy::Never, AudioPolicy::OnDemand, "forbids recording"),
        (RecordingPolicy::OnDemand, AudioPolicy::None, "allows no audio"),
    ] {
        let mut world = dialled(PbxLink {
            recording,
            audio,
            ..link(1, ClaimBy::All, &[])
        });
        up(&mut world);
        assert!(matches!(plan(&world, CallAction::StartRecording), Err(Fault::NotPossibleHere { why }) if why.contains(word)));
    }
}
