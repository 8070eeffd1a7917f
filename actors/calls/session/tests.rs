//! The session by example and by property: whatever is told, in whatever order, it goes forward and ends once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{CallSessionMachine, Effect, Input, MediaReport, TapMode};
use crate::calls::testing::{World, at, capture, captures, channel, link};
use aimg_domain::call::{AudioState, HangupBy, Outcome, RecordingState};
use aimg_domain::link::{AudioPolicy, ClaimBy, PbxLink, RecordingPolicy};
use aimg_domain::{CallId, EventKind, RecordingId, Timestamp};
use aimg_pbx::fact::{Changed, Channel, ChannelState, DialStatus, Fact, Told};
use proptest::prelude::*;
use uuid::Uuid;

fn caller(state: ChannelState) -> Channel {
    channel("a.1", "a.1", "PJSIP/1001-1", state)
}

fn callee(state: ChannelState) -> Channel {
    channel("a.2", "a.1", "PJSIP/trunk-2", state)
}

fn changed(s: i64, channel: Channel) -> Told {
    let what = Changed::State;
    at(s, Fact::ChannelChanged { channel, what })
}

fn hung_up(s: i64, channel: Channel, cause: u16) -> Told {
    let cause_text = String::new();
    at(s, Fact::HungUp { channel, cause, cause_text })
}

fn dial_end(s: i64, status: DialStatus) -> Told {
    let fact = Fact::DialEnd {
        from: Some(caller(ChannelState::Ring)),
        to: callee(ChannelState::Ringing),
        status,
    };
    at(s, fact)
}

fn asks(s: i64, channel: Channel) -> Told {
    at(s, Fact::HangupRequested { channel, cause: None })
}

/// A call that rings at the callee's.
fn ringing(link: PbxLink) -> World {
    let mut world = World::of(vec![link]);
    world.tell(&at(1, Fact::NewChannel(caller(ChannelState::Ring))));
    world.tell(&at(1, Fact::NewChannel(callee(ChannelState::Down))));
    world.tell(&changed(2, callee(ChannelState::Ringing)));
    world
}

fn answered(link: PbxLink) -> World {
    let mut world = ringing(link);
    world.tell(&changed(3, callee(ChannelState::Up)));
    world.tell(&changed(3, caller(ChannelState::Up)));
    world
}

fn plain() -> PbxLink {
    link(1, ClaimBy::All, &[])
}

#[test]
fn unanswered_calls_end_as_the_dial_or_the_caller_says() {
    for (status, caller_asks, cause, outcome, by) in [
        (Some(DialStatus::NoAnswer), false, 16, Outcome::NoAnswer, HangupBy::Pbx),
        (Some(DialStatus::Busy), false, 17, Outcome::Busy, HangupBy::Pbx),
        (Some(DialStatus::ChanUnavail), false, 20, Outcome::Failed, HangupBy::Pbx),
        (Some(DialStatus::Congestion), false, 34, Outcome::Failed, HangupBy::Pbx),
        (Some(DialStatus::DontCall), false, 16, Outcome::Rejected, HangupBy::Pbx),
        (Some(DialStatus::Cancel), true, 127, Outcome::Canceled, HangupBy::Caller),
        (None, true, 127, Outcome::Canceled, HangupBy::Caller),
    ] {
        let mut world = ringing(plain());
        if caller_asks {
            world.tell(&asks(4, caller(ChannelState::Ring)));
        }
        if let Some(status) = status {
            world.tell(&dial_end(4, status));
        }
        world.tell(&hung_up(5, callee(ChannelState::Ringing), cause));
        world.tell(&hung_up(5, caller(ChannelState::Ring), cause));
        world.check_over();
        let session = world.only();
        assert_eq!((session.outcome, session.hangup.as_ref().unwrap().by), (Some(outcome), by), "{status:?}");
        assert_eq!(session.answered_at, None);
    }
}

#[test]
fn a_callee_that_declines_rejects() {
    let mut world = ringing(plain());
    world.tell(&hung_up(4, callee(ChannelState::Ringing), 21));
    world.tell(&dial_end(4, DialStatus::ChanUnavail));
    world.tell(&hung_up(5, caller(ChannelState::Ring), 21));
    world.check_over();
    assert_eq!(world.only().outcome, Some(Outcome::Rejected));
}

#[test]
fn who_hangs_up_first_is_remembered() {
    let mut world = answered(plain());
    world.tell(&asks(9, callee(ChannelState::Up)));
    world.tell(&asks(9, caller(ChannelState::Up)));
    world.tell(&hung_up(9, callee(ChannelState::Up), 16));
    world.tell(&hung_up(9, caller(ChannelState::Up), 16));
    assert_eq!(world.only().hangup.as_ref().unwrap().by, HangupBy::Callee);
}

#[test]
fn a_hang_up_of_ours_is_the_platform_s() {
    let mut world = ringing(plain());
    let call = world.only().id;
    world.input(call, Input::HangupByPlatform);
    world.tell(&hung_up(9, callee(ChannelState::Ringing), 16));
    world.tell(&hung_up(9, caller(ChannelState::Ring), 16));
    let session = world.only();
    assert_eq!(
        (session.outcome, session.hangup.as_ref().unwrap().by),
        (Some(Outcome::Canceled), HangupBy::Platform)
    );
}

#[test]
fn leaving_a_queue_before_an_agent_takes_the_call_is_abandoning() {
    let mut world = World::new();
    world.tell(&at(1, Fact::NewChannel(caller(ChannelState::Ring))));
    world.tell(&changed(1, caller(ChannelState::Up)));
    let queue = "support".to_owned();
    world.tell(&at(
        2,
        Fact::QueueJoined {
            channel: caller(ChannelState::Up),
            queue: queue.clone(),
        },
    ));
    world.tell(&at(
        9,
        Fact::QueueAbandoned {
            channel: caller(ChannelState::Up),
            queue,
            waited_s: 7,
        },
    ));
    world.tell(&hung_up(9, caller(ChannelState::Up), 16));
    world.check_over();
    assert_eq!(world.only().outcome, Some(Outcome::Abandoned));
    let ended = world.log.values().next().unwrap().events.last().unwrap().clone();
    assert_eq!(ended.data["queue"]["waited_ms"], 7000);
}

#[test]
fn digits_are_masked_unless_asked_for_and_always_while_recording_is_paused() {
    let digit = |s| {
        let fact = Fact::Dtmf {
            channel: caller(ChannelState::Up),
            digit: '7',
            duration_ms: 100,
        };
        at(s, fact)
    };
    for show in [false, true] {
        let mut world = World::new();
        world.show_dtmf = show;
        world.tell(&at(1, Fact::NewChannel(caller(ChannelState::Up))));
        world.tell(&digit(2));
        let call = world.only().id;
        let recording = RecordingId(Uuid::nil());
        world.input(call, Input::Media(MediaReport::RecordingPaused { recording }));
        world.tell(&digit(3));
        let digits: Vec<Option<char>> = world.only().dtmf.iter().map(|digit| digit.digit).collect();
        assert_eq!(digits, [Some('7').filter(|_| show), None]);
        let told = serde_json::to_string(&world.log[&call].events).unwrap();
        assert_eq!(told.contains("\"7\""), show);
    }
}

#[test]
fn a_stray_unhold_says_nothing() {
    let mut world = answered(plain());
    let before = world.only().seq;
    world.tell(&at(
        4,
        Fact::Unheld {
            channel: caller(ChannelState::Up),
        },
    ));
    assert_eq!(world.only().seq, before);
}

#[test]
fn by_policy_media_start_with_the_answer_after_the_session_is_stored_and_stop_with_the_end() {
    let mut world = answered(PbxLink {
        audio: AudioPolicy::Legs,
        ..plain()
    });
    let call = world.only().id;
    assert_eq!(world.only().audio, AudioState::Starting);
    let effects = world.log[&call].effects.clone();
    let start = effects.iter().position(|effect| *effect == "start_media").unwrap();
    assert_eq!(effects[start - 1], "store");
    world.input(call, Input::Media(MediaReport::Flowing));
    assert_eq!(world.only().audio, AudioState::Flowing);
    world.tell(&hung_up(9, callee(ChannelState::Up), 16));
    assert_eq!(world.log[&call].effects.last(), Some(&"media_legs"));
    world.tell(&hung_up(9, caller(ChannelState::Up), 16));
    assert_eq!(world.log[&call].effects[world.log[&call].effects.len() - 3..], ["store", "stop_media", "ended"]);
}

#[test]
fn on_demand_media_come_and_go_with_who_listens() {
    let mut world = ringing(plain());
    let call = world.only().id;
    assert!(world.input(call, Input::AudioWanted(true)).is_empty(), "not before the answer");
    world.tell(&changed(3, callee(ChannelState::Up)));
    world.tell(&changed(3, caller(ChannelState::Up)));
    assert_eq!(world.log[&call].effects.last(), Some(&"start_media"));
    let stop = world.input(call, Input::AudioWanted(false));
    assert_eq!(stop.last(), Some(&Effect::StopMedia));
}

#[test]
fn the_policy_says_whether_to_record_and_how_to_hear() {
    for (audio, recording, expected) in [
        (AudioPolicy::Mixed, RecordingPolicy::OnDemand, Some((TapMode::Mixed, false))),
        (AudioPolicy::OnDemand, RecordingPolicy::Always, Some((TapMode::Legs, true))),
        (AudioPolicy::OnDemand, RecordingPolicy::OnDemand, None),
        (AudioPolicy::None, RecordingPolicy::Always, None),
    ] {
        let mut world = ringing(PbxLink { audio, recording, ..plain() });
        let call = world.only().id;
        world.tell(&changed(3, callee(ChannelState::Up)));
        let effects = world.input(call, Input::Told(Box::new(changed(3, caller(ChannelState::Up)))));
        let started = effects.iter().find_map(|effect| match effect {
            Effect::StartMedia { mode, record, legs } => {
                assert_eq!(legs.len(), 2);
                Some((*mode, *record))
            }
            _ => None,
        });
        assert_eq!(started, expected, "{audio:?} {recording:?}");
    }
}

#[test]
fn a_recording_may_be_saved_after_the_end() {
    let mut world = answered(plain());
    let call = world.only().id;
    let recording = RecordingId(Uuid::nil());
    world.input(call, Input::Media(MediaReport::RecordingStarted { recording }));
    world.tell(&hung_up(9, callee(ChannelState::Up), 16));
    world.tell(&hung_up(9, caller(ChannelState::Up), 16));
    let saved = MediaReport::RecordingSaved {
        recording,
        partial: true,
        duration_ms: 6000,
    };
    world.input(call, Input::Media(saved));
    assert_eq!(world.only().recording, RecordingState::Partial);
    let last = world.log[&call].events.last().unwrap();
    assert_eq!((last.event, last.seq), (EventKind::RecordingSaved, world.only().seq));
    world.check();
}

#[test]
fn a_snapshot_is_read_back_and_what_cannot_be_read_is_made_good() {
    let world = answered(plain());
    let row = world.rows().remove(0);
    let config = world.config(row.session.link_id);
    let machine = CallSessionMachine::restore(&row, config.clone(), world.ids.clone());
    assert_eq!(machine.saved(), world.machines.values().next().unwrap().saved());
    let mut broken = row;
    broken.resume = serde_json::json!("?");
    let machine = CallSessionMachine::restore(&broken, config, world.ids.clone());
    assert_eq!(machine.saved().live().count(), 2);
    assert!(machine.saved().begun);
}

#[test]
fn numbers_are_made_whole_by_the_pbx_s_country() {
    let mut world = World::new();
    let mut from = channel("a.1", "a.1", "PJSIP/trunk-1", ChannelState::Ring);
    from.caller_number = Some("030123456".into());
    from.exten = Some("1001".into());
    world.tell(&at(1, Fact::NewChannel(from)));
    let session = world.only();
    assert_eq!(session.caller.e164.as_deref(), Some("+4930123456"));
    assert_eq!((session.callee.number.as_deref(), session.callee.e164.as_deref()), (Some("1001"), None));
    assert_eq!(session.direction, aimg_domain::Direction::Inbound);
}

/// A capture bent: cut off, with facts told twice, others swapped with their neighbours or left out.
#[derive(Clone, Debug)]
struct Bent {
    version: &'static str,
    name: String,
    cut: prop::sample::Index,
    bends: Vec<(prop::sample::Index, u8)>,
    restart_at: Option<prop::sample::Index>,
}

fn bent() -> impl Strategy<Value = Bent> {
    let names: Vec<(&'static str, String)> = ["t16", "t22"]
        .into_iter()
        .flat_map(|version| captures(version).into_iter().map(move |name| (version, name)))
        .collect();
    let index = any::<prop::sample::Index>;
    (
        prop::sample::select(names),
        index(),
        prop::collection::vec((index(), 0u8..4), 0..12),
        prop::option::of(index()),
    )
        .prop_map(|((version, name), cut, bends, restart_at)| Bent {
            version,
            name,
            cut,
            bends,
            restart_at,
        })
}

impl Bent {
    fn facts(&self) -> Vec<Told> {
        let mut facts = capture(self.version, &self.name);
        for (index, bend) in &self.bends {
            if facts.len() < 4 {
                break;
            }
            let at = index.index(facts.len() - 3);
            match bend {
                0 => facts.insert(at + 2, facts[at].clone()),
                1 => facts.swap(at, at + 1),
                2 => facts.swap(at, at + 3),
                _ => {
                    facts.remove(at);
                }
            }
        }
        let cut = if facts.is_empty() { 0 } else { self.cut.index(facts.len() + 1) };
        facts.truncate(cut);
        facts
    }
}

/// Hangs up what a capture's end leaves open.
fn hang_up_all(world: &mut World) {
    let open: Vec<(String, String, String)> = world
        .machines
        .values()
        .flat_map(|machine| {
            machine
                .saved()
                .live()
                .map(|channel| (channel.uniqueid.clone(), channel.linkedid.clone(), channel.name.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    for (uniqueid, linkedid, name) in open {
        let channel = channel(&uniqueid, &linkedid, &name, ChannelState::Up);
        let told = hung_up(world.now.0 / 1000 + 1, channel, 16);
        world.tell(&told);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_told_a_session_goes_forward_and_ends_once(bent in bent()) {
        let facts = bent.facts();
        let mut world = World::new();
        let restart_at = bent.restart_at.filter(|_| !facts.is_empty()).map(|index| index.index(facts.len()));
        for (n, told) in facts.iter().enumerate() {
            if restart_at == Some(n) {
                world.restart();
            }
            world.tell(told);
            world.check();
        }
        hang_up_all(&mut world);
        world.check_over();
    }

    #[test]
    fn facts_in_any_order_at_all_never_panic(bent in bent(), seed in any::<u64>()) {
        let mut facts = bent.facts();
        let mut state = seed | 1;
        for n in (1..facts.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            facts.swap(n, (state >> 33) as usize % (n + 1));
        }
        let mut world = World::new();
        world.tell_all(&facts);
        hang_up_all(&mut world);
        world.check_over();
    }

    #[test]
    fn a_claim_at_any_time_tells_the_same_call(bent in bent(), late in any::<prop::sample::Index>()) {
        // Only whole captures: what is held is bounded, and an ended call is not claimed any more.
        let facts = capture(bent.version, &bent.name);
        let mut world = World::of(vec![]);
        let from = late.index(facts.len().max(1));
        for (n, told) in facts.iter().enumerate() {
            if n == from {
                world.install(plain());
            }
            world.tell(told);
        }
        let mut early = World::new();
        early.tell_all(&facts);
        for (session, twin) in world.sessions().iter().filter_map(|session| {
            let twin = early.sessions().into_iter().find(|twin| twin.linkedids.first() == session.linkedids.first())?.clone();
            Some(((*session).clone(), twin))
        }) {
            prop_assert_eq!(session.outcome, twin.outcome);
            prop_assert_eq!(session.caller, twin.caller);
            prop_assert!(session.legs.len() == twin.legs.len() || session.merged_from.len() != twin.merged_from.len());
        }
        world.check();
    }
}

#[test]
fn a_session_nobody_told_the_end_of_ends_as_failed_when_it_is_closed() {
    let mut world = answered(plain());
    let call: CallId = world.only().id;
    world.now = Timestamp(60_000);
    world.input(call, Input::Closed(crate::calls::directory::ClosedWhy::Ended));
    assert_eq!(world.only().outcome, Some(Outcome::Failed));
    world.check();
}
