//! Real captures of both versions, replayed through directory and sessions, against what a person would tell.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::calls::testing::{World, capture, captures};
use aimg_domain::call::{CallSession, CallState, LegRole, Outcome};
use aimg_domain::{CallId, EventKind, NewEvent};
use aimg_pbx::fact::{ChannelState, Fact, Snapshot};
use std::time::Duration;

const VERSIONS: [&str; 2] = ["t16", "t22"];

/// A call in a few lines: who, how it ended, its legs and its events.
fn telling(session: &CallSession, events: &[NewEvent]) -> String {
    let snake = |value: serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "-".into());
    let mut text = format!(
        "{} {} > {}: {}{}, by {}\n",
        snake(serde_json::json!(session.direction)),
        number(&session.caller.number),
        number(&session.callee.number),
        snake(serde_json::json!(session.outcome)),
        match (session.answered_at, session.connected_at) {
            (Some(_), Some(_)) => " (answered, connected)",
            (Some(_), None) => " (answered)",
            (None, _) => "",
        },
        session.hangup.as_ref().map_or("-".into(), |hangup| snake(serde_json::json!(hangup.by))),
    );
    for leg in &session.legs {
        let role = if leg.role == LegRole::Caller { "caller" } else { "callee" };
        let answered = if leg.answered_at.is_some() { "answered" } else { "never answered" };
        text += &format!("{role} {} {answered}\n", leg.endpoint_id.as_deref().unwrap_or("-"));
    }
    let names: Vec<&str> = events.iter().map(|event| event.event.as_str().trim_start_matches("call.")).collect();
    text + &names.join(" ")
}

fn replay(version: &str, name: &str) -> World {
    let mut world = World::new();
    world.tell_all(&capture(version, name));
    world.check_over();
    world
}

fn tellings(version: &str, name: &str) -> Vec<String> {
    let world = replay(version, name);
    world.log.iter().map(|(id, log)| telling(world.machines[id].session(), &log.events)).collect()
}

fn check(name: &str, expected: &[&str]) {
    for version in VERSIONS {
        let told = tellings(version, name);
        assert_eq!(told.join("\n--\n"), expected.join("\n--\n"), "{version}/{name}");
    }
}

/// Of every capture that goes on to the end of its calls.
fn whole() -> impl Iterator<Item = (&'static str, String)> {
    let all = VERSIONS.iter().flat_map(|version| captures(version).into_iter().map(|name| (*version, name)));
    all.filter(|(_, name)| !matches!(name.as_str(), "s7_crash_before" | "s7_crash_after" | "s7_priv"))
}

const DIALLED: &str = "caller PJSIP/anonymous answered\n\
                       callee PJSIP/trunk answered\n\
                       started ringing answered participant.joined participant.joined";

/// Both answered; what followed.
fn check_dialled(name: &str, callee: &str, by: &str, then: &str) {
    let expected = format!("outbound 55501 > {callee}: answered (answered, connected), by {by}\n{DIALLED} {then}");
    check(name, &[&expected]);
}

/// The caller alone, with an application.
fn check_application(name: &str, callee: &str, answered: &str) {
    let expected = format!(
        "internal 55501 > {callee}: answered ({answered}), by caller\n\
         caller PJSIP/anonymous answered\n\
         started answered participant.joined dtmf dtmf dtmf participant.left ended"
    );
    check(name, &[&expected]);
}

#[test]
fn a_call_out_of_a_trunk_is_told_as_it_was() {
    check_dialled("s4_trunk_dial", "900", "caller", "participant.left participant.left ended");
}

#[test]
fn an_application_answers_and_no_person_does() {
    check_application("s4_echo", "600", "answered");
}

#[test]
fn a_queue_answers_and_then_an_agent_connects() {
    check_application("s4_queue", "950", "answered, connected");
}

#[test]
fn a_call_in_stasis_is_one_session_and_its_external_media_no_party() {
    check_application("s4_stasis", "700", "answered");
}

#[test]
fn busy_is_the_pbx_s_answer_and_giving_up_the_caller_s() {
    let legs = "caller PJSIP/anonymous never answered\nstarted ended";
    check(
        "s4_busy",
        &[
            &format!("internal 55501 > 981: busy, by pbx\n{legs}"),
            &format!("internal 55501 > 983: canceled, by caller\n{legs}"),
        ],
    );
}

#[test]
fn a_call_of_local_channels_only_has_no_legs_and_is_a_call_all_the_same() {
    check("s1_local_stasis", &["unknown 5551 > 602: answered (answered), by pbx\nstarted answered ended"]);
}

#[test]
fn hold_is_told_of_the_leg_that_holds() {
    check_dialled("s15_hold", "901", "caller", "held unheld participant.left participant.left ended");
}

#[test]
fn a_transfer_by_the_phone_stays_one_call() {
    // The transferee is then hung up by a manager: nobody of the call asked for the end.
    check_dialled("s15_refer", "901", "pbx", "transferred participant.left participant.left ended");
}

#[test]
fn a_blind_transfer_over_ami_stays_one_call() {
    check_dialled(
        "s15_ami_blind",
        "901",
        "caller",
        "transferred participant.left dtmf dtmf dtmf participant.left ended",
    );
}

#[test]
fn an_attended_transfer_stays_one_call() {
    let then = "dtmf dtmf held dtmf dtmf dtmf transferred participant.left dtmf dtmf dtmf participant.left ended";
    check_dialled("s15_ami_atxfer", "901", "caller", then);
}

#[test]
fn picking_up_a_parked_call_merges_the_younger_into_the_older() {
    let expected = format!(
        "outbound 55501 > 901: answered (answered, connected), by caller\n\
         {DIALLED} held unheld merged participant.left dtmf dtmf dtmf participant.left ended"
    );
    check(
        "s15_park",
        &[&expected, "unknown - > 610: merged (answered), by -\nstarted answered merged ended"],
    );
}

#[test]
fn a_redirect_of_both_into_a_conference_stays_one_call() {
    check_dialled("s15_redirect", "901", "caller", "dtmf dtmf dtmf participant.left participant.left ended");
}

#[test]
fn local_channels_that_optimise_themselves_away_leave_no_trace() {
    check_dialled("s15_local_opt", "905", "caller", "dtmf dtmf dtmf participant.left participant.left ended");
}

#[test]
fn of_several_that_ring_the_losers_say_nothing_of_the_outcome() {
    check_dialled("s15_fork", "906", "caller", "participant.left participant.left ended");
}

#[test]
fn a_tapped_call_is_still_one_call() {
    let then = "transferred participant.left dtmf dtmf dtmf participant.left ended";
    check_dialled("s15_tapped_transfer", "901", "caller", then);
}

#[test]
fn every_capture_ends_with_nothing_left() {
    for (version, name) in whole() {
        let world = replay(version, &name);
        assert!(!world.machines.is_empty() || name == "s7_ami_badpass", "{version}/{name}");
        for log in world.log.values() {
            assert_eq!(log.stored[0].state, CallState::Detected, "{version}/{name}");
        }
    }
}

#[test]
fn captures_cut_off_by_a_crash_end_when_the_truth_is_known() {
    for version in VERSIONS {
        for name in ["s7_crash_before", "s7_crash_after", "s7_priv"] {
            let mut world = World::new();
            world.tell_all(&capture(version, name));
            let open: Vec<CallId> = world
                .sessions()
                .iter()
                .filter(|session| !session.is_ended())
                .map(|session| session.id)
                .collect();
            assert!(!open.is_empty());
            let lost = world.now;
            let outputs = world.directory.lost(lost);
            world.bring(outputs);
            world.now = lost.plus(Duration::from_secs(10));
            let outputs = world.directory.reconcile(&Snapshot::default(), world.now, world.now);
            world.bring(outputs);
            world.check_over();
            for id in open {
                let session = world.machines[&id].session();
                assert_eq!(session.blind.iter().map(|blind| blind.from).collect::<Vec<_>>(), [lost]);
                assert!(session.blind[0].to.is_some());
                let reconciled = world.log[&id].events.iter().filter(|event| event.event == EventKind::CallReconciled).count();
                assert_eq!(reconciled, 1);
            }
        }
    }
}

/// What Asterisk's CDR would say of this outcome.
fn disposition(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered | Outcome::Abandoned | Outcome::Voicemail | Outcome::Merged => "ANSWERED",
        Outcome::Busy => "BUSY",
        Outcome::NoAnswer | Outcome::Canceled | Outcome::Rejected => "NO ANSWER",
        Outcome::Failed => "FAILED",
    }
}

#[test]
fn outcomes_agree_with_the_pbx_s_own_cdrs() {
    let mut compared = 0;
    for (version, name) in whole() {
        let facts = capture(version, &name);
        let world = replay(version, &name);
        for machine in world.machines.values() {
            let primary = machine.saved().primary.clone().unwrap();
            // A fork has a row for each that was called: answered if any is.
            let rows: Vec<&String> = facts
                .iter()
                .filter_map(|told| match &told.fact {
                    Fact::Cdr { uniqueid, disposition, .. } if *uniqueid == primary => Some(disposition),
                    _ => None,
                })
                .collect();
            let Some(last) = rows.last() else { continue };
            let cdr = if rows.iter().any(|row| *row == "ANSWERED") { "ANSWERED" } else { last };
            assert_eq!(disposition(machine.session().outcome.unwrap()), cdr, "{version}/{name} {primary}");
            compared += 1;
        }
    }
    assert!(compared >= 30, "{compared} calls compared");
}

#[test]
fn times_are_asterisk_s_own() {
    for version in VERSIONS {
        let facts = capture(version, "s4_trunk_dial");
        let time = |is: &dyn Fn(&Fact) -> bool| facts.iter().find(|told| is(&told.fact)).map(|told| told.at);
        let world = replay(version, "s4_trunk_dial");
        let session = world.only();
        assert_eq!(Some(session.started_at), time(&|fact| matches!(fact, Fact::NewChannel(_))));
        let up = |fact: &Fact| matches!(fact, Fact::ChannelChanged { channel, .. } if channel.name.starts_with("PJSIP/anonymous") && channel.state == ChannelState::Up);
        assert_eq!(session.answered_at, time(&up));
        let billsec = facts.iter().find_map(|told| match told.fact {
            Fact::Cdr { billsec, .. } => Some(billsec),
            _ => None,
        });
        let talk_s = session.talk_ms(world.now) as f64 / 1000.0;
        assert!((talk_s - billsec.unwrap() as f64).abs() <= 1.0, "{talk_s} {billsec:?}");
        assert_eq!(session.hangup.as_ref().unwrap().cause, 16);
    }
}
